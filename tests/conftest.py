"""What test files share: where the shared data lies, how far properties are searched, figures at the end, short rules."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from .support import CASES, DRAWN, SupportPage, constructs

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PYEVAL_SHARED") or ROOT.parent / "shared")
FIGURES = pytest.StashKey[list[str]]()

PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "default")
_SLOW_INPUT = [HealthCheck.too_slow, HealthCheck.data_too_large]
for profile, examples in (("default", 100), ("quick", 20), ("ci", 100), ("long", 5_000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=profile in ("ci", "quick"),
        suppress_health_check=_SLOW_INPUT,
    )
settings.load_profile(PROFILE)

thorough = settings(
    max_examples={"quick": 100, "ci": 2_000, "long": 50_000}.get(PROFILE, 300),
    suppress_health_check=[*_SLOW_INPUT, HealthCheck.function_scoped_fixture],  # ``exercises`` counts all examples
)
"""For the one property on which all else rests."""


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep rules in a temporary place, never in the user's own; programs that tests start inherit it.

    The processes of a parallel run share it, so that each large set of rules is converted once a run.
    """
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, which is no part of the project; tests that need it are skipped without it."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"no shared data at {data}; set PYEVAL_SHARED to the folder that holds data/")
    return data


@pytest.fixture(scope="session")
def sigmahq(shared: Path) -> Path:
    """The SigmaHQ rules."""
    return shared / "sigmahq"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take a line for the summary at the end of the run."""
    return request.config.stash.setdefault(FIGURES, []).append


Exercises = Callable[[str], None]


@pytest.fixture
def exercises(request: pytest.FixtureRequest) -> Exercises:
    """Take the text of a rule with which a case has passed: for ``--support``."""
    if not request.config.getoption("--support"):
        return lambda rule: None
    counts: dict[str, int] = {}
    drawn = getattr(request.function, "is_hypothesis_test", False)
    request.node.user_properties.append((DRAWN if drawn else CASES, counts))  # which reaches the report

    def take(rule: str) -> None:
        for name in constructs(rule):
            counts[name] = counts.get(name, 0) + 1

    return take


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--support FILE``."""
    parser.addoption("--support", metavar="FILE", help="write a page of what is supported, from the cases that pass")


def pytest_configure(config: pytest.Config) -> None:
    """Have the page written by the one process that hears of all tests."""
    path = config.getoption("--support")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SupportPage(Path(path), SHARED / "data" / "sigmahq"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the figures."""
    lines = config.stash.get(FIGURES, [])
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.write_line(line)


def json_lines(path: Path) -> Iterator[Any]:
    """Yield the objects of a file of JSON lines."""
    with path.open("rb") as lines:
        yield from map(json.loads, lines)


def rule_yaml(detection: str, title: str = "Test", logsource: str = "category: test", extra: str = "") -> str:
    """Return a rule's YAML around a *detection* section, which is written without its own indentation."""
    section = textwrap.indent(textwrap.dedent(detection).strip(), "    ")
    return f"title: {title}\n{extra}logsource:\n    {logsource}\ndetection:\n{section}\n"

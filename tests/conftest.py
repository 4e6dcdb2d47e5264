"""Where shared data lies, how thoroughly properties are searched, and figures at the end of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent
FIGURES = pytest.StashKey[list[str]]()

_SLOW_INPUT = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", max_examples=300, deadline=None, suppress_health_check=_SLOW_INPUT)
settings.register_profile(
    "ci", max_examples=2000, deadline=None, derandomize=True, suppress_health_check=_SLOW_INPUT
)
settings.register_profile("long", max_examples=50_000, deadline=None, suppress_health_check=_SLOW_INPUT)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "default")
)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data: PYEVAL_SHARED, or ``shared`` beside the checkout."""
    path = Path(os.environ.get("PYEVAL_SHARED") or REPOSITORY.parent / "shared").resolve()
    if not (path / "data").is_dir():
        pytest.skip(f"no shared data in {path}: set PYEVAL_SHARED to its folder")
    return path / "data"


@pytest.fixture(scope="session")
def sigmahq(shared: Path) -> Path:
    """The SigmaHQ rules."""
    return shared / "sigmahq"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take a line for the summary at the end of the run."""
    return request.config.stash.setdefault(FIGURES, []).append


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

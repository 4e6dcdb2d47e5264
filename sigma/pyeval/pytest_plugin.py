"""pytest runs the test cases of Sigma rules: ``pytest --sigma rules/``. Without ``--sigma`` this plugin does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sigma.pyeval.output import printable

if TYPE_CHECKING:
    from .errors import RuleError
    from .testing.cases import Mistake
    from .testing.suite import RuleCase, Suite


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("sigma", "Sigma rules")
    group.addoption(
        "--sigma",
        action="append",
        default=[],
        metavar="PATH",
        help="run the test cases of the Sigma rules there; repeatable",
    )
    group.addoption(
        "--sigma-cases",
        action="append",
        default=[],
        metavar="PATH",
        help="more files of cases, or directories; repeatable",
    )
    group.addoption(
        "--sigma-pipeline",
        action="append",
        default=[],
        metavar="NAME",
        help="load the rules with this pipeline; repeatable",
    )


@pytest.hookimpl(tryfirst=True)  # so that -k, -m and --deselect see the cases
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the cases to the tests that were collected."""
    if config.getoption("--sigma"):
        suite, refused = _suite(config)
        items += [*_collected(session, suite), *_refused(session, refused)]


def _suite(config: pytest.Config) -> tuple[Suite, tuple[RuleError, ...]]:
    """Return what can be run, and the rules that could not be loaded."""
    from sigma.exceptions import SigmaError

    from .loading import load_rules
    from .testing.suite import collect_cases

    paths, more = (
        [_path(config, name) for name in config.getoption(option)] for option in ("--sigma", "--sigma-cases")
    )
    for path in (*paths, *more):
        if not path.exists():
            raise pytest.UsageError(f"{path}: no such file or directory")
    try:
        ruleset = load_rules(*paths, pipeline=config.getoption("--sigma-pipeline"), on_error="collect")
    except SigmaError as error:
        raise pytest.UsageError(f"--sigma-pipeline: {error}") from error
    return collect_cases(ruleset, paths, more), ruleset.errors


def _path(config: pytest.Config, name: str) -> Path:
    return config.invocation_params.dir / name


def _collected(session: pytest.Session, suite: Suite) -> Iterator[pytest.Item]:
    files: dict[Path, pytest.File] = {}

    def file_of(path: Path) -> pytest.File:
        if path not in files:
            files[path] = SigmaFile.from_parent(session, path=path)
        return files[path]

    for one in suite.cases:
        path = Path(one.rule.path) if one.rule.path is not None else one.case.path
        yield CaseItem.from_parent(file_of(path), name=printable(one.case.name), rule_case=one)
    for mistake in suite.mistakes:
        yield MistakeItem.from_parent(file_of(mistake.path), name=printable(mistake.place or "file"), mistake=mistake)


def _refused(session: pytest.Session, errors: Iterable[RuleError]) -> Iterator[pytest.Item]:
    for error in errors:
        file = SigmaFile.from_parent(session, path=session.path if error.path is None else Path(error.path))
        yield RefusedItem.from_parent(file, name=printable(error.title or "file"), error=error)


class SigmaFile(pytest.File):
    """A rule's file, as the parent of its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield nothing: cases are collected for all files at once."""
        yield from ()


class CaseFailed(Exception):
    """A case did not pass; its text is what is shown."""


class CaseItem(pytest.Item):
    """A case."""

    def __init__(self, *, rule_case: RuleCase, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule_case = rule_case

    def runtest(self) -> None:
        """Run the case."""
        from .testing.running import run_case

        result = run_case(self.rule_case)
        if result.status != "passed":
            case = self.rule_case.case
            lines = [
                f"{result.status}: {result.message}",
                f"rule: {self.rule_case.rule.path}",
                f"case: {case.path}: {case.place}",
            ]
            explained = [] if result.explanation is None else [str(result.explanation)]
            raise CaseFailed("\n".join([*map(printable, lines), *explained]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the message and the explanation instead of a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, CaseFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the rule's file, and what is tested."""
        return self.path, None, f"{printable(self.rule_case.rule.title)}: {self.name}"


class MistakeItem(pytest.Item):
    """A mistake in a file of cases: it fails."""

    def __init__(self, *, mistake: Mistake, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mistake = mistake

    def runtest(self) -> None:
        """Fail."""
        raise CaseFailed(printable(str(self.mistake)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the mistake instead of a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, CaseFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the file of cases, and the place."""
        return self.path, None, printable(f"{self.path}: {self.name}")


class RefusedItem(pytest.Item):
    """A rule that could not be loaded: it is skipped, so that nobody takes it for tested."""

    def __init__(self, *, error: RuleError, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def runtest(self) -> None:
        """Skip, with the reason."""
        pytest.skip(printable(str(self.error)))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the rule's file, and its title."""
        return self.path, None, f"{self.name}: could not be loaded"

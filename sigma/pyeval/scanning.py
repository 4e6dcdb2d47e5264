"""Rules held against log files: records to findings, problems counted and handed over, nothing else kept."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .findings import Finding
from .logs.reading import AUTO, LogError, Progress, Records, read_log, read_stream
from .logs.records import Problem
from .ruleset import Ruleset

STDIN = "-"
ProblemHandler = Callable[[str, Problem], None]


class Scan:
    """One run of rules over logs, and what is counted on the way.

    Args:
        ruleset: The rules.
        on_problem: Called with path and problem for each line, or log, that could not be read.
        input_format: A log format's name, or ``auto``.
        options: Keyword arguments of the format's parser.
        route: Whether each record's log source leaves out the rules that are for another one.

    Attributes:
        logs, events, problems, findings: How many there were.
        by_level: Findings by the rule's level.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        on_problem: ProblemHandler,
        input_format: str = AUTO,
        options: Mapping[str, Any] | None = None,
        *,
        route: bool = True,
    ) -> None:
        self._ruleset = ruleset
        self._on_problem = on_problem
        self._input_format = input_format
        self._options = dict(options or {})
        self._route = route
        self.logs = 0
        self.events = 0
        self.problems = 0
        self.findings = 0
        self.by_level: Counter[str] = Counter()

    def log(self, path: str, progress: Progress | None = None) -> Iterator[Finding]:
        """Yield the findings of one log; ``-`` is standard input."""
        try:
            if path == STDIN:
                records = read_stream(sys.stdin.buffer, self._input_format, self._options)
            else:
                records = read_log(Path(path), self._input_format, self._options, progress)
        except (LogError, ImportError) as error:
            self._problem(path, Problem(0, str(error), ""))
            return
        self.logs += 1
        yield from self._findings(path, records)

    def _findings(self, path: str, records: Records) -> Iterator[Finding]:
        match = self._ruleset.match
        with contextlib.closing(records):
            for record in records:
                if isinstance(record, Problem):
                    self._problem(path, record)
                    continue
                self.events += 1
                for found in match(record.event, record.logsource if self._route else None):
                    self.findings += 1
                    self.by_level[found.rule.level or "none"] += 1
                    yield Finding(found, path, record.line, record.logsource, record.serial)

    def _problem(self, path: str, problem: Problem) -> None:
        self.problems += 1
        self._on_problem(path, problem)


def log_files(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files that *paths* name: files as they are, directories as the regular files below them, sorted."""
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            yield from (str(file) for file in sorted(Path(path).rglob("*")) if file.is_file())
        else:
            yield path

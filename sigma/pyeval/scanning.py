"""Rules held against log files: records to findings, problems counted and handed over, nothing else kept."""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .findings import Finding
from .log_correlation import CorrelationOptions, LogCorrelation, not_counted_text
from .logs.inputs import decompressed
from .logs.reading import AUTO, LogError, Progress, read_log, read_stream
from .logs.records import Problem, Record
from .output import counted
from .rules import LogSource, Match
from .ruleset import Ruleset

STDIN = "-"
MOST_LACKING = 10
"""Fields, each of a rule in a correlation rule, for want of which matches were not counted, that are told one by one."""
ProblemHandler = Callable[[str, Problem], None]
Reading = Callable[[str], Progress | None]
"""Path of a log -> what is called, every now and then, with the number of its bytes that were read."""
_UNKNOWN = LogSource()


class Scan:
    """One run of rules over logs, and what is counted on the way.

    Args:
        ruleset: The rules.
        on_problem: Called with path and problem for each line, or log, that could not be read.
        input_format: A log format's name, or ``auto``.
        options: Keyword arguments of the format's parser.
        route: Whether each record's log source leaves out the rules that are for another one. Where the log says nothing
            of it, the ruleset's recogniser looks at the event.
        correlation: How correlation rules, where there are any, are held against all logs together; see ``finish``.
        reading: Told how far each log is read.

    Attributes:
        logs, events, problems, findings: How many there were.
        by_level: Findings by the rule's level.
    """

    def __init__(  # noqa: PLR0913 - a caller names each
        self,
        ruleset: Ruleset,
        on_problem: ProblemHandler,
        input_format: str = AUTO,
        options: Mapping[str, Any] | None = None,
        *,
        route: bool = True,
        correlation: CorrelationOptions | None = None,
        reading: Reading = lambda _: None,
    ) -> None:
        self.ruleset = ruleset
        self.input_format = input_format
        self.options = dict(options or {})
        self.reading = reading
        self._on_problem = on_problem
        self._route = route
        self._correlation = (
            LogCorrelation(ruleset, correlation or CorrelationOptions()) if ruleset.correlations else None
        )
        # Records that match nothing matter only where they let time pass.
        self._waits_for_time = self._correlation is not None and self._correlation.is_live
        self.logs = 0
        self.events = 0
        self.problems = 0
        self.findings = 0
        self.by_level: Counter[str] = Counter()

    def log(self, path: str) -> Iterator[Finding]:
        """Yield the findings of one log; ``-`` is standard input."""
        self.begin_log()
        for record in self.records(path):
            matches = self.match(record)
            if matches or self._waits_for_time:
                yield from self.findings_of(matches, record, path)

    def begin_log(self) -> None:
        """Note that records of another log follow."""
        if self._correlation is not None:
            self._correlation.begin_log()

    def findings_of(self, matches: list[Match], record: Record, path: str) -> Iterator[Finding]:
        """Yield what the matches of one record find, by themselves and by correlation; counted."""
        for match in matches:
            if match.rule.generate:
                finding = Finding(match, path, record.line, record.logsource, record.serial)
                self.count(finding)
                yield finding
        if self._correlation is not None:
            for finding in self._correlation.observe(matches, record, path):
                self.count(finding)
                yield finding

    def finish(self) -> Iterator[Finding]:
        """Yield what correlation rules find when all logs are read; report what they had to leave out."""
        if self._correlation is None:
            return
        for finding in self._correlation.finish():
            self.count(finding)
            yield finding

    def correlation_losses(self) -> list[str]:
        """Return what correlation did not count or had to leave out, in words; nothing where all is well."""
        if self._correlation is None:
            return []
        counts = self._correlation.statistics()
        losses = (
            ("event", "came later than the allowed lateness", counts.late),
            ("event", "taken in before the time for want of room", counts.forced),
            ("group", "given up for want of room", counts.evicted_groups),
            ("event", "given up for want of room", counts.evicted_events),
            ("event", "not shown with the matches for want of room", counts.not_kept),
        )
        lacking = sorted(self._correlation.not_counted(), key=lambda one: -one.number)
        told = [not_counted_text(self.ruleset, one) for one in lacking[:MOST_LACKING]]
        if len(lacking) > MOST_LACKING:
            others = sum(one.number for one in lacking[MOST_LACKING:])
            told.append(f"{counted(others, 'other match')} not counted either, for want of other fields")
        return told + [f"{counted(number, noun)} {words}" for noun, words, number in losses if number]

    def records(self, path: str) -> Iterator[Record]:
        """Yield the records of one log, its problems counted and handed over."""
        try:
            if path == STDIN:
                records = read_stream(decompressed(_peekable(sys.stdin.buffer)), self.input_format, self.options)
            else:
                records = read_log(Path(path), self.input_format, self.options, self.reading(path))
        except (LogError, ImportError) as error:
            self.report(path, Problem(0, str(error), ""))
            return
        self.logs += 1
        with contextlib.closing(records):
            for record in records:
                if isinstance(record, Problem):
                    self.report(path, record)
                else:
                    self.events += 1
                    yield record

    def match(self, record: Record) -> list[Match]:
        """Return the matches of one record, those of rules that serve only correlations included."""
        return self.ruleset.match(record.event, self.logsource(record), members=True)

    def logsource(self, record: Record) -> LogSource | None:
        """Return the log source by which rules are left out for a record; ``None`` where none are."""
        if not self._route:
            return None
        return self.ruleset.route(record.event) if record.logsource == _UNKNOWN else record.logsource

    def prepare(self) -> None:
        """Make the matcher now rather than at the first event."""
        self.ruleset.match({})

    def count(self, finding: Finding) -> None:
        """Count one finding."""
        self.findings += 1
        self.by_level[finding.match.rule.level or "none"] += 1

    def report(self, path: str, problem: Problem) -> None:
        """Count one problem and hand it over."""
        self.problems += 1
        self._on_problem(path, problem)


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[arg-type]


def log_files(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files that *paths* name: files as they are, directories as the regular files below them, sorted."""
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            # A link that leads nowhere is named as such when it is opened; pipes and sockets are no logs.
            files = sorted(file for file in Path(path).rglob("*") if file.is_file() or not file.exists())
            yield from map(str, files)
        else:
            yield path

"""Cases are run: each is passed, failed (with an explanation), or could not be run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sigma.pyeval.explain import Explanation, explain_rule
from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.output import counted
from sigma.pyeval.rules import LogSource, Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan

from .cases import Log
from .suite import RuleCase

Status = Literal["passed", "failed", "error"]
Observer = Callable[[Rule, Mapping[str, Any]], None]
"""Called with each event that a rule was held against."""


@dataclass(frozen=True)
class Result:
    """How a case ended.

    Attributes:
        rule_case: The case.
        status: ``error`` where it could not be run: nothing is known of the rule then.
        message: What is wrong, on one line; empty where it passed.
        explanation: Of a failed case, why the rule said what it did of the event that decided; ``None`` where none did.
        events: How many events the rule was held against.
        seconds: How long that took.
    """

    rule_case: RuleCase
    status: Status
    message: str
    explanation: Explanation | None
    events: int
    seconds: float


def run_case(rule_case: RuleCase, observe: Observer | None = None) -> Result:
    """Return how the case ends; an event by itself is held against the rule whatever its log source, records as ``scan`` does."""
    started = time.perf_counter()
    run = _Run(rule_case, observe)
    status, message, explanation = run.run()
    return Result(rule_case, status, message, explanation, run.events, time.perf_counter() - started)


_Outcome = tuple[Status, str, Explanation | None]
_PASSED: _Outcome = ("passed", "", None)


class _Run:
    """One case while it runs."""

    def __init__(self, rule_case: RuleCase, observe: Observer | None) -> None:
        self._rule, self._case = rule_case.rule, rule_case.case
        self._ruleset = Ruleset([self._rule], unsafe_regex=True)  # the rule was loaded, whatever it was loaded with
        self._observe = observe
        self.events = 0

    def run(self) -> _Outcome:
        """Return status, message and explanation."""
        subject = self._case.subject
        if isinstance(subject, Log):
            return self._log(subject)
        if self._matches(subject, None) is self._case.must_match:
            return _PASSED
        return self._failed(
            "must match, but does not" if self._case.must_match else "must not match, but does", subject, None
        )

    def _matches(self, event: Mapping[str, Any], logsource: LogSource | None) -> bool:
        self.events += 1
        if self._observe is not None and (logsource is None or not self._rule.logsource.conflicts(logsource)):
            self._observe(self._rule, event)
        return bool(self._ruleset.match(event, logsource, members=True))  # also where only correlations are served

    def _failed(self, message: str, event: Mapping[str, Any], logsource: LogSource | None) -> _Outcome:
        return "failed", message, explain_rule(self._rule, event, logsource)

    def _log(self, log: Log) -> _Outcome:
        problems: list[Problem] = []
        scan = Scan(self._ruleset, lambda _, problem: problems.append(problem), log.input_format, log.options)
        judged = _Judged(frozenset(log.lines))
        for record in scan.records(str(log.path)):
            if not log.lines or record.line in judged.lines:
                judged.add(record, self._matches(record.event, scan.logsource(record)))
            del problems[1:]  # the first one is told
        if problems:
            place = f"{log.path}:{problems[0].line}" if problems[0].line else str(log.path)
            return "error", f"{place}: {problems[0].reason}", None
        lacking = sorted(judged.lines - judged.seen)
        if lacking:
            return "error", f"{log.path}: no event begins on line {lacking[0]}", None
        if not judged.events:
            return "error", f"{log.path}: no event in it", None
        return self._verdict(log, judged, scan)

    def _verdict(self, log: Log, judged: _Judged, scan: Scan) -> _Outcome:
        if not self._case.must_match:
            if judged.first is None:
                return _PASSED
            message = f"{log.path}:{judged.first.line}: must not match, but does"
            return self._failed(message, judged.first.event, scan.logsource(judged.first))
        if log.lines:
            return self._lines(log, judged, scan)
        wanted = log.count if log.count is not None else log.at_least
        if judged.matched == wanted or (log.count is None and judged.matched > wanted):
            return _PASSED
        least = "" if log.count is not None else "at least "
        message = f"{log.path}: {judged.matched} of {counted(judged.events, 'event')} match, {least}{wanted} must"
        nearest = _nearest(judged.unmatched.get(None, ()), self._rule, scan)
        return "failed", message, nearest if judged.matched < wanted else None

    def _lines(self, log: Log, judged: _Judged, scan: Scan) -> _Outcome:
        """Judge lines; several events may begin on one, such as an audit record and the process that it is about."""
        for line in log.lines:
            if line not in judged.matching:
                explanation = _nearest(judged.unmatched.get(line, ()), self._rule, scan)
                return "failed", f"{log.path}:{line}: must match, but does not", explanation
        return _PASSED


_MOST_EXPLAINED = 200


@dataclass
class _Judged:
    """What is kept of a log while it is read: numbers, and a bounded number of records.

    Attributes:
        lines: The lines that count; none for all.
        events, matched: Number of events, and of those that match.
        first: The first event that matches.
        seen, matching: Which of *lines* an event begins on, and on which of them one matches.
        unmatched: The first events that do not match, by line; where all lines count, all under ``None``.
    """

    lines: frozenset[int]
    events: int = 0
    matched: int = 0
    first: Record | None = None
    seen: set[int] = field(default_factory=set)
    matching: set[int] = field(default_factory=set)
    unmatched: dict[int | None, list[Record]] = field(default_factory=dict)

    def add(self, record: Record, matches: bool) -> None:
        """Take one event."""
        self.events += 1
        line = record.line if self.lines else None
        if line is not None:
            self.seen.add(line)
        if not matches:
            kept = self.unmatched.setdefault(line, [])
            if len(kept) < _MOST_EXPLAINED:
                kept.append(record)
            return
        self.matched += 1
        self.first = self.first or record
        if line is not None:
            self.matching.add(line)


def _nearest(records: Sequence[Record], rule: Rule, scan: Scan) -> Explanation | None:
    """Return the explanation of the event, among *records*, that the fewest items keep from matching."""
    explanations = [explain_rule(rule, record.event, scan.logsource(record)) for record in records]
    return min(explanations, key=_distance, default=None)


def _distance(explanation: Explanation) -> tuple[bool, bool, int]:
    changes = explanation.changes
    return explanation.conflict is not None, changes is None, len(changes or ())

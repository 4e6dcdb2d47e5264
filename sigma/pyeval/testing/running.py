"""Cases are run: each is passed, failed (with an explanation), or could not be run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
        return bool(self._ruleset.match(event, logsource))

    def _failed(self, message: str, event: Mapping[str, Any], logsource: LogSource | None) -> _Outcome:
        return "failed", message, explain_rule(self._rule, event, logsource)

    def _log(self, log: Log) -> _Outcome:
        problems: list[Problem] = []
        scan = Scan(self._ruleset, lambda _, problem: problems.append(problem), log.input_format, log.options)
        judged = [
            (record, self._matches(record.event, scan.logsource(record)))
            for record in scan.records(str(log.path))
            if not log.lines or record.line in log.lines
        ]
        if problems:
            place = f"{log.path}:{problems[0].line}" if problems[0].line else str(log.path)
            return "error", f"{place}: {problems[0].reason}", None
        lacking = sorted(set(log.lines) - {record.line for record, _ in judged})
        if lacking:
            return "error", f"{log.path}: no event begins on line {lacking[0]}", None
        if not judged:
            return "error", f"{log.path}: no event in it", None
        return self._verdict(log, judged, scan)

    def _verdict(self, log: Log, judged: Sequence[tuple[Record, bool]], scan: Scan) -> _Outcome:
        matched = [record for record, matches in judged if matches]
        if not self._case.must_match:
            if not matched:
                return _PASSED
            message = f"{log.path}:{matched[0].line}: must not match, but does"
            return self._failed(message, matched[0].event, scan.logsource(matched[0]))
        if log.lines:
            return self._lines(log, judged, scan)
        wanted = log.count if log.count is not None else log.at_least
        if len(matched) == wanted or (log.count is None and len(matched) > wanted):
            return _PASSED
        least = "" if log.count is not None else "at least "
        message = f"{log.path}: {len(matched)} of {counted(len(judged), 'event')} match, {least}{wanted} must"
        nearest = _nearest([record for record, matches in judged if not matches], self._rule, scan)
        return "failed", message, nearest if len(matched) < wanted else None

    def _lines(self, log: Log, judged: Sequence[tuple[Record, bool]], scan: Scan) -> _Outcome:
        """Judge lines; several events may begin on one, such as an audit record and the process that it is about."""
        for line in log.lines:
            here = [(record, matches) for record, matches in judged if record.line == line]
            if not any(matches for _, matches in here):
                explanation = _nearest([record for record, _ in here], self._rule, scan)
                return "failed", f"{log.path}:{line}: must match, but does not", explanation
        return _PASSED


_MOST_EXPLAINED = 200


def _nearest(records: Sequence[Record], rule: Rule, scan: Scan) -> Explanation | None:
    """Return the explanation of the event, among the first that do not match, that the fewest items keep from matching."""
    explanations = [explain_rule(rule, record.event, scan.logsource(record)) for record in records[:_MOST_EXPLAINED]]
    return min(explanations, key=_distance, default=None)


def _distance(explanation: Explanation) -> tuple[bool, bool, int]:
    changes = explanation.changes
    return explanation.conflict is not None, changes is None, len(changes or ())

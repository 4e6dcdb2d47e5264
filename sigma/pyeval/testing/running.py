"""Cases are run: each is passed, failed (with an explanation), or could not be run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sigma.pyeval.explain import Explanation, explain_nearest, explain_rule
from sigma.pyeval.explain_correlation import MOST_SEARCHED
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.output import counted
from sigma.pyeval.rules import CorrelationRule, LogSource
from sigma.pyeval.ruleset import Ruleset

from .cases import EventSequence, Log
from .correlation_cases import CorrelationRun
from .log_events import LogEvent, LogUnusable, log_events
from .outcomes import PASSED, Observer, Outcome, Status
from .suite import RuleCase


@dataclass(frozen=True)
class Result:
    """How a case ended.

    Attributes:
        rule_case: The case.
        status: ``error`` where it could not be run: nothing is known of the rule then.
        message: What is wrong, on one line; empty where it passed.
        explanation: Of a failed case, why the rule said what it did of the event that decided; ``None`` where none did. Of a
            correlation rule, of all events.
        events: How many events the rule was held against.
        seconds: How long that took.
    """

    rule_case: RuleCase
    status: Status
    message: str
    explanation: Explanation | CorrelationExplanation | None
    events: int
    seconds: float


def run_case(rule_case: RuleCase, observe: Observer | None = None) -> Result:
    """Return how the case ends; an event by itself is held against the rule whatever its log source, records as ``scan`` does.

    Raises:
        TypeError: The case and its rule do not go together: ``collect_cases`` makes no such case.
    """
    started = time.perf_counter()
    run: _Run | CorrelationRun
    if isinstance(rule_case.rule, CorrelationRule):
        if rule_case.ruleset is None:
            raise TypeError("a correlation rule needs the rules that it builds on")
        run = CorrelationRun(rule_case, rule_case.rule, rule_case.ruleset, observe)
    else:
        run = _Run(rule_case, observe)
    try:
        status, message, explanation = run.run()
    except LogUnusable as error:
        status, message, explanation = "error", str(error), None
    return Result(rule_case, status, message, explanation, run.events, time.perf_counter() - started)


class _Run:
    """One case of a plain rule while it runs."""

    def __init__(self, rule_case: RuleCase, observe: Observer | None) -> None:
        self._rule, self._case = rule_case.rule, rule_case.case
        self._ruleset = Ruleset([self._rule], unsafe_regex=True)  # the rule was loaded, whatever it was loaded with
        self._observe = observe
        self.events = 0

    def run(self) -> Outcome:
        """Return status, message and explanation; raises LogUnusable."""
        subject = self._case.subject
        if isinstance(subject, Log):
            judged = _Judged(frozenset(subject.lines))
            for one in log_events(subject, self._ruleset):
                judged.add(one, self._matches(one.record.event, one.logsource))
            return self._verdict(subject, judged)
        if isinstance(subject, EventSequence):
            raise TypeError("a sequence of events needs a correlation rule")
        if self._matches(subject, None) is self._case.must_match:
            return PASSED
        message = "must match, but does not" if self._case.must_match else "must not match, but does"
        return "failed", message, explain_rule(self._rule, subject)

    def _matches(self, event: Mapping[str, Any], logsource: LogSource | None) -> bool:
        self.events += 1
        if self._observe is not None and (logsource is None or not self._rule.logsource.conflicts(logsource)):
            self._observe(self._rule, event)
        return bool(self._ruleset.match(event, logsource, members=True))  # also where only correlations are served

    def _verdict(self, log: Log, judged: _Judged) -> Outcome:
        if not self._case.must_match:
            if judged.first is None:
                return PASSED
            record, logsource = judged.first
            message = f"{log.path}:{record.line}: must not match, but does"
            return "failed", message, explain_rule(self._rule, record.event, logsource)
        if log.lines:
            return self._lines(log, judged)
        wanted = log.count if log.count is not None else log.at_least
        if judged.matched == wanted or (log.count is None and judged.matched > wanted):
            return PASSED
        least = "" if log.count is not None else "at least "
        message = f"{log.path}: {judged.matched} of {counted(judged.events, 'event')} match, {least}{wanted} must"
        nearest = self._nearest(judged.unmatched.get(None, ()))
        return "failed", message, nearest if judged.matched < wanted else None

    def _lines(self, log: Log, judged: _Judged) -> Outcome:
        """Judge lines; several events may begin on one, such as an audit record and the process that it is about."""
        for line in log.lines:
            if line not in judged.matching:
                explanation = self._nearest(judged.unmatched.get(line, ()))
                return "failed", f"{log.path}:{line}: must match, but does not", explanation
        return PASSED

    def _nearest(self, events: Sequence[LogEvent]) -> Explanation | None:
        """Return why the event of *events* does not match that the fewest items keep from matching."""
        found = explain_nearest(self._rule, ((one.record.event, one.logsource) for one in events))
        return None if found is None else found[1]


@dataclass
class _Judged:
    """What is kept of a log while it is read: numbers, and a bounded number of events.

    Attributes:
        lines: The lines that count; none for all.
        events, matched: Number of events, and of those that match.
        first: The first event that matches.
        matching: Lines on which one matches.
        unmatched: The first events that do not match, by line; where all lines count, all under ``None``.
    """

    lines: frozenset[int]
    events: int = 0
    matched: int = 0
    first: LogEvent | None = None
    matching: set[int] = field(default_factory=set)
    unmatched: dict[int | None, list[LogEvent]] = field(default_factory=dict)

    def add(self, one: LogEvent, matches: bool) -> None:
        """Take one event."""
        self.events += 1
        line = one.record.line if self.lines else None
        if not matches:
            kept = self.unmatched.setdefault(line, [])
            if len(kept) < MOST_SEARCHED:
                kept.append(one)
            return
        self.matched += 1
        self.first = self.first or one
        if line is not None:
            self.matching.add(line)

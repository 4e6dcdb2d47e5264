"""A case of a correlation rule is run: a sequence of events, held against the rule and all that it builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sigma.pyeval.correlation.clock import Timestamp
from sigma.pyeval.explain_correlation import CorrelationExplainer
from sigma.pyeval.log_correlation import place_of
from sigma.pyeval.output import counted
from sigma.pyeval.rules import CorrelationRule, LogSource
from sigma.pyeval.ruleset import Ruleset

from .cases import EventSequence, Log
from .log_events import log_events
from .outcomes import PASSED, Observer, Outcome
from .suite import RuleCase

BELIEVED_AHEAD: Final = 1e10
"""Seconds: events say when they happened even where that is still to come, so that no case ends otherwise on another day."""


class _Step(NamedTuple):
    event: Mapping[str, Any]
    timestamp: Timestamp | None = None
    logsource: LogSource | None = None
    source: Any = None


class CorrelationRun:
    """One case while it runs.

    Args:
        rule_case: The case.
        rule: Its rule.
        ruleset: The rules among which are those that it builds on.
        observe: Called with each plain rule that it builds on, and each event.
    """

    def __init__(
        self, rule_case: RuleCase, rule: CorrelationRule, ruleset: Ruleset, observe: Observer | None = None
    ) -> None:
        self._case = rule_case.case
        self._rules = ruleset.correlated(rule)
        self._explainer = CorrelationExplainer(self._rules, self._rules.correlations[0], ahead=BELIEVED_AHEAD)
        self._observe = observe

    @property
    def events(self) -> int:
        """How many events the rule was held against."""
        return self._explainer.seen

    def run(self) -> Outcome:
        """Return status, message and explanation; raises LogUnusable."""
        for step in self._steps():
            self._explainer.add(step.event, step.timestamp, step.logsource, source=step.source)
            if self._observe is not None:
                for rule in self._rules.rules:
                    if step.logsource is None or not rule.logsource.conflicts(step.logsource):
                        self._observe(rule, step.event)
        explanation = self._explainer.explanation()
        wrong = self._wrong(explanation.raised)
        return ("failed", wrong, explanation) if wrong else PASSED

    def _steps(self) -> Iterator[_Step]:
        subject = self._case.subject
        if isinstance(subject, Log):
            for record, logsource in log_events(subject, self._rules):
                yield _Step(record.event, None, logsource, place_of(record, str(subject.path)))
        elif isinstance(subject, EventSequence):
            for one in subject.events:
                yield _Step(one.event, one.time)
        else:
            yield _Step(subject)

    def _wrong(self, raised: int) -> str:
        """Return in which way so many matches are wrong, if they are."""
        subject = self._case.subject
        place = f"{subject.path}: " if isinstance(subject, Log) else ""
        if not self._case.must_match:
            return f"{place}must not match, but raises {counted(raised, 'match')}" if raised else ""
        count = subject.count if isinstance(subject, (Log, EventSequence)) else None
        least = subject.at_least if isinstance(subject, Log) else 1
        if raised == count or (count is None and raised >= least):
            return ""
        if not raised and least == 1 and count is None:
            return f"{place}must match, but does not"
        wanted = f"{count}" if count is not None else f"at least {least}"
        return f"{place}raises {counted(raised, 'match')}, {wanted} must be raised"

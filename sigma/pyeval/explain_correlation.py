"""Why a correlation rule matches a sequence of events or does not: what its rules match, and what each group came to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .correlation.calls import Correlation
from .correlation.clock import DAY, Timestamp, present
from .correlation.groups import Limits
from .correlation.keys import Key, field_key, field_number, shown
from .correlation.observing import Place
from .correlation.watching import WatchedCorrelator
from .events import plain_event
from .explain import MOST_NAMES, Missing, explain_nearest, explain_rule
from .explained_correlation import (
    CorrelatedEvent,
    CorrelationExplanation,
    Counted,
    ExplainedCorrelation,
    LeftOut,
    Member,
)
from .field_report import event_names, nearest_name
from .rules import CorrelationRule, LogSource, Rule, correlation_keys
from .ruleset import Ruleset

MOST_WAITING: Final = 1_000_000
"""Matching events that wait for the end to be put in order of time, as in ``scan``."""

MOST_EVENTS, MOST_GROUPS, MOST_MATCHES = 50, 20, 20
"""So many matching events, groups of a rule, and matches are shown."""

MOST_SEARCHED: Final = 200
"""Among so many events, the first ones, the one is looked for that comes nearest to a rule that no event matches."""


class CorrelationExplainer:
    """Takes events one by one; what is kept is bounded.

    Args:
        ruleset: The rules, of which those count that *rule* builds on.
        rule: The correlation rule.
        ahead: A time of an event that lies so many seconds ahead of the clock is not believed.

    Raises:
        UnknownRuleError: *rule* is none of the rules.
        CorrelationError: A rule that it builds on is not there.
    """

    def __init__(self, ruleset: Ruleset, rule: CorrelationRule, *, ahead: float = DAY) -> None:
        self._rule = rule
        self._rules = ruleset.correlated(rule)
        now = present()  # stands still: events without a time happen together, however long looking at them takes
        self._correlator = WatchedCorrelator(
            *self._rules.correlator_parts(),
            lateness=math.inf,
            ahead=ahead,
            clock=lambda: now,
            limits=Limits(pending=MOST_WAITING),
        )
        self._first: list[tuple[Mapping[str, Any], LogSource | None]] = []
        self._matched: dict[int, int] = {id(member): 0 for member in self._rules.rules}
        self._events: list[CorrelatedEvent] = []
        self._correlated = 0
        self.seen = 0

    def begin_log(self) -> None:
        """Note that events of another log follow."""
        self._correlator.begin_log()

    def add(
        self,
        event: Mapping[str, Any],
        timestamp: Timestamp | None = None,
        logsource: LogSource | None = None,
        *,
        source: Any = None,
    ) -> None:
        """Take one event; *logsource* as in ``Ruleset.match``, the rest as in ``Correlator.process``."""
        self.seen += 1
        if len(self._first) < MOST_SEARCHED:
            self._first.append((event, logsource))
        matches = self._rules.match(event, logsource, members=True)
        observation = self._correlator.record(matches, event, timestamp, source=source)
        if matches:
            for match in matches:
                self._matched[id(match.rule)] += 1
            self._correlated += 1
            if len(self._events) < MOST_EVENTS:
                rules = tuple(dict.fromkeys(match.rule.key for match in matches if match.rule.key is not None))
                when = self._correlator.time_of(event, timestamp)
                self._events.append(self._described(event, rules, observation.places, when, source))
        self._correlator.take(observation)

    def explanation(self) -> CorrelationExplanation:
        """Take the sequence as ended; return the explanation. No event may follow."""
        raised = self._correlator.finish()
        return CorrelationExplanation(
            rule=self._rule,
            raised=len(raised),
            matches=tuple(sorted(raised, key=lambda match: match.end_time)[:MOST_MATCHES]),
            seen=self.seen,
            events=tuple(self._events),
            more=self._correlated - len(self._events),
            members=tuple(map(self._member, self._rules.rules)),
            correlations=tuple(
                self._correlation(key, rule)
                for key, rule in zip(correlation_keys(self._rules.correlations), self._rules.correlations, strict=True)
            ),
        )

    def _described(
        self,
        event: Mapping[str, Any],
        rules: tuple[str, ...],
        places: Iterable[Place],
        when: tuple[int, bool],
        source: Any,
    ) -> CorrelatedEvent:
        correlations = list(self._correlator.correlations.items())
        counted = []
        for number, group, value in places:
            key, said = correlations[number]
            fields = {name: shown(one) for name, one in zip(said.group_by, group, strict=True)}
            counted.append(Counted(key, fields, _counted_value(said, value)))
        left_out = tuple(self._left_out(plain_event(event), rules))
        return CorrelatedEvent(self.seen, *when, source, rules, tuple(counted), left_out)

    def _left_out(self, event: dict[str, Any], rules: Sequence[str]) -> Iterable[LeftOut]:
        for key, said in self._correlator.correlations.items():
            for rule in rules:
                if rule not in said.rules:
                    continue
                for field in _lacking(said, rule, event):
                    names = list(event_names(event, MOST_NAMES))
                    # A field that is there has a value that cannot be reckoned with: no other name is meant.
                    nearest = None if field in names else nearest_name(field, names)
                    yield LeftOut(key, rule, Missing(field, nearest))

    def _member(self, rule: Rule) -> Member:
        key, matched = str(rule.key), self._matched[id(rule)]  # no rule without a key is referred to
        if self.seen == 1:
            return Member(rule, key, matched, 1, explain_rule(rule, *self._first[0]))
        nearest = None if matched else explain_nearest(rule, self._first)
        number, explanation = (None, None) if nearest is None else (nearest[0] + 1, nearest[1])
        return Member(rule, key, matched, number, explanation)

    def _correlation(self, key: str, rule: CorrelationRule) -> ExplainedCorrelation:
        watched = self._correlator.watched(key)
        reached = watched.reached()
        return ExplainedCorrelation(
            rule,
            key,
            watched.correlation,
            watched.raised,
            tuple(reached[:MOST_GROUPS]),
            max(0, len(reached) - MOST_GROUPS) + watched.left_out,
        )


def explain_correlation(
    ruleset: Ruleset,
    rule: CorrelationRule,
    events: Sequence[Mapping[str, Any]],
    logsource: LogSource | None = None,
    timestamps: Sequence[Timestamp | None] | None = None,
) -> CorrelationExplanation:
    """Return why *rule* matches *events*, or why not.

    Args:
        ruleset: The rules, of which those count that *rule* builds on.
        rule: The correlation rule.
        events: The events; they count in order of their time, those of the same time as they stand.
        logsource: The log source of all of them, as in ``Ruleset.match``.
        timestamps: When each happened, as in ``Correlator.process``; else they say so themselves.

    Raises:
        UnknownRuleError: *rule* is none of the rules.
        CorrelationError: A rule that it builds on is not there.
        TypeError: A timestamp is no time.
        ValueError: A timestamp has no zone, or lies beyond the years 1 to 9999; or there are not as many as events.
    """
    explainer = CorrelationExplainer(ruleset, rule)
    for event, timestamp in zip(events, [None] * len(events) if timestamps is None else timestamps, strict=True):
        explainer.add(event, timestamp, logsource)
    return explainer.explanation()


def _lacking(said: Correlation, rule: str, event: Mapping[str, Any]) -> Iterable[str]:
    """Yield the fields for want of which an event of *rule* does not count: as ``correlation.observing`` reads them."""
    for name in said.group_by:
        field = said.field_of(name, rule)
        if field_key(event, field) is None:
            yield field
    for name in said.fields:
        field = said.field_of(name, rule)
        if (field_key if said.kind == "value_count" else field_number)(event, field) is None:
            yield field


def _counted_value(said: Correlation, value: Any) -> Any:
    if not said.fields:
        return None
    if said.kind != "value_count":
        return value
    values: list[Key] = [shown(one) for one in value]
    return values[0] if len(values) == 1 else values

"""Why a correlation rule matches a sequence of events or does not: what its rules match, and what each group came to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .correlation.calls import Correlation
from .correlation.clock import DAY, Timestamp, present
from .correlation.groups import Limits
from .correlation.keys import Key, field_key, field_number, shown
from .correlation.observing import Place
from .correlation.results import CorrelationMatch, time_text
from .correlation.watching import Reached, WatchedCorrelator
from .events import plain_event
from .explain import MOST_NAMES, Explanation, Missing, explain_nearest, explain_rule
from .field_report import event_names, nearest_name
from .rules import CorrelationRule, LogSource, Rule, correlation_keys
from .ruleset import Ruleset

MOST_WAITING: Final = 1_000_000
"""Matching events that wait for the end to be put in order of time, as in ``scan``."""

MOST_EVENTS, MOST_GROUPS, MOST_MATCHES = 50, 20, 20
"""So many matching events, groups of a rule, and matches are shown."""

MOST_SEARCHED: Final = 200
"""Among so many events, the first ones, the one is looked for that comes nearest to a rule that no event matches."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Where an event counts: the key of a correlation, the group's fields with their values, and the value that counts.

    The value is ``None`` where events or rules are counted; of several fields it is a list.
    """

    correlation: str
    group: Mapping[str, Any]
    value: Any


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why an event does not count for a correlation: a field that its rule's events have to have, and what the event lacks."""

    correlation: str
    rule: str
    missing: Missing


@dataclass(frozen=True, slots=True)
class CorrelatedEvent:
    """An event that rules match on which a correlation builds.

    Attributes:
        number: Its place in the sequence, counted from 1.
        time: When it happened, in microseconds since the epoch.
        by_arrival: Whether that is when it arrived, as its own time is not known.
        source: Where it was read, as told.
        rules: Keys of the rules that match it.
        counted: Where it counts.
        left_out: Where it does not for want of a field.
    """

    number: int
    time: int
    by_arrival: bool
    source: Any
    rules: tuple[str, ...]
    counted: tuple[Counted, ...]
    left_out: tuple[LeftOut, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the event's part as a dict of JSON types."""
        return {
            "event": self.number,
            "time": time_text(self.time),
            "arrival_time": self.by_arrival,
            "source": self.source,
            "rules": list(self.rules),
            "counted": [
                {"correlation": one.correlation, "group": dict(one.group), "value": one.value} for one in self.counted
            ],
            "left_out": [
                {"correlation": one.correlation, "rule": one.rule, "field": one.missing.field, "nearest": one.missing.nearest}
                for one in self.left_out
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A plain rule on which a correlation builds.

    Attributes:
        rule: The rule.
        key: What it is referred to by.
        matched: How many events it matches.
        event: Number of the event that is explained; ``None`` for none.
        explanation: Where no event matches, why the one does not that comes nearest among the first ``MOST_SEARCHED``; of
            an only event why it matches, or not; else ``None``.
    """

    rule: Rule
    key: str
    matched: int
    event: int | None
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class ExplainedCorrelation:
    """The rule that is explained, or a correlation rule on which it builds.

    Attributes:
        rule: The rule.
        key: What it is referred to by.
        correlation: What it says.
        raised: How many matches it raised.
        groups: What its groups came to, the nearest to its condition first.
        more: How many further groups there were; one that was given up for want of room and came back counts again.
    """

    rule: CorrelationRule
    key: str
    correlation: Correlation
    raised: int
    groups: tuple[Reached, ...]
    more: int

    def as_dict(self) -> dict[str, Any]:
        """Return the correlation as a dict of JSON types."""
        said = self.correlation
        return {
            "rule": rule_dict(self.rule),
            "key": self.key,
            "type": said.kind,
            "rules": list(said.rules),
            "timespan": said.timespan,
            "group_by": list(said.group_by),
            "condition": _listed(said.condition),
            "fields": list(said.fields),
            "percentile": said.percentile,
            "raised": self.raised,
            "groups": [
                {
                    "group": one.group,
                    "value": one.value,
                    "holds": one.holds,
                    "count": one.count,
                    "rules": list(one.seen),
                    "start": time_text(one.start_time),
                    "end": time_text(one.end_time),
                    "raised": one.raised,
                }
                for one in self.groups
            ],
            "more": self.more,
        }


@dataclass(frozen=True, slots=True)
class CorrelationExplanation:
    """Why a correlation rule matches a sequence of events, or why not.

    Attributes:
        rule: The correlation rule.
        raised: How many matches the events raise: what a correlator says that puts them in order of time first.
        matches: The first ``MOST_MATCHES`` of them, the earliest first.
        seen: How many events there were.
        events: The first ``MOST_EVENTS`` events that one of the members matches, as they came.
        more: How many further ones there were.
        members: The plain rules on which it builds, itself or through others.
        correlations: The rule itself, and then the correlation rules on which it builds.
    """

    rule: CorrelationRule
    raised: int
    matches: tuple[CorrelationMatch, ...]
    seen: int
    events: tuple[CorrelatedEvent, ...]
    more: int
    members: tuple[Member, ...]
    correlations: tuple[ExplainedCorrelation, ...]

    @property
    def matched(self) -> bool:
        """Whether the events raise a match."""
        return self.raised > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as a dict of JSON types; docs/explain.md describes it."""
        return {
            "rule": rule_dict(self.rule),
            "matched": self.matched,
            "raised": self.raised,
            "matches": [
                {key: value for key, value in match.as_dict().items() if key != "events"} for match in self.matches
            ],
            "seen": self.seen,
            "events": [event.as_dict() for event in self.events],
            "more": self.more,
            "members": [
                {
                    "rule": rule_dict(member.rule),
                    "key": member.key,
                    "matched": member.matched,
                    "event": member.event,
                    "explanation": None if member.explanation is None else member.explanation.as_dict(),
                }
                for member in self.members
            ],
            "correlations": [one.as_dict() for one in self.correlations],
        }

    def __str__(self) -> str:
        from .reports.explain_text import explanation_text  # needs rich

        return explanation_text(self)

    def _repr_html_(self) -> str:
        """Return the explanation as HTML, for notebooks."""
        from .reports.explain_html import explanation_html

        return explanation_html(self)


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
                    nearest = nearest_name(field, event_names(event, MOST_NAMES))
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


def rule_dict(rule: Rule) -> dict[str, Any]:
    """Return what names a rule, as a dict of JSON types."""
    return {"id": rule.id, "title": rule.title, "level": rule.level, "path": rule.path}


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


def _listed(condition: Any) -> Any:
    return list(map(_listed, condition)) if isinstance(condition, tuple) else condition

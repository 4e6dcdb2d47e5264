"""What is said of a correlation rule and a sequence of events: which events its rules match, and what each group came to.

``explain_correlation`` finds it out, and has the bounds of what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .correlation.calls import Correlation
from .correlation.results import CorrelationMatch, time_text
from .correlation.watching import Reached
from .explain import Explanation, Missing
from .rules import CorrelationRule, Rule


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
            "rule": _rule_dict(self.rule),
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
            "rule": _rule_dict(self.rule),
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
                    "rule": _rule_dict(member.rule),
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


def _rule_dict(rule: Rule) -> dict[str, Any]:
    """Return what names a rule, as a dict of JSON types."""
    return {"id": rule.id, "title": rule.title, "level": rule.level, "path": rule.path}


def _listed(condition: Any) -> Any:
    return list(map(_listed, condition)) if isinstance(condition, tuple) else condition

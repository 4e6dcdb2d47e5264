"""What a correlation raises: the match, and the events that contributed to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
EARLIEST: Final = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // MICROSECOND
LATEST: Final = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // MICROSECOND
"""The times that can be reckoned with, in microseconds since the epoch."""


class Contribution(NamedTuple):
    """An event, or another correlation's match, that contributed to a correlation match.

    Attributes:
        time: When it happened, in microseconds since the epoch.
        by_arrival: Whether that is when it arrived, as its own time is not known.
        rules: The keys of the correlated rules that it matched.
        id: The same for the same event from the same source.
        source: Where it was read, as the caller told.
        text: The event as JSON; ``None`` where it is too large to be kept, or cannot be JSON.
    """

    time: int
    by_arrival: bool
    rules: tuple[str, ...]
    id: str
    source: Any
    text: str | None

    def event(self) -> dict[str, Any]:
        """Return the event, empty where it was not kept."""
        found: dict[str, Any] = {} if self.text is None else json.loads(self.text)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the contribution as a dict of JSON types."""
        found: dict[str, Any] = {"time": time_text(self.time), "rules": list(self.rules), "id": self.id}
        if self.by_arrival:
            found["arrival_time"] = True
        if self.source is not None:
            found["source"] = self.source
        return found | {"event": None if self.text is None else self.event()}


class CorrelationMatch:
    """One correlation rule that became true of one group.

    Attributes:
        rule: The correlation rule.
        id: 32 hexadecimal digits, the same when the same events raise it again: of rule, group, window, count, contributions.
        group: The group-by fields and aliases with their values; empty for a rule without group-by.
        start_time: Where the window begins, in microseconds since the epoch, inclusive.
        end_time: Where it ends, inclusive: the time of the event that raised the match, or when the window closed.
        count: How many events contributed.
        value: What the condition compares: their number, sum, median ...; ``None`` for a condition over rules.
        contributions: The latest of these events, in order of time.
        by_arrival: Whether any event's time is that of its arrival.
    """

    __slots__ = (
        *("by_arrival", "contributions", "count", "end_time", "group"),
        *("id", "rule", "start_time", "value"),
    )

    def __init__(  # noqa: PLR0913 - each by name
        self,
        *,
        rule: Any,
        id: str,  # noqa: A002 - what it is called everywhere
        group: Mapping[str, Any],
        start_time: int,
        end_time: int,
        count: int,
        value: int | float | None,
        contributions: tuple[Contribution, ...],
        by_arrival: bool,
    ) -> None:
        self.rule = rule
        self.id = id
        self.group = group
        self.start_time = start_time
        self.end_time = end_time
        self.count = count
        self.value = value
        self.contributions = contributions
        self.by_arrival = by_arrival

    def __repr__(self) -> str:
        return f"<CorrelationMatch {self.id} of {dict(self.group)} at {time_text(self.end_time)}, {self.count} events>"

    @property
    def start(self) -> datetime:
        """Where the window begins, as aware datetime."""
        return moment_of(self.start_time)

    @property
    def end(self) -> datetime:
        """Where the window ends, as aware datetime."""
        return moment_of(self.end_time)

    @property
    def event(self) -> Mapping[str, Any]:
        """The event that raised the match, or the last one of a window that closed; empty where it was not kept."""
        return self.contributions[-1].event() if self.contributions else {}

    @property
    def source(self) -> Any:
        """Where that event was read."""
        return self.contributions[-1].source if self.contributions else None

    def as_dict(self) -> dict[str, Any]:
        """Return all but the rule as a dict of JSON types."""
        return {
            "id": self.id,
            "group": dict(self.group),
            "start": time_text(self.start_time),
            "end": time_text(self.end_time),
            "count": self.count,
            "value": self.value,
            "arrival_time": self.by_arrival,
            "events": [one.as_dict() for one in self.contributions],
        }


def match_id(key: str, group: object, window: tuple[int, int], count: int, ids: list[str]) -> str:
    """Return the id of a match from what it is made of."""
    text = json.dumps([key, group, window, count, ids])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def moment_of(time: int) -> datetime:
    """Return microseconds since the epoch as an aware datetime, the calendar's end where they lie beyond it."""
    return EPOCH + min(max(time, EARLIEST), LATEST) * MICROSECOND


def time_text(time: int) -> str:
    """Return microseconds since the epoch as RFC 3339 in UTC."""
    return moment_of(time).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""The correlator: events and their matches in, correlation matches out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, tzinfo
from typing import Any, NamedTuple

from ..event_time import TIME_FIELDS
from .calls import Correlation
from .clock import DAY, EventClock, Timestamp, microseconds, present
from .engine import FOREVER, Engine
from .groups import Counts, Limits
from .observing import Observation
from .results import CorrelationMatch
from .state import dump_state, load_state

MatchOf = Any
"""A match as the caller has it; only ``key_of`` looks into it."""


class NotCounted(NamedTuple):
    """Matches that a correlation rule did not count, as their events lack what it asks for.

    Attributes:
        rule: The correlation rule.
        member: The key of the rule that matched.
        field: The field of the event.
        groups: Whether the rule groups by it, and the event has nothing there; else the condition is about it, and the event has
            no value there, or no one number where one is needed.
        number: How many matches.
    """

    rule: Any
    member: str
    field: str
    groups: bool
    number: int


class Correlator:
    """Correlation rules, with all that they have seen. Made by ``Ruleset.correlator``.

    Args:
        correlations: For each correlation rule its key, the rule itself, what it says, and whether its matches are raised
            (``generate: false`` of another correlation may leave them to that one).
        rules: The keys of the other rules.
        match: Returns the matches of an event, of rules that serve only correlations too.
        key_of: Returns the key of a match's rule.
        refire: ``each``: every event at which the condition is true raises a match. ``once``: none within a timespan after
            another of the group. ``cooldown``: none within that many seconds after it.
        cooldown: Seconds, with ``refire="cooldown"``.
        lateness: How many seconds later than others an event may come and still count as if it had come in time. Matches are
            raised so much later. Infinite: everything waits for ``finish``.
        time_fields: The fields that may hold an event's time, in order.
        zone: The zone of times that name none.
        ahead: A time of an event that lies so many seconds ahead of the clock is not believed; its arrival counts.
        clock: Returns the present in seconds since the epoch.
        limits: What is held at most.
        state: What ``snapshot`` returned.

    Raises:
        CorrelationError: The rules cannot be run together.
        StateError: *state* is damaged, or that of other rules.

    Attributes:
        engine_type: What runs the rules; ``watching`` has another.
    """

    engine_type: type[Engine] = Engine

    def __init__(  # noqa: PLR0913 - a caller names each
        self,
        correlations: Iterable[tuple[str, Any, Correlation, bool]],
        rules: Iterable[str],
        match: Callable[[Mapping[str, Any]], Iterable[MatchOf]],
        key_of: Callable[[MatchOf], str | None],
        *,
        refire: str = "each",
        cooldown: float | None = None,
        lateness: float = 0,
        time_fields: Iterable[str] = TIME_FIELDS,
        zone: tzinfo = UTC,
        ahead: float = DAY,
        clock: Callable[[], float] = present,
        limits: Limits | None = None,
        state: bytes | None = None,
    ) -> None:
        rows = list(correlations)
        self._match = match
        self._key_of = key_of
        self._raised = {key for key, _, _, generate in rows if generate}
        self._keys = {id(rule): key for key, rule, _, _ in rows}
        self._rules = {key: rule for key, rule, _, _ in rows}
        self._engine = self.engine_type(
            {key: correlation for key, _, correlation, _ in rows},
            rules,
            self._rules,
            refire=refire,
            cooldown=cooldown,
            lateness=lateness,
            limits=limits,
        )
        self._clock = EventClock(time_fields, zone, clock, ahead)
        if state is not None:
            load_state(self._engine, state)
            if -FOREVER < self._engine.newest < FOREVER:
                self._clock.tell(self._engine.newest)

    def process(
        self, event: Mapping[str, Any], timestamp: Timestamp | None = None, *, source: Any = None
    ) -> list[CorrelationMatch]:
        """Hold the rules against *event*; return the correlation matches that it raises.

        Args:
            event: Any event.
            timestamp: When it happened: seconds since the epoch, or an aware datetime. Without it, the event's own time
                counts, else when it arrived.
            source: Where the event was read: JSON types, for matches that name it and for their ids.

        Raises:
            TypeError: *timestamp* is no time.
            ValueError: *timestamp* is a datetime without a zone, not finite, or not within the years 1 to 9999.
        """
        return self.observe(self._match(event), event, timestamp, source=source)

    def observe(
        self,
        matches: Iterable[MatchOf],
        event: Mapping[str, Any],
        timestamp: Timestamp | None = None,
        *,
        source: Any = None,
    ) -> list[CorrelationMatch]:
        """Do as ``process`` for an event whose matches are known, those of rules that serve only correlations included."""
        return self.take(self.record(matches, event, timestamp, source=source))

    def record(
        self,
        matches: Iterable[MatchOf],
        event: Mapping[str, Any],
        timestamp: Timestamp | None = None,
        *,
        source: Any = None,
    ) -> Observation:
        """Return what the rules take from an event, for ``take``: small, JSON (``as_json``), the same when taken in again."""
        keys = [key for key in map(self._key_of, matches) if key is not None]
        moment, by_arrival = self._clock.time_of(event, timestamp)
        return self._engine.observer.observe(keys, event, moment, by_arrival, source, self._engine.serial)

    def take(self, observation: Observation) -> list[CorrelationMatch]:
        """Take in what was recorded; return the correlation matches that it raises.

        A state, and the records taken in since, give the state and the matches anew.
        """
        return self._reported(self._engine.take(observation))

    def advance(self, timestamp: Timestamp) -> list[CorrelationMatch]:
        """Let time pass to *timestamp* where no events come; return the matches of windows that are over by then."""
        return self._reported(self._engine.advance(microseconds(timestamp)))

    def release(self, timestamp: Timestamp, most: int = 1 << 60) -> list[CorrelationMatch]:
        """Take it that everything up to *timestamp* has come, whatever the lateness: for who knows better; return the matches.

        What comes later and happened before is late. With an infinite lateness nothing else raises matches. Where more than
        *most* events wait, about as many are taken in; ``watermark`` says how far that was, call again for the rest.
        """
        return self._reported(self._engine.release(microseconds(timestamp), most))

    @property
    def watermark(self) -> float | None:
        """Up to when events have been taken in, in seconds since the epoch: what happened before is late. ``None`` at first."""
        return None if self._engine.watermark <= -FOREVER else self._engine.watermark / 1_000_000

    @property
    def newest(self) -> float | None:
        """The latest time that an event had, in seconds since the epoch; ``None`` before the first."""
        return None if self._engine.newest <= -FOREVER else self._engine.newest / 1_000_000

    @property
    def correlated(self) -> frozenset[str]:
        """The keys of the rules whose matches are observed."""
        return self._engine.observer.rules()

    def finish(self) -> list[CorrelationMatch]:
        """Take the stream as ended: return the matches of events that waited and of windows still open. Later events are late."""
        return self._reported(self._engine.finish())

    def begin_log(self) -> None:
        """Note that events of another log follow: those without a time take it from others of their own log."""
        self._clock.forget()

    def snapshot(self) -> bytes:
        """Return the state, for another correlator of the same rules. Costs time in proportion to what is held."""
        return dump_state(self._engine)

    def statistics(self) -> Counts:
        """Return what is held, and what had to be left out."""
        return copy(self._engine.counts)

    def not_counted(self) -> list[NotCounted]:
        """Return which matches were not counted since this correlator was made, for want of which field."""
        keys, lacks = self._engine.keys, self._engine.observer.lacks
        return [
            NotCounted(self._rules[keys[lack.number]], lack.rule, lack.field, lack.groups, number)
            for lack, number in lacks.items()
        ]

    def _reported(self, found: list[CorrelationMatch]) -> list[CorrelationMatch]:
        return [match for match in found if self._keys[id(match.rule)] in self._raised]

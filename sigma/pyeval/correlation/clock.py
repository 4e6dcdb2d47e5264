"""When an event happened, for correlation: as told, as the event says, or when it arrived."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from ..event_time import TIME_FIELDS, event_time
from .results import EARLIEST, EPOCH, LATEST, MICROSECOND

DAY: Final = 86_400.0

Timestamp = int | float | datetime


def microseconds(timestamp: Timestamp) -> int:
    """Return a time, seconds since the epoch or an aware datetime, in microseconds since the epoch.

    Raises:
        TypeError: It is neither.
        ValueError: It is a datetime without a zone, not finite, or not within the years 1 to 9999.
    """
    if isinstance(timestamp, datetime):
        if timestamp.utcoffset() is None:
            raise ValueError("the timestamp has no time zone; use an aware datetime")
        found = (timestamp - EPOCH) // MICROSECOND
    elif isinstance(timestamp, bool) or not isinstance(timestamp, (int, float)):
        raise TypeError(f"the timestamp is seconds since the epoch or a datetime, not {type(timestamp).__name__}")
    elif isinstance(timestamp, float) and not math.isfinite(timestamp):
        raise ValueError(f"the timestamp is {timestamp}")
    else:
        found = timestamp * 1_000_000 if isinstance(timestamp, int) else round(timestamp * 1_000_000)
    if not EARLIEST <= found <= LATEST:
        raise ValueError("the timestamp lies beyond the years 1 to 9999")
    return found


def present() -> float:
    """Return the time now, in seconds since the epoch."""
    return datetime.now(UTC).timestamp()


class EventClock:
    """Tells the time of events.

    An event without a time, or with one too far ahead of the clock (*ahead*), has happened when it arrived: at the latest time
    that an event of its own has told, plus the whole seconds since then. So a log that is read years later, some of whose lines
    have no time, is not torn apart, and neither is a live one.

    Args:
        fields: The fields that may hold an event's time, in order.
        zone: The zone of times that name none.
        clock: Returns the present in seconds since the epoch.
        ahead: How many seconds ahead of it an event may claim to have happened.
    """

    def __init__(
        self,
        fields: Iterable[str] = TIME_FIELDS,
        zone: tzinfo = UTC,
        clock: Callable[[], float] = present,
        ahead: float = DAY,
    ) -> None:
        self._fields = tuple(fields)
        self._zone = zone
        self._clock = clock
        self._ahead = round(ahead * 1_000_000)
        self._told: int | None = None
        self._told_at = 0.0

    def time_of(self, event: Mapping[str, Any], timestamp: Timestamp | None) -> tuple[int, bool]:
        """Return when *event* happened, in microseconds since the epoch, and whether that is when it arrived."""
        if timestamp is not None:
            return microseconds(timestamp), False
        now = self._clock()
        arrival = round(now * 1_000_000)
        try:
            own = event_time(event, self._fields, zone=self._zone, now=datetime.fromtimestamp(now, UTC))
        except Exception:  # noqa: BLE001 - a foreign object may raise anything when it is looked into
            own = None
        if own is not None:
            found = (own - EPOCH) // MICROSECOND
            if EARLIEST <= found <= min(arrival + self._ahead, LATEST):
                self.tell(found)
                return found, False
        if self._told is None:
            return arrival, True
        return self._told + max(0, int(now - self._told_at)) * 1_000_000, True

    def tell(self, time: int) -> None:
        """Note the time that an event told of itself."""
        if self._told is None or time >= self._told:
            self._told, self._told_at = time, self._clock()

    def forget(self) -> None:
        """Forget the times told: what comes is another log."""
        self._told = None

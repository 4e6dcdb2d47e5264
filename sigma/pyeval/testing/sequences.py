"""Sequences of events in a file of cases, for correlation rules: events, each with its time, some of them repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sigma.pyeval.correlation.clock import microseconds
from sigma.pyeval.correlation.results import moment_of
from sigma.pyeval.event_time import parse_time

from .cases import TimedEvent
from .wording import is_natural, kind, unknown_keys

NO_EVENT: Final = "an event is a mapping of field names, not {}"
MOST_EVENTS: Final = 100_000
"""So many events a sequence has at most, repeated ones counted."""

_KEYS: Final = ("event", "time", "repeat", "every")
_NO_TIME: Final = "a time is a number of seconds, or a date with time such as 2026-11-20T18:41:10Z"


def is_event(value: object) -> bool:
    """Return whether *value* is a mapping of field names."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


class SequenceReader:
    """Reads one sequence.

    Args:
        on_mistake: Called with place, within the case, and reason for each mistake.
    """

    def __init__(self, on_mistake: Callable[[str, str], None]) -> None:
        self._mistake = on_mistake

    def events(self, rows: object) -> tuple[TimedEvent, ...]:
        """Return the events of *rows*; without meaning where a mistake was found."""
        if not isinstance(rows, list) or not rows:
            self._mistake("events", f"a list of mappings with event is needed, not {kind(rows)}")
            return ()
        found: list[TimedEvent] = []
        timed = [isinstance(row, dict) and "time" in row for row in rows]
        if any(timed) and not all(timed):
            self._mistake(
                f"events[{timed.index(False)}]", "has no time while others have; give all of them one, or none"
            )
        for number, row in enumerate(rows):
            place = f"events[{number}]"
            if not isinstance(row, dict) or "event" not in row:
                self._mistake(place, f"a mapping with event is needed, not {kind(row)}")
                continue
            for key, reason in unknown_keys(row, _KEYS):
                self._mistake(f"{place}.{key}", reason)
            found += self._row(place, row, MOST_EVENTS - len(found))
        return tuple(found)

    def _row(self, place: str, row: dict[str, Any], room: int) -> Iterator[TimedEvent]:
        event, repeat, every = row["event"], row.get("repeat", 1), row.get("every", 0)
        if not is_event(event):
            self._mistake(f"{place}.event", NO_EVENT.format(kind(event)))
        if not is_natural(repeat) or repeat > room:
            self._mistake(f"{place}.repeat", f"how many times it happens, 1 or more; {MOST_EVENTS} events are the most")
            return
        if "every" in row and not (_is_number(every) and every > 0 and "time" in row):
            self._mistake(f"{place}.every", "the seconds between repetitions, more than 0, and only with time")
            return
        if "time" not in row:
            yield from [TimedEvent(event)] * repeat
            return
        try:
            first = _moment(row["time"])
            for number in range(repeat):
                yield TimedEvent(event, _moment(first + number * timedelta(seconds=every)))
        except (ValueError, OverflowError):
            self._mistake(f"{place}.time", _NO_TIME)


def _moment(time: object) -> datetime:
    """Return when *time* is, a number being seconds since the epoch; raises ValueError where it is none."""
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        return moment_of(microseconds(time))
    found = parse_time(time) if isinstance(time, (str, datetime)) else None
    if found is None:
        raise ValueError(_NO_TIME)
    return moment_of(microseconds(found))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

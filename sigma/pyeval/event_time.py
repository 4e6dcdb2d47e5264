"""When an event happened: the first of its fields that holds a time, read as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from .matchers.values import lookup, number_of

TIME_FIELDS: Final = (
    "_SOURCE_REALTIME_TIMESTAMP",
    "__REALTIME_TIMESTAMP",
    "@timestamp",
    "UtcTime",
    "TimeCreated",
    "Event.System.TimeCreated.#attributes.SystemTime",
    "SystemTime",
    "eventTime",
    "SYSLOG_TIMESTAMP",
    "date",
    "timestamp",
    "time",
    "Timestamp",
    "EventTime",
    "ts",
)
"""The fields that are asked, in order, dotted paths included; ``date`` is read together with ``time``."""

# systemd.journal-fields(7): these count microseconds, however few they are.
_MICROSECONDS = frozenset({"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"})
# Epoch values at or above each bound are read in the smaller unit; as seconds they would lie beyond the year 5138.
_UNITS_OF_EPOCH = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3), (0, 1))
_LONGEST = 64
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
# RFC 3164 section 4.1.2, with the year that some routers add behind or in front: "Nov  5 06:07:08", "Nov 5 2026 06:07:08".
_BSD = re.compile(
    r"(?:[a-z]{3,9},? +)?([a-z]{3})[a-z]* +(\d{1,2})(?:,? +(\d{4}))?,? +(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?: +(\d{4}))?",
    re.IGNORECASE,
)
# The Common Log Format: 10/Oct/2000:13:55:36 -0700
_COMMON_LOG = re.compile(r"(\d{1,2})/([a-z]{3})/(\d{4}):(\d\d:\d\d:\d\d)(?: ?([+-]\d\d):?(\d\d))?", re.IGNORECASE)
# ISO 8601 as written by programs: slashes for hyphens, a comma or more than six digits of a second, "UTC" behind.
_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,12}))? ?(Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)?",
    re.IGNORECASE,
)


def event_time(
    event: Mapping[str, Any],
    fields: Iterable[str] = TIME_FIELDS,
    *,
    zone: tzinfo = UTC,
    now: datetime | None = None,
) -> datetime | None:
    """Return when *event* happened, or ``None`` where no field holds a time.

    Args:
        event: Any event.
        fields: The fields to ask, in order; the first that holds a readable time counts.
        zone: The zone of times that name none.
        now: An aware datetime, by which the year of a time without one is chosen: the latest in which it lies no
            more than a day ahead. The present, unless given.

    Returns:
        An aware datetime.
    """
    for field in fields:
        if field not in event and field.partition(".")[0] not in event:
            continue
        for value in (lookup(event, field) or ())[:1]:
            found = _read(event, field, value, zone, now)
            if found is not None:
                return found
    return None


def _read(event: Mapping[str, Any], field: str, value: object, zone: tzinfo, now: datetime | None) -> datetime | None:
    if field in _MICROSECONDS:
        number = number_of(value)
        return None if number is None else _since_epoch(number, 10**6)
    if field == "date" and isinstance(value, str) and isinstance(time := event.get("time"), str):
        value = f"{value} {time}"
    return parse_time(value, zone=zone, now=now)


def parse_time(value: object, *, zone: tzinfo = UTC, now: datetime | None = None) -> datetime | None:
    """Return the time that *value* is, aware, or ``None``.

    Datetimes, seconds to nanoseconds since the epoch (told apart by their size; also as text), ISO 8601, the
    timestamps of RFC 3164 and of the Common Log Format. A date without a time of day is none.
    """
    if isinstance(value, datetime):
        return _in_utc(_aware(value, zone))
    number = number_of(value)
    if number is not None:
        if isinstance(value, str) and len(value) < 9:  # 2026 and 20261121 are dates, 12 is nothing
            return None
        return _since_epoch(number, next((unit for bound, unit in _UNITS_OF_EPOCH if abs(number) >= bound), 1))
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip()
    try:
        moment = _parse_iso(text) or _parse_common_log(text) or _parse_bsd(text, zone, now)
        return None if moment is None else _in_utc(_aware(moment, zone))
    except (ValueError, OverflowError):  # the 31st of February, an hour 25, the year 0
        return None


def _in_utc(moment: datetime) -> datetime | None:
    """Return *moment*, or ``None`` for the first and the last hours of the calendar where they are none in UTC."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return None
    return moment


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=zone)


def _since_epoch(number: int | float, unit: int) -> datetime | None:
    try:
        seconds, fraction = divmod(number, unit)
        return datetime.fromtimestamp(int(seconds), UTC) + timedelta(seconds=fraction / unit)
    except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999, infinite, no number
        return None


def _parse_iso(text: str) -> datetime | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, time, fraction, offset = found.groups()
    moment = datetime.fromisoformat(f"{year}-{month}-{day}T{time}")
    if fraction:
        moment += timedelta(microseconds=int(fraction[:6].ljust(6, "0")))
    if not offset:
        return moment
    if offset[0] not in "+-":
        return moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=_offset(offset[:3], offset[3:].removeprefix(":") or "00"))


def _parse_common_log(text: str) -> datetime | None:
    found = _COMMON_LOG.fullmatch(text)
    if found is None or found[2].lower() not in _MONTHS:
        return None
    moment = datetime.fromisoformat(f"{found[3]}-{_MONTHS[found[2].lower()]:02}-{int(found[1]):02}T{found[4]}")
    return moment.replace(tzinfo=_offset(found[5], found[6])) if found[5] else moment


def _offset(hours: str, minutes: str) -> tzinfo | None:
    return datetime.fromisoformat(f"2000-01-01T00:00:00{hours}:{minutes}").tzinfo


def _parse_bsd(text: str, zone: tzinfo, now: datetime | None) -> datetime | None:
    found = _BSD.fullmatch(text)
    if found is None or found[1].lower() not in _MONTHS:
        return None
    month, day = _MONTHS[found[1].lower()], int(found[2])
    hour, minute, second = (int(part) for part in found.group(4, 5, 6))
    microsecond = int(found[7][1:7].ljust(6, "0")) if found[7] else 0
    year = found[3] or found[8]
    if year:
        return datetime(int(year), month, day, hour, minute, second, microsecond, zone)
    latest = (now or datetime.now(UTC)) + timedelta(days=1)
    for candidate in range(latest.astimezone(zone).year, latest.year - 9, -1):  # 29 February may be eight years back
        try:
            moment = datetime(candidate, month, day, hour, minute, second, microsecond, zone)
        except ValueError:
            continue
        if moment <= latest:
            return moment
    return None

"""Days and moments as Arrow counts them, as Python's own types or, beyond the years 1 to 9999, as text."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # the calendar repeats itself


def day_of(days: int) -> date | str:
    """Return the day that many days after 1970-01-01; beyond the calendar its text (ISO 8601 with a sign: ``+10000-01-01``)."""
    ordinal = _EPOCH_DAY + days
    if date.min.toordinal() <= ordinal <= date.max.toordinal():
        return date.fromordinal(ordinal)
    cycles, rest = divmod(ordinal - 1, _CYCLE_DAYS)
    within = date.fromordinal(rest + 1)
    year = within.year + cycles * _CYCLE_YEARS
    return f"{year:+06}-{within.month:02}-{within.day:02}"


def moment_of(count: int, a_second: int, *, aware: bool) -> datetime | str:
    """Return the moment *count* after 1970-01-01, *a_second* of which make a second; in UTC where it is *aware*."""
    days, rest = divmod(count, 86_400 * a_second)
    since_midnight = timedelta(microseconds=rest * 1_000_000 // a_second)
    zone = timezone.utc if aware else None  # noqa: UP017 - workers may run Python 3.10
    day = day_of(days)
    midnight = datetime(1970, 1, 1, tzinfo=zone)
    if isinstance(day, str):
        return f"{day}{(midnight + since_midnight).isoformat()[10:]}"
    return datetime(day.year, day.month, day.day, tzinfo=zone) + since_midnight

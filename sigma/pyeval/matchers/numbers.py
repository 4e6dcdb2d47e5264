"""Number and time modifiers: ``lt``, ``lte``, ``gt``, ``gte``, and ``minute`` to ``year``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime

from .values import Event, lookup, number_of

Number = int | float

COMPARISONS: dict[str, Callable[[Number, Number], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TIME_PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "week": lambda moment: moment.isocalendar().week,
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}
# Epoch values at or above each bound are read in the smaller unit; as seconds they would lie beyond the year 5138.
_EPOCH_UNITS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3), (0, 1))


def lt(event: Event, field: str, number: Number) -> bool:
    """``field|lt: number``: a value is less; numbers and text ``-?digits[.digits]`` count, all else is false."""
    return _compare(event, field, operator.lt, number)


def lte(event: Event, field: str, number: Number) -> bool:
    """``field|lte: number``: a value is less or equal; see ``lt``."""
    return _compare(event, field, operator.le, number)


def gt(event: Event, field: str, number: Number) -> bool:
    """``field|gt: number``: a value is greater; see ``lt``."""
    return _compare(event, field, operator.gt, number)


def gte(event: Event, field: str, number: Number) -> bool:
    """``field|gte: number``: a value is greater or equal; see ``lt``."""
    return _compare(event, field, operator.ge, number)


def _compare(event: Event, field: str, holds: Callable[[Number, Number], bool], number: Number) -> bool:
    for value in lookup(event, field) or ():
        amount = number_of(value)
        if amount is not None and holds(amount, number):
            return True
    return False


def time_part(event: Event, field: str, part: str, comparison: str, number: Number) -> bool:
    """``field|hour: number`` and its kin, also ``field|hour|gte``: a part of the date in the field compares so.

    *part* is minute, hour, day, week (ISO 8601), month or year; *comparison* is ``==``, ``<``, ``<=``, ``>`` or ``>=``.
    Dates are datetime objects, ISO 8601 text, or seconds, milliseconds, microseconds or nanoseconds since the epoch.
    The number is read as written: an offset is not converted, and the epoch counts in UTC. No date is false.
    """
    holds = COMPARISONS[comparison]
    for value in lookup(event, field) or ():
        moment = _moment(value)
        if moment is not None and holds(TIME_PARTS[part](moment), number):
            return True
    return False


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if type(value) is date:
        return datetime(value.year, value.month, value.day)
    number = number_of(value)
    if number is not None:
        return _from_epoch(number)
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _from_epoch(number: Number) -> datetime | None:
    unit = next((unit for bound, unit in _EPOCH_UNITS if abs(number) >= bound), 1)
    try:
        return datetime.fromtimestamp(number / unit, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999
        return None

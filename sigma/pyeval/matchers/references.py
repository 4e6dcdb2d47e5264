"""``fieldref``: one field of the event compared with another, by text, ignoring case."""

from __future__ import annotations

from .values import Event, folded, lookup, number_of


def equals_field(event: Event, field: str, other: str) -> bool:
    """``field|fieldref: other``: a value of one equals a value of the other, as text or as number."""
    if not set(folded(event, field)).isdisjoint(folded(event, other)):
        return True
    numbers = _numbers(event, other)
    return bool(numbers) and not numbers.isdisjoint(_numbers(event, field))


def _numbers(event: Event, field: str) -> set[int | float]:
    """Return the numeric values of *field*; text that looks like a number compares as text only."""
    values = (value for value in lookup(event, field) or () if isinstance(value, (int, float)))
    return {number for number in map(number_of, values) if number is not None}


def startswith_field(event: Event, field: str, other: str) -> bool:
    """``field|fieldref|startswith: other``: a value of *field* begins with a value of *other*."""
    prefixes = folded(event, other)
    return any(text.startswith(prefixes) for text in folded(event, field))


def endswith_field(event: Event, field: str, other: str) -> bool:
    """``field|fieldref|endswith: other``: a value of *field* ends with a value of *other*."""
    suffixes = folded(event, other)
    return any(text.endswith(suffixes) for text in folded(event, field))


def contains_field(event: Event, field: str, other: str) -> bool:
    """``field|fieldref|contains: other``: a value of *field* contains a value of *other*."""
    needles = folded(event, other)
    return any(needle in text for text in folded(event, field) for needle in needles)

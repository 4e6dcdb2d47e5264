"""How a field is looked up in an event, and what text and number a value stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time

Event = Mapping[str, object]

# An int of more bits than this has no text form: int -> str is quadratic, and Python refuses it above 4,300 digits.
_LONGEST_INT_BITS = 14_000
_LONGEST_NUMBER_TEXT = 4_000
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_COLLECTIONS = (list, tuple, set, frozenset)


def lookup(event: Event, field: str) -> list[object] | None:
    """Return the values that *field* has in *event*, lists taken apart, or ``None`` where the field is missing.

    The literal key comes first; where there is none, the name is a dotted path through nested mappings.
    A list on the path stands for all its elements, and a path part of digits also selects by position.
    """
    if field in event:
        return elements((event[field],))
    found: list[object] = [event]
    for name in field.split("."):
        found = [child for parent in found for child in _children(parent, name)]
        if not found:
            return None
    return elements(found)


def _children(parent: object, name: str) -> list[object]:
    if isinstance(parent, Mapping):
        return [parent[name]] if name in parent else []
    if isinstance(parent, _COLLECTIONS):
        found = [item[name] for item in elements(parent) if isinstance(item, Mapping) and name in item]
        if isinstance(parent, (list, tuple)) and name.isdecimal() and name.isascii() and len(name) < 10:
            found.extend(parent[int(name) : int(name) + 1])
        return found
    return []


def elements(values: Iterable[object]) -> list[object]:
    """Return *values* with every list, tuple or set among them replaced by its elements, at any depth.

    A list that stands in several places, or within itself, is read once: no matcher asks how often a value occurs.
    """
    found: list[object] = []
    read: dict[int, object] = {}  # the objects too, so that none of their ids can become another's
    pending = [iter(values)]
    while pending:
        for value in pending[-1]:
            if not isinstance(value, _COLLECTIONS):
                found.append(value)
            elif id(value) not in read:
                read[id(value)] = value
                pending.append(iter(value))
                break
        else:
            pending.pop()
    return found


def leaves(event: Event) -> list[object]:
    """Return every value of *event* that is neither a mapping nor a list, at any depth; keys are not values."""
    found: list[object] = []
    read: dict[int, object] = {}
    pending: list[object] = [event]
    while pending:
        value = pending.pop()
        if not isinstance(value, (Mapping, *_COLLECTIONS)):
            found.append(value)
        elif id(value) not in read:
            read[id(value)] = value
            pending.extend(reversed(list(value.values() if isinstance(value, Mapping) else value)))
    return found


def text_of(value: object) -> str | None:
    """Return the text that *value* is compared by, or ``None`` where it has none.

    Text is itself, a boolean is ``true`` or ``false``, a number its shortest decimal form, bytes are UTF-8 text,
    dates are ISO 8601. Nothing else has a text: no method of a foreign object is ever called.
    """
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value) if int.bit_length(value) < _LONGEST_INT_BITS else None
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, datetime):
        return datetime.isoformat(value)
    if isinstance(value, date):
        return date.isoformat(value)
    return time.isoformat(value) if isinstance(value, time) else None


def texts(event: Event, field: str) -> tuple[str, ...]:
    """Return the texts of the values of *field*; empty where the field is missing or has no text."""
    value = event.get(field)
    if type(value) is str:
        return (value,)
    found = lookup(event, field)
    if found is None:
        return ()
    return tuple(text for text in map(text_of, found) if text is not None)


def folded(event: Event, field: str) -> tuple[str, ...]:
    """Return the texts of the values of *field* in lower case, the form in which Sigma compares by default."""
    value = event.get(field)
    if type(value) is str:
        return (value.lower(),)
    return tuple(text.lower() for text in texts(event, field))


def number_of(value: object) -> int | float | None:
    """Return the number that *value* is, or ``None``: numbers themselves, and ASCII text ``-?digits[.digits]``.

    A boolean is no number, and neither is text with an exponent, a sign ``+``, blanks or thousands separators.
    """
    if isinstance(value, (bool, bytes, bytearray)):
        return None
    if isinstance(value, (int, float)):
        return value
    text = text_of(value)
    if text is None or len(text) > _LONGEST_NUMBER_TEXT or _NUMBER.fullmatch(text) is None:
        return None
    return float(text) if "." in text else int(text)

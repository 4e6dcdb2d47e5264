"""What an event has in a field that groups, or that is counted or reckoned with: values as keys that keep types apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

from ..matchers.values import lookup, number_of, text_of

Key = Any
"""Text stands for itself; anything else is a tuple that begins with a letter for its type. Hashable; JSON but for tuples."""

LONGEST_TEXT: Final = 512
"""Longer text is told apart by a hash, so that a group costs no more than this."""
_MOST_ELEMENTS: Final = 64
_LARGEST_BITS: Final = 14_000  # larger integers have no decimal text in Python


def field_key(event: Mapping[str, Any], field: str) -> Key | None:
    """Return what *event* has in *field*, or ``None`` where that is nothing to group by: missing, null, or a mapping.

    The text ``"1"``, the number 1 and true are three values; 1 and 1.0 are one; case matters. A list of one element is that
    element, any other list is one value, its order included, nulls and mappings in it left out.
    """
    value = event.get(field)
    if type(value) is str:
        return value if len(value) <= LONGEST_TEXT else _digest(value)
    found = lookup(event, field)
    if found is None:
        return None
    keys = [key for key in map(_scalar_key, found[: _MOST_ELEMENTS + 1]) if key is not None]
    if len(keys) > _MOST_ELEMENTS:
        whole = hashlib.sha256()
        for element in found:
            whole.update(repr(_scalar_key(element)).encode("utf-8", "surrogatepass") + b"\0")
        return ("#", whole.hexdigest(), f"a list of {len(found)}")
    return keys[0] if len(keys) == 1 else ("l", *keys) if keys else None


def _scalar_key(value: object) -> Key | None:
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, int):
        number = int(value)
        return ("n", number) if number.bit_length() < _LARGEST_BITS else _digest(hex(number))
    if isinstance(value, float):
        return ("n", float(value)) if math.isfinite(value) else ("f", float.__repr__(value))
    text = text_of(value)
    if text is None:
        return None
    key = text if len(text) <= LONGEST_TEXT else _digest(text)
    return key if isinstance(value, (str, tuple)) or isinstance(key, tuple) else ("t", key)


def _digest(text: str) -> Key:
    return ("#", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text[:64])


def shown(key: Key) -> Any:
    """Return a key's value as JSON type, for people and reports."""
    if isinstance(key, str) or key is None:
        return key
    if key[0] == "l":
        return [shown(one) for one in key[1:]]
    return f"{key[2]}... (sha256 {key[1]})" if key[0] == "#" else key[1]


def from_json(key: Any) -> Key:
    """Return the key that JSON has made lists of."""
    return tuple(map(from_json, key)) if isinstance(key, list) else key


def field_number(event: Mapping[str, Any], field: str) -> int | float | None:
    """Return the one finite number that *event* has in *field* (``matchers.values.number_of``), or ``None``."""
    found = lookup(event, field)
    if found is None or len(found) != 1:
        return None
    return usable_number(found[0])


def usable_number(value: object) -> int | float | None:
    """Return the number that a value is, or ``None`` where it is none, not finite, or of thousands of digits."""
    number = number_of(value)
    if isinstance(number, int):
        return int(number) if number.bit_length() < _LARGEST_BITS else None
    if number is None or not math.isfinite(number):
        return None
    return float(number)


def key_number(key: Key) -> int | float | None:
    """Return the number that a key stands for, as ``field_number`` would."""
    if isinstance(key, str):
        return usable_number(key)
    number: int | float | None = key[1] if key[0] == "n" else None
    return number

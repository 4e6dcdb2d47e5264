"""Writing for machines and people: JSON that never fails, text that cannot steer a terminal."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import orjson

_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def json_line(value: Any) -> bytes:
    """Return *value* as one line of JSON, without newline; what JSON cannot hold is written as text."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # lone surrogates, integers beyond 64 bits, keys that are no text
        return json.dumps(value, default=str, skipkeys=True).encode("ascii")


def printable(text: str) -> str:
    """Return *text* with control, format (bidirectional), unassigned and surrogate characters written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in _STEERING else c for c in text)


def counted(number: int, noun: str) -> str:
    """Return *number* with *noun*, in the plural where it is not one."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number} {noun}{ending}"

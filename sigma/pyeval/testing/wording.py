"""What a file of cases holds, in the words of mistakes, and the checks that several readers share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def unknown_keys(mapping: Mapping[Any, Any], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each key that is not *known*, and what is wrong with it."""
    for key in mapping:
        if key not in known:
            yield str(key), f"this key is unknown{nearest(key, known)}"


def nearest(name: object, known: Collection[str]) -> str:
    """Return the end of a mistake: which of *known* was meant, or which there are."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def is_natural(value: object) -> bool:
    """Return whether *value* is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def kind(value: object) -> str:
    """Return what *value* is, for people who write YAML."""
    if value is None:
        return "nothing"
    if value == []:
        return "an empty list"
    return {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}.get(
        type(value), type(value).__name__
    )

"""The only place that turns a value into Python source."""

from __future__ import annotations

import ast
from functools import lru_cache


class LiteralError(ValueError):
    """A value cannot be written as a Python literal that reads back as itself."""


def literal(value: object) -> str:
    """Return ASCII Python source that evaluates back to *value*: text, numbers, booleans, None, tuples, dicts of these.

    ASCII neutralises bidirectional and other invisible characters; reading the source back proves that no quote, newline
    or brace in the value could break out of it.

    Raises:
        LiteralError: The value does not read back as itself (infinities, NaN, foreign objects).
    """
    return _literal_of_text(value) if type(value) is str else _checked(value)


def _checked(value: object) -> str:
    source = ascii(value)
    try:
        same = _identical(ast.literal_eval(source), value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        same = False
    if not same:
        raise LiteralError(f"cannot write a {type(value).__name__} as a Python literal: {source[:80]}")
    return source


_literal_of_text = lru_cache(maxsize=16_384)(_checked)  # field names and texts that many rules share


def _identical(a: object, b: object) -> bool:
    """Return whether *a* and *b* are equal with equal types all the way down (``1 == True == 1.0`` is not enough)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_identical, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(map(_identical, a.items(), b.items()))
    return a == b

"""``re``: regular expressions, searched anywhere in the value, with Python's own ``re``."""

from __future__ import annotations

import re
from functools import lru_cache

from .values import Event, texts

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


@lru_cache(maxsize=65_536)
def compile_regex(pattern: str, flags: str) -> re.Pattern[str]:
    """Return the compiled pattern; *flags* holds any of the letters i, m, s. Raises ``re.error``, KeyError."""
    bits = re.NOFLAG
    for letter in flags:
        bits |= _FLAGS[letter]
    return re.compile(pattern, bits)


def regex(event: Event, field: str, pattern: str, flags: str = "") -> bool:
    """``field|re: pattern``: the pattern is found anywhere in the value, case-sensitive unless flag ``i`` is given.

    Flags are the letters of the modifiers ``i`` (ignore case), ``m`` (multi-line) and ``s`` (dot matches newline).
    """
    search = compile_regex(pattern, flags).search
    return any(search(text) is not None for text in texts(event, field))

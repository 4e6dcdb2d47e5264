"""``re``: regular expressions, searched anywhere in the value, with Python's own ``re``.

A pattern that can take polynomial time is searched in the beginning of a value only (``*_within``); which patterns those are,
and how far, is decided when a rule is converted and can be read in its expression.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from .values import Event, texts

UNDECIDED: Counter[str] = Counter()
"""For each pattern, how many values were too long to be searched whole and did not hold it in what was searched.

It grows by one entry a pattern. Counts are of the process; threads may lose a few to each other.
"""

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def flag_bits(flags: str) -> re.RegexFlag:
    """Return the flags of Python's ``re`` for the letters i, m, s; raises KeyError for any other."""
    bits = re.NOFLAG
    for letter in flags:
        bits |= _FLAGS[letter]
    return bits


@lru_cache(maxsize=65_536)
def compile_regex(pattern: str, flags: str) -> re.Pattern[str]:
    """Return the compiled pattern; *flags* holds any of the letters i, m, s. Raises ``re.error``, KeyError."""
    return re.compile(pattern, flag_bits(flags))


def regex(event: Event, field: str, pattern: str, flags: str = "") -> bool:
    """``field|re: pattern``: the pattern is found anywhere in the value, case-sensitive unless flag ``i`` is given.

    Flags are the letters of the modifiers ``i`` (ignore case), ``m`` (multi-line) and ``s`` (dot matches newline). Expressions
    admit only patterns that take time linear in the length of the value.
    """
    return search_any(texts(event, field), pattern, flags)


def regex_within(event: Event, field: str, pattern: str, flags: str, characters: int) -> bool:
    """``field|re: pattern`` for a pattern of polynomial time: found within the first *characters* of the value.

    A longer value in which it is not found there is counted in ``UNDECIDED``.
    """
    return search_any_within(texts(event, field), pattern, flags, characters)


def regex_unbounded(event: Event, field: str, pattern: str, flags: str = "") -> bool:
    """``field|re: pattern`` for any pattern, however long it takes: only in expressions whose source is trusted."""
    return search_any(texts(event, field), pattern, flags)


def search_any(values: Iterable[str], pattern: str, flags: str) -> bool:
    """Return whether the pattern is found in one of *values*."""
    search = compile_regex(pattern, flags).search
    return any(search(text) is not None for text in values)


def search_any_within(values: Iterable[str], pattern: str, flags: str, characters: int) -> bool:
    """Return whether the pattern is found in the first *characters* of one of *values*; counts what stays open."""
    search = compile_regex(pattern, flags).search
    undecided = 0
    for text in values:
        # The beginning is searched as a text of its own: "$" and "\b" hold at its end.
        if search(text[:characters]) is not None:
            return True
        undecided += len(text) > characters
    if undecided:
        UNDECIDED[pattern] += undecided
    return False

"""Keywords: values without a field, searched as part of any value of the event, at any depth; never in keys."""

from __future__ import annotations

import re
from functools import lru_cache

from .regexes import search_any, search_any_within
from .text import compile_glob
from .values import Event, leaves, text_of


def _texts_of(event: Event) -> list[str]:
    return [text for text in map(text_of, leaves(event)) if text is not None]


def _folded_texts_of(event: Event) -> list[str]:
    return [text.lower() for text in _texts_of(event)]


def keyword(event: Event, value: str) -> bool:
    """A keyword: the text occurs in any value of the event, ignoring case."""
    needle = value.lower()
    return any(needle in text for text in _folded_texts_of(event))


def keyword_any(event: Event, values: tuple[str, ...]) -> bool:
    """A list of keywords: one of the texts occurs in any value of the event, ignoring case."""
    found = _folded_texts_of(event)
    return any(value.lower() in text for value in values for text in found)


def keyword_all(event: Event, values: tuple[str, ...]) -> bool:
    """``|all`` keywords: each of the texts occurs in some value of the event, ignoring case."""
    found = _folded_texts_of(event)
    return all(any(needle in text for text in found) for needle in [value.lower() for value in values])


def keyword_cased(event: Event, value: str) -> bool:
    """``|cased`` keyword: the text occurs in any value of the event, case included."""
    return any(value in text for text in _texts_of(event))


def keyword_wildcard(event: Event, glob: str) -> bool:
    """A keyword with wildcards inside: some part of any value fits the pattern, ignoring case; see ``wildcard``."""
    pattern = _compile_inner_glob(glob.lower())
    return any(pattern.fullmatch(text) for text in _folded_texts_of(event))


def keyword_wildcard_cased(event: Event, glob: str) -> bool:
    """``|cased`` keyword with wildcards inside: some part of any value fits, case included; see ``wildcard``."""
    pattern = _compile_inner_glob(glob)
    return any(pattern.fullmatch(text) for text in _texts_of(event))


def keyword_whole(event: Event, glob: str) -> bool:
    """A keyword with ``|startswith`` or ``|endswith``: some value as a whole fits the pattern, ignoring case."""
    pattern = compile_glob(glob.lower())
    return any(pattern.fullmatch(text) for text in _folded_texts_of(event))


def keyword_whole_cased(event: Event, glob: str) -> bool:
    """``keyword_whole`` with ``|cased``: case included."""
    pattern = compile_glob(glob)
    return any(pattern.fullmatch(text) for text in _texts_of(event))


@lru_cache(maxsize=65_536)
def _compile_inner_glob(glob: str) -> re.Pattern[str]:
    # A backslash at the end is a literal one; doubled, it stays one before the wildcard added behind it.
    backslashes = len(glob) - len(glob.rstrip("\\"))
    return compile_glob("*" + glob + ("\\" if backslashes % 2 else "") + "*")


def keyword_regex(event: Event, pattern: str, flags: str = "") -> bool:
    """``|re`` keyword: the pattern is found in any value of the event; flags as in ``regex``."""
    return search_any(_texts_of(event), pattern, flags)


def keyword_regex_within(event: Event, pattern: str, flags: str, characters: int) -> bool:
    """``|re`` keyword of polynomial time: found within the first *characters* of a value; see ``regex_within``."""
    return search_any_within(_texts_of(event), pattern, flags, characters)


def keyword_regex_unbounded(event: Event, pattern: str, flags: str = "") -> bool:
    """``|re`` keyword with any pattern, however long it takes; see ``regex_unbounded``."""
    return search_any(_texts_of(event), pattern, flags)

"""Where a pattern stands in a text that a matcher says it holds of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from .matchers.regexes import compile_regex
from .matchers.text import parse_glob

Span = tuple[int, int]
"""Begin and end in a value's text, counted in characters."""

MOST_MARKS: Final = 500
"""So many parts of one value are marked for one pattern; further occurrences are left unmarked."""

PRESENCE: Final = frozenset({"exists", "has_value", "is_null"})
"""Matchers that ask whether there is a value, not what it is."""


def find_spans(single: str, text: str, pattern: tuple[Any, ...]) -> list[Span]:
    """Return which parts of *text*, of which the matcher holds, made it hold."""
    if single.removeprefix("keyword_").startswith("regex"):
        source, flags, *bound = (*pattern, "")[: max(2, len(pattern))]
        return _found_span(source, flags, text[: bound[0]] if bound else text)
    find = _FINDERS.get(single.removesuffix("_cased"))
    if find is None:
        return [] if single in PRESENCE else [(0, len(text))]
    if single.endswith("_cased"):
        return find(text, pattern[0])
    folded = text.lower()
    spans = find(folded, pattern[0].lower())
    return spans if len(folded) == len(text) else _unfolded(text, spans)


def _found_span(pattern: str, flags: str, text: str) -> list[Span]:
    """Return where the first match is, without the run that a pattern made linear reads in front of what it is about."""
    found = compile_regex(pattern, flags).search(text)
    if found is None:
        return []
    if lead := _LEAD.match(pattern):
        # The run ends where this is found first, so nothing is searched twice.
        found = compile_regex("(?>" + pattern[lead.end() :], flags).search(text, found.start()) or found
    return [found.span()]


def _unfolded(text: str, spans: list[Span]) -> list[Span]:
    """Return *spans* of ``text.lower()`` as spans of *text*: one letter (U+0130) becomes two characters."""
    origin = [index for index, letter in enumerate(text) for _ in letter.lower()]
    return [(origin[start], origin[end - 1] + 1) for start, end in spans if start < end]


def _occurrences(text: str, needle: str) -> list[Span]:
    found: list[Span] = []
    start = text.find(needle) if needle else -1
    while start >= 0 and len(found) < MOST_MARKS:
        found.append((start, start + len(needle)))
        start = text.find(needle, start + len(needle))
    return found


def _glob_runs(text: str, glob: str) -> list[Span]:
    """Return where the parts of *glob* between its ``*`` stand in *text*, which it fits: each as early as possible."""
    runs: list[list[str]] = [[]]
    for part in parse_glob(glob):
        if part == "*":
            runs.append([])
        else:
            runs[-1].append(part)
    found: list[Span] = []
    position = 0
    for run in runs[:-1] or runs:
        pattern = "".join("." if part == "?" else re.escape(part[1:]) for part in run)
        match = re.compile(pattern, re.DOTALL).search(text, position)
        if match is None:  # the text does not fit; then all of it is the honest answer
            return [(0, len(text))]
        found.append(match.span())
        position = match.end()
    if len(runs) > 1:  # what follows the last star stands at the end, and all its parts have one length
        width = sum(1 if part == "?" else len(part) - 1 for part in runs[-1])
        found.append((len(text) - width, len(text)))
    return found


def _inner_glob_runs(text: str, glob: str) -> list[Span]:
    backslashes = len(glob) - len(glob.rstrip("\\"))
    return _glob_runs(text, "*" + glob + ("\\" if backslashes % 2 else "") + "*")


# How ``regex_safety`` begins a pattern that it made linear: not behind one of a class, then the class up to the first match.
_LEAD = re.compile(r"\(\?<!(\.|\\.|\[\^?\]?(?:\\.|[^\]\\])*\])\)\(\?>\1\*\?")


# Where a pattern stands in a text that it fits. Any other matcher is about the whole value.
_FINDERS: Final[dict[str, Callable[[str, str], list[Span]]]] = {
    "contains": _occurrences,
    "keyword": _occurrences,
    "startswith": lambda _, prefix: [(0, len(prefix))],
    "endswith": lambda text, suffix: [(len(text) - len(suffix), len(text))],
    "wildcard": _glob_runs,
    "keyword_whole": _glob_runs,
    "keyword_wildcard": _inner_glob_runs,
}

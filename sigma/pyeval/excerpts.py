"""A value of an event as it is shown: its text, of a long one the surroundings of what matters in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .matchers.values import text_of
from .spans import Span

LONGEST_EXCERPT: Final = 500
"""Characters of a value that are shown of it."""

MOST_VALUES: Final = 100
"""Patterns of a call's list, values of the event and spans of a value that are named, each."""

_LEAD = 100  # characters shown in front of the first span of a long value


def found_value(path: Sequence[str | int], event: Mapping[str, Any], spans: Sequence[Span]) -> dict[str, Any]:
    """Return the value of *event* at *path* as JSON types: ``path``, ``value`` (its text, or ``None``), ``spans``.

    Of a text longer than ``LONGEST_EXCERPT`` it is a part of that length, ``offset`` says from which character on;
    spans (begin, exclusive end) count from the begin of what is shown.
    """
    value: Any = event
    for part in path:
        value = value[part]
    text = text_of(value)
    if text is None or len(text) <= LONGEST_EXCERPT:
        return {"path": list(path), "value": text, "spans": [list(span) for span in spans[:MOST_VALUES]]}
    start = max(0, min(spans[0][0] - _LEAD, len(text) - LONGEST_EXCERPT)) if spans else 0
    end = start + LONGEST_EXCERPT
    cut = [[max(a, start) - start, min(b, end) - start] for a, b in spans[:MOST_VALUES] if a < end and b > start]
    return {"path": list(path), "value": text[start:end], "offset": start, "spans": cut}

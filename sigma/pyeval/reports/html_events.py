"""One finding as HTML: its event's fields with the matched parts marked, cut to a bounded length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sigma.pyeval.entities import LONGEST_EXCERPT, excerpt, headline, parse_host
from sigma.pyeval.events import plain_event
from sigma.pyeval.expression import ExpressionError
from sigma.pyeval.findings import Finding
from sigma.pyeval.marks import MatchedCall, Path, event_leaves, matched_calls, spans_by_path
from sigma.pyeval.matchers.values import text_of
from sigma.pyeval.spans import Span

from .html_parts import number, time_element
from .markup import Html, element, join

LONGEST_VALUE: Final = 600
"""Longer values are cut to their beginning and the surroundings of what is marked."""

MOST_FIELDS: Final = 60
"""So many fields of an event are shown; those with a mark always come first in line."""

_HEAD, _AROUND, _MOST_WINDOWS = 200, 60, 8
# Matchers whose names are no words, by the name without what is said of lists and case.
_WORDS = {
    "startswith": "starts with", "startswith_field": "starts with field",
    "endswith": "ends with", "endswith_field": "ends with field",
    "regex": "fits", "regex_within": "fits", "regex_unbounded": "fits", "wildcard": "fits",
    "cidr": "is in", "lt": "<", "lte": "≤", "gt": ">", "gte": "≥", "time_part": "has",
    "keyword_whole": "keyword", "keyword_wildcard": "keyword",
    "keyword_regex": "keyword", "keyword_regex_within": "keyword", "keyword_regex_unbounded": "keyword",
}  # fmt: skip
_MOST_VALUES, _LONGEST_PATTERN = 6, 80


def event_details(finding: Finding, moment: datetime | None) -> Html:
    """Return a finding as a ``details`` element: time, host and excerpt outside, why and all fields inside."""
    event = plain_event(finding.match.event)
    try:
        calls = matched_calls(finding.match.rule.expression, event, unsafe_regex=True)  # it was run on this event
    except (
        ExpressionError
    ):  # a correlation rule, or one made by hand whose expression was never compiled: nothing to mark
        calls = ()
    host = parse_host(event)
    summary = element(
        "summary",
        time_element(moment) if moment else "",
        element("span", host[:100], class_="host") if host else "",
        element("span", _line(finding, event, calls), class_="event-line"),
    )
    return element(
        "details",
        summary,
        element("div", _where(finding), _why(calls), _fields(event, calls), class_="event-body"),
        class_="event",
    )


def _line(finding: Finding, event: dict[str, Any], calls: Sequence[MatchedCall]) -> str:
    """Return the event in a line: its headline, else the fields that matched, else its beginning."""
    if (text := headline(finding.match)) is not None:
        return text[:LONGEST_EXCERPT]
    touched = {path for call in calls for path in call.paths}
    pairs = [f"{_name(path)}={text_of(value)!s:.60}" for path, value in event_leaves(event) if path in touched]
    return " ".join(pairs[:8])[:LONGEST_EXCERPT] or excerpt(finding.match)


def _where(finding: Finding) -> Html:
    serial = f", event {finding.serial}" if finding.serial is not None else ""
    return element("p", element("code", f"{finding.path}:{finding.line}"), serial, class_="why")


def _why(calls: Sequence[MatchedCall]) -> Html:
    if not calls:
        return Html("")
    parts = [part for call in calls[:20] for part in ("; ", _call(call))][1:]
    more = f"; and {number(len(calls) - 20)} more" if len(calls) > 20 else ""
    return element("p", "Matched: ", *parts, more, class_="why")


def _call(call: MatchedCall) -> Html:
    """Return a call in words: field, what was asked of it, and the values that hold."""
    words = matcher_words(call.matcher)
    values = [str(value)[:_LONGEST_PATTERN] for value in call.values[:_MOST_VALUES]]
    parts: list[str] = [element("code", call.field), " "] if call.field is not None else []
    parts.append(words + " " if values else words)
    parts += [part for value in values for part in (", ", element("code", value))][1:]
    if len(call.values) > _MOST_VALUES:
        parts.append(f" and {len(call.values) - _MOST_VALUES} more")
    return join(*parts)


def matcher_words(matcher: str) -> str:
    """Return a matcher's name for people: ``contains all of`` for ``contains_cased_all``."""
    name = matcher.removesuffix("_any").removesuffix("_all").removesuffix("_cased")
    return _WORDS.get(name, name.replace("_", " ")) + (" all of" if matcher.endswith("_all") else "")


def _fields(event: dict[str, Any], calls: Iterable[MatchedCall]) -> Html:
    calls = tuple(calls)
    spans = spans_by_path(calls)
    touched = {path for call in calls for path in call.paths}
    leaves = list(event_leaves(event))
    # Marked fields are never among those left out; the order stays that of the event.
    chosen = sorted(sorted(range(len(leaves)), key=lambda n: leaves[n][0] not in touched)[:MOST_FIELDS])
    rows = [_row(*leaves[n], spans.get(leaves[n][0], []), leaves[n][0] in touched) for n in chosen]
    left_out = len(leaves) - len(chosen)
    return join(
        element("table", element("tbody", *rows), aria_label="Fields of the event, what matched is marked"),
        element("p", f"{number(left_out)} more fields are not shown.", class_="note") if left_out else "",
    )


def _row(path: Path, value: object, spans: list[Span], touched: bool) -> Html:
    text = text_of(value)
    return element(
        "tr",
        element("th", _name(path), scope="row", class_="matched" if touched else None),
        element("td", element("span", "null", class_="gap") if text is None else marked(text, spans), class_="value"),
    )


def _name(path: Path) -> str:
    return ".".join(map(str, path))[:200]


def marked(text: str, spans: Sequence[Span]) -> Html:
    """Return *text* with *spans* in ``mark`` elements.

    Text longer than ``LONGEST_VALUE`` is shown in windows: its beginning, and the surroundings of the first spans;
    what lies between is counted.
    """
    parts: list[str] = []
    position = 0
    for start, end in _windows(text, spans):
        if start > position:
            parts.append(_gap(start - position))
        parts += _marked_between(text, spans, start, end)
        position = end
    if position < len(text):
        parts.append(_gap(len(text) - position))
    return join(*parts)


def _gap(characters: int) -> Html:
    return element("span", f" … {number(characters)} characters … ", class_="gap")


def _windows(text: str, spans: Sequence[Span]) -> list[Span]:
    if len(text) <= LONGEST_VALUE:
        return [(0, len(text))]
    wanted = [(0, _HEAD)]
    for start, end in spans[:_MOST_WINDOWS]:
        end = min(end, start + LONGEST_VALUE)  # noqa: PLW2901 - a mark of the whole value is cut as well
        wanted.append((max(0, start - _AROUND), min(len(text), end + _AROUND)))
    merged: list[Span] = []
    for start, end in sorted(wanted):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _marked_between(text: str, spans: Sequence[Span], start: int, end: int) -> list[str]:
    parts: list[str] = []
    position = start
    for begin, stop in spans:
        begin, stop = max(begin, position), min(stop, end)  # noqa: PLW2901
        if begin < stop:
            parts += [text[position:begin], element("mark", text[begin:stop])]
            position = stop
    return [*parts, text[position:end]]

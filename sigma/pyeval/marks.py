"""Why a rule matched: the calls of its expression that hold on the event, and the parts of values that made them hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .events import holds, plain_event
from .expression import call_arguments, parse_expression
from .matchers import MATCHERS
from .matchers.regexes import compile_regex, search_any
from .matchers.text import parse_glob
from .matchers.values import leaves, text_of, texts

Path = tuple[str | int, ...]
"""Where a value stands in an event: keys, and positions within lists."""

Span = tuple[int, int]
"""Begin and end in a value's text, counted in characters."""

MOST_MARKS: Final = 500
"""So many parts of one value are marked for one pattern; further occurrences are left unmarked."""


class Mark(NamedTuple):
    """A part of a value of the event.

    Attributes:
        path: Where the value stands.
        start: The part's begin in the value's text (``matchers.values.text_of``), in characters.
        end: Its end, exclusive; the same as *start* never occurs.
    """

    path: Path
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MatchedCall:
    """A call of an expression that holds on an event and so helped the rule to match.

    Attributes:
        matcher: The matcher's name, as ``contains_any``.
        field: The field asked, or ``None`` for a keyword.
        values: The literal arguments behind the field; of a list only the members that hold.
        paths: The values of the event that the call was true for; empty where it is about a missing field.
        marks: The parts of these values that did it: nothing for ``exists`` and the like, which ask no value.
    """

    matcher: str
    field: str | None
    values: tuple[Any, ...]
    paths: tuple[Path, ...]
    marks: tuple[Mark, ...]


def matched_calls(expression: str, event: Mapping[str, Any], *, unsafe_regex: bool = False) -> tuple[MatchedCall, ...]:
    """Return the calls of *expression* that make it true of *event*, in its order; none where it is false.

    Of ``and`` all parts count, of ``or`` those that hold; a part under ``not`` counts by being false and has
    nothing to show, so only what is negated twice returns.

    Args:
        expression: A rule's expression.
        event: Any event.
        unsafe_regex: As in ``parse_expression``: say so of an expression that was held against this event before.

    Raises:
        ExpressionError: *expression* is none.
    """
    event = plain_event(event)
    nodes = _nodes(expression, unsafe_regex)
    verdicts: dict[int, bool] = {}
    for node in reversed(nodes):
        verdicts[id(node)] = _verdict(node, verdicts, event)
    wanted = {id(nodes[0]): True} if verdicts[id(nodes[0])] else {}
    for node in nodes:
        if (verdict := wanted.get(id(node))) is None:
            continue
        if isinstance(node, ast.BoolOp):
            wanted |= {id(part): verdict for part in node.values if verdicts[id(part)] is verdict}
        elif isinstance(node, ast.UnaryOp):
            wanted[id(node.operand)] = not verdict
    calls = [node for node in nodes if isinstance(node, ast.Call) and wanted.get(id(node))]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return tuple(_matched_call(call, event) for call in calls)


def spans_by_path(calls: Iterable[MatchedCall]) -> dict[Path, list[Span]]:
    """Return the marks of *calls* by value, sorted, those that touch or overlap made one."""
    found: dict[Path, list[Span]] = {}
    for path, start, end in sorted((mark for call in calls for mark in call.marks), key=lambda mark: mark[1:]):
        spans = found.setdefault(path, [])
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return found


@lru_cache(maxsize=4096)
def _nodes(expression: str, unsafe_regex: bool) -> tuple[ast.expr, ...]:
    """Return the connectives and calls of an expression, each before its parts."""
    nodes = [parse_expression(expression, unsafe_regex=unsafe_regex)]
    for node in nodes:  # grows while it is read
        if isinstance(node, ast.BoolOp):
            nodes.extend(node.values)
        elif isinstance(node, ast.UnaryOp):
            nodes.append(node.operand)
    return tuple(nodes)


def _verdict(node: ast.expr, verdicts: Mapping[int, bool], event: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.BoolOp):
        parts = [verdicts[id(part)] for part in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.UnaryOp):
        return not verdicts[id(node.operand)]
    assert isinstance(node, ast.Call)  # noqa: S101 - parse_expression lets nothing else through
    name, arguments = call_arguments(node)
    return holds(lambda of: _holds(name, of, arguments), event)


def _holds(name: str, event: Mapping[str, Any], arguments: tuple[Any, ...]) -> bool:
    """Return what the matcher says; a bounded search is done here, as its matcher would count in ``UNDECIDED`` again."""
    if not name.endswith("_within"):
        return MATCHERS[name](event, *arguments)
    *field, pattern, flags, characters = arguments
    values = texts(event, field[0]) if field else filter(None, map(text_of, leaves(event)))
    return search_any([text[:characters] for text in values], pattern, flags)


def _matched_call(call: ast.Call, event: Mapping[str, Any]) -> MatchedCall:
    name, arguments = call_arguments(call)
    if name.startswith("keyword"):
        return _matched_keyword(name, arguments, event)
    field, values = arguments[0], arguments[1:]
    located = list(_located(event, field))
    if name.endswith("_field"):
        return _matched_reference(name, field, values[0], located, event)
    single, patterns = _single(name, values)
    hits = [
        (path, value, pattern)
        for pattern in patterns
        for path, value in located
        if _holds(single, {field: value}, (field, *pattern))
    ]
    matched = tuple(pattern for pattern in patterns if any(hit is pattern for _, _, hit in hits))
    marks = (mark for path, value, pattern in hits for mark in _marks(single, path, value, pattern))
    return MatchedCall(name, field, _arguments(name, values, matched), _paths(hits), tuple(dict.fromkeys(marks)))


def _matched_keyword(name: str, arguments: tuple[Any, ...], event: Mapping[str, Any]) -> MatchedCall:
    single, patterns = _single(name, arguments)
    leaves = list(event_leaves(event))
    hits = [
        (path, value, pattern) for pattern in patterns for path, value in leaves if _holds(single, {"": value}, pattern)
    ]
    matched = tuple(pattern for pattern in patterns if any(hit is pattern for _, _, hit in hits))
    marks = (mark for path, value, pattern in hits for mark in _marks(single, path, value, pattern))
    return MatchedCall(name, None, _arguments(name, arguments, matched), _paths(hits), tuple(dict.fromkeys(marks)))


def _matched_reference(
    name: str, field: str, other: str, located: list[tuple[Path, object]], event: Mapping[str, Any]
) -> MatchedCall:
    """Return the call of two fields: the part of the one, the whole of the other."""
    marks: dict[Mark, None] = {}
    paths: dict[Path, None] = {}
    for other_path, pattern in _located(event, other):
        for path, value in located:
            if MATCHERS[name]({"a": value, "b": pattern}, "a", "b"):
                paths |= {path: None, other_path: None}
                single = name.removesuffix("_field")
                found = _marks(single, path, value, (text_of(pattern) or "",))
                marks |= dict.fromkeys([*found, *_marks("equals", other_path, pattern, ())])
    return MatchedCall(name, field, (other,), tuple(paths), tuple(marks))


def _single(name: str, values: tuple[Any, ...]) -> tuple[str, list[tuple[Any, ...]]]:
    """Return the matcher of one pattern that *name* applies to each of a list, and the arguments of each application."""
    single = name.removesuffix("_any").removesuffix("_all")
    return (name, [values]) if single == name else (single, [(value,) for value in values[0]])


def _arguments(name: str, values: tuple[Any, ...], matched: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    """Return the arguments to show: of a list the members that hold, otherwise all."""
    return tuple(pattern[0] for pattern in matched) if name.endswith(("_any", "_all")) else values


def _paths(hits: Iterable[tuple[Path, object, object]]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for path, _, _ in hits))


def _marks(single: str, path: Path, value: object, pattern: tuple[Any, ...]) -> Iterator[Mark]:
    text = text_of(value)
    if text is None:
        return
    for start, end in _spans(single, text, pattern)[:MOST_MARKS]:
        if start < end:
            yield Mark(path, start, end)


def _spans(single: str, text: str, pattern: tuple[Any, ...]) -> list[Span]:
    """Return which parts of *text*, of which the matcher holds, made it hold."""
    if single.removeprefix("keyword_").startswith("regex"):
        source, flags, *bound = (*pattern, "")[: max(2, len(pattern))]
        return _found_span(source, flags, text[: bound[0]] if bound else text)
    find = _FINDERS.get(single.removesuffix("_cased"))
    if find is None:
        return [] if single in _PRESENCE else [(0, len(text))]
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
# Matchers that ask whether there is a value, not what it is.
_PRESENCE = ("exists", "has_value", "is_null")
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


def _located(event: Mapping[str, Any], field: str) -> Iterator[tuple[Path, object]]:
    """Yield the values of *field* with their places; the same values as ``matchers.values.lookup``."""
    if field in event:
        yield from _elements((field,), event[field])
        return
    found: list[tuple[Path, object]] = [((), event)]
    for name in field.split("."):
        found = [child for path, parent in found for child in _children(path, parent, name)]
    for path, value in found:
        yield from _elements(path, value)


def _children(path: Path, parent: object, name: str) -> Iterator[tuple[Path, object]]:
    if isinstance(parent, dict):
        if name in parent:
            yield (*path, name), parent[name]
    elif isinstance(parent, list):
        for inner, item in _elements(path, parent):
            if isinstance(item, dict) and name in item:
                yield (*inner, name), item[name]
        if name.isdecimal() and name.isascii() and len(name) < 10 and int(name) < len(parent):
            yield (*path, int(name)), parent[int(name)]


def _elements(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    pending: list[tuple[Path, object]] = [(path, value)]
    read: set[int] = set()  # a list within itself is read once
    while pending:
        place, found = pending.pop()
        if isinstance(found, list):
            if id(found) in read:
                continue
            read.add(id(found))
            pending.extend(((*place, number), element) for number, element in reversed(list(enumerate(found))))
        else:
            yield place, found


def event_leaves(event: Mapping[str, Any]) -> Iterator[tuple[Path, object]]:
    """Yield every value that is neither mapping nor list with its place; as ``matchers.values.leaves``."""
    pending: list[tuple[Path, object]] = [((), event)]
    read: set[int] = set()
    while pending:
        path, value = pending.pop()
        if isinstance(value, (dict, list)):
            if id(value) in read:
                continue
            read.add(id(value))
        if isinstance(value, dict):
            pending.extend(((*path, key), child) for key, child in reversed(list(value.items())))
        elif isinstance(value, list):
            pending.extend(((*path, number), child) for number, child in reversed(list(enumerate(value))))
        else:
            yield path, value

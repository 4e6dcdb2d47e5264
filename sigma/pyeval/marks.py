"""Why a rule matched: the calls of its expression that hold on the event, and the parts of values that made them hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from .conditions import Call, Condition, parse_conditions
from .events import plain_event
from .matchers import MATCHERS
from .matchers.regexes import search_any
from .matchers.values import leaves, text_of, texts
from .spans import MOST_MARKS, PRESENCE, Span, find_spans

Path = tuple[str | int, ...]
"""Where a value stands in an event: keys, and positions within lists."""

_Hit = tuple[Path, object, tuple[Any, ...]]  # where a value stands, the value, and the pattern that holds of it
_T = TypeVar("_T")

MOST_FOUND: Final = 500
"""So many values of an event are named for one pattern."""

MOST_PARTS: Final = 20_000
"""So many parts of an event are marked for one call."""


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


class MatchedCall(NamedTuple):
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


def matched_calls(
    expression: str, event: Mapping[str, Any], *, unsafe_regex: bool = False, known: bool = False
) -> tuple[MatchedCall, ...]:
    """Return the calls of *expression* that make it true of *event*, in its order; none where it is false.

    Of ``and`` all parts count, of ``or`` those that hold; a part under ``not`` counts by being false and has
    nothing to show, so only what is negated twice returns.

    Args:
        expression: A rule's expression.
        event: Any event.
        unsafe_regex: As in ``parse_expression``: say so of an expression that was held against this event before.
        known: Whether the expression is known to be true of the event, which spares most of the work.

    Raises:
        ExpressionError: *expression* is none.
    """
    asked = Asked(event if _is_flat(event) else plain_event(event))
    found: list[Call] = []
    _explain(parse_conditions(expression, unsafe_regex=unsafe_regex), asked, known, found)
    return tuple(matched_call(call, asked) for call in found)


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


_FLAT = frozenset({str, int, float, bool, type(None)})
_TEXT = frozenset({str})
# Keywords of which the literal is the whole meaning.
_PLAIN_KEYWORDS = frozenset({"keyword", "keyword_cased"})


def _is_flat(event: object) -> bool:
    """Return whether *event* is plain data without any container: its own ``plain_event``."""
    return type(event) is dict and _FLAT.issuperset(map(type, event.values())) and _TEXT.issuperset(map(type, event))


class Asked:
    """An event of plain data while it is asked; what keywords look at is made once, and only for them."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.event = event

    @cached_property
    def texts(self) -> list[tuple[Path, str]]:
        """Every value that has a text, with its place."""
        return [(path, text) for path, value in event_leaves(self.event) if (text := text_of(value)) is not None]

    @cached_property
    def folded(self) -> list[str]:
        """``texts`` in lower case."""
        return [text.lower() for _, text in self.texts]

    @cached_property
    def joined(self) -> tuple[str, str]:
        """All texts, as they are and in lower case: what is in none of them is not in here, or hardly ever."""
        return "\0".join(text for _, text in self.texts), "\0".join(self.folded)

    def may_hold(self, call: Call) -> bool:
        """Return whether the literal parts of one of a keyword's patterns all occur somewhere in the event."""
        joined = self.joined[not call.single.endswith("_cased")]
        return any(all(literal in joined for literal in literals) for literals in call.literals)


def _explain(condition: Condition, asked: Asked, known: bool, found: list[Call]) -> bool:
    """Return whether *condition* holds, as far as it is not *known* to; append to *found* the calls that make it hold."""
    if isinstance(condition, Call):
        if not known and _is_true(condition, asked) is condition.negated:
            return False
        if not condition.negated:
            found.append(condition)
        return True
    before = len(found)
    if not condition.every:
        holds = False
        for part in condition.shown:
            holds |= _explain(part, asked, False, found)
        for part in condition.silent:
            holds = holds or known or _explain(part, asked, False, found)
        return holds
    for part in condition.shown if known else condition.shown + condition.silent:
        if not _explain(part, asked, known, found):
            del found[before:]
            return False
    return True


def _is_true(call: Call, asked: Asked) -> bool:
    """Return what the matcher says of the event, without asking it where the answer is plain."""
    return (not call.literals or asked.may_hold(call)) and holds_call(call.matcher, asked.event, call.arguments)


def holds_call(name: str, event: Mapping[str, Any], arguments: tuple[Any, ...]) -> bool:
    """Return what the matcher *name* says of an event; unlike the matcher it counts nothing as ``UNDECIDED``."""
    if not name.endswith("_within"):
        return MATCHERS[name](event, *arguments)
    *field, pattern, flags, characters = arguments
    values = texts(event, field[0]) if field else filter(None, map(text_of, leaves(event)))
    return search_any([text[:characters] for text in values], pattern, flags)


def matched_call(call: Call, asked: Asked) -> MatchedCall:
    """Return what a call that holds on the event is true for."""
    if call.field is None:
        hits = _keyword_hits(call, asked)
    elif call.matcher.endswith("_field"):
        return _matched_reference(call.matcher, call.field, call.values[0], asked.event)
    else:
        hits = _field_hits(call, call.field, asked.event)
    is_list = call.single != call.matcher
    values = tuple(dict.fromkeys(pattern[0] for _, _, pattern in hits)) if is_list else call.values
    paths = tuple(dict.fromkeys(path for path, _, _ in hits))
    if call.single in PRESENCE:
        return MatchedCall(call.matcher, call.field, values, paths, ())
    found = (mark for path, value, pattern in hits for mark in _marks(call.single, path, value, pattern))
    marks = dict.fromkeys(islice(found, MOST_PARTS))
    return MatchedCall(call.matcher, call.field, values, paths, tuple(marks))


def _field_hits(call: Call, field: str, event: Mapping[str, Any]) -> list[_Hit]:
    patterns = _patterns_that_hold(call, event)
    if type(value := event.get(field, event)) in _FLAT:
        return [((field,), value, pattern) for pattern in patterns]
    located = list(located_values(event, field))
    hits: list[_Hit] = []
    for pattern in patterns:
        holds = partial(_holds_of_some, call.single, field, pattern)
        # Whether a value is there is not asked of many at once: a list is there though its members are null.
        found = (one for one in located if holds([one])) if call.single in PRESENCE else _narrowed(located, holds)
        hits += [(path, value, pattern) for path, value in islice(found, MOST_FOUND)]
    return hits


def _holds_of_some(single: str, field: str, pattern: tuple[Any, ...], some: Sequence[tuple[Path, object]]) -> bool:
    """Return whether the matcher holds of a field with these values."""
    return holds_call(single, {field: [value for _, value in some]}, (field, *pattern))


def _keyword_hits(call: Call, asked: Asked) -> list[_Hit]:
    cased, is_plain = call.single.endswith("_cased"), call.single in _PLAIN_KEYWORDS
    texts = [text for _, text in asked.texts] if cased else asked.folded
    joined = asked.joined[not cased]
    hits: list[_Hit] = []
    for pattern, literals in zip(call.patterns, call.literals, strict=True):
        if not all(literal in joined for literal in literals):
            continue
        found = (
            (path, text, pattern)
            for (path, text), searched in zip(asked.texts, texts, strict=True)
            if all(literal in searched for literal in literals)
            and (is_plain or holds_call(call.single, {"": text}, pattern))
        )
        hits += islice(found, MOST_FOUND)
    return hits


def _patterns_that_hold(call: Call, event: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
    """Return for which of its patterns a field's call holds that does hold: which of its list, or its only one."""
    if not call.matcher.endswith("_any"):
        return call.patterns
    matcher = MATCHERS[call.matcher]
    return _narrowed(call.patterns, lambda some: matcher(event, call.field, tuple(value for (value,) in some)))


def _narrowed(items: Sequence[_T], holds_of_any: Callable[[Sequence[_T]], bool]) -> Iterator[_T]:
    """Yield the members of *items* that something holds of, in order, by halves: it does hold of one of them."""
    pending = [(0, len(items), True)]
    while pending:
        start, end, known = pending.pop()
        if not known and not holds_of_any(items[start:end]):
            continue
        if end - start == 1:
            yield items[start]
        elif start < end:
            middle = (start + end) // 2
            pending += [(middle, end, False), (start, middle, False)]


def _matched_reference(name: str, field: str, other: str, event: Mapping[str, Any]) -> MatchedCall:
    """Return the call of two fields: the part of the one, the whole of the other."""
    located = list(located_values(event, field))
    marks: dict[Mark, None] = {}
    paths: dict[Path, None] = {}
    for other_path, pattern in located_values(event, other):
        for path, value in located:
            if MATCHERS[name]({"a": value, "b": pattern}, "a", "b"):
                paths |= {path: None, other_path: None}
                single = name.removesuffix("_field")
                found = _marks(single, path, value, (text_of(pattern) or "",))
                marks |= dict.fromkeys([*found, *_marks("equals", other_path, pattern, ())])
    return MatchedCall(name, field, (other,), tuple(paths), tuple(marks))


def _marks(single: str, path: Path, value: object, pattern: tuple[Any, ...]) -> Iterator[Mark]:
    text = text_of(value)
    if text is None:
        return
    for start, end in find_spans(single, text, pattern)[:MOST_MARKS]:
        if start < end:
            yield Mark(path, start, end)


def located_values(event: Mapping[str, Any], field: str) -> Iterator[tuple[Path, object]]:
    """Yield the values of *field* with their places; the same values as ``matchers.values.lookup``."""
    if field in event:
        yield from elements((field,), event[field])
        return
    found: list[tuple[Path, object]] = [((), event)]
    for name in field.split("."):
        found = [child for path, parent in found for child in children(path, parent, name)]
    for path, value in found:
        yield from elements(path, value)


def children(path: Path, parent: object, name: str) -> Iterator[tuple[Path, object]]:
    """Yield the values that one name of a dotted path leads to, with their places; as ``matchers.values.lookup``."""
    if isinstance(parent, dict):
        if name in parent:
            yield (*path, name), parent[name]
    elif isinstance(parent, list):
        for inner, item in elements(path, parent):
            if isinstance(item, dict) and name in item:
                yield (*inner, name), item[name]
        if name.isdecimal() and name.isascii() and len(name) < 10 and int(name) < len(parent):
            yield (*path, int(name)), parent[int(name)]


def elements(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    """Yield *value*, or the members of a list, lists within it taken apart, with their places."""
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

"""From an event to the rules that match it, by what was learned from the events before.

An event's keys are its *shape*. For each shape it is worked out once which of the keys any rule reads; then an event is a
few looks into dicts: each value's class, the tuple of the classes, the rules known for that tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import getitem, itemgetter
from typing import Any

from ..matchers.values import lookup
from .fields import (
    PLAIN_COLLECTIONS,
    PLAIN_SCALARS,
    FieldPredicates,
    Foreign,
    TextFunction,
    check_plain,
    compile_source,
    functions_of,
)
from .keywords import KeywordMemo, KeywordPredicates
from .memos import FieldMemo, Memory, Statistics
from .plan import Plan, PlannedPredicate
from .textcode import NAMESPACE, has_text_form

DEFAULT_MEMO_BYTES = 64 * 1024 * 1024

_DIRECT = frozenset({str, int, type(None)})
"""Types of values that a FieldMemo may be asked for as a dict."""

_MOST_KEYS = 1_000
"""The shape of an event with more keys is not kept."""


class Shape:
    """What the keys of an event say about how to judge it.

    Attributes:
        values: Returns the values, at least one, of the keys that rules read.
        memos: The memo of each of these keys.
        keys: These keys.
        nested: Dotted field, its path, and its memo, where the path begins at one of the keys.
        heads: The keys where such paths begin.
        comparisons: Predicates of several fields, by number, that can hold.
    """

    __slots__ = ("comparisons", "heads", "keys", "memos", "nested", "values")

    def __init__(
        self,
        keys: list[str],
        memos: list[FieldMemo],
        nested: list[tuple[str, list[str], FieldMemo]],
        comparisons: list[tuple[int, Callable[[Any], bool]]],
    ) -> None:
        self.keys = keys
        self.memos = memos
        self.nested = nested
        self.heads = sorted({path[0] for _, path, _ in nested})
        self.comparisons = comparisons
        self.values = _getter(keys)


def _getter(keys: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    if keys:
        only = keys[0]
        return lambda event: (event[only],)
    return lambda event: ()  # noqa: ARG005


class Knowledge:
    """Memos and shapes that belong together; replaced as a whole when full."""

    def __init__(self, engine: Engine) -> None:
        self.memory = Memory(engine.rules_of, engine.statistics)
        self.memos = {name: FieldMemo(predicates, self.memory) for name, predicates in engine.fields.items()}
        self.keywords = KeywordMemo(engine.keywords, self.memory) if engine.keywords is not None else None
        self.shapes: dict[tuple[Any, ...], Shape] = {}


class Engine:
    """Finds the rules of a plan that match an event.

    Args:
        plan: The rules, planned.
        memo_bytes: What the memos may hold before everything learned is dropped.
    """

    def __init__(self, plan: Plan, memo_bytes: int = DEFAULT_MEMO_BYTES) -> None:
        self.statistics = Statistics()
        self.memo_bytes = memo_bytes
        self._rule_functions: list[Callable[[set[int]], bool]] = functions_of(plan.rule_functions, {"__builtins__": {}})
        self._always = [rule for rule, needed in enumerate(plan.needed) if needed is None]
        self.rules_of = _rules_of(plan)
        with_text_function = [
            number
            for number, predicate in enumerate(plan.predicates)
            if not predicate.proved and has_text_form(predicate.reading)
        ]
        functions = dict(zip(with_text_function, functions_of(plan.text_functions, dict(NAMESPACE)), strict=True))
        self._index_predicates(plan.predicates, functions)
        self._knowledge = Knowledge(self)

    def _index_predicates(self, predicates: Sequence[PlannedPredicate], functions: dict[int, TextFunction]) -> None:
        by_field: dict[str, dict[int, PlannedPredicate]] = {}
        keywords: dict[int, PlannedPredicate] = {}
        self._comparisons: list[tuple[int, tuple[str, ...], Callable[[Any], bool]]] = []
        for number, predicate in enumerate(predicates):
            if predicate.reading is None:
                keywords[number] = predicate
            elif len(predicate.reading) == 1:
                by_field.setdefault(predicate.reading[0], {})[number] = predicate
            else:
                self._comparisons.append((number, predicate.reading, compile_source(predicate.source)))
                for name in predicate.reading:  # read by this alone or not, foreign values must be noticed
                    by_field.setdefault(name, {})
        self.fields = {
            name: FieldPredicates(name, own, {number: functions[number] for number in own if number in functions})
            for name, own in by_field.items()
        }
        self.keywords = KeywordPredicates(keywords, functions) if keywords else None
        self._dotted: dict[str, list[str]] = {}
        for name in self.fields:
            if "." in name:
                self._dotted.setdefault(name.split(".", 1)[0], []).append(name)

    def match(self, event: Any) -> tuple[int, ...]:
        """Return the numbers of the rules that match *event*, in order.

        Raises:
            Foreign: The event, or a value that rules read, is of a type whose behaviour is unknown.
            Exception: Whatever a foreign object in the event raises.
        """
        if type(event) is not dict:
            raise Foreign
        self.statistics.events += 1
        knowledge = self._knowledge
        if knowledge.memory.bytes > self.memo_bytes:
            knowledge = self._renewed()
        keys = tuple(event)
        shape = knowledge.shapes.get(keys)
        if shape is None:
            shape = self._shape(keys, knowledge)
        values = shape.values(event)
        if _DIRECT.issuperset(map(type, values)) and not shape.heads:
            classes = tuple(filter(None, map(getitem, shape.memos, values)))
        else:
            classes = _classes(shape, event)
        if knowledge.keywords is not None:
            keywords = knowledge.keywords.of_event(event)
            if keywords:
                classes += (keywords,)
        if shape.comparisons:
            held = {number for number, function in shape.comparisons if function(event)}
            if held:
                classes += (knowledge.memory.class_of(held),)
        rules = knowledge.memory.verdicts.get(classes)
        return self._verdict(classes, knowledge.memory) if rules is None else rules

    def _verdict(self, classes: tuple[int, ...], memory: Memory) -> tuple[int, ...]:
        self.statistics.verdict_misses += 1
        held = set().union(*[memory.sets[number] for number in classes])
        candidates = set(self._always).union(*[memory.candidates[number] for number in classes])
        functions = self._rule_functions
        rules = tuple(sorted([rule for rule in candidates if functions[rule](held)]))
        memory.keep_verdict(classes, rules)
        return rules

    def _shape(self, keys: tuple[Any, ...], knowledge: Knowledge) -> Shape:
        present = set(keys)
        read = sorted({key for key in keys if type(key) is str and key in self.fields})
        if any(type(key) is not str for key in keys):
            raise Foreign
        nested = [
            (name, name.split("."), knowledge.memos[name])
            for key in sorted(present & self._dotted.keys())
            for name in self._dotted[key]
            if name not in present
        ]
        reachable = {*read, *(name for name, _, _ in nested)}
        comparisons = [
            (number, function) for number, names, function in self._comparisons if reachable.issuperset(names)
        ]
        shape = Shape(read, [knowledge.memos[key] for key in read], nested, comparisons)
        if len(keys) <= _MOST_KEYS:
            knowledge.shapes[keys] = shape
            knowledge.memory.bytes += 500 + 160 * len(keys) + sum(map(len, keys))
        return shape

    def _renewed(self) -> Knowledge:
        self.statistics.renewals += 1
        self._knowledge = Knowledge(self)
        return self._knowledge

    def read_statistics(self) -> Statistics:
        """Return the counters, with the bytes that the memos hold now."""
        self.statistics.memo_bytes = self._knowledge.memory.bytes
        return self.statistics


def _classes(shape: Shape, event: dict[str, Any]) -> tuple[int, ...]:
    """Return the classes of all values that rules read, whatever their types."""
    found = [memo.of_any(event[key]) for key, memo in zip(shape.keys, shape.memos, strict=True)]
    for name, path, memo in shape.nested:
        number = _nested_class(event, name, path, memo)
        found.append(number)
    return tuple(filter(None, found))


_MISSING = object()


def _nested_class(event: dict[str, Any], name: str, path: list[str], memo: FieldMemo) -> int:
    value: Any = event
    for part in path:
        kind = type(value)
        if kind is dict:
            value = value.get(part, _MISSING)
            if value is _MISSING:
                return 0
        elif kind in PLAIN_COLLECTIONS:
            check_plain(event[path[0]])
            values = lookup(event, name)
            return 0 if values is None else memo.of_values(values)
        elif kind in PLAIN_SCALARS:
            return 0
        else:
            raise Foreign
    return memo.of_any(value)


def _rules_of(plan: Plan) -> dict[int, tuple[int, ...]]:
    rules_of: dict[int, list[int]] = {}
    for rule, needed in enumerate(plan.needed):
        for number in needed or ():
            rules_of.setdefault(number, []).append(rule)
    return {number: tuple(rules) for number, rules in rules_of.items()}

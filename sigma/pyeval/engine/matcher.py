"""From an event to the rules that match it, by what was learned from the events before.

An event is a few looks into dicts: its shape, each value's class, the rules known for that tuple of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any

from .fields import FieldPredicates, Foreign, TextFunction, check_plain, compile_source, functions_of
from .keywords import KeywordPredicates
from .memos import UNSETTLED, FieldMemo, Memory, Settlement, Statistics, Verdict
from .plan import Plan, PlannedPredicate
from .shapes import Comparison, Shape
from .textcode import NAMESPACE, has_text_form
from .witnesses import START

DEFAULT_MEMO_BYTES = 64 * 1024 * 1024

_DIRECT = frozenset({str, int, type(None)})
"""Types of values that a FieldMemo may be asked for as a dict."""

_SCALARS = _DIRECT | {bool, float}

_MOST_KEYS = 1_000
"""The shape of an event with more keys is not kept."""

_LOOKED = -1
"""Stands in a key of verdicts before the class of the keyword predicates that hold, once the event was looked at."""


class Knowledge:
    """Memos and shapes that belong together; replaced as a whole when full."""

    def __init__(self, engine: Engine) -> None:
        self.memory = Memory(engine.rules_of, engine.statistics)
        finds_in = None if engine.keywords is None else engine.keywords.finds_in
        self.memos = {name: FieldMemo(predicates, finds_in, self.memory) for name, predicates in engine.fields.items()}
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
        self._comparisons: list[Comparison] = []
        for number, predicate in enumerate(predicates):
            if predicate.reading is None:
                keywords[number] = predicate
            elif len(predicate.reading) == 1:
                by_field.setdefault(predicate.reading[0], {})[number] = predicate
            else:
                test = compile_source(predicate.source)
                self._comparisons.append(Comparison(number, predicate.reading, test, functions.get(number)))
                for name in predicate.reading:  # as fields that are read, their types are checked
                    by_field.setdefault(name, {})
        self.fields = {
            name: FieldPredicates(name, own, {number: functions[number] for number in own if number in functions})
            for name, own in by_field.items()
        }
        self.keywords = KeywordPredicates(keywords, functions) if keywords else None
        self._must_look_always = self.keywords is not None and self.keywords.always_look
        self._must_look = self.keywords is not None and (self.keywords.always_look or self.keywords.in_numbers)
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
        knowledge = self._knowledge
        memory = knowledge.memory
        if memory.bytes > self.memo_bytes:
            knowledge = self._renewed()
            memory = knowledge.memory
        memory.statistics.events += 1
        keys = tuple(event)
        shape = knowledge.shapes.get(keys) or self._shape(keys, knowledge)
        values = shape.values(event)
        direct = not shape.nested and _DIRECT.issuperset(map(type, values))
        classes = tuple(filter(None, map(getitem, shape.memos, values))) if direct else shape.classes(event)
        if shape.comparisons:
            held = {comparison.number for comparison in shape.comparisons if comparison.holds(event)}
            if held:
                classes += (memory.class_of(held),)
        if self.keywords is not None:
            text = self._text_to_search(event, shape, direct)
            if text is None:
                return self._looked_at(event, classes, UNSETTLED, memory)
            finds = self.keywords.finds_in(text, text.lower())
            if finds:
                classes += (memory.class_of(finds),)
        verdict = memory.verdicts.get(classes)
        if verdict is None:
            verdict = self._verdict(classes, memory)
        if isinstance(verdict, Settlement):
            return self._looked_at(event, classes, verdict, memory)
        return verdict

    def _text_to_search(self, event: dict[str, Any], shape: Shape, direct: bool) -> str | None:
        """Return the texts in which keywords have yet to be sought, with marks between; ``None``: look at the event.

        Those are the texts of keys that rules don't read; numbers are passed over where no keyword can be part of one.
        """
        others = shape.other_values(event)
        if direct and shape.all_text and not self._must_look:
            try:
                return START.join(others)
            except TypeError:
                shape.all_text = False
        if self._must_look and (self._must_look_always or not all(type(value) is str for value in event.values())):
            return None
        if not _SCALARS.issuperset(map(type, others if direct else event.values())):
            return None
        return START.join([value for value in others if type(value) is str])

    def _looked_at(
        self, event: dict[str, Any], classes: tuple[int, ...], settlement: Settlement, memory: Memory
    ) -> tuple[int, ...]:
        """Return the rules that match, where finds alone don't tell which keywords are met."""
        assert self.keywords is not None  # noqa: S101 - only keywords are looked for
        self.statistics.keyword_looks += 1
        if settlement is UNSETTLED:
            for value in event.values():
                if type(value) not in _SCALARS:
                    check_plain(value)
            held = self.keywords.look_at_all(event)
        else:
            held = self.keywords.look(event, settlement)
        classes += (_LOOKED, memory.class_of(held))
        verdict = memory.verdicts.get(classes)
        if verdict is None:
            verdict = self._verdict(classes, memory)
        assert not isinstance(verdict, Settlement)  # noqa: S101 - nothing is open after a look
        return verdict

    def _verdict(self, classes: tuple[int, ...], memory: Memory) -> Verdict:
        """Find out, and remember, which rules match where values are of these classes."""
        self.statistics.verdict_misses += 1
        looked = len(classes) > 1 and classes[-2] == _LOOKED
        known = [number for number in classes if number != _LOOKED]
        held = set().union(*map(memory.sets.__getitem__, known))
        candidates = set(self._always).union(*map(memory.candidates.__getitem__, known))
        finds = {truth for truth in held if truth < 0}
        held -= finds
        if finds and not looked and self.keywords is not None:
            settlement = self.keywords.settled_by(finds)
            if settlement.open:
                memory.keep_verdict(classes, settlement)
                return settlement
            held |= settlement.held
            candidates.update(*[self.rules_of.get(number, ()) for number in settlement.held])
        functions = self._rule_functions
        rules = tuple(sorted([rule for rule in candidates if functions[rule](held)]))
        memory.keep_verdict(classes, rules)
        return rules

    def _shape(self, keys: tuple[Any, ...], knowledge: Knowledge) -> Shape:
        if any(type(key) is not str for key in keys):
            raise Foreign
        present = set(keys)
        read = sorted(present & self.fields.keys())
        paths = sorted(
            name
            for key in present & self._dotted.keys()
            for name in self._dotted[key]
            if name not in present
        )  # fmt: skip
        reachable = {*read, *paths}
        shape = Shape(
            keys=read,
            other_keys=[key for key in keys if key not in self.fields],
            memos=[knowledge.memos[key] for key in read],
            paths=[(name, knowledge.memos[name]) for name in paths],
            comparisons=[one for one in self._comparisons if reachable.issuperset(one.reading)],
        )
        if len(keys) <= _MOST_KEYS:
            knowledge.shapes[keys] = shape
            knowledge.memory.bytes += 800 + 200 * len(keys) + sum(map(len, keys))
        return shape

    def _renewed(self) -> Knowledge:
        self.statistics.renewals += 1
        self._knowledge = Knowledge(self)
        return self._knowledge

    def read_statistics(self) -> Statistics:
        """Return the counters, with the bytes that the memos hold now."""
        self.statistics.memo_bytes = self._knowledge.memory.bytes
        return self.statistics


def _rules_of(plan: Plan) -> dict[int, tuple[int, ...]]:
    """Return, for each predicate, the rules to look at where it holds."""
    rules_of: dict[int, list[int]] = {}
    for rule, needed in enumerate(plan.needed):
        for number in needed or ():
            rules_of.setdefault(number, []).append(rule)
    return {number: tuple(rules) for number, rules in rules_of.items()}

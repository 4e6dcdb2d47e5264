"""What was learned from earlier events: value -> class, and classes -> rules; bounded in bytes.

A *class* stands for the set of predicates that hold for a value; equal sets have one number. Class 0 is the empty set, that
of fields that are missing or of no interest. Values of log fields repeat, so most are classified by one look into a dict
(level one). Few combinations of classes occur even where values never repeat, so the rules that match are mostly known
as well (level two). The second key holds every input of the verdict: the classes of all fields, of the keywords, and of
the comparisons between fields.

Everything learned lives in one ``Memory``. When it has grown to its bound, the engine starts an empty one; who still works
with the old one finishes there, so numbers of classes never mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from sys import getsizeof
from threading import Lock
from typing import Any

from ..matchers.values import elements
from .fields import PLAIN_COLLECTIONS, PLAIN_SCALARS, FieldPredicates, Foreign

LONGEST_VALUE = 4_096
"""Longer texts, in characters, are never kept: they hardly repeat."""

_ENTRY = 120
"""Bytes of a dict entry at the usual load, with the small objects that belong to it."""

_OWN_SLOT = frozenset({str, int, type(None)})
_SHARED_SLOT = frozenset({bool, float})
_TEXT_ALONE = {str}


@dataclass(slots=True)
class Statistics:
    """What an engine did since it was built.

    Attributes:
        events: Events judged.
        value_misses: Values of fields that were evaluated, as they were not known.
        verdict_misses: Events whose combination of classes was not known.
        keyword_scans: Events whose values were all searched for keywords.
        full_scans: Events with foreign objects, judged rule by rule.
        renewals: How often the memos were full and everything learned was dropped.
        memo_bytes: What the memos hold now, estimated.
    """

    events: int = 0
    value_misses: int = 0
    verdict_misses: int = 0
    keyword_scans: int = 0
    full_scans: int = 0
    renewals: int = 0
    memo_bytes: int = 0


class Memory:
    """Classes and the bytes that all memos together hold.

    Args:
        rules_of: For each predicate, the rules to look at where it holds.
        statistics: Where misses are counted.
    """

    def __init__(self, rules_of: dict[int, tuple[int, ...]], statistics: Statistics) -> None:
        self.statistics = statistics
        self.bytes = 0
        self.sets: list[frozenset[int]] = [frozenset()]
        self.candidates: list[tuple[int, ...]] = [()]
        self.verdicts: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._rules_of = rules_of
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}
        self._lock = Lock()

    def class_of(self, held: set[int]) -> int:
        """Return the number of the class of values for which just the predicates *held* hold."""
        if not held:
            return 0
        key = frozenset(held)
        number = self._numbers.get(key)
        if number is None:
            with self._lock:
                number = self._numbers.get(key)
                if number is None:
                    number = len(self.sets)
                    rules = {rule for predicate in key for rule in self._rules_of.get(predicate, ())}
                    self.sets.append(key)
                    self.candidates.append(tuple(rules))
                    self._numbers[key] = number
                    self.bytes += getsizeof(key) + 8 * len(rules) + 2 * _ENTRY
        return number

    def keep_verdict(self, classes: tuple[int, ...], rules: tuple[int, ...]) -> None:
        """Remember which rules match where a field's values are of these classes."""
        self.verdicts[classes] = rules
        self.bytes += getsizeof(classes) + getsizeof(rules) + _ENTRY


class FieldMemo(dict[Any, int]):
    """The classes of the values of one field that were met.

    As a dict it holds text, ``None``, whole numbers and tuples of texts, and is only asked for these: ``1``, ``True`` and
    ``1.0`` would share a slot, but mean different texts. Other values are kept beside their type.
    """

    __slots__ = ("_memory", "_others", "_predicates")

    def __init__(self, predicates: FieldPredicates, memory: Memory) -> None:
        super().__init__()
        self._predicates = predicates
        self._memory = memory
        self._others: dict[tuple[type, object], int] = {}

    def __missing__(self, value: Any) -> int:
        memory = self._memory
        kind = type(value)
        if kind is str:
            memory.statistics.value_misses += 1
            number = memory.class_of(self._predicates.of_text(value))
            if len(value) <= LONGEST_VALUE:
                self[value] = number
                memory.bytes += getsizeof(value) + _ENTRY
            return number
        number = self._evaluated(list(value) if kind is tuple else value)
        if kind is not int or value.bit_length() < 64:
            self[value] = number
            memory.bytes += _ENTRY + (getsizeof(value) + sum(map(getsizeof, value)) if kind is tuple else 0)
        return number

    def of_any(self, value: object) -> int:
        """Return the class of any value; raises Foreign where a type in it is unknown."""
        kind = type(value)
        if kind in _OWN_SLOT:
            return self[value]
        if kind in PLAIN_COLLECTIONS:
            return self.of_values(elements((value,)))
        if kind is dict:  # no matcher looks into a mapping that is a value
            return self._beside_type(kind, {})
        if kind in _SHARED_SLOT:
            return self._beside_type(kind, value)
        if kind in PLAIN_SCALARS:
            return self._evaluated(value)
        raise Foreign

    def of_values(self, values: list[object]) -> int:
        """Return the class of a field with these values, none of them a collection; raises Foreign as above."""
        if len(values) == 1:
            return self.of_any(values[0])
        kinds = set(map(type, values))
        if kinds == _TEXT_ALONE and len(values) <= 64 and sum(map(len, values)) <= LONGEST_VALUE:  # type: ignore[arg-type]
            return self[tuple(values)]
        if not (kinds <= PLAIN_SCALARS or kinds - {dict} <= PLAIN_SCALARS):
            raise Foreign
        return self._evaluated(values)

    def _beside_type(self, kind: type, value: Any) -> int:
        key = (kind, None if kind is dict else value)
        number = self._others.get(key)
        if number is None:
            number = self._others[key] = self._evaluated(value)
            self._memory.bytes += 2 * _ENTRY
        return number

    def _evaluated(self, value: object) -> int:
        self._memory.statistics.value_misses += 1
        return self._memory.class_of(self._predicates.of_any(value))

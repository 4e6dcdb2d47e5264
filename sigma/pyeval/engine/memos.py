"""What was learned from earlier events: value -> class, and classes -> rules; bounded in bytes.

A *class* stands for what is true of a value: the predicates that hold, and the finds of keywords. Equal ones have one
number. Class 0 is the empty set, that of fields that are missing or of no interest. Values of log fields repeat, so most
are classified by one look into a dict (level one). Few combinations of classes occur even where values never repeat, so the
rules that match are mostly known as well (level two). The second key holds every input of the verdict: the classes of all
fields that rules read, of the other values, of the keywords, and of comparisons between fields.

Everything learned lives in one ``Memory``. When it has grown to its bound, the engine starts an empty one; who still works
with the old one finishes there, so numbers of classes never mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from sys import getsizeof
from threading import Lock
from typing import Any

from ..matchers.values import elements
from .fields import PLAIN_COLLECTIONS, PLAIN_SCALARS, FieldPredicates, Foreign

LONGEST_VALUE = 32_768
"""Longer texts, in characters, are never kept: they hardly repeat."""

_ENTRY = 120
"""Bytes of a dict entry at the usual load, with the small objects that belong to it."""

_OWN_SLOT = frozenset({str, int, type(None)})
_SHARED_SLOT = frozenset({bool, float})
_TEXT_ALONE = {str}
_MOST_TEXTS = 64
_MOST_BITS = 128


@dataclass(frozen=True, slots=True)
class Settlement:
    """What finds of keywords say of an event: predicates that hold, and those that only a look at the event can tell."""

    held: frozenset[int]
    open: tuple[int, ...]


UNSETTLED = Settlement(frozenset(), (-1,))
"""Nothing is known: finds don't count in some text of the event."""

Verdict = tuple[int, ...] | Settlement
"""The rules that match, or what is known of the keywords that decide it."""


@dataclass(slots=True)
class Statistics:
    """What an engine did since it was built.

    Attributes:
        events: Events judged.
        value_misses: Values of fields that were evaluated, as they were not known.
        verdict_misses: Events whose combination of classes was not known.
        keyword_looks: Events that were looked at for keywords, value by value.
        full_scans: Events with foreign objects, judged rule by rule.
        renewals: How often the memos were full and everything learned was dropped.
        memo_bytes: What the memos hold now, estimated.
    """

    events: int = 0
    value_misses: int = 0
    verdict_misses: int = 0
    keyword_looks: int = 0
    full_scans: int = 0
    renewals: int = 0
    memo_bytes: int = 0


class Memory:
    """Classes, verdicts, and the bytes that all memos together hold.

    Args:
        rules_of: For each predicate, the rules to look at where it holds.
        statistics: Where misses are counted.

    Attributes:
        sets: What is true of each class.
        candidates: The rules to look at for each class.
        verdicts: What is known of each combination of classes.
        bytes: What all this takes, estimated; not exact where threads share an engine.
    """

    def __init__(self, rules_of: dict[int, tuple[int, ...]], statistics: Statistics) -> None:
        self.statistics = statistics
        self._rules_of = rules_of
        self.bytes = 0
        self.sets: list[frozenset[int]] = [frozenset()]
        self.candidates: list[tuple[int, ...]] = [()]
        self.verdicts: dict[tuple[int, ...], Verdict] = {}
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}
        self._lock = Lock()

    def class_of(self, truths: set[int]) -> int:
        """Return the number of the class of values of which just *truths* are true."""
        if not truths:
            return 0
        key = frozenset(truths)
        number = self._numbers.get(key)
        if number is None:
            with self._lock:
                number = self._numbers.get(key)
                if number is None:
                    number = len(self.sets)
                    rules = {rule for truth in key for rule in self._rules_of.get(truth, ())}
                    self.candidates.append(tuple(rules))
                    self.sets.append(key)
                    self.bytes += getsizeof(key) + 32 * len(key) + 8 * len(rules) + 3 * _ENTRY
                    self._numbers[key] = number  # last: whoever finds the number finds what belongs to it
        return number

    def keep_verdict(self, classes: tuple[int, ...], verdict: Verdict) -> None:
        """Remember which rules match where values are of these classes, or which keywords have to be looked for."""
        self.verdicts[classes] = verdict
        self.bytes += getsizeof(classes) + _ENTRY
        self.bytes += getsizeof(verdict) if isinstance(verdict, tuple) else 300 + 16 * len(verdict.open)


class FieldMemo(dict[Any, int]):
    """The classes of the values of one field that were met.

    As a dict it holds text, ``None``, whole numbers and tuples of texts, and is only asked for these: ``1``, ``True`` and
    ``1.0`` would share a slot, but mean different texts. Other values are kept beside their type.

    Args:
        predicates: The predicates of the field.
        finds_in: What is found of keywords in a text, if rules have any.
        memory: Where classes come from.
    """

    __slots__ = ("_finds_in", "_memory", "_others", "_predicates")

    def __init__(
        self,
        predicates: FieldPredicates,
        finds_in: Callable[[str, str], set[int] | None] | None,
        memory: Memory,
    ) -> None:
        super().__init__()
        self._predicates = predicates
        self._finds_in = finds_in
        self._memory = memory
        self._others: dict[tuple[type, object], int] = {}

    def __missing__(self, value: Any) -> int:
        memory = self._memory
        kind = type(value)
        if kind is str:
            memory.statistics.value_misses += 1
            lower = value.lower()
            truths = self._predicates.of_text(value, lower)
            finds = self._finds_in(value, lower) if self._finds_in is not None else None
            if finds:
                truths |= finds
            number = memory.class_of(truths) if truths else 0
            if len(value) <= LONGEST_VALUE:
                self[value] = number
                memory.bytes += getsizeof(value) + _ENTRY
            return number
        number = self._evaluated(list(value) if kind is tuple else value)
        if kind is not int or value.bit_length() <= _MOST_BITS:
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
        if kinds == _TEXT_ALONE and len(values) <= _MOST_TEXTS and sum(map(len, values)) <= LONGEST_VALUE:  # type: ignore[arg-type]
            return self[tuple(values)]
        if not kinds - {dict} <= PLAIN_SCALARS:
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

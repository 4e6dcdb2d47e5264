"""Keywords: one look at all values of an event for the keywords of all rules.

A value that was seen without any keyword's witness needs no second look. So the values that are new are searched, mostly
few; only where something is found in them is the whole event looked at. Keywords are met by any value at any depth, never
by keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sys import getsizeof
from typing import Any

from ..matchers.values import leaves, text_of
from .fields import TextFunction, check_plain, compile_source, index_of
from .memos import LONGEST_VALUE, Memory
from .plan import PlannedPredicate
from .witnesses import START

_SCALARS = frozenset({str, int, float, bool, type(None)})
_NUMBER_SIGNS = frozenset("0123456789+-.e")
_NEWCOMERS = 8_192
_ENTRY = 90


def _literals(predicates: dict[int, PlannedPredicate]) -> Iterator[str]:
    """Yield the literals of all witnesses."""
    for predicate in predicates.values():
        yield from predicate.literals


def _part_of_number(literal: str) -> bool:
    return _NUMBER_SIGNS.issuperset(literal) or any(literal in word for word in ("true", "false", "nan", "-inf"))


class KeywordPredicates:
    """The predicates that look at the whole event."""

    def __init__(self, predicates: dict[int, PlannedPredicate], text_functions: dict[int, TextFunction]) -> None:
        self._predicates = predicates
        self._functions = text_functions
        self._open = [number for number, predicate in predicates.items() if not predicate.literals]
        self._ascii_only = [number for number, predicate in predicates.items() if predicate.ascii_only]
        self._automaton, self._proved, self._suggested = index_of(predicates)
        self.in_numbers = any(map(_part_of_number, _literals(predicates)))
        """Whether a witness can be part of the text of a number or a boolean."""
        self._any_event: dict[int, Callable[[dict[str, Any]], bool]] = {}

    def may_hold(self, texts: list[str]) -> bool:
        """Return whether one of *texts* has something in it that a keyword could be met by."""
        if self._open:
            return True
        joined = START.join(texts)
        if not joined.isascii():
            if self._ascii_only:
                return True
            joined = START.join(map(str.lower, texts))
        else:
            joined = joined.lower()
        return self._automaton is not None and self._automaton.found(joined) != set()

    def of_event(self, event: dict[str, Any]) -> set[int]:
        """Return the predicates that hold for *event*, plain data."""
        texts = [text for text in map(text_of, leaves(event)) if text is not None]
        text = START.join(texts)
        # Lower case may depend on the neighbours of a letter, but not across the mark between two values.
        lower = text.lower()
        found = self._automaton.found(lower) if self._automaton is not None else set()
        if found is None:  # lone surrogates
            return {number for number in self._predicates if self._on_event(number, event)}
        held: set[int] = set()
        candidates = set(self._open)
        for literal in found:
            held.update(self._proved[literal])
            candidates.update(self._suggested[literal])
        if not text.isascii():
            candidates.update(self._ascii_only)
        held.update(number for number in candidates - held if self._functions[number](lower, text, event))
        return held

    def _on_event(self, number: int, event: dict[str, Any]) -> bool:
        function = self._any_event.get(number)
        if function is None:
            function = self._any_event[number] = compile_source(self._predicates[number].source)
        return function(event)


class KeywordMemo:
    """The texts that were seen without anything in them that a keyword could be met by.

    A text is kept when it comes again soon: times and identifiers, which never do, would only fill the memo.
    """

    def __init__(self, predicates: KeywordPredicates, memory: Memory) -> None:
        self._predicates = predicates
        self._memory = memory
        self._without: set[object] = set()
        self._newcomers: set[object] = set()

    def of_event(self, event: dict[str, Any]) -> int:
        """Return the class of the keyword predicates that hold for *event*; raises Foreign for unknown types."""
        try:
            new: set[object] = set(event.values())
        except TypeError:  # a list or a mapping among them
            return self._looked_at(event)
        if not _SCALARS.issuperset(map(type, event.values())):
            return self._looked_at(event)
        new -= self._without
        # 1, 1.0 and True are one element of a set, but hardly a keyword can be part of such a text.
        texts = [value for value in new if type(value) is str]
        if self._predicates.may_hold(texts) or (len(texts) < len(new) and self._predicates.in_numbers):
            return self._looked_at(event)
        again = self._newcomers.intersection(texts)
        if again:
            short = [text for text in again if len(text) <= LONGEST_VALUE]  # type: ignore[arg-type]
            self._without.update(short)
            self._memory.bytes += sum(map(getsizeof, short)) + _ENTRY * len(short)
        if len(self._newcomers) >= _NEWCOMERS:
            self._newcomers.clear()
        self._newcomers.update(texts)
        return 0

    def _looked_at(self, event: dict[str, Any]) -> int:
        for value in event.values():
            if type(value) not in _SCALARS:
                check_plain(value)
        self._memory.statistics.keyword_scans += 1
        return self._memory.class_of(self._predicates.of_event(event))

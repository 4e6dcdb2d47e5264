"""The predicates of one field: which of them hold for a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from functools import cached_property
from typing import Any

from ..matchers import MATCHERS
from ..matchers.values import lookup, text_of
from .automata import Automaton
from .plan import PlannedPredicate
from .witnesses import END, START, wrapped

TextFunction = Callable[[str, str, Any], bool]

PLAIN_SCALARS = frozenset({str, int, float, bool, type(None), bytes, bytearray, date, datetime, time})
"""Exact types whose behaviour is known. Sub-classes may override anything, and are left to the full scan."""

PLAIN_COLLECTIONS = frozenset({list, tuple, set, frozenset})

_LONGEST_INT_BITS = 14_000


class Foreign(Exception):
    """A value is of a type whose behaviour is unknown."""


class FieldPredicates:
    """The predicates that read *field*, evaluated on its values.

    Args:
        field: The field's name.
        predicates: The predicates by their numbers.
        text_functions: Functions of one text, for predicates that their witness does not prove.
    """

    def __init__(
        self, field: str, predicates: dict[int, PlannedPredicate], text_functions: dict[int, TextFunction]
    ) -> None:
        self.field = field
        self._predicates = predicates
        self._text_functions = text_functions
        self._open = [number for number, predicate in predicates.items() if not predicate.literals]
        self._ascii_only = [number for number, predicate in predicates.items() if predicate.ascii_only]
        self._open_tests = [(number, text_functions[number]) for number in self._open]
        self._any_value: dict[int, Callable[[dict[str, Any]], bool]] = {}

    @cached_property
    def _index(self) -> tuple[Automaton | None, list[tuple[int, ...]], list[tuple[int, ...]]]:
        """The automaton, and for each of its literals the predicates it proves and those it suggests."""
        return index_of(self._predicates)

    def of_text(self, text: str, lower: str) -> set[int]:
        """Return the predicates that hold where the field's only value is *text*, which is *lower* in lower case."""
        automaton, proved, suggested = self._index
        held: set[int] = set()
        if automaton is not None:
            found = automaton.found(f"{START}{lower}{END}")
            # With a mark in the text, anchored literals prove nothing.
            if found and (START in text or END in text):
                return self.of_any(text)
            candidates: set[int] | None = None
            if found:
                held.update(*map(proved.__getitem__, found))
                candidates = set().union(*map(suggested.__getitem__, found))
            if self._ascii_only and not text.isascii():
                candidates = candidates.union(self._ascii_only) if candidates else set(self._ascii_only)
            if candidates:
                functions = self._text_functions
                held.update([one for one in candidates - held if functions[one](lower, text, None)])
        for number, function in self._open_tests:
            if function(lower, text, None):
                held.add(number)
        return held

    def of_any(self, value: object) -> set[int]:
        """Return the predicates that hold for *value*, plain data of any kind, by the matchers themselves."""
        event = {self.field: value}
        return {number for number in self._candidates(event) if self._function(number)(event)}

    def _candidates(self, event: dict[str, Any]) -> Iterable[int]:
        automaton, proved, suggested = self._index
        texts: list[str] = []
        for value in lookup(event, self.field) or ():
            text = text_of(value)
            if text is not None:
                texts.append(text)
            if type(value) is float and value.is_integer():
                texts.append(str(int(value)))  # 5.0 equals a rule's number 5, whose witness is its text
            elif type(value) is int and value.bit_length() >= _LONGEST_INT_BITS:
                return self._predicates  # has no text, but may equal a rule's number
        if automaton is None:
            return self._open
        found = automaton.found("".join(map(wrapped, texts)))
        candidates = set(self._open)
        for literal in found:
            candidates.update(proved[literal], suggested[literal])
        if not all(map(str.isascii, texts)):
            candidates.update(self._ascii_only)
        return candidates

    def _function(self, number: int) -> Callable[[dict[str, Any]], bool]:
        function = self._any_value.get(number)
        if function is None:
            function = self._any_value[number] = compile_source(self._predicates[number].source)
        return function


def index_of(
    predicates: dict[int, PlannedPredicate],
) -> tuple[Automaton | None, list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return an automaton of the predicates' witnesses; by literal, the predicates it proves and those it suggests."""
    proved: dict[str, list[int]] = {}
    suggested: dict[str, list[int]] = {}
    for number, predicate in predicates.items():
        proofs = frozenset(predicate.proofs)
        for literal in predicate.literals:
            proved.setdefault(literal, [])
            suggested.setdefault(literal, [])
            (proved if literal in proofs else suggested)[literal].append(number)
    literals = list(proved)
    automaton = Automaton(literals) if literals else None
    return (
        automaton,
        [tuple(proved[literal]) for literal in literals],
        [tuple(suggested[one]) for one in literals],
    )


def compile_source(source: str) -> Callable[[dict[str, Any]], bool]:
    """Return the function of an event for the expression of a planned predicate, which was verified as part of a rule."""
    function: Callable[[dict[str, Any]], bool] = eval(f"lambda event: {source}", dict(MATCHERS))  # noqa: S307
    return function


def check_plain(value: object) -> None:
    """Raise Foreign unless *value* is plain data all the way down; what stands in several places is looked at once."""
    pending: list[object] = [value]
    read: set[int] = set()
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in PLAIN_SCALARS or id(one) in read:
            continue
        read.add(id(one))
        if kind in PLAIN_COLLECTIONS and isinstance(one, (list, tuple, set, frozenset)):
            pending.extend(one)
        elif kind is dict and isinstance(one, dict) and all(type(key) is str for key in one):
            pending.extend(one.values())
        else:
            raise Foreign


def functions_of(code: Sequence[Any], namespace: dict[str, Any]) -> list[Any]:
    """Return the functions that planned code objects evaluate to, in order."""
    return [function for one in code for function in eval(one, namespace)]  # noqa: S307 - planned from verified rules

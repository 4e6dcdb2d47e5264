"""Keywords: which of the keywords of all rules are somewhere in an event, by one search, never rule by rule.

Keywords are met by any value at any depth, never by keys. Their witnesses are sought in all values: in those of fields that
rules read when they are first seen (a *find* is then part of the value's class), in the others together, once an event. The
finds mostly settle which predicates hold; where they only suggest one, the event itself is looked at.

Finds are negative numbers, beside the numbers of predicates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..matchers.values import leaves, text_of
from .fields import TextFunction, index_of
from .memos import UNSETTLED, Settlement
from .plan import PlannedPredicate
from .witnesses import START

UNSURE = -1
"""The find that stands for text in which witnesses don't count."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_NUMBER_SIGNS = frozenset("0123456789+-.e")
_NAMES = ("true", "false", "nan", "-inf")


class KeywordPredicates:
    """The predicates that look at the whole event.

    Attributes:
        always_look: Whether the event must be looked at whatever is found: a predicate has no witness.
        in_numbers: Whether a witness can be part of the text of a number or a boolean.
    """

    def __init__(self, predicates: dict[int, PlannedPredicate], text_functions: dict[int, TextFunction]) -> None:
        self._predicates = predicates
        self._functions = text_functions
        self._ascii_only = [number for number, predicate in predicates.items() if predicate.ascii_only]
        self._automaton, self._proved, self._suggested = index_of(predicates)
        self._open = [number for number, predicate in predicates.items() if not predicate.literals]
        self.always_look = bool(self._open)
        self.in_numbers = any(map(_part_of_number, _literals(predicates)))

    def finds_in(self, text: str, lower: str) -> set[int] | None:
        """Return what of the keywords' witnesses is in *text*, one value or several with marks between; ``None``: nothing.

        *lower* is the text in lower case.
        """
        if self._automaton is None:
            return None
        found = self._automaton.found(lower)
        if self._ascii_only and not text.isascii():
            return {UNSURE}
        return {UNSURE - 1 - literal for literal in found} if found else None

    def settled_by(self, finds: set[int]) -> Settlement:
        """Return what an event's finds say, those of all its values."""
        if UNSURE in finds:
            return UNSETTLED
        literals = [UNSURE - 1 - find for find in finds]
        held = set().union(*map(self._proved.__getitem__, literals))
        suggested = set().union(*map(self._suggested.__getitem__, literals))
        return Settlement(frozenset(held), tuple(suggested - held))

    def look(self, event: dict[str, Any], settlement: Settlement) -> set[int]:
        """Return the predicates that hold for *event*, whose finds say *settlement*."""
        text = _joined(event)
        # Lower case may depend on the neighbours of a letter, but not across the mark between two values.
        lower = text.lower()
        functions = self._functions
        held = {number for number in settlement.open if functions[number](lower, text, event)}
        return held.union(settlement.held)

    def look_at_all(self, event: dict[str, Any]) -> set[int]:
        """Return the predicates that hold for *event*, plain data, of whose finds nothing is known."""
        text = _joined(event)
        found = self._automaton.found(text.lower()) if self._automaton is not None else ()
        settlement = self.settled_by({UNSURE - 1 - literal for literal in found})
        more = set(self._open).union(self._ascii_only if not text.isascii() else ()) - settlement.held
        return self.look(event, Settlement(settlement.held, tuple(more.union(settlement.open))))


def _joined(event: dict[str, Any]) -> str:
    """Return the texts of all values of *event*, with marks between."""
    values = event.values()
    try:
        return START.join(values)
    except TypeError:  # not all are text
        found = values if _SCALARS.issuperset(map(type, values)) else leaves(event)
    texts = [value if type(value) is str else text_of(value) for value in found]
    return START.join([text for text in texts if text is not None])


def _literals(predicates: dict[int, PlannedPredicate]) -> Iterator[str]:
    for predicate in predicates.values():
        yield from predicate.literals


def _part_of_number(literal: str) -> bool:
    return _NUMBER_SIGNS.issuperset(literal) or any(literal in name for name in _NAMES)

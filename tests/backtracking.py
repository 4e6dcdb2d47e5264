"""A backtracking search that counts its steps, as plain as can be: what Python's ``re`` does, without any of its shortcuts."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from sigma.pyeval.regex_safety.syntax import _chars


class TooManyStepsError(Exception):
    """The search was given up."""


class CountingSearch:
    """Searches for a pattern and counts how often a character is compared."""

    def __init__(self, pattern: str, flags: int, limit: int) -> None:
        self._items = _parser.parse(pattern, flags)
        self._flags = self._items.state.flags
        self._limit = limit
        self.steps = 0

    def found(self, text: str) -> bool:
        self.steps = 0
        return any(self._sequence(list(self._items), 0, text, start, lambda _: True) for start in range(len(text) + 1))

    def _sequence(self, items: list[Any], index: int, text: str, at: int, rest: Callable[[int], bool]) -> bool:
        if index == len(items):
            return rest(at)
        op, argument = items[index]
        return self._node(str(op), argument, text, at, lambda end: self._sequence(items, index + 1, text, end, rest))

    def _node(self, op: str, argument: Any, text: str, at: int, rest: Callable[[int], bool]) -> bool:
        self.steps += 1
        if self.steps > self._limit:
            raise TooManyStepsError
        match op:
            case "BRANCH":
                return any(self._sequence(list(branch), 0, text, at, rest) for branch in argument[1])
            case "SUBPATTERN":
                return self._sequence(list(argument[3]), 0, text, at, rest)
            case "ATOMIC_GROUP":
                ends: list[int] = []
                return self._sequence(list(argument), 0, text, at, lambda end: ends.append(end) or True) and rest(
                    ends[0]
                )
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(op == "MIN_REPEAT", *argument, text, at, -1, rest)
            case "AT":
                return self._anchor(str(argument), text, at) and rest(at)
            case "ASSERT_NOT" if argument[0] < 0:
                return not (at and self._one(argument[1][0], text[at - 1])) and rest(at)
        return at < len(text) and self._one((op, argument), text[at]) and rest(at + 1)

    def _repeat(
        self,
        lazy: bool,
        low: int,
        high: Any,
        body: Any,
        text: str,
        at: int,
        last: int,
        rest: Callable[[int], bool],
    ) -> bool:
        def again(end: int) -> bool:
            more = high if high is _parser.MAXREPEAT else high - 1
            return self._repeat(lazy, max(0, low - 1), more, body, text, end, at, rest)

        def round_() -> bool:
            may = high is _parser.MAXREPEAT or high > 0
            return may and (low > 0 or at != last) and self._sequence(list(body), 0, text, at, again)

        if low > 0:
            return round_()
        return (rest(at) or round_()) if lazy else (round_() or rest(at))

    def _anchor(self, kind: str, text: str, at: int) -> bool:
        source = {"AT_BEGINNING": "^", "AT_END": "$", "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}[kind]
        return re.compile(source, self._flags & re.MULTILINE).match(text, at) is not None

    def _one(self, item: Any, character: str) -> bool:
        op, argument = str(item[0]), item[1]
        flags = self._flags & (re.DOTALL | re.IGNORECASE)
        return _one_character(op, repr(argument), flags, argument).match(character) is not None


_COMPILED: dict[tuple[str, str, int], re.Pattern[str]] = {}


def _one_character(op: str, key: str, flags: int, argument: Any) -> re.Pattern[str]:
    known = _COMPILED.get((op, key, flags))
    if known is None:
        known = _COMPILED[op, key, flags] = re.compile(_chars(op, argument, flags).source, flags)
    return known

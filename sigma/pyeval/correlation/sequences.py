"""Which rules match within a window, and in which order: the temporal types (specification 2.1, "Temporal Proximity").

A window's entries hold (time, bits), one bit a rule: an event may match several rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from .calls import Correlation, ways_of
from .windows import CountWindow, Measure, Threshold

Verdict = Callable[[int], bool]


class RulesWindow(CountWindow):
    """temporal: which of the rules match; of a condition over rules, whether it is true of these."""

    def __init__(self, rules: int, verdict: Verdict | None) -> None:
        super().__init__()
        self._often = [0] * rules
        self._verdict = verdict
        self.seen = 0

    def gain(self, value: Any) -> None:
        """Note the rules that an event matches."""
        for rule in _bits(value):
            self._often[rule] += 1
        self.seen |= value

    def lose(self, value: Any) -> None:
        """Forget the rules that the earliest event matched."""
        for rule in _bits(value):
            self._often[rule] -= 1
            if not self._often[rule]:
                self.seen &= ~(1 << rule)

    def measure(self) -> Measure | None:
        """Return how many different rules match."""
        return self.seen.bit_count(), 1

    def holds(self, condition: Threshold | None) -> bool:
        """Return whether the condition is true of the rules seen."""
        if condition is None:
            return self._verdict is not None and self._verdict(self.seen)
        return super().holds(condition)


class OrderWindow(RulesWindow):
    """temporal_ordered: which of the rules match one after another, at times that do not fall.

    The longest chain is found greedily: a chain that can end earlier is never worse.
    """

    def __init__(self, rules: int, ways: list[tuple[list[int], int]] | None) -> None:
        super().__init__(rules, None)
        self._times = [_Times() for _ in range(rules)]
        self._ways = ways

    def add(self, time: int, value: Any) -> None:
        """Take in an event."""
        for rule in _bits(value):
            self._times[rule].append(time)
        super().add(time, value)

    def lose(self, value: Any) -> None:
        """Forget the earliest event."""
        for rule in _bits(value):
            self._times[rule].popleft()
        super().lose(value)

    def measure(self) -> Measure | None:
        """Return how many rules the longest chain holds, in the order of the rules."""
        ends: list[int] = []  # ends[n]: the earliest time at which a chain of n + 1 rules can have ended
        for times in self._times:
            for length in range(len(ends), -1, -1):
                end = times.first_from(ends[length - 1] if length else None)
                if end is None:
                    continue
                if length == len(ends):
                    ends.append(end)
                else:
                    ends[length] = min(ends[length], end)
        return len(ends), 1

    def holds(self, condition: Threshold | None) -> bool:
        """Return whether enough rules, or those of one of the condition's ways, follow one another."""
        if condition is not None:
            return super().holds(condition)
        return any(not self.seen & unseen and self._follow(chain) for chain, unseen in self._ways or ())

    def _follow(self, chain: list[int]) -> bool:
        end: int | None = None
        for rule in chain:
            end = self._times[rule].first_from(end)
            if end is None:
                return False
        return True


class _Times:
    """Times in order, taken from the front; bisected. The front is cut off when it is half of the list."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._gone = 0

    def append(self, time: int) -> None:
        self._times.append(time)

    def popleft(self) -> None:
        self._gone += 1
        if self._gone * 2 > len(self._times):
            del self._times[: self._gone]
            self._gone = 0

    def first_from(self, time: int | None) -> int | None:
        """Return the first time that is not before *time*."""
        place = self._gone if time is None else bisect_left(self._times, time, self._gone)
        return self._times[place] if place < len(self._times) else None


def make_sequence(correlation: Correlation) -> RulesWindow:
    """Return an empty window for a temporal type."""
    place = {rule: number for number, rule in enumerate(correlation.rules)}
    if correlation.kind == "temporal":
        return RulesWindow(len(place), verdict(correlation.condition, place) if correlation.is_extended else None)
    if not correlation.is_extended:
        return OrderWindow(len(place), None)
    ways = [
        (sorted(place[rule] for rule in seen), sum(1 << place[rule] for rule in unseen))
        for seen, unseen in ways_of(correlation.condition)
    ]
    return OrderWindow(len(place), ways)


def verdict(condition: Any, place: dict[str, int]) -> Verdict:
    """Return the function that tells of the rules seen, as bits, whether a condition over rules is true."""
    if isinstance(condition, str):
        bit = 1 << place[condition]
        return lambda seen: bool(seen & bit)
    parts = [verdict(part, place) for part in condition[1:]]
    if condition[0] == "not":
        return lambda seen: not parts[0](seen)
    if condition[0] == "and":
        return lambda seen: all(part(seen) for part in parts)
    return lambda seen: any(part(seen) for part in parts)


def _bits(value: int) -> list[int]:
    found = []
    while value:
        lowest = value & -value
        found.append(lowest.bit_length() - 1)
        value ^= lowest
    return found

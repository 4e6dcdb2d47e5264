"""What is reckoned over the events of one window: counts, sums, averages, percentiles; exact, and adjusted event by event.

A measure is a fraction (numerator, denominator) of integers, so that comparing it with a threshold rounds nothing.
"""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any, Final

from .calls import Correlation

Measure = tuple[int, int]

_SHIFT: Final = 1074
"""Any float is a whole number of 2 ** -1074ths."""


class CountWindow:
    """The events of one window in order of time; base of the others. ``entries`` holds (time, what is reckoned with)."""

    def __init__(self) -> None:
        self.entries: deque[tuple[int, Any]] = deque()

    def add(self, time: int, value: Any) -> None:
        """Take in an event; none was later."""
        self.entries.append((time, value))
        self.gain(value)

    def drop(self) -> None:
        """Give up the earliest event."""
        self.lose(self.entries.popleft()[1])

    def gain(self, value: Any) -> None:
        """Reckon *value* in."""

    def lose(self, value: Any) -> None:
        """Take *value*, that of the earliest event, out."""

    def measure(self) -> Measure | None:
        """Return what the condition compares: here the number of events."""
        return len(self.entries), 1

    def holds(self, condition: Threshold) -> bool:
        """Return whether the condition is true of the window; never of a window without values."""
        found = self.measure()
        return found is not None and condition.holds(found)

    def value(self) -> int | float | None:
        """Return the measure as a number for people: an integer where it is one, else the nearest float."""
        return readable(self.measure())


class DistinctWindow(CountWindow):
    """value_count: how many different values there are."""

    def __init__(self) -> None:
        super().__init__()
        self._times_seen: dict[Any, int] = {}

    def gain(self, value: Any) -> None:
        """Count *value*."""
        self._times_seen[value] = self._times_seen.get(value, 0) + 1

    def lose(self, value: Any) -> None:
        """Forget one of *value*."""
        left = self._times_seen[value] - 1
        if left:
            self._times_seen[value] = left
        else:
            del self._times_seen[value]

    def measure(self) -> Measure | None:
        """Return the number of different values."""
        return len(self._times_seen), 1


class SumWindow(CountWindow):
    """value_sum: an exact running sum, so that what leaves the window leaves no rounding error behind."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = 0
        self._parts = 0  # of the floats, in 2 ** -1074ths
        self._floats = 0

    def gain(self, value: Any) -> None:
        """Add *value*."""
        if type(value) is int:
            self._whole += value
        else:
            self._parts += _in_parts(value)
            self._floats += 1

    def lose(self, value: Any) -> None:
        """Subtract *value*."""
        if type(value) is int:
            self._whole -= value
        else:
            self._parts -= _in_parts(value)
            self._floats -= 1

    def measure(self) -> Measure | None:
        """Return the sum."""
        if not self.entries:
            return None
        if not self._floats:
            return self._whole, 1
        return (self._whole << _SHIFT) + self._parts, 1 << _SHIFT


class AverageWindow(SumWindow):
    """value_avg: the exact sum over the number of values."""

    def measure(self) -> Measure | None:
        """Return the mean."""
        total = super().measure()
        return None if total is None else (total[0], total[1] * len(self.entries))


class RankWindow(CountWindow):
    """value_percentile: the values in two heaps, the smallest ``rank`` of them in the first; O(log n) an event.

    A value that leaves is only noted; it goes when it comes to its heap's top, or when most of the heap has left.
    """

    def __init__(self, percentile: int | float) -> None:
        super().__init__()
        share = Fraction(percentile) / 100
        self._share = share.numerator, share.denominator
        self.low = _Heap(-1)
        self.high = _Heap(1)

    def rank(self, number: int) -> int:
        """Return how many of *number* values the percentile is not below: nearest rank, at least 1."""
        return max(1, -(-self._share[0] * number // self._share[1]))

    def gain(self, value: Any) -> None:
        """Put *value* in its place."""
        into = self.low if (value <= self.low.top if self.low.size else not self.high.size) else self.high
        into.push(value)
        self._balance()

    def lose(self, value: Any) -> None:
        """Note that *value* has left."""
        (self.low if self.low.size and value <= self.low.top else self.high).remove(value)
        self._balance()

    def _balance(self) -> None:
        wanted = self.rank(number) if (number := self.low.size + self.high.size) else 0
        while self.low.size > wanted:
            self.high.push(self.low.pop())
        while self.low.size < wanted:
            self.low.push(self.high.pop())

    def measure(self) -> Measure | None:
        """Return the value at the percentile's rank."""
        if not self.low.size:
            return None
        found: Measure = self.low.top.as_integer_ratio()
        return found


class MedianWindow(RankWindow):
    """value_median: the value in the middle, or the mean of the two there."""

    def __init__(self) -> None:
        super().__init__(50)

    def measure(self) -> Measure | None:
        """Return the median."""
        if not self.low.size:
            return None
        if self.low.size > self.high.size:
            return super().measure()
        middle = (Fraction(self.low.top) + Fraction(self.high.top)) / 2
        return middle.numerator, middle.denominator


class _Heap:
    """A heap with its largest value on top (sign -1) or its smallest (1)."""

    def __init__(self, sign: int) -> None:
        self.size = 0
        self._sign = sign
        self._values: list[Any] = []
        self._left: dict[Any, int] = {}

    @property
    def top(self) -> Any:
        return self._sign * self._values[0]

    def push(self, value: Any) -> None:
        heappush(self._values, self._sign * value)
        self.size += 1

    def pop(self) -> Any:
        value = self._sign * heappop(self._values)
        self.size -= 1
        self._tidy()
        return value

    def remove(self, value: Any) -> None:
        signed = self._sign * value
        self._left[signed] = self._left.get(signed, 0) + 1
        self.size -= 1
        self._tidy()

    def _tidy(self) -> None:
        """Keep a value on top that has not left, and at most half of the values departed ones."""
        if len(self._values) > 2 * self.size + 32:
            self._values = [value for value in self._values if not self._has_left(value)]
            heapify(self._values)
        while self._values and self._has_left(self._values[0]):
            heappop(self._values)

    def _has_left(self, signed: Any) -> bool:
        number = self._left.get(signed, 0)
        if number == 0:
            return False
        if number == 1:
            del self._left[signed]
        else:
            self._left[signed] = number - 1
        return True


class Threshold:
    """A condition's operator and number, ready to be compared with fractions."""

    __slots__ = ("denominator", "numerator", "operator")

    def __init__(self, operator: str, number: int | float) -> None:
        self.operator = operator
        self.numerator, self.denominator = number.as_integer_ratio()

    def holds(self, found: Measure) -> bool:
        """Return whether the fraction *found* stands to the number as the operator says."""
        left, right = found[0] * self.denominator, self.numerator * found[1]
        match self.operator:
            case "gte":
                return left >= right
            case "gt":
                return left > right
            case "lte":
                return left <= right
            case "lt":
                return left < right
            case "eq":
                return left == right
            case _:
                return left != right


def make_window(correlation: Correlation) -> CountWindow:
    """Return an empty window for a type that is not temporal."""
    match correlation.kind:
        case "event_count":
            return CountWindow()
        case "value_count":
            return DistinctWindow()
        case "value_sum":
            return SumWindow()
        case "value_avg":
            return AverageWindow()
        case "value_median":
            return MedianWindow()
    return RankWindow(correlation.percentile or 0)


def _in_parts(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator << (_SHIFT - denominator.bit_length() + 1)


def readable(found: Measure | None) -> int | float | None:
    """Return a fraction as an integer where it is one, else as the nearest float, or the integer below one beyond floats."""
    if found is None:
        return None
    whole, rest = divmod(found[0], found[1])
    if not rest:
        return whole
    try:
        nearest = found[0] / found[1]
    except OverflowError:
        return whole
    return nearest if math.isfinite(nearest) else whole

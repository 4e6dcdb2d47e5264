"""What groups came to: for each the window that stood nearest to the condition, whether or not it met it. For explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import nsmallest
from typing import Any, Final

from .calls import Correlation
from .clock import Timestamp
from .correlator import Correlator
from .engine import Engine
from .groups import Group, Groups
from .keys import Key, shown
from .results import Contribution, CorrelationMatch
from .sequences import RulesWindow
from .windows import Threshold

MOST_GROUPS: Final = 1_000
"""So many groups of a rule are kept, those nearest to the condition."""

Nearness = tuple[bool, Fraction]
"""Whether the condition is missed, and by how much; less than 0 for what lies beyond it. The smallest is the nearest."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A group, and of its windows the one nearest to the condition: of several the first.

    Attributes:
        nearness: How near it came.
        group: The group-by fields and aliases with their values; empty for a rule without group-by.
        value: What the condition compares; ``None`` for a condition over rules.
        count: How many events the window held.
        seen: Of a temporal rule, the keys of the rules that matched in it, in the rule's order.
        start_time: Where the window begins, in microseconds since the epoch, inclusive.
        end_time: Where it ends, inclusive.
        raised: How many matches the group raised.
    """

    nearness: Nearness
    group: dict[str, Any]
    value: int | float | None
    count: int
    seen: tuple[str, ...]
    start_time: int
    end_time: int
    raised: int

    @property
    def holds(self) -> bool:
        """Whether the condition is true of the window."""
        return not self.nearness[0]


class WatchedGroups(Groups):
    """Groups that keep what they came to.

    Attributes:
        raised: How many matches they raised.
        left_out: How many groups are not kept for want of room; one that comes back and goes again counts again.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reached: dict[tuple[Key, ...], Reached] = {}
        self.left_out = 0
        self.raised = 0

    def take(self, time: int, key: tuple[Key, ...], value: Any, contribution: Contribution) -> CorrelationMatch | None:
        """Take in an event as ``Groups`` does, and see what it made of its group."""
        found = super().take(time, key, value, contribution)
        if not self.is_closing:
            self._look(key, self.open[key], time - self.span, found)
        return found

    def close_next(self) -> CorrelationMatch | None:
        """Close a window as ``Groups`` does, and see what it has come to."""
        key, group = next(iter(self.open.items()))
        found = super().close_next()
        self._look(key, group, group.opened, found)
        return found

    def reached(self) -> list[Reached]:
        """Return what groups came to, the nearest first."""
        return sorted(self._reached.values(), key=_nearness)

    def _look(self, key: tuple[Key, ...], group: Group, start: int, found: CorrelationMatch | None) -> None:
        self.raised += found is not None
        before = self._reached.get(key)
        raised = (before.raised if before else 0) + (found is not None)
        nearness = nearness_of(self.correlation, group)
        if before is not None and before.nearness <= nearness:
            self._reached[key] = replace(before, raised=raised)
            return
        window = group.window
        bits = window.seen if isinstance(window, RulesWindow) else 0
        self._reached[key] = Reached(
            nearness,
            {name: shown(one) for name, one in zip(self.correlation.group_by, key, strict=True)},
            None if self.correlation.is_extended else window.value(),
            len(window.entries),
            tuple(rule for bit, rule in enumerate(self.correlation.rules) if bits >> bit & 1),
            start,
            start + self.span,
            raised,
        )
        if len(self._reached) > 2 * MOST_GROUPS:
            kept = nsmallest(MOST_GROUPS, self._reached.items(), key=lambda item: _nearness(item[1]))
            self.left_out += len(self._reached) - len(kept)
            self._reached = dict(kept)


def nearness_of(correlation: Correlation, group: Group) -> Nearness:
    """Return how near a group's window is to the condition.

    Of numbers it is the difference. Of a condition over rules it is the number of rules that have not been seen.
    """
    window = group.window
    if correlation.is_extended:
        seen = window.seen.bit_count() if isinstance(window, RulesWindow) else 0
        return not window.holds(None), Fraction(len(correlation.rules) - seen)  # type: ignore[arg-type]  # over rules
    operator, number = correlation.condition
    found = window.measure()
    assert found is not None  # noqa: S101 - it is that of a window with the event that was just taken in
    difference = abs(Fraction(*found) - Fraction(number))
    holds = window.holds(Threshold(operator, number))
    return not holds, -difference if holds else difference


class _WatchedEngine(Engine):
    groups_type = WatchedGroups


class WatchedCorrelator(Correlator):
    """A correlator that can tell what groups came to."""

    engine_type = _WatchedEngine

    @property
    def correlations(self) -> dict[str, Correlation]:
        """The correlations by their keys, each behind those that it refers to."""
        return dict(zip(self._engine.keys, self._engine.correlations, strict=True))

    def time_of(self, event: Mapping[str, Any], timestamp: Timestamp | None) -> tuple[int, bool]:
        """Return when *event* happens for ``record``, in microseconds since the epoch, and whether that is when it arrived."""
        return self._clock.time_of(event, timestamp)

    def watched(self, key: str) -> WatchedGroups:
        """Return the groups of the correlation rule *key*."""
        groups = self._engine.groups[self._engine.keys.index(key)]
        assert isinstance(groups, WatchedGroups)  # noqa: S101 - the engine's type says so
        return groups


def _nearness(reached: Reached) -> Nearness:
    return reached.nearness

"""Which detection items were never true, or never false, over the cases of their rules: what no case could tell to be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sigma.pyeval.items import Item, items_of, judge, parse_items
from sigma.pyeval.rules import Rule


@dataclass(frozen=True)
class UncoveredItem:
    """An item that had not both verdicts: ``never_true``, ``never_false``, or neither of them was seen."""

    item: Item
    never_true: bool
    never_false: bool


@dataclass(frozen=True)
class RuleCoverage:
    """A rule's items over its cases.

    Attributes:
        rule: The rule.
        events: How many events it was held against.
        items: How many items its condition has; those of a scope, which a pipeline added, don't count.
        uncovered: Those that lack a verdict, in order.
    """

    rule: Rule
    events: int
    items: int
    uncovered: tuple[UncoveredItem, ...]

    @property
    def share(self) -> float:
        """Which part of all verdicts (two for each item) was seen, 0 to 1."""
        missing = sum(one.never_true + one.never_false for one in self.uncovered)
        return 1 - missing / (2 * self.items)


class ItemCoverage:
    """Takes each event that a rule is held against; holds two sets of numbers a rule."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[set[int], set[int]]] = {}
        self._events: dict[int, int] = {}

    def add(self, rule: Rule, event: Mapping[str, Any]) -> None:
        """Take one event."""
        true, false = self._seen.setdefault(id(rule), (set(), set()))
        self._events[id(rule)] = self._events.get(id(rule), 0) + 1
        for number, verdict in enumerate(judge(parse_items(rule), event), 1):
            (true if verdict else false).add(number)

    def report(self, rules: Iterable[Rule]) -> list[RuleCoverage]:
        """Return the coverage of *rules*, in their order."""
        return [self._rule(rule) for rule in rules]

    def _rule(self, rule: Rule) -> RuleCoverage:
        true, false = self._seen.get(id(rule), (set(), set()))
        items = {item.number: item for item in items_of(parse_items(rule).condition)}
        uncovered = tuple(
            UncoveredItem(item, number not in true, number not in false)
            for number, item in sorted(items.items())
            if number not in true or number not in false
        )
        return RuleCoverage(rule, self._events.get(id(rule), 0), len(items), uncovered)

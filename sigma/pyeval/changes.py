"""The smallest set of detection items that would have to change for an expression to come out otherwise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .items import Item, Node, items_of, verdict

MOST_STEPS: Final = 400
"""So many partial answers are looked at where items stand in an expression more than once."""

_NEVER: Final = math.inf


class Change(NamedTuple):
    """Items whose verdicts would have to be the opposite.

    Attributes:
        items: Their numbers, rising; ``None`` where no set was found.
        is_certain: Whether no smaller set, or none at all, exists; false only where looking on would have taken too long.
    """

    items: tuple[int, ...] | None
    is_certain: bool


class _Choice(NamedTuple):
    """How a node can come to what is wanted: the least cost, the items that change, and those relied on as they are."""

    cost: float
    flipped: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()


def smallest_change(node: Node, verdicts: Sequence[bool]) -> Change:
    """Return the smallest set of items whose opposite verdicts turn the verdict of *node*.

    Items count as independent: whether one event can have all these verdicts is not asked. Of several smallest sets it
    is the one of the alternatives that stand first. Where every item stands in the expression once, one walk over the
    tree finds it: of ``and`` all false parts have to change, of ``or`` the cheapest. An item that stands there several
    times has its cost divided among its places, which makes that walk a lower bound, and is tried both ways.
    """
    search = _Search(node, verdicts, not verdict(node, verdicts))
    search.run()
    return Change(None if search.best is None else tuple(sorted(search.best)), search.steps <= MOST_STEPS)


@dataclass
class _Search:
    """Branch and bound over the items that stand in several places."""

    node: Node
    verdicts: Sequence[bool]
    wanted: bool
    steps: int = 0
    best: frozenset[int] | None = None
    places: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        self.places = Counter(item.number for item in items_of(self.node))
        self.unit = math.lcm(*self.places.values())

    def run(self) -> None:
        """Set ``best`` to the smallest set found, unless there is none."""
        pending: list[dict[int, bool]] = [{}]
        while pending:
            self.steps += 1
            if self.steps > MOST_STEPS:
                return
            fixed = pending.pop()
            changed = frozenset(number for number, value in fixed.items() if value is not self.verdicts[number - 1])
            choice = self._cheapest(self.node, self.wanted, fixed)
            if choice.cost == _NEVER or self._is_no_better(len(changed) * self.unit + choice.cost):
                continue
            flipped = choice.flipped | changed
            conflicts = choice.flipped & choice.kept
            if not conflicts and (self.best is None or len(flipped) < len(self.best)):
                self.best = flipped
            if not conflicts and len(choice.flipped) * self.unit == choice.cost:
                continue
            unsure = min(conflicts or (number for number in choice.flipped if self.places[number] > 1))
            value = self.verdicts[unsure - 1]
            pending += [fixed | {unsure: value}, fixed | {unsure: not value}]

    def _is_no_better(self, bound: float) -> bool:
        return self.best is not None and math.ceil(bound / self.unit) >= len(self.best)

    def _cheapest(self, node: Node, wanted: bool, fixed: Mapping[int, bool]) -> _Choice:
        if isinstance(node, Item):
            return self._item(node.number, wanted, fixed)
        if node.operator == "not":
            return self._cheapest(node.parts[0], not wanted, fixed)
        parts = [self._cheapest(part, wanted, fixed) for part in node.parts]
        if (node.operator == "or") is wanted:
            return min(parts, key=lambda choice: choice.cost)  # the first of those that cost the same
        return _Choice(
            sum(choice.cost for choice in parts),
            frozenset().union(*(choice.flipped for choice in parts)),
            frozenset().union(*(choice.kept for choice in parts)),
        )

    def _item(self, number: int, wanted: bool, fixed: Mapping[int, bool]) -> _Choice:
        if number in fixed:
            return _Choice(0 if fixed[number] is wanted else _NEVER)
        if self.verdicts[number - 1] is wanted:
            return _Choice(0, kept=frozenset({number}))
        return _Choice(self.unit // self.places[number], flipped=frozenset({number}))

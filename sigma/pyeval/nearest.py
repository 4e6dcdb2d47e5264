"""The events of a log that come nearest to matching a rule: where to look when a rule does not match what it should."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from .changes import smallest_change
from .explain import Explanation, explain_rule
from .items import judge, parse_items, verdict
from .rules import LogSource, Rule

_Place = TypeVar("_Place")


class Distance(NamedTuple):
    """How far an event is from matching; the nearer, the less.

    Attributes:
        is_of_another_log_source: Whether the rule is not for the event at all.
        is_out_of_reach: Whether no set of items was found that would have to change.
        items: How many items would have to change; 0 where the rule matches.
    """

    is_of_another_log_source: bool
    is_out_of_reach: bool
    items: int


def distance(rule: Rule, event: Mapping[str, Any], logsource: LogSource | None = None) -> Distance:
    """Return how far *event* is from matching *rule*: what ``explain_rule`` says, without what is found.

    Raises:
        ExpressionError: The rule's expression is none.
    """
    tree = parse_items(rule)
    verdicts = judge(tree, event)
    conflicts = logsource is not None and rule.logsource.conflicts(logsource)
    if verdict(tree.whole, verdicts):
        return Distance(conflicts, False, 0)
    items = smallest_change(tree.whole, verdicts).items
    return Distance(conflicts, items is None, len(items or ()))


class NearestEvents(Generic[_Place]):
    """Takes events one by one and keeps the explanations of those nearest to matching a rule; of equally near ones the first.

    Args:
        rule: The rule.
        most: So many are kept, 1 or more.
    """

    def __init__(self, rule: Rule, most: int) -> None:
        self._rule = rule
        self._most = most
        self._distances: list[Distance] = []
        self._found: list[tuple[Explanation, _Place]] = []

    def add(self, event: Mapping[str, Any], logsource: LogSource | None, place: _Place) -> bool:
        """Take one event, its log source and where it stands; return whether the rule matches it."""
        far = distance(self._rule, event, logsource)
        if len(self._found) < self._most or far < self._distances[-1]:
            at = bisect_right(self._distances, far)
            self._distances.insert(at, far)
            self._found.insert(at, (explain_rule(self._rule, event, logsource), place))
            del self._distances[self._most :], self._found[self._most :]
        return far == (False, False, 0)

    def explanations(self) -> list[tuple[Explanation, _Place]]:
        """Return the explanations of the nearest events so far and their places, the nearest first."""
        return list(self._found)

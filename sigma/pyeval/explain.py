"""Why a rule matches an event or does not: its detection items' verdicts, what was found, and what would have to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .changes import smallest_change
from .conditions import Call
from .events import plain_event
from .excerpts import LONGEST_EXCERPT, MOST_VALUES, found_value
from .field_report import event_names, nearest_name
from .items import Item, ItemTree, Node, judge, parse_items, verdict
from .marks import Asked, Path, holds_call, located_values, matched_call, spans_by_path
from .matchers.values import leaves, text_of, texts
from .routing import recognise
from .rules import LogSource, Rule
from .spans import Span

MOST_FOUND: Final = 20
"""So many values of a field are shown; those that an item holds of come first."""

MOST_NAMES: Final = 500
"""So many names of an event's fields are compared with that of a missing field."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that the event does not have, and the name in the event most like it, or ``None``."""

    field: str
    nearest: str | None


@dataclass(frozen=True, slots=True)
class ExplainedItem:
    """One detection item, a call of a matcher, held against the event.

    Attributes:
        number: Counted from 1 in the order of the expression.
        matcher: The matcher's name, as ``contains_any``.
        field: The field asked, or ``None`` for a keyword.
        values: The literal arguments behind the field, a list as it is; long texts cut to ``LONGEST_EXCERPT`` characters.
        verdict: Whether the call is true of the event.
        holding: Of a list of values those that hold by themselves.
        found: The field's values in the event, or those that a keyword stands in; as ``excerpts.found_value`` gives them.
        more: Number of further values that are not in *found*.
        missing: Fields asked that the event does not have.
        undecided: Whether a search within bounds found nothing in a value that is longer.
    """

    number: int
    matcher: str
    field: str | None
    values: tuple[Any, ...]
    verdict: bool
    holding: tuple[Any, ...]
    found: tuple[dict[str, Any], ...]
    more: int
    missing: tuple[Missing, ...]
    undecided: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the item as a dict of JSON types."""
        return {
            "item": self.number,
            "verdict": self.verdict,
            "matcher": self.matcher,
            "field": self.field,
            "values": [list(value) if isinstance(value, tuple) else value for value in self.values],
            "holding": list(self.holding),
            "found": list(self.found),
            "more": self.more,
            "missing": [{"field": one.field, "nearest": one.nearest} for one in self.missing],
            "undecided": self.undecided,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule matches an event, or why not.

    Attributes:
        rule: The rule.
        matched: Whether the rule matches: what ``Ruleset.match`` says.
        conflict: The event's log source where that is one the rule is not for, which alone keeps it from matching.
        tree: The expression's tree of items.
        items: Each item; item *n* stands at *n* - 1.
        changes: Where the expression is false: numbers of the items in the smallest set whose opposite verdicts would make
            it true, see ``changes.smallest_change``; ``None`` where no set was found. Empty where it is true.
        changes_certain: Whether no smaller set exists; false only where looking on would have taken too long.
        logsource: The event's log source, as far as it is known; looked for only where the event is out of the rule's scope.
    """

    rule: Rule
    matched: bool
    conflict: LogSource | None
    tree: ItemTree
    items: tuple[ExplainedItem, ...]
    changes: tuple[int, ...] | None
    changes_certain: bool
    logsource: LogSource | None = None

    @property
    def in_scope(self) -> bool:
        """Whether the pipeline's scope holds, or there is none."""
        return self.tree.scope is None or self.verdict(self.tree.scope)

    @property
    def nearness(self) -> tuple[bool, bool, bool, bool, int]:
        """What tells which of several explanations of a rule are worth reading: the least is; matches are, then near misses."""
        return (
            not self.matched,
            self.conflict is not None,
            not self.in_scope,
            self.changes is None,
            len(self.changes or ()),
        )

    def verdict(self, node: Node) -> bool:
        """Return the verdict of a part of the tree."""
        return verdict(node, [item.verdict for item in self.items])

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as a dict of JSON types; docs/explain.md describes it."""
        rule = self.rule
        return {
            "rule": {"id": rule.id, "title": rule.title, "level": rule.level, "path": rule.path},
            "matched": self.matched,
            "logsource_conflict": None if self.conflict is None else self.conflict.as_dict(),
            "scope": None if self.tree.scope is None else self._node_dict(self.tree.scope),
            "condition": self._node_dict(self.tree.condition),
            "changes": None if self.changes is None else list(self.changes),
            "changes_certain": self.changes_certain,
        }

    def _node_dict(self, node: Node) -> dict[str, Any]:
        if isinstance(node, Item):
            return self.items[node.number - 1].as_dict()
        parts = [self._node_dict(part) for part in node.parts]
        return {"operator": node.operator, "verdict": self.verdict(node), "parts": parts}

    def __str__(self) -> str:
        from .reports.explain_text import explanation_text  # needs rich

        return explanation_text(self)

    def _repr_html_(self) -> str:
        """Return the explanation as HTML, for notebooks."""
        from .reports.explain_html import explanation_html

        return explanation_html(self)


def explain_rule(rule: Rule, event: Mapping[str, Any], logsource: LogSource | None = None) -> Explanation:
    """Return why *rule* matches *event*, or why not; *logsource* is the event's, where it is known.

    It never raises for any event. How much is shown is bounded, whatever the event holds.

    Raises:
        ExpressionError: The rule's expression is none.
    """
    tree = parse_items(rule)
    verdicts = judge(tree, event)
    look = _Look(event)
    items = tuple(look.item(item, holds) for item, holds in zip(tree.items, verdicts, strict=True))
    is_true = verdict(tree.whole, verdicts)
    conflict = logsource if logsource is not None and rule.logsource.conflicts(logsource) else None
    numbers: tuple[int, ...] | None = ()
    certain = True
    if not is_true:
        numbers, certain = smallest_change(tree.whole, verdicts)
    origin = None
    if tree.scope is not None and not verdict(tree.scope, verdicts):
        origin = logsource or recognise(event)
    return Explanation(rule, is_true and conflict is None, conflict, tree, items, numbers, certain, origin)


def explain_nearest(
    rule: Rule, events: Iterable[tuple[Mapping[str, Any], LogSource | None]]
) -> tuple[int, Explanation] | None:
    """Return which of *events*, each with its log source, is nearest to matching (``Explanation.nearness``), and why.

    ``None`` where there are no events.
    """
    explanations = [explain_rule(rule, event, logsource) for event, logsource in events]
    return min(enumerate(explanations), key=lambda pair: pair[1].nearness, default=None)


class _Look:
    """What is to be seen of one event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = plain_event(event)
        self._asked = Asked(self._event)
        self._nearest: dict[str, str | None] = {}
        self._names: list[str] | None = None

    def item(self, item: Item, verdict: bool) -> ExplainedItem:
        """Return what is to be said of an item with this verdict."""
        call, event = item.call, self._event
        fields = call.fields
        located = {field: list(located_values(event, field)) for field in fields}
        paths = [path for found in located.values() for path, _ in found]
        spans: dict[Path, list[Span]] = {}
        holding = self._holding(call)
        if verdict and holds_call(
            call.matcher, event, call.arguments
        ):  # a foreign object may hold where plain data does not
            matched = matched_call(call, self._asked)
            spans = spans_by_path((matched,))
            holding = matched.values if call.single != call.matcher else ()
            paths = list(dict.fromkeys((*matched.paths, *paths)))
        return ExplainedItem(
            number=item.number,
            matcher=call.matcher,
            field=call.field,
            values=tuple(_shown(value) for value in call.values),
            verdict=verdict,
            holding=tuple(_shown(value) for value in holding[:MOST_VALUES]),
            found=tuple(found_value(path, event, spans.get(path, [])) for path in paths[:MOST_FOUND]),
            more=max(0, len(paths) - MOST_FOUND),
            missing=tuple(Missing(field, self._near(field)) for field in fields if not self._has(field)),
            undecided=not verdict and _is_undecided(call, event),
        )

    def _has(self, field: str) -> bool:
        return holds_call("exists", self._event, (field,))

    def _holding(self, call: Call) -> tuple[Any, ...]:
        """Return which values of a list of which all have to hold do so by themselves."""
        if not call.matcher.endswith("_all"):
            return ()
        field = () if call.field is None else (call.field,)
        return tuple(
            pattern[0] for pattern in call.patterns if holds_call(call.single, self._event, (*field, *pattern))
        )

    def _near(self, field: str) -> str | None:
        if self._names is None:
            self._names = list(event_names(self._event, MOST_NAMES))
        if field not in self._nearest:
            self._nearest[field] = nearest_name(field, self._names)
        return self._nearest[field]


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_shown(one) for one in value[:MOST_VALUES])
    return value[:LONGEST_EXCERPT] if isinstance(value, str) else value


def _is_undecided(call: Call, event: Mapping[str, Any]) -> bool:
    if not call.matcher.endswith("_within"):
        return False
    values = texts(event, call.field) if call.field is not None else filter(None, map(text_of, leaves(event)))
    return any(len(text) > call.values[2] for text in values)

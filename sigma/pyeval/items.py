"""An expression as a tree of numbered detection items: what is explained, covered by tests, and could change."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

from .conditions import Call, parse_call
from .events import holds, plain_event
from .expression import parse_expression
from .marks import holds_call
from .rules import Rule

MOST_KEPT = 1024
"""So many rules' trees are kept for when they are asked for again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A call of a matcher; a call that stands in an expression twice is one item.

    Attributes:
        number: Counted from 1, in the order of the text.
        call: The call, ``negated`` being of no account here.
    """

    number: int
    call: Call


@dataclass(frozen=True, slots=True)
class Junction:
    """``and`` or ``or`` over several parts, or ``not`` over one; ``not`` twice over is left out."""

    operator: Literal["and", "or", "not"]
    parts: tuple[Node, ...]


Node = Item | Junction


@dataclass(frozen=True, slots=True)
class ItemTree:
    """A rule's expression, its scope apart.

    Attributes:
        scope: What a pipeline added: which events the rule is for at all; ``None`` without one.
        condition: The rule's own condition.
        items: All items; item *n* stands at *n* - 1.
    """

    scope: Node | None
    condition: Node
    items: tuple[Item, ...]

    @property
    def whole(self) -> Node:
        """The expression: scope and condition."""
        return self.condition if self.scope is None else Junction("and", (self.scope, self.condition))


@lru_cache(maxsize=MOST_KEPT)
def parse_items(rule: Rule) -> ItemTree:
    """Return the items of a rule; its expression counts as trusted, since it is a rule's already.

    Raises:
        ExpressionError: The rule's expression is none.
    """
    tree = parse_expression(rule.expression, unsafe_regex=True)
    numbers: dict[str, Item] = {}
    in_scope = 0 if rule.scope is None else _scope_parts(tree, rule.scope)
    if not in_scope:
        condition = _node(tree, numbers)
        return ItemTree(None, condition, tuple(numbers.values()))
    assert isinstance(tree, ast.BoolOp)  # noqa: S101 - a scope is joined by "and"
    scope = _joined(tree.values[:in_scope], numbers)
    condition = _joined(tree.values[in_scope:], numbers)
    return ItemTree(scope, condition, tuple(numbers.values()))


def _scope_parts(tree: ast.expr, scope: str) -> int:
    """Return with how many operands of the outer ``and`` the expression begins that are the scope; 0 for none."""
    wanted = parse_expression(scope, unsafe_regex=True)
    parts = wanted.values if isinstance(wanted, ast.BoolOp) and isinstance(wanted.op, ast.And) else [wanted]
    if not isinstance(tree, ast.BoolOp) or not isinstance(tree.op, ast.And) or len(tree.values) <= len(parts):
        return 0
    same = all(ast.dump(one) == ast.dump(other) for one, other in zip(parts, tree.values, strict=False))
    return len(parts) if same else 0


def _joined(nodes: Sequence[ast.expr], numbers: dict[str, Item]) -> Node:
    parts = tuple(_node(node, numbers) for node in nodes)
    return parts[0] if len(parts) == 1 else Junction("and", parts)


def _node(node: ast.expr, numbers: dict[str, Item]) -> Node:
    negated = False
    while isinstance(node, ast.UnaryOp):
        node, negated = node.operand, not negated
    made: Node
    if isinstance(node, ast.Call):
        made = numbers.setdefault(ast.dump(node), Item(len(numbers) + 1, parse_call(node)))
    else:
        assert isinstance(node, ast.BoolOp)  # noqa: S101 - parse_expression lets nothing else through
        operator: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
        made = Junction(operator, tuple(_node(value, numbers) for value in node.values))
    return Junction("not", (made,)) if negated else made


def judge(tree: ItemTree, event: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return each item's verdict on *event*, in order; never raises, and counts nothing as ``UNDECIDED``.

    Where looking at a foreign object raises, the event is judged by the plain data in it, as ``Ruleset.scan`` does.
    """
    try:
        _holds(tree.whole, event)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        event = plain_event(event)
    return tuple(
        holds(partial(holds_call, item.call.matcher, arguments=item.call.arguments), event) for item in tree.items
    )


def _holds(node: Node, event: Mapping[str, Any]) -> bool:
    """Evaluate in the order in which Python does, so that nothing is looked at that a rule would not look at."""
    if isinstance(node, Item):
        return holds_call(node.call.matcher, event, node.call.arguments)
    if node.operator == "not":
        return not _holds(node.parts[0], event)
    return (all if node.operator == "and" else any)(_holds(part, event) for part in node.parts)


def verdict(node: Node, verdicts: Sequence[bool]) -> bool:
    """Return what *node* comes to when its items have these *verdicts*, item *n* at *n* - 1."""
    if isinstance(node, Item):
        return verdicts[node.number - 1]
    if node.operator == "not":
        return not verdict(node.parts[0], verdicts)
    return (all if node.operator == "and" else any)(verdict(part, verdicts) for part in node.parts)


def items_of(node: Node) -> Iterator[Item]:
    """Yield the items of *node* in the order of the text, one that stands there twice twice."""
    if isinstance(node, Item):
        yield node
    else:
        for part in node.parts:
            yield from items_of(part)

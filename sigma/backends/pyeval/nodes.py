"""The tree between a Sigma condition and its source text: calls, joined by and, or and not.

Building a node flattens nested joins of one kind and groups calls of one matcher on one field, so that lists come out as one
call (``contains_any``, ``contains_all``) wherever they were written: in lists, expansions, or negated and nested conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sigma.pyeval.literals import literal

# Matchers that have an ``_any`` form, and those that also have an ``_all`` form.
_LISTABLE = frozenset(
    {
        "equals",
        "equals_cased",
        "contains",
        "contains_cased",
        "startswith",
        "startswith_cased",
        "endswith",
        "endswith_cased",
        "wildcard",
        "cidr",
        "keyword",
    }
)
_LISTABLE_ALL = _LISTABLE - {"cidr"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a matcher; several *values* make it the matcher's ``_any`` form, or ``_all`` with *every*."""

    matcher: str
    field: str | None
    values: tuple[str | int | float, ...] = ()
    every: bool = False
    more: tuple[str | int | float, ...] = ()

    def emit(self) -> str:
        """Return the call's source text."""
        name = self.matcher
        arguments = ["event"] if self.field is None else ["event", literal(self.field)]
        if len(self.values) > 1:
            name += "_all" if self.every else "_any"
            arguments.append(literal(self.values))
        else:
            arguments += [literal(value) for value in self.values]
        arguments += [literal(value) for value in self.more]
        return f"{name}({', '.join(arguments)})"


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a node."""

    operand: Node

    def emit(self) -> str:
        """Return the source text, with parentheses where the operand binds less tightly."""
        text = self.operand.emit()
        return f"not ({text})" if isinstance(self.operand, Join) else f"not {text}"


@dataclass(frozen=True, slots=True)
class Join:
    """Two or more nodes joined by ``and`` (*every*) or ``or``."""

    operands: tuple[Node, ...]
    every: bool

    def emit(self) -> str:
        """Return the source text, with parentheses only around an ``or`` within an ``and``."""
        texts = (
            f"({operand.emit()})" if isinstance(operand, Join) and self.every else operand.emit()
            for operand in self.operands
        )
        return (" and " if self.every else " or ").join(texts)


Node = Call | Not | Join


def any_of(nodes: Iterable[Node]) -> Node:
    """Return the node that holds where any of *nodes* (at least one) holds."""
    return _join(nodes, every=False)


def all_of(nodes: Iterable[Node]) -> Node:
    """Return the node that holds where all of *nodes* (at least one) hold."""
    return _join(nodes, every=True)


def negation(node: Node) -> Node:
    """Return the node that holds where *node* does not."""
    return node.operand if isinstance(node, Not) else Not(node)


def _join(nodes: Iterable[Node], *, every: bool) -> Node:
    # Dicts keep the order of first occurrence and drop repeated nodes.
    found: dict[object, Node] = {}
    lists: dict[object, list[str | int | float]] = {}
    for node in _flat(nodes, every=every):
        key: object = node
        if isinstance(node, Call) and _groupable(node, every=every):
            key = (node.matcher, node.field)
            lists.setdefault(key, []).extend(node.values)
        found.setdefault(key, node)
    operands = tuple(_with_values(node, lists[key], every) if key in lists else node for key, node in found.items())
    return operands[0] if len(operands) == 1 else Join(operands, every)


def _with_values(node: Node, values: list[str | int | float], every: bool) -> Node:
    assert isinstance(node, Call)  # noqa: S101 - only calls are grouped
    # Typed keys: the text "1" and the number 1 are different values, 1 and 1.0 are not.
    distinct = tuple({(isinstance(value, str), value): value for value in values}.values())
    return replace(node, values=distinct, every=every and len(distinct) > 1)


def _flat(nodes: Iterable[Node], *, every: bool) -> Iterable[Node]:
    for node in nodes:
        if isinstance(node, Join) and node.every is every:
            yield from node.operands
        else:
            yield node


def _groupable(call: Call, *, every: bool) -> bool:
    """Return whether the call's values may join a list of the given kind."""
    if call.more or call.matcher not in (_LISTABLE_ALL if every else _LISTABLE):
        return False
    return len(call.values) == 1 or call.every is every

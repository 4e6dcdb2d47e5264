"""Expressions as formulas over predicates: each maximal part of a rule that reads the same fields is one predicate.

Three thousand rules ask the same questions over and over ("is Image a shell?"). A predicate is such a question, kept once
however many rules ask it. What is left of a rule is a short formula over numbers of predicates.

Predicates are turned so that each is false where its field is missing (a rule that asks ``is_null(event, 'A')`` becomes
``not`` of the opposite predicate). An event then is the set of predicates that hold for the fields it has, whatever
fields it lacks.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from ..expression import ExpressionError
from ..matchers import MATCHERS

Reading = tuple[str, ...] | None
"""The fields that a predicate reads; ``None`` for matchers that look at the whole event."""

_FIELD_PARAMETERS = ("field", "other")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a matcher on an event."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of one call; conversion pushes every negation down to calls."""

    call: Call


@dataclass(frozen=True, slots=True)
class Group:
    """``and`` or ``or`` of two or more parts."""

    word: Literal["and", "or"]
    parts: tuple[Tree, ...]


Tree = Call | Not | Group

Formula = int | tuple[Literal["not"], int] | tuple[Literal["and", "or"], tuple["Formula", ...]]
"""What is left of a rule: numbers of predicates, negated numbers, and groups of formulas. Plain data."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """One question about an event; false where nothing of what it reads is there."""

    reading: Reading
    tree: Tree


@dataclass(slots=True)
class PredicateTable:
    """All predicates of a set of rules, equal ones once, in the order in which rules first ask them."""

    predicates: list[Predicate] = field(default_factory=list)
    _numbers: dict[Predicate, int] = field(default_factory=dict)

    def formula(self, expression: str) -> Formula:
        """Return the formula of a verified *expression*, adding the predicates that are new."""
        folded = self._folded(parse_tree(expression))
        return folded if not isinstance(folded, Predicate) else self._interned(folded)

    def _folded(self, tree: Tree) -> Predicate | Formula:
        """Return *tree* as one predicate where all of it reads the same, else as a formula."""
        if isinstance(tree, Call):
            return Predicate(reading(tree), tree)
        if isinstance(tree, Not):
            return Predicate(reading(tree.call), tree)
        alike: dict[Reading, list[Tree]] = {}
        mixed: list[Formula] = []
        for part in tree.parts:
            folded = self._folded(part)
            if isinstance(folded, Predicate):
                alike.setdefault(folded.reading, []).append(folded.tree)
            else:
                mixed.append(folded)
        merged = [Predicate(fields, _joined(tree.word, trees)) for fields, trees in alike.items()]
        if len(merged) == 1 and not mixed:
            return merged[0]
        return (tree.word, (*map(self._interned, merged), *mixed))

    def _interned(self, predicate: Predicate) -> Formula:
        if _holds_on_nothing(predicate.tree):
            return ("not", self._number(Predicate(predicate.reading, negated(predicate.tree))))
        return self._number(predicate)

    def _number(self, predicate: Predicate) -> int:
        number = self._numbers.setdefault(predicate, len(self.predicates))
        if number == len(self.predicates):
            self.predicates.append(predicate)
        return number


def parse_tree(expression: str) -> Tree:
    """Return the tree of a verified expression, negations pushed down to the calls.

    Raises:
        ExpressionError: The text is outside the grammar after all.
    """
    return _converted(ast.parse(expression, mode="eval").body, False)


def _converted(node: ast.expr, negative: bool) -> Tree:
    if isinstance(node, ast.UnaryOp):
        return _converted(node.operand, not negative)
    if isinstance(node, ast.BoolOp):
        word: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) is not negative else "or"
        return _joined(word, [_converted(part, negative) for part in node.values])
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in MATCHERS:
        raise ExpressionError(f"not a call of a matcher: {ast.unparse(node)[:60]!r}")
    call = Call(node.func.id, tuple(map(_value, node.args[1:])))
    return Not(call) if negative else call


def _value(node: ast.expr) -> Any:
    """Return the value of a literal of the grammar; ``ast.literal_eval`` takes ten times as long."""
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand)
    if not isinstance(node, ast.Constant):
        raise ExpressionError(f"not a literal: {ast.unparse(node)[:60]!r}")
    return node.value


def _joined(word: Literal["and", "or"], trees: list[Tree]) -> Tree:
    parts: list[Tree] = []
    for tree in trees:
        parts.extend(tree.parts if isinstance(tree, Group) and tree.word == word else (tree,))
    return parts[0] if len(parts) == 1 else Group(word, tuple(parts))


def negated(tree: Tree) -> Tree:
    """Return the opposite of *tree*, by De Morgan's laws."""
    if isinstance(tree, Call):
        return Not(tree)
    if isinstance(tree, Not):
        return tree.call
    return Group("or" if tree.word == "and" else "and", tuple(map(negated, tree.parts)))


def reading(call: Call) -> Reading:
    """Return the fields that *call* reads, by the names of the matcher's parameters."""
    places = _field_places(call.name)
    return tuple(str(call.arguments[place]) for place in places) if places else None


@cache
def _field_places(name: str) -> tuple[int, ...]:
    parameters = list(inspect.signature(MATCHERS[name]).parameters)[1:]
    return tuple(place for place, parameter in enumerate(parameters) if parameter in _FIELD_PARAMETERS)


def _holds_on_nothing(tree: Tree) -> bool:
    if isinstance(tree, Call):
        return MATCHERS[tree.name]({}, *tree.arguments)
    if isinstance(tree, Not):
        return not MATCHERS[tree.call.name]({}, *tree.call.arguments)
    return (all if tree.word == "and" else any)(map(_holds_on_nothing, tree.parts))


def calls(tree: Tree) -> Iterator[Call]:
    """Yield the calls in *tree*, in order."""
    if isinstance(tree, Group):
        for part in tree.parts:
            yield from calls(part)
    else:
        yield tree.call if isinstance(tree, Not) else tree


def emit_tree(tree: Tree) -> str:
    """Return the expression of *tree*."""
    if isinstance(tree, Call):
        return emit_call(tree, "event")
    if isinstance(tree, Not):
        return "not " + emit_call(tree.call, "event")
    return "(" + f" {tree.word} ".join(map(emit_tree, tree.parts)) + ")"


def emit_call(call: Call, event: str) -> str:
    """Return the source of *call* on the event that the source text *event* stands for."""
    return f"{call.name}({', '.join((event, *map(emit_value, call.arguments)))})"


def emit_value(value: Any) -> str:
    """Return the source of a value that was read from a verified expression: text, a number or a tuple of these."""
    if isinstance(value, tuple):
        return "(" + "".join(emit_value(element) + "," for element in value) + ")"
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return ascii(value)

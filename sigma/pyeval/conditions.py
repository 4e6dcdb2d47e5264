"""An expression as a tree to be explained: ``and`` and ``or`` over calls, every ``not`` moved down to the calls it is about."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .expression import call_arguments, parse_expression
from .matchers.text import parse_glob

MOST_KEPT: Final = 4096
"""So many expressions' trees are kept for when they are asked for again."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a matcher, and whether it has to be false.

    Attributes:
        matcher: The matcher's name, as ``contains_any``.
        field: The field asked, or ``None`` for a keyword.
        values: The literal arguments behind it.
        negated: Whether it stands under an odd number of ``not``.
        single: The matcher of one pattern that a matcher of a list applies to each; the matcher itself for others.
        patterns: The arguments of each application of *single*, the field left out.
        literals: Of a keyword, for each pattern the texts that a value has to hold for it, in lower case unless the
            matcher is ``cased``; necessary, and quickly asked. Nothing for other matchers.
    """

    matcher: str
    field: str | None
    values: tuple[Any, ...]
    negated: bool
    single: str
    patterns: tuple[tuple[Any, ...], ...]
    literals: tuple[tuple[str, ...], ...]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All literal arguments behind ``event``."""
        return self.values if self.field is None else (self.field, *self.values)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are read: none by a keyword, two where they are compared."""
        if self.field is None:
            return ()
        return (self.field, self.values[0]) if self.matcher.endswith("_field") else (self.field,)


@dataclass(frozen=True, slots=True)
class Connective:
    """Parts of which all hold, or at least one.

    Attributes:
        every: Whether it is ``and``.
        shown: The parts with a call that has to be true, in the order of the text.
        silent: The parts of negated calls only: they can decide, and have nothing to show.
    """

    every: bool
    shown: tuple[Condition, ...]
    silent: tuple[Condition, ...]


Condition = Call | Connective


@lru_cache(maxsize=MOST_KEPT)
def parse_conditions(expression: str, *, unsafe_regex: bool) -> Condition:
    """Return *expression* as a tree; *unsafe_regex* as in ``parse_expression``.

    Raises:
        ExpressionError: *expression* is none.
    """
    return _condition(parse_expression(expression, unsafe_regex=unsafe_regex), negated=False)


def _condition(node: ast.expr, *, negated: bool) -> Condition:
    while isinstance(node, ast.UnaryOp):
        node, negated = node.operand, not negated
    if isinstance(node, ast.Call):
        return parse_call(node, negated=negated)
    assert isinstance(node, ast.BoolOp)  # noqa: S101 - parse_expression lets nothing else through
    shown: list[Condition] = []
    silent: list[Condition] = []
    for value in node.values:
        part = _condition(value, negated=negated)
        (silent if _is_silent(part) else shown).append(part)
    # De Morgan: what is not all of some parts is one of these parts not.
    return Connective(isinstance(node.op, ast.And) is not negated, tuple(shown), tuple(silent))


@lru_cache(maxsize=MOST_KEPT)
def fields_read(expression: str, *, unsafe_regex: bool) -> tuple[str, ...] | None:
    """Return the fields that *expression* asks, sorted, or ``None`` where it has keywords and so asks all.

    Raises:
        ExpressionError: *expression* is none.
    """
    fields: set[str] = set()
    pending = [parse_conditions(expression, unsafe_regex=unsafe_regex)]
    while pending:
        condition = pending.pop()
        if isinstance(condition, Connective):
            pending += condition.shown + condition.silent
        elif condition.field is None:
            return None
        else:
            fields.add(condition.field)
            if condition.matcher.endswith("_field"):
                fields.add(condition.values[0])
    return tuple(sorted(fields))


def _is_silent(condition: Condition) -> bool:
    return condition.negated if isinstance(condition, Call) else not condition.shown


def parse_call(node: ast.Call, *, negated: bool = False) -> Call:
    """Return a call of a checked expression; *negated* says whether it has to be false."""
    name, arguments = call_arguments(node)
    is_keyword = name.startswith("keyword")
    field, values = (None, arguments) if is_keyword else (arguments[0], arguments[1:])
    single = name.removesuffix("_any").removesuffix("_all")
    patterns = (values,) if single == name else tuple((value,) for value in values[0])
    literals = tuple(_literals(single, pattern[0]) for pattern in patterns) if is_keyword else ()
    return Call(name, field, values, negated, single, patterns, literals)


def _literals(single: str, pattern: str) -> tuple[str, ...]:
    if single.startswith("keyword_regex"):
        return ()
    text = pattern if single.endswith("_cased") else pattern.lower()
    if single in {"keyword", "keyword_cased"}:
        return (text,)
    return tuple(part[1:] for part in parse_glob(text) if part.startswith("="))

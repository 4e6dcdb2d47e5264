"""Expressions fold into predicates, one for all that reads the same, false where nothing is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from sigma.pyeval import ExpressionError, compile_expression
from sigma.pyeval.engine.predicates import Formula, PredicateTable, emit_tree
from sigma.pyeval.expression import parse_expression

from .strategies import events, expressions


def formula_of(expression: str) -> tuple[Formula, list[str]]:
    table = PredicateTable()
    return table.formula(expression), [emit_tree(predicate.tree) for predicate in table.predicates]


A, B, IS_NULL = "contains(event, 'A', 'x')", "equals(event, 'B', 1)", "is_null(event, 'A')"

CASES: list[tuple[str, Formula, list[str]]] = [
    (A, 0, [A]),
    (f"not {A}", ("not", 0), [A]),
    (f"{A} and {B}", ("and", (0, 1)), [A, B]),
    (f"{A} and {B} and exists(event, 'A')", ("and", (0, 1)), [f"({A} and exists(event, 'A'))", B]),
    (f"{A} and ({B} or {A})", ("and", (1, ("or", (0, 1)))), [B, A]),
    # What holds on a missing field is turned round.
    (IS_NULL, ("not", 0), [f"not {IS_NULL}"]),
    (f"{IS_NULL} or equals(event, 'A', '')", ("not", 0), [f"(not {IS_NULL} and not equals(event, 'A', ''))"]),
    (f"not ({A} or {B})", ("and", (("not", 0), ("not", 1))), [A, B]),
    (f"not ({A} and exists(event, 'A'))", ("not", 0), [f"({A} and exists(event, 'A'))"]),
    # Keywords read the whole event; comparisons read two fields.
    ("keyword(event, 'x') or keyword(event, 'y')", 0, ["(keyword(event, 'x') or keyword(event, 'y'))"]),
    (f"equals_field(event, 'A', 'B') and {A}", ("and", (0, 1)), ["equals_field(event, 'A', 'B')", A]),
]


@pytest.mark.parametrize(("expression", "formula", "predicates"), CASES)
def test_folding(expression: str, formula: Formula, predicates: list[str]) -> None:
    assert formula_of(expression) == (formula, predicates)


def test_equal_predicates_are_kept_once() -> None:
    table = PredicateTable()
    assert table.formula(f"{A} and {B}") == ("and", (0, 1))
    assert table.formula(f"not {B}") == ("not", 1)
    assert len(table.predicates) == 2


def truth(formula: Formula, held: set[int]) -> bool:
    if isinstance(formula, int):
        return formula in held
    if formula[0] == "not":
        return formula[1] not in held
    return (all if formula[0] == "and" else any)(truth(part, held) for part in formula[1])


@given(expressions, events)
@settings(max_examples=150, deadline=None)
def test_the_formula_means_the_expression(expression: str, event: dict[str, Any]) -> None:
    formula, sources = formula_of(expression)
    for source in sources:
        parse_expression(source)
        assert not compile_expression(source)({})
    held = {number for number, source in enumerate(sources) if compile_expression(source)(event)}
    assert truth(formula, held) == compile_expression(expression)(event)


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "f(event, 'A')", "contains(event, 'A', open)", "contains(event, 'A', a.b)", "event", "1 + 1"],
)
def test_only_the_grammar_is_read(text: str) -> None:
    with pytest.raises(ExpressionError):
        PredicateTable().formula(text)

"""The canonical form means what the expression means, and does not depend on how it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from sigma.pyeval import compile_expression
from sigma.pyeval.tuning.canonical import canonical

from ..engine.strategies import events, expressions

A, B, C = (f"contains(event, '{name}', 'x')" for name in "ABC")


@given(expressions, events)
@settings(max_examples=300)
def test_it_means_the_same(expression: str, event: dict[str, Any]) -> None:
    """On random expressions over all matchers and random events; and it is its own canonical form."""
    form = canonical(expression)
    assert compile_expression(form)(event) == compile_expression(expression)(event), form
    assert canonical(form) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{A} and {B}", f"{B} and {A}"),
        (f"{A} and {B} and {C}", f"{A} and ({B} and {C})"),
        (f"{A} or {A}", A),
        (f"not ({A} or {B})", f"not {B} and not {A}"),
        (f"not not {A}", A),
        ("contains_any(event, 'A', ('x', 'y'))", "contains(event, 'A', 'Y') or contains(event, 'A', 'x')"),
        ("contains_all(event, 'A', ('x', 'y'))", "contains_all(event, 'A', ('y', 'x', 'x'))"),
        ("not contains_any(event, 'A', ('x', 'y'))", "not contains(event, 'A', 'x') and not contains(event, 'A', 'y')"),
        ("equals_any(event, 'A', ('x',))", "equals(event, 'A', 'X')"),
        ("keyword_any(event, ('X', 'y'))", "keyword(event, 'y') or keyword(event, 'x')"),
    ],
)
def test_what_is_the_same(one: str, other: str) -> None:
    """Order, grouping, repetition, lists, and case where it does not count."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{A} and {B}", f"{A} or {B}"),
        (A, f"not {A}"),
        (A, B),
        ("equals(event, 'A', 1)", "equals(event, 'A', '1')"),
        ("equals_cased(event, 'A', 'x')", "equals_cased(event, 'A', 'X')"),
        ("regex(event, 'A', 'x')", "regex(event, 'A', 'X')"),
        ("contains(event, 'a', 'x')", "contains(event, 'A', 'x')"),
        ("contains_any(event, 'A', ('x', 'y'))", "contains_all(event, 'A', ('x', 'y'))"),
    ],
)
def test_what_is_not_the_same(one: str, other: str) -> None:
    """A change that counts is never missed."""
    assert canonical(one) != canonical(other)

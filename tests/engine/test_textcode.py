"""Each form of a predicate for one text equals the matchers it stands for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval import compile_expression
from sigma.pyeval.engine.predicates import calls as calls_in
from sigma.pyeval.engine.predicates import parse_tree, reading
from sigma.pyeval.engine.textcode import NAMESPACE, PARAMETERS, emit_text_form, has_text_form
from sigma.pyeval.matchers import MATCHERS

from .strategies import TESTED, calls, texts

KEYWORDS = [name for name in TESTED if name.startswith("keyword")]
OF_TWO_FIELDS = [name for name in TESTED if name.endswith("_field")]
OF_ONE_FIELD = [name for name in TESTED if name not in KEYWORDS and not name.endswith("_field")]


def test_which_predicates_have_a_form() -> None:
    for name in MATCHERS:
        call = next(calls_in(parse_tree(f"{name}(event{', 0' * 4})")))
        assert has_text_form(reading(call))
    assert not has_text_form(("A", "B", "C"))


def compiled(expression: str) -> Any:
    return eval(f"lambda {PARAMETERS}: {emit_text_form(parse_tree(expression))}", dict(NAMESPACE))


def near(expression: str) -> st.SearchStrategy[str]:
    arguments = [one for call in calls_in(parse_tree(expression)) for one in call.arguments]
    found = [str(one) for argument in arguments for one in (argument if isinstance(argument, tuple) else (argument,))]
    return st.lists(st.one_of(st.sampled_from([*found, ""]), texts), max_size=3).map("".join)


@pytest.mark.parametrize("name", OF_ONE_FIELD)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_form_of_one_field(name: str, data: st.DataObject) -> None:
    expression = data.draw(calls((name,)))
    field = next(calls_in(parse_tree(expression))).arguments[0]
    text = data.draw(near(expression))
    for source in (expression, f"not {expression}", f"({expression} or not exists(event, {field!r}))"):
        expected = compile_expression(source)({field: text})
        assert compiled(source)(text.lower(), text, None) == expected


@pytest.mark.parametrize("name", OF_TWO_FIELDS)
@given(texts, texts)
@settings(max_examples=50, deadline=None)
def test_form_of_two_fields(name: str, one: str, other: str) -> None:
    for pair in ((one, other), (one, one.upper()), (one + other, other), (other + one, other)):
        event = dict(zip("AB", pair, strict=True))
        source = f"{name}(event, 'A', 'B')"
        lower = [text.lower() for text in pair]
        assert compiled(source)(*lower, event) == compile_expression(source)(event)
        assert compiled(f"not {source}")(*lower, event) != compile_expression(source)(event)


@pytest.mark.parametrize("name", KEYWORDS)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_form_of_keywords(name: str, data: st.DataObject) -> None:
    expression = data.draw(calls((name,)))
    values = data.draw(st.lists(near(expression), max_size=3))
    event = {f"field{number}": value for number, value in enumerate(values)}
    text = "\x02".join(values)
    assert compiled(expression)(text.lower(), text, event) == compile_expression(expression)(event)


def test_long_lists() -> None:
    needles = tuple(f"needle{number}" for number in range(100))
    form = compiled(f"contains_any(event, 'A', {needles!r})")
    assert form("a needle99 b", "a needle99 b", None)
    assert not form("a needle b", "a needle b", None)

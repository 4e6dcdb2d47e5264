"""The grammar of expressions: what is let through, what is refused, and how a compiled one behaves."""

from __future__ import annotations

import traceback

import pytest

from sigma.pyeval import ExpressionError, compile_expression
from sigma.pyeval.expression import parse_expression
from sigma.pyeval.layout import layout
from sigma.pyeval.matchers import MATCHERS

GOOD = [
    "contains(event, 'CommandLine', 'curl')",
    "not (exists(event, 'A') or is_null(event, 'B')) and has_value(event, 'C')",
    "equals_any(event, 'A', (1, -2, 'x', 1.5))",
    "time_part(event, 'A', 'hour', '>=', 18)",
    "regex(event, 'A', '^x', 'ims') or regex(event, 'A', 'y')",
    "cidr_any(event, 'A', ('10.0.0.0/8', 'fe80::/10'))",
]

BAD = [
    ("", "not an expression"),
    ("contains(event, 'A', 'x'", "not an expression"),
    ("True", "only and, or, not and calls"),
    ("event", "only and, or, not and calls"),
    ("event['A'] == 'x'", "only and, or, not and calls"),
    ("contains(event, 'A', 'x') if exists(event, 'A') else exists(event, 'B')", "only and, or, not"),
    ("__import__('os').system('x')", "is not a matcher"),
    ("print(event)", "'print' is not a matcher"),
    ("contains.__globals__(event, 'A', 'x')", "is not a matcher"),
    ("lookup(event, 'A')", "'lookup' is not a matcher"),
    ("contains(other, 'A', 'x')", "takes event first"),
    ("contains(event, 'A', value='x')", "no keyword arguments"),
    ("contains(event, *('A', 'x'))", "takes 2 arguments"),
    ("contains(event, 'A', *('x',))", "not a literal"),
    ("contains(event, 'A', f'{event}')", "not a literal"),
    ("contains(event, 'A', 'x' 'y' % 1)", "not a literal"),
    ("contains(event, 'A', lookup(event, 'B'))", "not a literal"),
    ("contains(event, 'A')", "takes 2 arguments"),
    ("contains(event, 'A', 5)", "text is needed, not 5"),
    ("contains(event, 5, 'x')", "field: text is needed"),
    ("contains_any(event, 'A', 'x')", "a tuple of at least one value"),
    ("contains_any(event, 'A', ())", "a tuple of at least one value"),
    ("contains_any(event, 'A', ['x'])", "not a literal"),
    ("equals(event, 'A', True)", "a number is needed, not True"),
    ("equals(event, 'A', None)", "a number is needed"),
    ("equals(event, 'A', 1e999)", "a number is needed, not inf"),
    ("lt(event, 'A', '5')", "a number is needed"),
    ("lt(event, 'A', -True)", "not a literal"),
    ("cidr(event, 'A', '10.0.0.1/8')", "has host bits set"),
    ("regex(event, 'A', '(')", "missing ), unterminated subpattern at position 0"),
    ("regex(event, 'A', 'x', 'x')", "flags are letters of 'ims'"),
    ("time_part(event, 'A', 'second', '==', 1)", "one of minute, hour"),
    ("time_part(event, 'A', 'hour', '!=', 1)", "one of ==, <"),
    ("(" * 300 + "exists(event, 'A')" + ")" * 300, "not an expression"),
    ("contains(event, 'A', 'x'); import os", "not an expression"),
    ("contains(event, 'A', '\0')", "not an expression"),
    ("[contains(event, 'A', 'x') for event in ()]", "only and, or, not"),
    ("(lambda event: exists(event, 'A'))(event)", "is not a matcher"),
    ("(x := exists(event, 'A'))", "only and, or, not"),
    ("~exists(event, 'A')", "only and, or, not"),
    ("exists(event, 'A') & exists(event, 'B')", "only and, or, not"),
    ("await exists(event, 'A')", "only and, or, not"),
]


@pytest.mark.parametrize("source", GOOD)
def test_expressions_are_accepted(source: str) -> None:
    """What the backend writes is read again, compiles, and never raises on an event without fields."""
    assert compile_expression(source)({}) in (True, False)


@pytest.mark.parametrize(("source", "words"), BAD, ids=lambda value: str(value)[:50])
def test_anything_else_is_refused(source: str, words: str) -> None:
    """A refusal says what was found and where; nothing is compiled."""
    with pytest.raises(ExpressionError) as raised:
        compile_expression(source)
    assert words in str(raised.value)


def test_a_compiled_expression_ignores_case() -> None:
    """The public example."""
    predicate = compile_expression("contains(event, 'CommandLine', 'curl')")
    assert predicate({"CommandLine": "CURL x"})
    assert not predicate({"CommandLine": "wget x"})


def test_a_traceback_shows_the_rule_and_its_line() -> None:
    """An error from a foreign object points at the expression."""

    class Hostile:
        def get(self, key: str) -> object:
            raise RuntimeError("no")

    predicate = compile_expression("contains(event, 'A', 'x')", "rule 1: Odd\nname")
    with pytest.raises(RuntimeError) as raised:
        predicate(Hostile())  # type: ignore[arg-type]
    shown = "".join(traceback.format_exception(raised.value))
    assert 'File "<sigma rule 1: Odd?name>"' in shown
    assert "return (contains(event, 'A', 'x')" in shown


@pytest.mark.parametrize("name", sorted(MATCHERS))
def test_every_matcher_is_documented(name: str) -> None:
    """What a modifier means stands in its matcher's docstring."""
    assert (MATCHERS[name].__doc__ or "").strip()


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("exists(event, 'A')", ["exists(event, 'A')"]),
        (
            f"(exists(event, '{'a' * 40}') or exists(event, '{'b' * 40}')) and not exists(event, 'c')",
            [
                "(",
                f"    exists(event, '{'a' * 40}')",
                f"    or exists(event, '{'b' * 40}')",
                ")",
                "and not exists(event, 'c')",
            ],
        ),
        (
            f"contains_any(event, 'A', ('{'a' * 60}', '{'b' * 60}'))",
            ["contains_any(event, 'A', (", f"    '{'a' * 60}',", f"    '{'b' * 60}',", "))"],
        ),
    ],
)
def test_a_long_expression_is_laid_out(source: str, lines: list[str]) -> None:
    """Lines break at operators and lists; the text reads back as the same expression."""
    laid_out = layout(source)
    assert laid_out.splitlines() == lines
    import ast

    assert ast.dump(parse_expression(f"(\n{laid_out}\n)")) == ast.dump(parse_expression(source))

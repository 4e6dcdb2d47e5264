"""The grammar of correlation calls: what may stand there, how it is laid out, that nothing else is ever built."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import codegen
from sigma.pyeval.correlation.calls import CORRELATION_CALLS, CorrelationError, ways_of
from sigma.pyeval.correlation.source import emit_correlation, layout_correlation, parse_correlation

from ..conftest import ROOT

GOOD = "event_count(rules=('a', 'b'), group_by=('User',), timespan=600, condition=('gte', 10))"


def test_a_call_reads_back() -> None:
    assert emit_correlation(parse_correlation(GOOD)) == GOOD
    assert parse_correlation(GOOD).condition == ("gte", 10)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "no correlation"),
        ("1", "one call is needed"),
        ("open('x')", "one call is needed"),
        ("a.event_count(rules=('a',), timespan=1, condition=('gte', 1))", "one call is needed"),
        ("event_count(('a',), timespan=1, condition=('gte', 1))", "by name only"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), x=1)", "does not take 'x'"),
        ("event_count(**{})", "does not take"),
        ("event_count(rules=('a',), timespan=1)", "without condition"),
        ("event_count(rules=(f(),), timespan=1, condition=('gte', 1))", "no literal: 'f()'"),
        ("event_count(rules=('a',), timespan=1 + 1, condition=('gte', 1))", "no literal"),
        ("event_count(rules=['a'], timespan=1, condition=('gte', 1))", "no literal"),
        ("event_count(rules=(), timespan=1, condition=('gte', 1))", "no rules"),
        ("event_count(rules=('a', 'a'), timespan=1, condition=('gte', 1))", "named twice"),
        ("event_count(rules=('a',), timespan=0, condition=('gte', 1))", "timespan"),
        ("event_count(rules=('a',), timespan=1.5, condition=('gte', 1))", "timespan"),
        ("event_count(rules=('a',), timespan=True, condition=('gte', 1))", "timespan"),
        ("event_count(rules=('a',), timespan=1, condition=('ge', 1))", "has no meaning"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', '1'))", "has no meaning"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1e999))", "has no meaning"),
        ("event_count(rules=('a',), timespan=1, condition='a')", "has no meaning"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), fields=('x',))", "with a field"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), group_by='x')", "group-by"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), aliases=(('x', (('b', 'f'),)),))", "'b', which is not correlated"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), aliases=(1,))", "aliases"),
        ("event_count(rules=('a',), timespan=1, condition=('gte', 1), aliases=(('x', (('a', 1),)),))", "alias"),
        ("value_sum(rules=('a',), timespan=1, condition=('gte', 1))", "without a field"),
        ("value_sum(rules=('a',), timespan=1, condition=('gte', 1), fields=('x', 'y'))", "several fields"),
        ("value_sum(rules=('a',), timespan=1, condition=('gte', 1), fields=('x',), percentile=1)", "with a percentile"),
        ("value_percentile(rules=('a',), timespan=1, condition=('gte', 1), fields=('x',))", "add 'percentile: 95'"),
        ("value_percentile(rules=('a',), timespan=1, condition=('gte', 1), fields=('x',), percentile=101)", "0 to 100"),
        ("temporal(rules=('a', 'b'), timespan=1, condition='a')", "other rules than are listed"),
        ("temporal(rules=('a',), timespan=1, condition=('and',))", "has no meaning"),
        ("temporal(rules=('a',), timespan=1, condition=('not', 'a', 'a'))", "has no meaning"),
        ("temporal(rules=('a',), timespan=1, condition=" + "('not', " * 60 + "'a'" + ")" * 60 + ")", "nested too deeply"),
        ("temporal(rules=('a',), timespan=1, condition=" + "(" * 150 + "'a'" + ",)" * 150 + ")", "no meaning|too deeply"),
    ],
)  # fmt: skip
def test_what_is_refused(source: str, words: str) -> None:
    with pytest.raises(CorrelationError) as raised:
        parse_correlation(source)
    assert any(one in str(raised.value) for one in words.split("|"))


def test_too_many_ways() -> None:
    rules = tuple(f"r{number}" for number in range(14))
    pairs = ("and", *(("or", rules[number], rules[number + 1]) for number in range(0, 14, 2)))
    with pytest.raises(CorrelationError, match="more than 64 ways; split the rule"):
        CORRELATION_CALLS["temporal_ordered"](rules=rules, timespan=1, condition=pairs)
    assert CORRELATION_CALLS["temporal"](rules=rules, timespan=1, condition=pairs).is_extended


def test_ways() -> None:
    assert ways_of(("and", "a", ("or", "a", "b"))) == [(frozenset("a"), frozenset())]
    assert ways_of(("not", ("and", "a", "b"))) == [(frozenset(), frozenset("a")), (frozenset(), frozenset("b"))]
    assert ways_of(("and", "a", ("not", "a"))) == []


def test_a_long_call_has_a_line_for_each_argument() -> None:
    long = parse_correlation(GOOD.replace("'a', 'b'", "'11111111-1111-4111-8111-111111111111', 'failed_login'"))
    assert layout_correlation(long, "    ").splitlines() == [
        "event_count(",
        "        rules=('11111111-1111-4111-8111-111111111111', 'failed_login'),",
        "        group_by=('User',),",
        "        timespan=600,",
        "        condition=('gte', 10),",
        "    )",
    ]
    assert parse_correlation(layout_correlation(long)) == long


@given(st.text(min_size=1), st.text())
def test_any_name_stays_a_literal(rule: str, field: str) -> None:
    """Names and fields reach the source through the literal writer alone."""
    made = CORRELATION_CALLS["event_count"](rules=(rule,), timespan=1, condition=("gte", 1), group_by=(field,))
    source = emit_correlation(made)
    assert source.isascii()
    assert parse_correlation(source) == made
    tree = ast.parse(source, mode="eval").body
    assert isinstance(tree, ast.Call)
    assert all(not isinstance(node, (ast.Call, ast.Name)) for one in tree.keywords for node in ast.walk(one.value))


def test_no_name_stands_twice_in_a_standalone_module() -> None:
    """The embedded files share one namespace."""
    seen: dict[str, str] = {}
    twice = []
    for file in (*codegen.EMBEDDED, *codegen.EMBEDDED_CORRELATION):
        for node in ast.parse((ROOT / "sigma/pyeval" / file).read_text()).body:
            names = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            elif isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0):
                module = getattr(node, "module", "")
                names = [name.name for name in node.names if seen.get(name.name) != f"import {module}"]
                seen |= {name: f"import {module}" for name in names if name not in seen}
                twice += [name for name in names if seen[name] != f"import {module}"]
                continue
            twice += [name for name in names if name in seen]
            seen |= dict.fromkeys(names, file)
    assert twice == []

"""The law of witnesses: whatever holds has one of its literals in the text; what has none is always evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval import compile_expression
from sigma.pyeval.engine.predicates import calls as calls_in
from sigma.pyeval.engine.predicates import emit_tree, parse_tree
from sigma.pyeval.engine.witnesses import beyond_witness, proofs, witness, wrapped
from sigma.pyeval.matchers.values import leaves, lookup, text_of

from .strategies import TESTED, calls, texts

# expression, its witness; None: always evaluated
WITNESSES: list[tuple[str, tuple[str, ...] | None]] = [
    ("equals(event, 'A', 'Abc')", ("\x02abc\x03",)),
    ("equals(event, 'A', 5)", ("\x025\x03",)),
    ("equals(event, 'A', 5.0)", ("\x025\x03",)),
    ("equals(event, 'A', '')", ("\x02\x03",)),
    ("equals_any(event, 'A', ('x', 'Y', 'y', 1))", ("\x02x\x03", "\x02y\x03", "\x021\x03")),
    ("equals_all(event, 'A', ('x', 'longest'))", ("\x02longest\x03",)),
    ("contains(event, 'A', 'Curl')", ("curl",)),
    ("contains_any(event, 'A', ('Curl', 'wget'))", ("curl", "wget")),
    ("contains_all(event, 'A', ('ab', 'wget', 'xyz'))", ("wget",)),
    ("startswith(event, 'A', 'C:')", ("\x02c:",)),
    ("endswith_any(event, 'A', ('.exe', '.DLL'))", (".exe\x03", ".dll\x03")),
    ("contains_cased(event, 'A', 'Curl')", ("curl",)),
    ("endswith_cased_any(event, 'A', ('.Exe', 'X'))", (".exe\x03", "x\x03")),
    ("wildcard(event, 'A', 'a?Longer*b')", ("longer",)),
    ("wildcard(event, 'A', 'start*b')", ("\x02start",)),
    ("wildcard(event, 'A', '*a*end')", ("end\x03",)),
    ("wildcard_any(event, 'A', ('x*first', '*second?'))", ("first\x03", "second")),
    ("wildcard_all(event, 'A', ('x*first', '*twentysecond?'))", ("twentysecond",)),
    ("regex(event, 'A', 'ab+cde[0-9]', '')", ("cde",)),
    ("keyword(event, 'Curl')", ("curl",)),
    ("keyword_all(event, ('ab', 'wget'))", ("wget",)),
    ("keyword_wildcard(event, 'a*wget')", ("wget",)),
    ("keyword_regex(event, 'ab+cde', '')", ("cde",)),
    ("contains(event, 'A', 'ab') and contains(event, 'A', 'wget')", ("wget",)),
    ("contains(event, 'A', 'curl') and not contains(event, 'A', 'wget')", ("curl",)),
    ("contains(event, 'A', 'curl') or equals(event, 'A', 'wget')", ("curl", "\x02wget\x03")),
    # Each reason to stay open:
    ("not contains(event, 'A', 'curl')", None),
    ("contains(event, 'A', 'curl') or not contains(event, 'A', 'wget')", None),
    ("contains(event, 'A', 'curl') or exists(event, 'A')", None),
    ("contains(event, 'A', 'x')", None),  # in nearly every value
    ("contains(event, 'A', '')", None),
    ("contains_any(event, 'A', ('curl', ''))", None),
    ("contains_cased(event, 'A', 'ΑΣ')", None),  # its lower case depends on what follows
    ("wildcard(event, 'A', '?')", None),
    ("wildcard_any(event, 'A', ('abc*', '*'))", None),
    ("regex(event, 'A', '[ab]+', '')", None),
    ("regex(event, 'A', 'curl|', '')", None),
    ("regex(event, 'A', 'a(b', '')", None),
    ("lt(event, 'A', 5)", None),
    ("cidr(event, 'A', '10.0.0.0/8')", None),
    ("time_part(event, 'A', 'hour', '<', 6)", None),
    ("exists(event, 'A')", None),
    ("has_value(event, 'A')", None),
    ("is_null(event, 'A')", None),
]


@pytest.mark.parametrize(("expression", "literals"), WITNESSES)
def test_witness(expression: str, literals: tuple[str, ...] | None) -> None:
    found = witness(parse_tree(expression))
    assert (None if found is None else found.literals) == literals


@pytest.mark.parametrize(
    ("pattern", "flags", "ascii_only"),
    [("abc", "", False), ("abc", "i", True), ("(?i)abc", "", True), ("a(?i:s)bcd", "m", True)],
)
def test_case_ignored_counts_for_ascii_only(pattern: str, flags: str, ascii_only: bool) -> None:
    found = witness(parse_tree(f"regex(event, 'A', '{pattern}', '{flags}')"))
    assert found is not None
    assert found.ascii_only is ascii_only


def values_near(expression: str) -> st.SearchStrategy[Any]:
    """Return values made of what *expression* looks for, in any case, with other things around."""
    arguments = [one for call in calls_in(parse_tree(expression)) for one in call.arguments]
    found = [str(one) for argument in arguments for one in (argument if isinstance(argument, tuple) else (argument,))]
    pieces = st.one_of(st.sampled_from(found), st.sampled_from(found).map(str.upper), texts)
    one = st.one_of(st.lists(pieces, max_size=3).map("".join), st.sampled_from([1, 10, 0.5, 1.0, True, None]))
    return st.one_of(one, st.lists(one, max_size=3))


@pytest.mark.parametrize("name", TESTED)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_law(name: str, data: st.DataObject) -> None:
    expression = data.draw(calls((name,)))
    tree = parse_tree(expression)
    event = {"A": data.draw(values_near(expression))}
    source = expression
    for field in ("'B'", "'a.b'", "'a.0'", "'a.b.c'", "'Image'"):
        source = source.replace(f"event, {field}", "event, 'A'", 1)
    found = [text for text in map(text_of, lookup(event, "A") or leaves(event)) if text is not None]
    seen = "".join(wrapped(text) for text in found)
    seen += "".join(wrapped(str(int(one))) for one in lookup(event, "A") or [] if type(one) is float)
    needed = witness(tree)
    holds = compile_expression(source)(event)
    if needed is not None and holds and not (needed.ascii_only and not seen.isascii()):
        assert any(literal in seen for literal in needed.literals)
    # What proves, proves: for one text without marks.
    value = event["A"]
    if type(value) is str and not {"\x02", "\x03"} & set(value):
        assert holds or not any(literal in wrapped(value) for literal in proofs(tree))


def test_beyond_the_witness() -> None:
    """Once ``cmd.exe\x03`` was found, that part needs no second look; a part that is only suggested does."""
    tree = parse_tree("endswith(event, 'A', 'cmd.exe') and not contains(event, 'A', 'x')")
    needed = witness(tree)
    assert needed is not None
    assert emit_tree(beyond_witness(tree, needed)) == "not contains(event, 'A', 'x')"
    tree = parse_tree("contains_all(event, 'A', ('abc', 'defg')) and not contains(event, 'A', 'x')")
    needed = witness(tree)
    assert needed is not None
    assert beyond_witness(tree, needed) == tree

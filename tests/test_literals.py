"""The literal writer: what it writes is ASCII and reads back as itself, or it refuses."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.literals import LiteralError, literal

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner))


@given(VALUES)
def test_a_literal_reads_back_as_itself(value: object) -> None:
    """Whatever the text holds, the source is one ASCII line that evaluates to it."""
    source = literal(value)
    assert source.isascii()
    assert "\n" not in source
    assert ast.literal_eval(source) == value


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('it\'s "x"', "'it\\'s \"x\"'"),
        ("a\\", "'a\\\\'"),
        ("a\nb\0\x85\u2028", "'a\\nb\\x00\\x85\\u2028'"),
        ("\u202eabc\u200b", "'\\u202eabc\\u200b'"),
        ("\ud800", "'\\ud800'"),
        ("{x} # %s", "'{x} # %s'"),
    ],
)
def test_text_that_could_break_out_is_escaped(text: str, source: str) -> None:
    """Quotes, backslashes, newlines, invisible characters and lone surrogates never stand bare."""
    assert literal(text) == source


@pytest.mark.parametrize("value", [float("inf"), float("nan"), object(), [object()], b"x".decode])
def test_what_does_not_read_back_is_refused(value: object) -> None:
    """Infinities, NaN and foreign objects have no literal."""
    with pytest.raises(LiteralError, match="cannot write"):
        literal(value)

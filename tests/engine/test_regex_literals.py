"""What a regular expression requires is found in every text that it matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval.engine.regex_literals import required_literals
from sigma.pyeval.matchers.regexes import compile_regex

from .strategies import patterns

CASES: list[tuple[str, tuple[tuple[str, ...], ...]]] = [
    ("abc", (("abc",),)),
    ("ABC", (("abc",),)),
    ("[Aa]bc", (("abc",),)),
    (r"\\abc\.exe$", (("\\abc.exe",),)),
    ("ab.cd", (("ab",), ("cd",))),
    ("(ab)+cd", (("ab",), ("cd",))),
    ("(?>ab)cd", (("ab",), ("cd",))),
    ("(?:one|two)x", (("one", "two"), ("x",))),
    ("abc|abd", (("ab",),)),
    (".*(?:set.*&&.*input|cmd.*/c)", (("input", "cmd"), ("set", "/c"), ("&&", "/c"))),
    ("x(?:ab|c.d)y", (("x",), ("ab", "c"), ("ab", "d"), ("y",))),
    ("(ab)?cd", (("cd",),)),
    ("(ab){0,3}", ()),
    ("ab|", ()),
    ("[ab]", ()),
    ("[^a]", ()),
    ("é", ()),
    ("aéb", (("a",), ("b",))),
    ("(?!ab)cd", (("cd",),)),
    ("(?<=ab)cd", (("cd",),)),
    (r"(ab)\1", (("ab",),)),
    ("a(?#comment)b", (("ab",),)),
    ("(?x) a b # c", (("ab",),)),
    ("a(b", ()),
]


@pytest.mark.parametrize(("pattern", "groups"), CASES)
def test_required(pattern: str, groups: tuple[tuple[str, ...], ...]) -> None:
    assert required_literals(pattern).groups == groups


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "S",
        "k",
        "[Aa]",
        "[ab]",
        ".",
        "x{1,2}",
        "y?",
        "(?i:s)",
        "\\b",
        "^",
        "$",
        "é",
        "(?=a)",
        "(?>a)",
    ]
)


@st.composite
def made_patterns(draw: st.DrawFn) -> str:
    parts = draw(
        st.lists(
            st.one_of(ATOMS, st.lists(ATOMS, min_size=1, max_size=2).map(lambda some: f"(?:{'|'.join(some)})+")),
            max_size=4,
        )
    )
    return "".join(parts)


@given(
    st.one_of(patterns, made_patterns()),
    st.sampled_from(["", "i", "ms"]),
    st.text(st.sampled_from("abABsSkKxyſKéİ \n"), max_size=8),
)
@settings(max_examples=400, deadline=None)
def test_law(pattern: str, flags: str, text: str) -> None:
    required = required_literals(pattern, flags)
    try:
        found = compile_regex(pattern, flags).search(text)
    except re.error:
        return
    if found is not None and not (required.ascii_only and not text.isascii()):
        lower = text.lower()
        assert all(any(literal in lower for literal in group) for group in required.groups)

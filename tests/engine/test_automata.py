"""An automaton finds just the literals that ``in`` finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.engine import automata
from sigma.pyeval.engine.automata import Automaton


@given(
    st.lists(st.text("abé", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.text("abé", max_size=12),
)
def test_found(literals: list[str], text: str) -> None:
    # With more of them, which never occur, the same is found in another way.
    for automaton in (Automaton(literals), Automaton([*literals, "c", "d", "e", "f", "g"])):
        found = automaton.found(text)
        assert sorted(found) == [number for number, literal in enumerate(literals) if literal in text]


def test_overlapping_literals() -> None:
    assert Automaton(["abc", "bcd", "c", "cde", "x", "y"]).found("abcde") == {0, 1, 2, 3}


def test_long_texts_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automata, "_PIECE", 10)
    automaton = Automaton(["needle", "x", "1", "2", "3", "4"])
    for place in range(30):
        assert automaton.found("." * place + "needle" + "." * 15) == {0}
    assert automaton.found("." * 100) == set()


def test_many_literals() -> None:
    literals = [f"literal number {number}" for number in range(3_000)]
    assert Automaton(literals).found("a literal number 2999") == {2, 29, 299, 2999}


def test_lone_surrogates() -> None:
    automaton = Automaton(["abc", "\ud800", "\U00010000", "\udc00", "x", "y"])
    assert sorted(automaton.found("abc\ud800")) == [0, 1]
    assert sorted(automaton.found("\U00010000")) == [2]

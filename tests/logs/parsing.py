"""What the parsers' tests share: feeding lines, and strategies for lines that nobody wrote by hand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st

from sigma.pyeval.logs.records import Parser, Problem, Record

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[3] / "shared"))

needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="shared data is not here (PYEVAL_SHARED)")


class Lines:
    """A parser that keeps what it is fed."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def feed(self, line: int, raw: bytes) -> list[Record | Problem]:
        self.lines.append(raw)
        return []

    def flush(self) -> list[Record | Problem]:
        self.lines.append(b"end")
        return []


def feed_all(parser: Parser, *lines: bytes) -> list[Record | Problem]:
    """Feed *lines*, numbered from 1, and flush."""
    found: list[Record | Problem] = []
    for number, line in enumerate(lines, 1):
        found += parser.feed(number, line)
    found += parser.flush()
    return found


def events(found: Iterable[Record | Problem]) -> list[dict[str, Any]]:
    return [record.event for record in found if isinstance(record, Record)]


def problems(found: Iterable[Record | Problem]) -> list[tuple[int, str]]:
    return [(problem.line, problem.reason) for problem in found if isinstance(problem, Problem)]


def the_event(parser: Parser, line: bytes) -> dict[str, Any]:
    """Return the one event of *line*, which has no problem."""
    found = feed_all(parser, line)
    assert problems(found) == []
    assert len(found) == 1
    return events(found)[0]


def damaged(*examples: bytes) -> st.SearchStrategy[list[bytes]]:
    """Lines that are examples with pieces cut out or put in from elsewhere, and lines of any bytes."""
    pieces = st.sampled_from([piece for example in examples for piece in (example, *example.split(b" "))])
    noise = st.one_of(st.binary(max_size=12), st.sampled_from([b'"', b"\\", b"[", b"{", b"]", b"=", b"\0", b"\xff"]))
    joined = st.lists(st.one_of(pieces, noise), max_size=8).map(b" ".join)
    cut = st.builds(
        lambda line, at, put: line[: at % (len(line) + 1)] + put + line[at % (len(line) + 1) :],
        st.sampled_from(examples),
        st.integers(0, 4000),
        noise,
    )
    shortened = st.builds(
        lambda line, at: line[: at % (len(line) + 1)], st.sampled_from(examples), st.integers(0, 4000)
    )
    line = st.one_of(cut, shortened, joined, st.binary(max_size=80), st.sampled_from(examples))
    return st.lists(line.map(lambda text: text.replace(b"\n", b" ")), max_size=8)


def check_invariants(parser: Parser, lines: list[bytes]) -> None:
    """A parser never raises, numbers what it yields by its lines, and yields events that JSON can hold."""
    for item in feed_all(parser, *lines):
        assert 1 <= item.line <= len(lines)
        if isinstance(item, Record):
            assert isinstance(item.event, dict)
            orjson.dumps(item.event)
        else:
            assert item.reason
            assert item.excerpt.isprintable()

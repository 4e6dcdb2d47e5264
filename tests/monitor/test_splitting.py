"""Lines come out the same wherever chunks are cut, and none beyond the bound is held in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.monitor.sources.splitting import KEPT_BYTES, LineSplitter, TooLong


def test_lines_end_at_line_feeds() -> None:
    """Carriage returns before a line feed are no part of a line; blank lines are lines."""
    splitter = LineSplitter(100)
    assert splitter.feed(b"one\r\ntwo\n\nthr") == [b"one", b"two", b""]
    assert splitter.pending == 3
    assert splitter.feed(b"ee\n") == [b"three"]
    assert splitter.pending == 0
    assert splitter.finish() == []


def test_the_last_line_needs_no_line_feed() -> None:
    """What stands behind the last line feed is given out at the end of input, once."""
    splitter = LineSplitter(100)
    assert splitter.feed(b"one\ntwo") == [b"one"]
    assert splitter.finish() == [b"two"]
    assert splitter.finish() == []


def test_a_line_of_the_bound_is_whole_and_one_beyond_is_not() -> None:
    """The bound is the longest line that is given out, its carriage return not counted."""
    splitter = LineSplitter(4)
    assert splitter.feed(b"1234\n1234\r\n12345\n1\n") == [b"1234", b"1234", TooLong(b"12345", 5), b"1"]


def test_what_is_too_long_is_not_held() -> None:
    """Of a line that never seems to end only its beginning stays in memory, and the next line is read."""
    splitter = LineSplitter(10_000)
    for _ in range(1_000):
        assert splitter.feed(b"x" * 1_000) == []
    assert splitter.pending == 1_000_000
    assert sum(map(len, splitter._pieces)) <= 11_000
    (cut, line) = splitter.feed(b"y\nnext\n")
    assert cut == TooLong(b"x" * KEPT_BYTES, 1_000_001)
    assert line == b"next"


@given(st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b"c" * 20, b"\r"]), max_size=40), st.integers(1, 7))
def test_chunks_make_no_difference(pieces: list[bytes], size: int) -> None:
    """Any cut of the same bytes gives the same lines."""
    data = b"".join(pieces)
    whole, cut = LineSplitter(10), LineSplitter(10)
    expected = [*whole.feed(data), *whole.finish()]
    found = [line for start in range(0, len(data), size) for line in cut.feed(data[start : start + size])]
    assert [*found, *cut.finish()] == expected

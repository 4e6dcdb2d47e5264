"""RFC 6587: messages in a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.framing import FrameSplitter
from sigma.pyeval.logs.records import Problem


def split(data: bytes, sizes: list[int] | None = None, limit: int = 1000) -> list[bytes | str]:
    splitter = FrameSplitter(limit)
    found: list[bytes | Problem] = []
    for size in sizes or []:
        found += splitter.feed(data[:size])
        data = data[size:]
    found += splitter.feed(data)
    found += splitter.flush()
    return [item.reason if isinstance(item, Problem) else item for item in found]


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"5 <1>ab6 <2>cde", [b"<1>ab", b"<2>cde"]),
        (b"<1>a\n<2>b\r\n<3>c", [b"<1>a", b"<2>b", b"<3>c"]),
        (
            b"7 <1>a\nbc<2>d\n5 <3>ef",
            [b"<1>a\nbc", b"<2>d", b"<3>ef"],
        ),  # both kinds, a newline inside the first
        (b"5 <1>ab\n5 <2>cd\n", [b"<1>ab", b"<2>cd"]),  # a newline behind a counted message
        (b"2024-01-01 text\n", [b"2024-01-01 text"]),  # digits are no count without a blank and <
        (b"12 monkeys\n", [b"12 monkeys"]),
        (b"\n\n\0 \n", []),
        (b"", []),
        (b"9 <1>ab", [b"<1>ab", "the connection ended after 5 of 9 octets"]),
    ],
)
def test_messages_of_a_stream(data: bytes, messages: list[bytes | str]) -> None:
    assert split(data) == messages
    assert split(data, [1] * len(data)) == messages


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"12 <1>345678901<2>x\n", [b"<1>34567", "message of 12 octets cut at 8 octets", b"<2>x"]),
        (b"<1>345678901\n<2>x\n", [b"<1>34567", "message without a newline cut at 8 octets", b"<2>x"]),
    ],
)
def test_a_long_message_is_cut_and_reported_and_the_next_is_read(data: bytes, messages: list[bytes | str]) -> None:
    assert split(data, limit=8) == messages
    assert split(data, [1] * len(data), limit=8) == messages


@given(
    st.lists(
        st.tuples(st.booleans(), st.binary(max_size=20).map(lambda text: text.replace(b"\n", b"").strip(b"\r\0 ")))
    ),
    st.lists(st.integers(1, 30), max_size=20),
)
def test_chunks_do_not_matter(messages: list[tuple[bool, bytes]], sizes: list[int]) -> None:
    texts = [b"<1>" + text for _, text in messages]
    stream = b"".join(
        b"%d %s" % (len(text), text) if counted else text + b"\n"
        for (counted, _), text in zip(messages, texts, strict=True)
    )
    assert split(stream, sizes) == texts


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_split_within_bounds(chunks: list[bytes]) -> None:
    splitter = FrameSplitter(16)
    for chunk in chunks:
        for item in splitter.feed(chunk):
            assert isinstance(item, Problem) or len(item) <= 16
    splitter.flush()

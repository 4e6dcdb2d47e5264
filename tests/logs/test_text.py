"""How bytes become text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.text import decode, values_without_surrogates, without_surrogates


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        ("bär".encode(), "bär"),
        (b"b\xe4r", "b\\xe4r"),
        (b"cut \xe2\x82", "cut \\xe2\\x82"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # an encoded surrogate is no UTF-8
    ],
)
def test_bytes_outside_utf8_stay_visible(raw: bytes, text: str) -> None:
    assert decode(raw) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("bär", "bär"), ("a\udce4b", "a\\xe4b"), ("a\ud83db", "a\\ud83db"), ("😀", "😀")],
)
def test_surrogates_become_visible(text: str, expected: str) -> None:
    assert without_surrogates(text) == expected


def test_surrogates_are_found_at_every_depth() -> None:
    value = {"\udcff": ["a\udcff", {"b": "\ud800"}], "n": 1, "none": None}
    assert values_without_surrogates(value) == {"\\xff": ["a\\xff", {"b": "\\ud800"}], "n": 1, "none": None}


@given(st.binary())
def test_decoded_text_can_be_encoded(raw: bytes) -> None:
    decode(raw).encode()
    without_surrogates(raw.decode("utf-8", "surrogateescape")).encode()

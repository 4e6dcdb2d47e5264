"""JSON that orjson refuses, and what stays refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.json_values import JsonError, parse_json


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'["\xff", "\\ud800", "\\ud83d\\ude00"]', ["\\xff", "\\ud800", "😀"]),
        (b'["a\tb"]', ["a\tb"]),
        (b"[NaN, Infinity, -Infinity, 1e999]", ["NaN", "Infinity", "-Infinity", "1e999"]),
        (b"[18446744073709551616]", [18446744073709551616.0]),
        (b"[NaN, 18446744073709551616, 123]", ["NaN", 18446744073709551616.0, 123]),
        (b"[NaN, " + b"9" * 5000 + b"]", ["NaN", "9" * 5000]),
    ],
)
def test_values(raw: bytes, value: Any) -> None:
    assert parse_json(raw) == value


@pytest.mark.parametrize("raw", [b"", b"{", b"{'a': 1}", b'{"a": }', b"[" * 5000, b'{"a":' * 5000 + b"NaN", b"nul"])
def test_no_json(raw: bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(raw)


@given(st.binary(max_size=60), st.sampled_from([b"", b'{"a": "', b"[NaN, ", b'["\\ud8']))
def test_any_bytes_are_a_value_or_refused(raw: bytes, head: bytes) -> None:
    try:
        value = parse_json(head + raw)
    except JsonError:
        return
    orjson.dumps(value)

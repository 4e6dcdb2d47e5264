"""What programs and people read: one line of JSON for anything, no steering characters."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from sigma.pyeval.output import json_line, printable


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, None, "ü"]}, {"a": [1, None, "ü"]}),
        ({"a": "\ud800"}, {"a": "\ud800"}),
        ({"a": 2**70}, {"a": 2**70}),
        ({(1, 2): "x", "a": 1}, {"a": 1}),
        ({"a": date(2024, 1, 2)}, {"a": "2024-01-02"}),
        ({"a": "x\ny"}, {"a": "x\ny"}),
    ],
)
def test_any_value_is_one_line(value: Any, expected: Any) -> None:
    line = json_line(value)
    assert json.loads(line) == expected
    assert b"\n" not in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 中", "plain ü 中"),
        ("a\x1b[31m", r"a\x1b[31m"),
        ("a\nb\t", r"a\nb\t"),
        ("a\u202eb\u200b", r"a\u202eb\u200b"),
        ("\ud800\ue000\u2028", r"\ud800\ue000\u2028"),
    ],
)
def test_text_does_not_steer_the_terminal(text: str, expected: str) -> None:
    assert printable(text) == expected

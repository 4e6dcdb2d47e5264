"""Measuring throughput: which lines count, what is made unique, how the ratios are told. Times are never judged."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import parse_rules
from sigma.pyeval.benchmark import Throughput, cpu_seconds, event_lines, measure_throughput, unique_lines

from .conftest import rule_yaml

RULES = parse_rules(rule_yaml("sel: {A|contains: x}\ncondition: sel"))


def test_lines_that_hold_an_object_count() -> None:
    """Blank lines are passed over, the numbers of all others told."""
    lines = [b'{"a": 1}\n', b"\n", b"[1]\n", b"nonsense\n", b" {}\n"]
    assert event_lines(lines) == ([b'{"a": 1}\n', b" {}\n"], [3, 4])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def texts(value: object) -> list[str]:
    """Return the texts in *value* at any depth, keys left out."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_no_two_events_share_a_text(event: dict[str, object]) -> None:
    """The same event twice: every text gets the event's number, everything else stays."""
    line = json.dumps(event).encode()
    for number, made in enumerate(unique_lines([line, line])):
        found = orjson.loads(made)
        assert list(found) == list(event)
        assert texts(found) == [f"{text} {number}" for text in texts(event)]


def test_a_measurement_says_what_was_measured() -> None:
    """Rules, events, the prefix for scan, runs; every rate is positive."""
    lines = [orjson.dumps({"A": f"x{number}"}) for number in range(20)]
    measured = measure_throughput(RULES, lines, runs=2, scanned=5, routed=True)
    assert (measured.rules, measured.events, measured.scanned, measured.runs) == (1, 20, 5, 2)
    assert measured.routed
    assert all(
        rate > 0 for rate in (measured.decode, measured.decode_unique, measured.first, measured.warm, measured.unique)
    )
    assert measured.scan > 0
    assert RULES.statistics().events == 0


def test_ratios() -> None:
    """Each pass beside decoding its own lines, and beside scan."""
    measured = Throughput(1, 2, 2, 1, False, decode=100, decode_unique=50, first=10, warm=40, unique=5, scan=2)
    assert measured.passes() == {"first": (10, 0.1, 5), "warm": (40, 0.4, 20), "unique": (5, 0.1, 2.5)}


def test_every_event_is_judged_once() -> None:
    """What is timed is the decoding and the judging of each line."""
    seen: list[object] = []
    assert cpu_seconds([b'{"a":1}', b'{"b":2}'], seen.append) > 0
    assert seen == [{"a": 1}, {"b": 2}]


def test_a_line_that_is_no_json_is_an_error() -> None:
    """Measuring asks for lines that were sorted out before."""
    with pytest.raises(orjson.JSONDecodeError):
        measure_throughput(RULES, [b"nonsense"], runs=1)

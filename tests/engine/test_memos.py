"""What is remembered, for how long, and that it is counted."""

from __future__ import annotations

from typing import Any

from sigma.pyeval import Rule, Ruleset
from sigma.pyeval.engine.memos import LONGEST_VALUE


def ruleset(*expressions: str, **options: Any) -> Ruleset:
    return Ruleset([Rule(str(number), one, one) for number, one in enumerate(expressions)], **options)


def test_a_value_is_evaluated_once() -> None:
    rules = ruleset("contains(event, 'A', 'abc')")
    for event in ({"A": "xabcx"}, {"A": "xabcx", "B": "other"}, {"B": 1, "A": "xabcx"}):
        assert len(rules.match(event)) == 1
    statistics = rules.statistics()
    assert (statistics.events, statistics.value_misses, statistics.verdict_misses) == (3, 1, 1)


def test_values_of_one_class_share_a_verdict() -> None:
    rules = ruleset("contains(event, 'A', 'abc')")
    for number in range(100):
        assert len(rules.match({"A": f"abc {number}"})) == 1
    assert rules.statistics().value_misses == 100
    assert rules.statistics().verdict_misses == 1


def test_long_values_are_not_kept() -> None:
    rules = ruleset("contains(event, 'A', 'abc')")
    rules.match({})
    before = rules.statistics().memo_bytes
    for _ in range(2):
        assert len(rules.match({"A": "abc" + "x" * LONGEST_VALUE})) == 1
    assert rules.statistics().value_misses == 2
    assert rules.statistics().memo_bytes - before < LONGEST_VALUE


def test_numbers_booleans_and_lists_are_kept() -> None:
    rules = ruleset("equals(event, 'A', 1)")
    for value, found in (
        (1, 1),
        (True, 0),
        (1.0, 1),
        (["1", "2"], 1),
        (["2", "3"], 0),
        (None, 0),
        ({"x": 1}, 0),
    ):
        for _ in range(3):
            assert len(rules.match({"A": value})) == found
    assert rules.statistics().value_misses == 7


def test_memory_is_bounded() -> None:
    bound = 100_000
    rules = ruleset("contains(event, 'A', 'abc')", "keyword(event, 'abc')", memo_bytes=bound)
    for number in range(5_000):
        assert len(rules.match({"A": f"value {number} abc", f"key{number}": str(number)})) == 2
        assert rules.statistics().memo_bytes < bound + 5_000  # one event's worth
    assert rules.statistics().renewals > 5


def test_foreign_objects_are_counted() -> None:
    rules = ruleset("exists(event, 'A')")
    assert len(rules.match({"A": object()})) == 1
    assert rules.statistics().full_scans == 1
    assert len(rules.match({"A": 1, "B": object()})) == 1  # nobody reads B
    assert rules.statistics().full_scans == 1

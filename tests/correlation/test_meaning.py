"""What correlation rules mean, as docs/correlations.md tells it: a row each."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sigma.pyeval.correlation.groups import Limits

from .rules import correlation, counts, member, rows, ruleset

ABC = [member("a"), member("b"), member("c")]
GTE2 = {"condition": {"gte": 2}}


def about(kind: str, rules: Any = "a", **more: Any) -> Any:
    return ruleset(*ABC, correlation(kind, rules, **more))


CASES: list[tuple[str, Any, list[tuple[float, dict[str, Any]]], list[int]]] = [
    # what, (type, rules, words), events, matches an event and at the end
    ("each event at or over the threshold", ("event_count", "a", GTE2), rows("aaaa"), [0, 1, 1, 1, 0]),
    ("a window holds both its ends", ("event_count", "a", GTE2), rows("aaa", 10), [0, 1, 1, 0]),
    ("what is a microsecond older is out", ("event_count", "a", GTE2), rows("aa", 10.000001), [0, 0, 0]),
    ("gt is more", ("event_count", "a", {"condition": {"gt": 2}}), rows("aaa"), [0, 0, 1, 0]),
    ("several rules count together", ("event_count", ["a", "b"], GTE2), rows("ab"), [0, 1, 0]),
    ("an event of two rules is one event", ("event_count", ["a", "b"], GTE2), [(0, {"is": ["a", "b"]})], [0, 0]),
    ("groups are apart", ("event_count", "a", GTE2 | {"group_by": ["g"]}), [(0, {"is": "a", "g": 1}), (1, {"is": "a", "g": 2})], [0, 0, 0]),
    ("1, '1' and true are three groups, 1.0 is 1", ("event_count", "a", GTE2 | {"group_by": "g"}), [(n, {"is": "a", "g": g}) for n, g in enumerate([1, "1", True, 1.0])], [0, 0, 0, 1, 0]),
    ("case matters in groups", ("event_count", "a", GTE2 | {"group_by": "g"}), [(0, {"is": "a", "g": "x"}), (1, {"is": "a", "g": "X"})], [0, 0, 0]),
    ("nothing to group by: left out", ("event_count", "a", GTE2 | {"group_by": "g"}), [(n, {"is": "a"} | g) for n, g in enumerate([{}, {"g": None}, {"g": []}, {"g": {}}, {"g": {"x": 1}}])], [0] * 6),
    ("the empty text is a group", ("event_count", "a", GTE2 | {"group_by": "g"}), [(n, {"is": "a", "g": ""}) for n in range(2)], [0, 1, 0]),
    ("a list of one is its element", ("event_count", "a", GTE2 | {"group_by": "g"}), [(0, {"is": "a", "g": ["x"]}), (1, {"is": "a", "g": "x"})], [0, 1, 0]),
    ("a longer list is one value, in its order", ("event_count", "a", GTE2 | {"group_by": "g"}), [(n, {"is": "a", "g": g}) for n, g in enumerate([["x", "y"], ["y", "x"], ["x", "y"]])], [0, 0, 1, 0]),
    ("fields are found as in rules", ("event_count", "a", GTE2 | {"group_by": "u.name"}), [(0, {"is": "a", "u": {"name": "x"}}), (1, {"is": "a", "u.name": "x"})], [0, 1, 0]),
    ("different values", ("value_count", "a", {"condition": {"gte": 2, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate("xxyz")], [0, 0, 1, 1, 0]),
    ("a value leaves with its last event", ("value_count", "a", {"condition": {"gte": 2, "field": "v"}}), [(t, {"is": "a", "v": v}) for t, v in ((0, "x"), (5, "x"), (11, "y"), (16, "y"))], [0, 0, 1, 0, 0]),
    ("tuples of several fields", ("value_count", "a", {"condition": {"gte": 2, "field": ["v", "w"]}}), [(0, {"is": "a", "v": 1, "w": 1}), (1, {"is": "a", "v": 1}), (2, {"is": "a", "v": 1, "w": 2})], [0, 0, 1, 0]),
    ("different rules", ("temporal", ["a", "b"], {}), rows("aabba"), [0, 0, 1, 1, 1, 0]),
    ("a default threshold of all rules", ("temporal", ["a", "b", "c"], {}), rows("abac"), [0, 0, 0, 1, 0]),
    ("one event of all rules", ("temporal", ["a", "b"], {}), [(0, {"is": ["a", "b"]})], [1, 0]),
    ("or", ("temporal", [], {"condition": "a or b"}), rows("cab"), [0, 1, 1, 0]),
    ("and binds more than or", ("temporal", ["a", "b", "c"], {"condition": "a or b and c"}), rows("bca"), [0, 1, 1, 0]),
    ("in order", ("temporal_ordered", ["a", "b"], {}), rows("babb"), [0, 0, 1, 1, 0]),
    ("in order at one time, however it arrives", ("temporal_ordered", ["a", "b"], {}), rows("ba", 0), [0, 1, 0]),
    ("a part of the order", ("temporal_ordered", ["a", "b", "c"], {"condition": {"gte": 2}}), rows("ca c"), [0, 0, 1, 0]),
    ("a condition in order", ("temporal_ordered", ["a", "b", "c"], {"condition": "a and b and c"}), rows("acbc"), [0, 0, 0, 1, 0]),
    ("a choice in order", ("temporal_ordered", ["a", "b", "c"], {"condition": "(a or b) and c"}), rows("cbc"), [0, 0, 1, 0]),
    ("a sum", ("value_sum", "a", {"condition": {"gte": 10, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([4, "6", -1, 1.0])], [0, 1, 0, 1, 0]),
    ("a sum is exact", ("value_sum", "a", {"condition": {"gte": 0.3, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([1e16, 0.3, -1e16])], [1, 1, 1, 0]),
    ("what is no number is left out", ("value_avg", "a", {"condition": {"gte": 3, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([5, "x", None, True, [1, 2], {}, float("nan"), float("inf"), "1e9"])], [1, *[0] * 9]),
    ("an average", ("value_avg", "a", {"condition": {"gt": 2, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([2, 3, 1, 2.5])], [0, 1, 0, 1, 0]),
    ("a median between two", ("value_median", "a", {"condition": {"gte": 2.5, "field": "v"}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([2, 3, 1, 9])], [0, 1, 0, 1, 0]),
    ("a percentile is a value by nearest rank", ("value_percentile", "a", {"condition": {"gte": 9, "field": "v", "percentile": 75}}), [(n, {"is": "a", "v": v}) for n, v in enumerate([1, 9, 1, 1, 9])], [0, 1, 1, 0, 1, 0]),
    # decided when a window closes
    ("fewer: when the window is over", ("event_count", "a", {"condition": {"lt": 3}}), [*rows("aa"), (10, {"is": "b"}), (10.5, {"is": "b"})], [0, 0, 0, 1, 0]),
    ("fewer: not so many", ("event_count", "a", {"condition": {"lt": 2}}), [*rows("aa"), (11, {})], [0, 0, 0, 0]),
    ("fewer: at the end of the stream", ("event_count", "a", {"condition": {"lte": 2}}), rows("aa"), [0, 0, 1]),
    ("just so many", ("event_count", "a", {"condition": {"eq": 2}}), [(0, {"is": "a"}), (1, {"is": "a"}), (12, {"is": "a"}), (30, {})], [0, 0, 1, 0, 0]),
    ("not so many", ("event_count", "a", {"condition": {"neq": 2}}), [(0, {"is": "a"}), (1, {"is": "a"}), (12, {"is": "a"}), (30, {})], [0, 0, 0, 1, 0]),
    ("the next window begins with the next event", ("event_count", "a", {"condition": {"eq": 1}}), [(0, {"is": "a"}), (11, {"is": "a"}), (21, {"is": "a"}), (32, {})], [0, 1, 0, 0, 0]),
    ("a low average", ("value_avg", "a", {"condition": {"lt": 3, "field": "v"}}), [(0, {"is": "a", "v": 1}), (1, {"is": "a", "v": 4}), (11, {})], [0, 0, 1, 0]),
    ("one without the other", ("temporal", ["a", "b"], {"condition": "a and not b"}), [(0, {"is": "a"}), (20, {"is": "a"}), (21, {"is": "b"}), (40, {})], [0, 1, 0, 0, 0]),
    ("a then c without b", ("temporal_ordered", ["a", "b", "c"], {"condition": "a and c and not b"}), [*rows("ac"), (20, {"is": "c"}), (21, {"is": "a"}), (40, {"is": "a"}), (41, {"is": "b"}), (42, {"is": "c"})], [0, 0, 1, 0, 0, 0, 0, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "events", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_types_and_conditions(rule: Any, events: Any, expected: list[int]) -> None:
    kind, rules, words = rule
    assert counts(about(kind, rules, **words), *events) == expected


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800), ("M", 2_629_746), ("y", 31_556_952)],
)
def test_timespans(unit: str, seconds: int) -> None:
    loaded = about("event_count", timespan=f"2{unit}", **GTE2)
    assert counts(loaded, (0, {"is": "a"}), (2 * seconds, {"is": "a"})) == [0, 1, 0]
    assert counts(loaded, (0, {"is": "a"}), (2 * seconds + 1, {"is": "a"})) == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 1, 1, 1, 1, 0]),
        ({"refire": "once"}, [0, 1, 0, 0, 0, 1, 0]),
        ({"refire": "cooldown", "cooldown": 4}, [0, 1, 0, 1, 0, 1, 0]),
        ({"refire": "cooldown", "cooldown": 100}, [0, 1, 0, 0, 0, 0, 0]),
    ],
)
def test_refire(options: dict[str, Any], expected: list[int]) -> None:
    """At 0, 2, 4, 6, 8 seconds, and at 13: once is over with the window that begins with a match."""
    events = [(time, {"is": "a"}) for time in (0, 2, 4, 6, 8, 13)]
    assert counts(about("event_count", **GTE2), *events, **options) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"refire": "often"}, {"refire": "cooldown"}, {"cooldown": 3}, {"refire": "cooldown", "cooldown": 0},
        {"refire": "cooldown", "cooldown": float("inf")}, {"lateness": -1}, {"lateness": float("nan")},
    ],
)  # fmt: skip
def test_options_that_have_no_meaning(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"refire|cooldown|lateness"):
        about("event_count", **GTE2).correlator(**options)


def test_aliases_name_other_fields_for_other_rules() -> None:
    words = {"group_by": ["who"], "aliases": {"who": {"a": "user", "b": "account.name"}}}
    loaded = about("temporal", ["a", "b"], **words)
    events = [
        (0, {"is": "a", "user": "x"}),
        (1, {"is": "b", "account": {"name": "y"}}),
        (2, {"is": "b", "account.name": "x"}),
    ]
    assert counts(loaded, *events) == [0, 0, 1, 0]
    [match] = loaded.correlator().process({"is": ["a", "b"], "user": "x", "account.name": "x"}, 0)
    assert match.group == {"who": "x"}


def test_a_field_may_be_an_alias() -> None:
    words = {"aliases": {"who": {"a": "user", "b": "name"}}, "condition": {"gte": 2, "field": "who"}}
    loaded = about("value_count", ["a", "b"], **words)
    assert counts(
        loaded, (0, {"is": "a", "user": "x"}), (1, {"is": "b", "name": "x"}), (2, {"is": "b", "name": "y"})
    ) == [0, 0, 1, 0]


def test_a_correlation_of_a_correlation() -> None:
    """What the inner one finds is an event of its time, with its group; the inner one is not raised itself."""
    inner = correlation("event_count", "a", "Many", name="many", group_by=["g"], **GTE2)
    loaded = ruleset(*ABC, correlation("temporal_ordered", ["many", "b"], group_by=["g"]), inner)
    events = [
        (0, {"is": "b", "g": 1}),
        (1, {"is": "a", "g": 1}),
        (2, {"is": "a", "g": 1}),
        (3, {"is": "b", "g": 2}),
        (4, {"is": "b", "g": 1}),
    ]
    assert counts(loaded, *events) == [0, 0, 0, 0, 1, 0]
    correlator = loaded.correlator()
    [match] = [match for time, event in events for match in correlator.process(event, time)]
    assert (match.rule.title, match.group, match.count) == ("Found", {"g": 1}, 3)
    assert [one.rules for one in match.contributions] == [("b",), ("many",), ("b",)]
    assert match.contributions[1].event() == {"correlation": "many", "group": {"g": 1}, "count": 2, "value": 2}


def test_generate_raises_inner_matches_too() -> None:
    inner = correlation("event_count", "a", "Many", name="many", **GTE2)
    loaded = ruleset(*ABC, inner, correlation("temporal", ["many", "b"], generate=True))
    assert counts(loaded, *rows("aab")) == [0, 1, 1, 0]


def test_a_closed_window_counts_for_another_rule_at_its_end() -> None:
    inner = correlation("event_count", "a", "Few", name="few", condition={"lt": 2})
    loaded = ruleset(*ABC, inner, correlation("temporal_ordered", ["b", "few"]))
    assert counts(loaded, (0, {"is": "a"}), (9, {"is": "b"}), (11, {})) == [0, 0, 1, 0]
    assert counts(loaded, (0, {"is": "a"}), (11, {"is": "b"})) == [0, 0, 0]


# -- time --------------------------------------------------------------------------------------------------------------


def test_times_are_seconds_or_aware_datetimes() -> None:
    correlator = about("event_count", **GTE2).correlator()
    zone = timezone(timedelta(hours=2))
    assert correlator.process({"is": "a"}, 1_700_000_000.5) == []
    [match] = correlator.process({"is": "a"}, datetime(2023, 11, 15, 0, 13, 30, tzinfo=zone))
    assert match.end == datetime(2023, 11, 14, 22, 13, 30, tzinfo=UTC)
    assert match.start == match.end - timedelta(seconds=10)


@pytest.mark.parametrize(
    ("timestamp", "error"),
    [(datetime(2026, 1, 1), ValueError), (float("nan"), ValueError), (1e30, ValueError), ("now", TypeError), (True, TypeError)],
)  # fmt: skip
def test_what_is_no_time(timestamp: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timestamp"):
        about("event_count", **GTE2).correlator().process({"is": "a"}, timestamp)


def clocked(*moments: float) -> Any:
    left = list(moments)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_an_event_tells_its_own_time() -> None:
    correlator = about("event_count", **GTE2).correlator()
    correlator.process({"is": "a", "@timestamp": "2026-01-01T00:00:00Z"})
    [match] = correlator.process({"is": "a", "@timestamp": "2026-01-01T00:00:10Z"})
    assert not match.by_arrival
    assert match.as_dict()["end"] == "2026-01-01T00:00:10.000000Z"
    correlator = about("event_count", **GTE2).correlator(time_fields=["when"])
    assert [len(correlator.process({"is": "a", "when": when})) for when in (100, 200, "2026-01-01T00:00:00Z")] == [
        0,
        0,
        0,
    ]


def test_arrival_stands_in_and_is_told() -> None:
    """An event without a time has the time of the last that had one, and of the seconds since."""
    correlator = about("event_count", **GTE2).correlator(clock=clocked(1_000))
    assert correlator.process({"is": "a"}) == []
    [match] = correlator.process({"is": "a"})
    assert match.by_arrival
    assert match.end_time == 1_000 * 10**6
    assert match.as_dict()["events"][0]["arrival_time"] is True
    correlator = about("event_count", **GTE2).correlator(clock=lambda: 1_800_000_000.0)
    correlator.process({"is": "a", "@timestamp": "2026-01-01T00:00:00Z"})
    [match] = correlator.process({"is": "a"})
    assert match.as_dict()["end"] == "2026-01-01T00:00:00.000000Z"
    assert match.by_arrival


def test_a_time_far_ahead_does_not_stop_the_rest() -> None:
    """A record of the year 2999 would make all others late."""
    correlator = about("event_count", **GTE2).correlator(clock=lambda: 1_800_000_000.0)
    correlator.process({"is": "a", "@timestamp": "2999-01-01T00:00:00Z"})
    correlator.process({"is": "a", "@timestamp": "2027-01-15T08:00:00Z"})
    assert correlator.statistics().late == 0


def test_what_comes_too_late_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    loaded = about("event_count", **GTE2)
    events = [(10, {"is": "a"}), (9, {"is": "a"}), (11, {})]
    assert counts(loaded, *events) == [0, 0, 0, 0]
    assert "later than the allowed lateness" in caplog.text
    assert counts(loaded, *events, lateness=1) == [0, 0, 1, 0]
    correlator = loaded.correlator()
    for time, event in events:
        correlator.process(event, time)
    assert correlator.statistics().late == 1


def test_time_passes_without_events() -> None:
    correlator = about("event_count", condition={"lt": 2}).correlator()
    correlator.process({"is": "a"}, 0)
    assert correlator.advance(10) == []
    [match] = correlator.advance(10.5)
    assert (match.start_time, match.end_time, match.count) == (0, 10 * 10**6, 1)


# -- matches -----------------------------------------------------------------------------------------------------------


def test_a_match_names_its_events() -> None:
    """A bounded number of them, the latest; their sources; how many there were."""
    loaded = about("event_count", group_by=["g"], timespan="1h", condition={"gte": 2})
    correlator = loaded.correlator(limits=Limits(sample=3))
    for number in range(20):
        found = correlator.process({"is": "a", "g": "x", "n": number}, number, source={"line": number})
    [match] = found
    assert (match.count, match.value, match.event, match.source) == (
        20,
        20,
        {"is": "a", "g": "x", "n": 19},
        {"line": 19},
    )
    assert [one.event()["n"] for one in match.contributions] == [17, 18, 19]
    said = match.as_dict()
    assert sorted(said) == ["arrival_time", "count", "end", "events", "group", "id", "start", "value"]
    assert said["events"][0] == {
        "time": "1970-01-01T00:00:17.000000Z", "rules": ["a"], "id": match.contributions[0].id,
        "source": {"line": 17}, "event": {"is": "a", "g": "x", "n": 17},
    }  # fmt: skip


def test_a_temporal_match_names_an_event_of_each_rule() -> None:
    correlator = about("temporal", ["a", "b"], timespan="1h").correlator(limits=Limits(sample=3))
    for time, name in enumerate("abbbbbbbb"):
        found = correlator.process({"is": name}, time)
    assert [one.rules for one in found[0].contributions] == [("a",), ("b",), ("b",)]


def test_ids_are_of_what_is_found() -> None:
    """The same events from the same places give the same id in another process; others give others."""
    loaded = about("event_count", **GTE2)

    def identity(line: int, event: dict[str, Any]) -> str:
        correlator = loaded.correlator()
        correlator.process({"is": "a"}, 0, source={"line": 1})
        [match] = correlator.process({"is": "a"} | event, 1, source={"line": line})
        return str(match.id)

    assert identity(2, {}) == identity(2, {})
    assert len({identity(2, {}), identity(3, {}), identity(2, {"x": 1})}) == 3
    assert len(identity(2, {})) == 32


def test_an_event_too_large_is_named_but_not_shown() -> None:
    correlator = about("event_count", condition={"gte": 1}).correlator()
    [match] = correlator.process({"is": "a", "x": "y" * 10_000}, 0)
    assert match.as_dict()["events"][0]["event"] is None
    assert match.event == {}


def test_a_rule_set_without_correlations_has_a_correlator_too() -> None:
    assert counts(ruleset(*ABC), *rows("abc")) == [0, 0, 0, 0]


def test_losses_are_logged_at_powers_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    correlator = about("event_count", **GTE2).correlator()
    correlator.process({"is": "a"}, 100)
    with caplog.at_level(logging.WARNING):
        for _ in range(25):
            correlator.process({"is": "a"}, 0)
    assert len(caplog.records) == 2

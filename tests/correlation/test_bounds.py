"""What is held is bounded, whatever comes; what is given up is counted. State survives, and is refused where it is not ours."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import Any

import pytest

from sigma.pyeval.correlation.calls import CorrelationError
from sigma.pyeval.correlation.groups import Limits
from sigma.pyeval.correlation.state import StateError

from .rules import correlation, counts, member, rows, ruleset

RULES = [member("a"), member("b")]


def test_memory_is_flat_under_a_million_groups() -> None:
    """Each group has one event; nothing but the latest groups is held."""
    loaded = ruleset(*RULES, correlation(group_by=["g"], timespan="365d", condition={"gte": 3}))
    correlator = loaded.correlator(limits=Limits(groups=2_000))
    [match] = loaded.match({"is": "a"}, members=True)
    first = correlator.record([match], {"is": "a", "g": "group"}, 0)

    def pass_by(begin: int, end: int) -> None:
        for number in range(begin, end):
            correlator.take(first._replace(time=number * 10**6, places=((0, (f"group {number}",), 1),)))

    def memory_of(begin: int, end: int) -> int:
        tracemalloc.start(1)
        for number in range(begin, end):
            correlator.observe([match], {"is": "a", "g": f"group {number}"}, number)
        gc.collect()
        found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return found

    early, size = memory_of(0, 4_000), len(correlator.snapshot())
    pass_by(4_000, 996_000)
    late = memory_of(996_000, 1_000_000)
    statistics = correlator.statistics()
    assert (statistics.groups, statistics.held, statistics.evicted_groups) == (2_000, 2_000, 998_000)
    assert late < early * 1.5
    assert len(correlator.snapshot()) < size * 1.2


@pytest.mark.parametrize("condition", [{"gte": 3}, {"lt": 3}])
def test_the_group_longest_without_an_event_makes_room(
    condition: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = ruleset(*RULES, correlation(group_by=["g"], timespan="1h", condition=condition))
    correlator = loaded.correlator(limits=Limits(groups=2))
    for time, group in enumerate("xyz"):
        correlator.process({"is": "a", "g": group}, time)
    statistics = correlator.statistics()
    assert (statistics.groups, statistics.evicted_groups, statistics.evicted_events) == (2, 1, 1)
    assert "given up for want of room" in caplog.text
    assert set(correlator._engine.groups[0].open) == {("y",), ("z",)}


def test_a_group_and_all_together_hold_so_many_events() -> None:
    loaded = ruleset(*RULES, correlation("value_sum", timespan="1h", condition={"gte": 0, "field": "v"}))
    correlator = loaded.correlator(limits=Limits(events=5))
    for time in range(20):
        [match] = correlator.process({"is": "a", "v": 1}, time)
    assert (match.count, match.value, correlator.statistics().evicted_events) == (5, 5, 15)
    correlator = loaded.correlator(limits=Limits(total=4))
    for time in range(20):
        [match] = correlator.process({"is": "a", "v": 1}, time)
    assert (correlator.statistics().held, correlator.statistics().evicted_events) == (4, 16)
    loaded = ruleset(*RULES, correlation(group_by=["g"], timespan="1h", condition={"gte": 3}))
    correlator = loaded.correlator(limits=Limits(total=4))
    for time in range(20):
        correlator.process({"is": "a", "g": time}, time)
    assert (correlator.statistics().groups, correlator.statistics().held) == (4, 4)


def test_a_window_holds_what_its_threshold_needs() -> None:
    loaded = ruleset(*RULES, correlation(timespan="1h", condition={"gte": 30}))
    found = counts(loaded, *rows("a" * 40), limits=Limits(events=5))
    assert found == [0] * 29 + [1] * 11 + [0]
    with pytest.raises(CorrelationError, match=r"threshold 30 needs more events than are held in all \(20\); lower it"):
        loaded.correlator(limits=Limits(total=20))


def test_what_waits_and_what_is_shown_are_bounded() -> None:
    loaded = ruleset(*RULES, correlation(timespan="1h", condition={"gte": 1}))
    correlator = loaded.correlator(lateness=float("inf"), limits=Limits(pending=3))
    found = [len(correlator.process({"is": "a"}, time)) for time in (5, 4, 3, 2, 1)]
    assert found == [0, 0, 0, 1, 0]  # 2 is taken in before its time, 1 is then too late
    assert (correlator.statistics().forced, correlator.statistics().late, correlator.statistics().pending) == (1, 1, 3)
    assert len(correlator.finish()) == 3
    correlator = loaded.correlator(limits=Limits(text=30))
    correlator.process({"is": "a", "x": "y" * 10}, 0)
    [match] = correlator.process({"is": "a"}, 1)
    assert [one.text is None for one in match.contributions] == [False, True]
    assert (correlator.statistics().not_kept, correlator.statistics().text) == (
        1,
        len(json.dumps({"is": "a", "x": "y" * 10})),
    )


def test_groups_end_with_their_window() -> None:
    loaded = ruleset(*RULES, correlation(group_by=["g"], condition={"gte": 3}))
    correlator = loaded.correlator(refire="once")
    for number in range(1_000):
        correlator.process({"is": "a", "g": number}, number)
    assert correlator.statistics().groups == 11
    assert correlator.statistics().evicted_groups == 0


# -- state -------------------------------------------------------------------------------------------------------------


def with_state() -> tuple[Any, bytes]:
    loaded = ruleset(*RULES, correlation(group_by=["g"], condition={"gte": 2}))
    correlator = loaded.correlator(lateness=5)
    correlator.process({"is": "a", "g": ["x", 1, True, 1.5, None]}, 0)
    correlator.process({"is": "a", "g": 2**70}, 7)
    return loaded, correlator.snapshot()


def test_a_state_goes_on_elsewhere() -> None:
    loaded, state = with_state()
    correlator = loaded.correlator(lateness=5, state=state)
    assert correlator.snapshot() == state
    assert correlator.process({"is": "a", "g": ["x", 1, True, 1.5]}, 3) == []
    [match] = correlator.finish()
    assert match.group == {"g": ["x", 1, True, 1.5]}
    assert correlator.statistics().events == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: b"", "no correlation state"),
        (lambda state: b"{}", "no correlation state"),
        (lambda state: "text", "no correlation state"),
        (lambda state: state[:-1], "damaged"),
        (lambda state: state.replace(b"newest", b"oldest"), "damaged"),
        (lambda state: state.replace(b"state 1", b"state 9"), "has format b'9', not 1"),
        (lambda state: resealed(state, lambda data: data.pop("groups")), "cannot be read"),
        (lambda state: resealed(state, lambda data: data["groups"].append({})), "cannot be read"),
        (lambda state: resealed(state, lambda data: data["groups"][0]["open"][0].pop()), "cannot be read"),
        (lambda state: resealed(state, lambda data: data.update(rules="0")), "other rules"),
    ],
)
def test_a_foreign_or_damaged_state_is_refused(change: Any, words: str) -> None:
    loaded, state = with_state()
    with pytest.raises(StateError, match=words):
        loaded.correlator(state=change(state))


def resealed(state: bytes, change: Any) -> bytes:
    """Return the state with other content and a digest that fits."""
    import hashlib

    data = json.loads(state.partition(b"\n")[2])
    change(data)
    body = json.dumps(data).encode()
    return b"sigma.pyeval correlation state 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_the_state_of_other_rules_is_refused() -> None:
    _, state = with_state()
    other = ruleset(*RULES, correlation(group_by=["g"], condition={"gte": 3}))
    with pytest.raises(StateError, match="other rules"):
        other.correlator(state=state)


def test_settings_may_change_between_runs() -> None:
    loaded, state = with_state()
    loaded.correlator("once", lateness=0, limits=Limits(sample=1), state=state)


# -- hostile events ----------------------------------------------------------------------------------------------------


class Foreign:
    """An object that raises whenever it is looked at."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: list[Any] = [
    "\ud800", "\x00", "'); import os #", "{}", "\u202e", "x" * 100_000, 10**5_000, -(2**64), float("nan"), float("-inf"), -0.0,
    True, b"\xff", bytearray(b"x"), {"a": 1}, {1: 2}, [], [[]], ["x"] * 1_000, [1, "1", True, None, {}], (1, 2), {1, 2}, Foreign(),
    nested(2_000), nested(50), 1e308, "1" * 4_001, "９", "1.5",
]  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["event_count", "value_count", "value_sum", "value_avg", "value_median", "value_percentile"]
)
def test_no_event_does_harm(kind: str) -> None:
    """Any value, as group and as what is reckoned with: no exception, a state that reads back, matches that are JSON."""
    condition: dict[str, Any] = {"gte": 0} if kind == "event_count" else {"gte": 0, "field": "v"}
    if kind == "value_percentile":
        condition["percentile"] = 50
    loaded = ruleset(*RULES, correlation(kind, group_by=["g"], condition=condition))
    correlator = loaded.correlator()
    for time, value in enumerate(HOSTILE * 2):
        for event in (
            {"is": "a", "g": value, "v": 1},
            {"is": "a", "g": "x", "v": value},
            {"is": "a", "g": value, "v": value},
        ):
            for match in correlator.process(event, time / 1_000):
                json.dumps(match.as_dict())
    state = correlator.snapshot()
    assert loaded.correlator(state=state).snapshot() == state


def test_a_foreign_mapping_is_read_as_plain_data() -> None:
    class Odd(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise RuntimeError

    loaded = ruleset(*RULES, correlation(group_by=["g"], condition={"gte": 1}))
    [match] = loaded.correlator().process(Odd({"is": "a", "g": "x"}), 0)
    assert match.group == {"g": "x"}

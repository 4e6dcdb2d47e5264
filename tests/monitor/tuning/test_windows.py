"""Windows of suppression: which alerts pass, what the next one tells, and a comparison with an obvious second implementation."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval.monitor.batches import Checkpoint
from sigma.pyeval.monitor.store import Outgoing, Store, StoreFull
from sigma.pyeval.monitor.tuning.windows import GRACE_SECONDS, Claim, Ended

MEBIBYTE = 1 << 20


def outgoing(number: int, key: str, at: float, seconds: float = 10.0, most: int = 1, size: int = 0) -> Outgoing:
    alert = {"id": f"{number}", "text": "x" * size}
    return Outgoing(alert, ["a"], {}, Claim("entry", key.encode(), f"rule {key}", seconds, most, at))


def run(path: Path, work: Any, most_bytes: int = 8 * MEBIBYTE) -> Any:
    async def within() -> Any:
        store = Store(path, most_bytes)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(within())


@pytest.mark.parametrize(
    ("most", "times", "passed"),
    [
        (1, [0, 1, 9.9, 10, 11, 25], {0: 0, 10: 2, 25: 1}),
        (1, [0, 10, 20], {0: 0, 10: 0, 20: 0}),
        (2, [0, 1, 2, 3, 12, 13, 14], {0: 0, 1: 0, 12: 2, 13: 0}),
        (3, [0, 1, 2], {0: 0, 1: 0, 2: 0}),
        (1, [100, 101, 50, 51, 61], {100: 0, 50: 1, 61: 1}),  # a clock that was set back
    ],
)
def test_so_many_pass_in_a_window(tmp_path: Path, most: int, times: list[float], passed: dict[float, int]) -> None:
    async def work(store: Store) -> None:
        found = {}
        for number, at in enumerate(times):
            settled = await store.settle("s", [outgoing(number, "k", at, most=most)], Checkpoint("", number))
            assert len(settled.alerts) + len(settled.suppressed) == 1
            for alert in settled.alerts:
                found[at] = alert.get("suppressed", 0)
        assert found == passed
        assert [one.alert.get("suppressed", 0) for one in await store.pending("a", 99)] == list(passed.values())

    run(tmp_path / "state", work)


def test_keys_and_entries_have_windows_of_their_own(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        one, other = outgoing(1, "k", 0), outgoing(2, "l", 0)
        again = outgoing(3, "k", 1)
        assert again.claim is not None
        changed = again._replace(alert={"id": "4"}, claim=again.claim._replace(entry="changed"))
        free = Outgoing({"id": "5"}, [])
        settled = await store.settle("s", [one, other, again, changed, free], None)
        assert [alert["id"] for alert in settled.alerts] == ["1", "2", "4", "5"]
        assert [one.alert["id"] for one in settled.suppressed] == ["3"]

    run(tmp_path / "state", work)


def test_windows_that_end_are_told_once(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        batch = [outgoing(1, "k", 0), outgoing(2, "k", 1), outgoing(3, "k", 2), outgoing(4, "l", 0)]
        await store.settle("s", batch, None)
        assert await store.sweep(10 + GRACE_SECONDS - 0.1) == []
        assert await store.sweep(10 + GRACE_SECONDS) == [Ended("rule k", 2, 0.0, 10.0, False)]
        assert await store.sweep(1_000) == []
        (alert,) = (await store.settle("s", [outgoing(5, "k", 1_000)], None)).alerts
        assert "suppressed" not in alert  # it was told

    run(tmp_path / "state", work)


def test_what_was_decided_of_lines_that_are_read_again_stays_decided(tmp_path: Path) -> None:
    """Behind an incomplete checkpoint, or in a batch of which a part was kept, alerts are known; suppressed ones too."""

    async def before_the_crash(store: Store) -> None:
        first = [outgoing(1, "k", 0), outgoing(2, "k", 1)]
        assert [one["id"] for one in (await store.settle("s", first, Checkpoint("p", 5, False))).alerts] == ["1"]
        part = [outgoing(11, "l", 0), outgoing(12, "l", 1)]
        await store.settle("t", part, Checkpoint("p", 5), more=True)

    async def after_it(store: Store) -> None:
        # The windows are over by now; deciding anew would let an alert pass, and begin a window with it.
        settled = await store.settle("s", [outgoing(1, "k", 500), outgoing(2, "k", 501)], Checkpoint("p", 9))
        assert settled.alerts == [] == list(settled.suppressed)
        part = [outgoing(11, "l", 500), outgoing(12, "l", 501), outgoing(13, "l", 502)]
        settled = await store.settle("t", part, Checkpoint("p", 5))
        assert [(one["id"], one["suppressed"]) for one in settled.alerts] == [("13", 1)]

    run(tmp_path / "state", before_the_crash)
    run(tmp_path / "state", after_it)


def test_decisions_are_undone_with_a_batch_that_finds_no_room(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        large = [outgoing(number, f"k{number}", 0, size=60_000) for number in range(40)]
        with pytest.raises(StoreFull):
            await store.settle("s", [*large, outgoing(99, "k0", 1)], Checkpoint("", 1))
        assert store._windows.count == 0
        (alert,) = (await store.settle("s", [outgoing(100, "k0", 2)], Checkpoint("", 1))).alerts
        assert alert["id"] == "100"
        assert "suppressed" not in alert

    run(tmp_path / "state", work, MEBIBYTE)


def test_windows_are_bounded_in_favour_of_alerting(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        most = MEBIBYTE // 256 // 8
        # 'first' ends before all others, so it is given up; what was suppressed in it is told.
        await store.settle("s", [outgoing(0, "first", 1e10), outgoing(1, "first", 1e10)], None)
        keys = [outgoing(number, f"k{number}", 1e10 + 1) for number in range(2, most + 2)]
        settled = await store.settle("s", [one._replace(sinks=[]) for one in keys], None)
        assert settled.ended[0] == Ended("rule first", 1, 1e10, 1e10 + 10, True)
        assert len(settled.ended) == 1 + most // 100
        assert len((await store.settle("s", [outgoing(5_001, "first", 1e10 + 2)], None)).alerts) == 1
        assert len((await store.settle("s", [outgoing(5_002, f"k{most}", 1e10 + 2)], None)).alerts) == 0

    run(tmp_path / "state", work, MEBIBYTE)


class Oracle:
    """Suppression as its description reads: for each key, the window that is open and what it let pass."""

    def __init__(self) -> None:
        self.windows: dict[str, dict[str, float]] = {}

    def decide(self, key: str, at: float, seconds: float, most: int) -> int | None:
        window = self.windows.get(key)
        if window is None or at < window["began"] or at >= window["began"] + seconds:
            missed = 0 if window is None else int(window["missed"])
            self.windows[key] = {"began": at, "passed": 1, "missed": 0}
            return missed
        if window["passed"] < most:
            window["passed"] += 1
            return 0
        window["missed"] += 1
        return None

    def sweep(self, now: float, seconds: float) -> list[tuple[str, int]]:
        over = [key for key, one in self.windows.items() if one["began"] + seconds <= now - GRACE_SECONDS]
        told = [(f"rule {key}", int(self.windows.pop(key)["missed"])) for key in over]
        return sorted((rule, missed) for rule, missed in told if missed)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("batch"), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=1, max_size=6)),
        st.tuples(st.just("crash"), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=1, max_size=6)),
        st.tuples(st.just("restart"), st.just([])),
        st.tuples(st.just("sweep"), st.just([])),
        st.tuples(st.just("set back"), st.just([])),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@given(steps=STEPS, seconds=st.integers(1, 100), most=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_suppression_is_that_of_the_oracle(
    tmp_path_factory: pytest.TempPathFactory,
    steps: Sequence[tuple[str, list[tuple[str, int]]]],
    seconds: int,
    most: int,
) -> None:
    """Whatever is restarted, undone or swept in between, and wherever batches are divided."""
    path = tmp_path_factory.mktemp("windows") / "state"
    asyncio.run(_compare(path, steps, float(seconds), most))


async def _compare(path: Path, steps: Sequence[tuple[str, list[tuple[str, int]]]], seconds: float, most: int) -> None:
    oracle = Oracle()
    store = Store(path, 8 * MEBIBYTE)
    now, number = 1_000.0, 0
    try:
        for kind, events in steps:
            batch, expected = [], []
            for key, later in events:
                now += later
                number += 1
                batch.append(outgoing(number, key, now, seconds, most))
                if kind == "batch" and (missed := oracle.decide(key, now, seconds, most)) is not None:
                    expected.append((str(number), missed))
            if kind == "batch":
                settled = await store.settle("s", batch, Checkpoint("", number))
                assert [(one["id"], one.get("suppressed", 0)) for one in settled.alerts] == expected
            elif kind == "crash":  # the transaction fails at its end: nothing of it has happened
                broken = Outgoing({"id": object()}, ["a"])
                with pytest.raises(sqlite3.ProgrammingError):
                    await store.settle("s", [*batch, broken], Checkpoint("", number))
            elif kind == "restart":
                await store.close()
                store = Store(path, 8 * MEBIBYTE)
            elif kind == "sweep":
                now += 50
                ended = [(one.rule, one.suppressed) for one in await store.sweep(now)]
                assert sorted(ended) == oracle.sweep(now, seconds)
            else:
                now -= 150
            assert store._windows.count == len(oracle.windows)
    finally:
        await store.close()

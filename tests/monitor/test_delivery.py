"""Delivery: order, repetition with growing pauses, refusals, digests, rate limits, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.dead_letters import DeadLetterFile
from sigma.pyeval.monitor.delivery import Delivery, RateLimit
from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.settings import SinkSettings
from sigma.pyeval.monitor.store import Outgoing, Store, StoreFull


class Scripted:
    """A sink whose answers are given: an exception to raise, or None to accept."""

    kind = "scripted"

    def __init__(self, answers: Sequence[BaseException | None] = (), most: int = 10, linger: float = 0.0) -> None:
        self.name = "s"
        self.most, self.linger = most, linger
        self.answers = list(answers)
        self.calls: list[list[str]] = []
        self.accepted: list[str] = []

    async def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        ids = [alert["id"] for alert in alerts]
        self.calls.append(ids)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Refused):
            self.accepted += [id_ for index, id_ in enumerate(ids) if index not in answer.reasons]
        if answer is not None:
            raise answer
        self.accepted += ids

    async def reopen(self) -> None: ...

    async def close(self) -> None: ...


Work = Callable[[Store, Delivery], Awaitable[None]]


def run(tmp_path: Path, sink: Scripted, work: Work, settings: SinkSettings | None = None) -> Metrics:
    metrics = Metrics()

    async def within() -> None:
        store = Store(tmp_path / "state", 1 << 24)
        dead = DeadLetterFile(tmp_path / "dead" / "s.jsonl")
        delivery = Delivery(sink, settings or SinkSettings(), store, dead, metrics, pauses=(0.01, 0.05))
        try:
            async with asyncio.timeout(10):
                await work(store, delivery)
        finally:
            await store.close()

    asyncio.run(within())
    return metrics


async def keep(store: Store, *ids: str) -> None:
    await store.settle("source", [Outgoing({"id": id_}, ["s"]) for id_ in ids], None)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def drained(store: Store, delivery: Delivery) -> None:
    delivery.drain()
    await delivery.run()


def test_alerts_are_sent_in_order_and_forgotten(tmp_path: Path) -> None:
    sink = Scripted(most=2)

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1", "2", "3")
        await drained(store, delivery)
        assert await store.waiting() == {}

    metrics = run(tmp_path, sink, work)
    assert sink.calls == [["1", "2"], ["3"]]
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_sent_total", {"sink": "s"}) == 3


def test_alerts_that_come_later_wake_the_delivery(tmp_path: Path) -> None:
    sink = Scripted()

    async def work(store: Store, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run())
        for id_ in ("1", "2"):
            await keep(store, id_)
            delivery.wake()
            await until(lambda id_=id_: id_ in sink.accepted)  # type: ignore[misc]
        delivery.drain()
        await task

    run(tmp_path, sink, work)
    assert sink.accepted == ["1", "2"]


@pytest.mark.parametrize("failure", [SendError("down"), RuntimeError("a mistake"), TimeoutError()])
def test_what_fails_is_sent_again(tmp_path: Path, failure: Exception) -> None:
    sink = Scripted([failure, failure, None])

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1", "2")
        task = asyncio.create_task(delivery.run())
        await until(lambda: len(sink.calls) >= 2)
        assert delivery.failing is not None
        await until(lambda: bool(sink.accepted))
        delivery.drain()
        await task
        assert delivery.failing is None
        assert await store.waiting() == {}

    metrics = run(tmp_path, sink, work)
    assert sink.calls == [["1", "2"]] * 3
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_retries_total", {"sink": "s"}) == 2


def test_a_sink_that_is_down_keeps_its_alerts_at_the_end(tmp_path: Path) -> None:
    sink = Scripted([SendError("down")] * 100)

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1")
        task = asyncio.create_task(delivery.run())
        await until(lambda: len(sink.calls) >= 2)
        delivery.drain()
        await task
        assert await store.waiting() == {"s": 1}

    run(tmp_path, sink, work)
    sink.answers = []
    run(tmp_path, sink, drained)
    assert sink.accepted == ["1"]


def test_refused_alerts_are_put_aside_and_the_others_are_delivered(tmp_path: Path) -> None:
    sink = Scripted([Refused({1: "too large"})])

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1", "2", "3")
        await drained(store, delivery)
        assert await store.waiting() == {}

    metrics = run(tmp_path, sink, work)
    assert sink.accepted == ["1", "3"]
    letters = [json.loads(line) for line in (tmp_path / "dead" / "s.jsonl").read_text().splitlines()]
    assert [(letter["reason"], letter["alert"]["id"]) for letter in letters] == [("too large", "2")]
    assert (tmp_path / "dead" / "s.jsonl").stat().st_mode & 0o777 == 0o600
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_refused_total", {"sink": "s"}) == 1
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_sent_total", {"sink": "s"}) == 2


def test_refused_alerts_stay_where_they_are_while_nothing_can_be_put_aside(tmp_path: Path) -> None:
    sink = Scripted([Refused({1: "no"}), Refused({0: "no"})])
    (tmp_path / "dead").write_text("a file where the directory should be")

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1", "2", "3")
        await drained(store, delivery)
        assert await store.waiting() == {"s": 1}  # those that were accepted are not sent again
        (tmp_path / "dead").unlink()
        await drained(store, delivery)
        assert await store.waiting() == {}

    run(tmp_path, sink, work)
    assert sink.accepted == ["1", "3"]
    assert json.loads((tmp_path / "dead" / "s.jsonl").read_text())["alert"] == {"id": "2"}


def test_a_dead_letter_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_bytes(b'{"reason":"cut by a power fail')
    asyncio.run(DeadLetterFile(path).append([{"reason": "x"}]))
    assert json.loads(path.read_bytes().splitlines()[1])["reason"] == "x"


def test_a_full_disk_sends_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Scripted()
    delivered = Store.delivered
    failures = iter([StoreFull(), StoreFull()])

    async def failing(store: Store, name: str, numbers: Sequence[int]) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        await delivered(store, name, numbers)

    monkeypatch.setattr(Store, "delivered", failing)

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1")
        task = asyncio.create_task(delivery.run())
        while await store.waiting():
            await asyncio.sleep(0.005)
        delivery.drain()
        await task

    run(tmp_path, sink, work)
    assert sink.calls == [["1"]]


def test_a_full_disk_at_the_end_sends_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be noted is sent again at the next start, not again and again until then."""
    sink = Scripted()

    async def failing(*_: object) -> None:
        raise StoreFull

    monkeypatch.setattr(Store, "delivered", failing)

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, "1")
        await drained(store, delivery)

    run(tmp_path, sink, work)
    assert sink.calls == [["1"]]


def test_a_digest_waits_for_more(tmp_path: Path) -> None:
    sink = Scripted(most=3, linger=30.0)

    async def work(store: Store, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run())
        await keep(store, "1")
        delivery.wake()
        await asyncio.sleep(0.05)
        assert sink.calls == []
        await keep(store, "2", "3")  # as many as fit in one
        delivery.wake()
        await until(lambda: bool(sink.calls))
        await keep(store, "4")
        delivery.wake()
        await asyncio.sleep(0.05)
        delivery.drain()  # the end does not wait
        await task

    run(tmp_path, sink, work)
    assert sink.calls == [["1", "2", "3"], ["4"]]


def test_a_digest_is_sent_when_its_time_is_over(tmp_path: Path) -> None:
    sink = Scripted(most=3, linger=0.05)

    async def work(store: Store, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run())
        await keep(store, "1")
        delivery.wake()
        await until(lambda: sink.calls == [["1"]])
        delivery.drain()
        await task

    run(tmp_path, sink, work)


def test_a_rate_limit_holds_alerts_back(tmp_path: Path) -> None:
    sink = Scripted()

    async def work(store: Store, delivery: Delivery) -> None:
        await keep(store, *map(str, range(8)))
        task = asyncio.create_task(delivery.run())
        await until(lambda: len(sink.accepted) >= 5)
        await asyncio.sleep(0.05)
        assert len(sink.accepted) == 5
        delivery.drain()
        await task
        assert await store.waiting() == {"s": 3}

    run(tmp_path, sink, work, SinkSettings(rate_limit=5))


def test_the_rate_is_that_of_the_limit() -> None:
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)
    assert limit.take(100) == 60
    assert (limit.take(1), limit.wait()) == (0, 1.0)
    now = 2.5
    assert limit.take(100) == 2
    assert limit.wait() == pytest.approx(0.5)
    now = 1_000.0
    assert limit.take(100) == 60  # never more than a minute's share at once
    assert RateLimit(None).take(7) == 7


def test_pauses_grow_to_a_bound_and_heed_the_other_side(tmp_path: Path) -> None:
    async def work(store: Store, delivery: Delivery) -> None:
        pauses = []
        for _ in range(6):
            delivery._failed("down", None)
            pauses.append(delivery._next_pause())
        for pause, expected in zip(pauses, [0.01, 0.02, 0.04, 0.05, 0.05, 0.05], strict=True):
            assert expected / 2 <= pause <= expected
        delivery._failed("busy", 7.0)
        assert delivery._next_pause() == 7.0

    run(tmp_path, Scripted(), work)


async def keep_for_later(store: Store, seconds: float, *ids: str) -> None:
    due = {"s": time.time() + seconds}
    await store.settle("source", [Outgoing({"id": id_}, ["s"], due) for id_ in ids], None)


def test_an_escalation_is_sent_when_it_is_due(tmp_path: Path) -> None:
    sink = Scripted()

    async def work(store: Store, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run())
        await keep_for_later(store, 0.3, "1")
        delivery.wake()
        await keep_for_later(store, 60.0, "2")
        delivery.wake()
        began = time.monotonic()
        await until(lambda: bool(sink.accepted))
        assert time.monotonic() - began > 0.1
        delivery.drain()
        await task
        assert await store.waiting() == {"s": 1}  # for the next start

    metrics = run(tmp_path, sink, work)
    assert sink.accepted == ["1"]
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_escalated_total", {"sink": "s"}) == 1
    assert metrics.registry.get_sample_value("sigma_pyeval_sink_sent_total", {"sink": "s"}) == 1


def test_an_acknowledged_alert_is_not_escalated(tmp_path: Path) -> None:
    sink = Scripted()

    async def work(store: Store, delivery: Delivery) -> None:
        await keep_for_later(store, 0.2, "1", "2")
        task = asyncio.create_task(delivery.run())
        await store.acknowledge(["1"], "ann", time.time())
        await until(lambda: sink.accepted == ["2"])
        delivery.drain()
        await task
        assert await store.waiting() == {}

    run(tmp_path, sink, work)


def test_an_escalation_that_fell_due_while_the_service_was_down_is_sent_at_once(tmp_path: Path) -> None:
    sink = Scripted()

    async def first(store: Store, delivery: Delivery) -> None:
        await keep_for_later(store, 0.05, "1")
        await drained(store, delivery)
        assert sink.calls == []

    run(tmp_path, sink, first)

    async def later(store: Store, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run())
        await until(lambda: sink.accepted == ["1"])
        delivery.drain()
        await task

    run(tmp_path, sink, later)


def test_a_delivery_does_not_look_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Scripted()
    looks = 0
    pending = Store.pending

    async def counting(store: Store, *arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return await pending(store, *arguments)

    monkeypatch.setattr(Store, "pending", counting)

    async def work(store: Store, delivery: Delivery) -> None:
        await keep_for_later(store, 0.3, "1")
        task = asyncio.create_task(delivery.run())
        await until(lambda: sink.accepted == ["1"])
        assert looks <= 4
        delivery.drain()
        await task

    run(tmp_path, sink, work)

"""The kafka source and sink against a real broker: nothing lost, nothing repeated without need, and what goes wrong is told.

Not tested, as tansu has no part for it: a SASL login that succeeds (its memory has no users), transactions, retention that
deletes messages, compression other than gzip, several brokers. Error codes that it never gives are put into its answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, TopicPartition

from sigma.pyeval.monitor.batches import Batch, Refused, SendError
from sigma.pyeval.monitor.sinks.kafka import KafkaSink, KafkaSinkSettings
from sigma.pyeval.monitor.sources import kafka_watch
from sigma.pyeval.monitor.sources.kafka import KafkaSource, KafkaSourceSettings
from sigma.pyeval.monitor.sources.kafka_partition import TOMBSTONE

from ..monitor.intake import KeptIntake, running
from .kafka_broker import (
    FETCH,
    MESSAGE_TOO_LARGE,
    OFFSET_OUT_OF_RANGE,
    PRODUCE,
    TOPIC_AUTHORIZATION_FAILED,
    UNKNOWN_ERROR,
    Relay,
    Tansu,
    tansu,
)

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
SECONDS = 20


@pytest.fixture(scope="module")
def broker() -> Iterator[Tansu]:
    with tansu() as running_broker:
        yield running_broker


def source(broker: Tansu, topic: str, **changes: Any) -> KafkaSource:
    """Return a source of *topic*; tansu keeps a group waiting for half of the session timeout."""
    usual = {
        "brokers": [broker.address],
        "group": f"of-{topic}",
        "topics": [topic],
        "start": "beginning",
        "session_timeout": 1,
    }
    return KafkaSource(KafkaSourceSettings.model_validate({**usual, **changes}))


def numbered(*numbers: int) -> list[bytes]:
    return [b'{"n": %d}' % number for number in numbers]


def seen(intake: KeptIntake) -> list[int]:
    return [event["n"] for event in intake.events]


class LateIntake(KeptIntake):
    """Settles nothing until it is told to."""

    def _take(self, batch: Batch) -> None:
        self.batches.append(batch)

    def settle(self, *numbers: int) -> None:
        for number in numbers:
            settled = self.batches[number].settled
            assert settled is not None
            settled([])


async def eventually(condition: Any, expected: object) -> None:
    async with asyncio.timeout(SECONDS):
        while (found := await condition()) != expected:
            assert isinstance(found, int | None)
            await asyncio.sleep(0.1)


# The source


def test_reading_goes_on_where_the_group_committed(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("resume", 2)
            await relay.produce("resume", numbered(*range(100)))
            await relay.produce("resume", numbered(*range(100, 200)), partition=1)
            first = KeptIntake()
            async with running(source(broker, "resume"), first, SECONDS):
                await first.until(lambda: len(first.records) == 200, SECONDS)
            assert sorted(seen(first)) == list(range(200))
            assert {"topic": "resume", "partition": 1, "offset": 99} in first.places
            assert [await relay.committed("of-resume", "resume", number) for number in (0, 1)] == [100, 100]
            await relay.produce("resume", numbered(200, 201))
            second = KeptIntake()
            async with running(source(broker, "resume"), second, SECONDS):
                await second.until(lambda: len(second.records) == 2, SECONDS)
                await second.until(lambda: second.lags.get("resume/0") == 0 and second.is_connected, SECONDS)
            assert seen(second) == [200, 201]
            assert first.reported == second.reported == []

    asyncio.run(check())


def test_a_group_that_begins_at_the_end_misses_nothing_behind_it(broker: Tansu) -> None:
    """Its beginning is committed at once, although no message came before it was stopped."""

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("end")
            await relay.produce("end", numbered(1))  # tansu tells a wrong end behind a batch of several
            await relay.produce("end", numbered(2))
            first = KeptIntake()
            async with running(source(broker, "end", start="end"), first, SECONDS):
                await eventually(lambda: relay.committed("of-end", "end"), 2)
            await relay.produce("end", numbered(3))
            second = KeptIntake()
            async with running(source(broker, "end", start="end"), second, SECONDS):
                await second.until(lambda: bool(second.records), SECONDS)
            assert (seen(first), seen(second)) == ([], [3])

    asyncio.run(check())


def test_nothing_is_committed_before_it_is_settled(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("late")
            await relay.produce("late", numbered(*range(30)))
            intake = LateIntake()
            async with running(source(broker, "late", batch=10, queue=2, format="jsonl"), intake, SECONDS):
                await intake.until(lambda: len(intake.batches) == 2, SECONDS)
                await asyncio.sleep(1)  # nothing to wait for: that no third batch comes is the point
                assert len(intake.batches) == 2, "no more than 'queue' batches are on their way"
                assert await relay.committed("of-late", "late") is None or await relay.committed("of-late", "late") == 0
                intake.settle(1)
                await intake.until(lambda: len(intake.batches) == 3, SECONDS)
                assert await relay.committed("of-late", "late") in {None, 0}, "an earlier batch is on its way"
                intake.settle(0)
                last = intake.batches[1].place(intake.batches[1].records[-1])["offset"]
                await eventually(lambda: relay.committed("of-late", "late"), int(last) + 1)
                intake.stopping.set()
                await asyncio.sleep(0.2)
                intake.settle(2)
            last = intake.batches[2].place(intake.batches[2].records[-1])["offset"]
            assert await relay.committed("of-late", "late") == int(last) + 1, "settled while stopping"

    asyncio.run(check())


def test_poison_goes_to_the_dead_letters_and_the_topic_goes_on(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("poison")
            large = b'{"n": 9, "pad": "' + b"x" * 3_000_000 + b'"}'
            values = [*numbered(1), b"\xff\xfe no json", None, large, *numbered(2)]
            await relay.produce("poison", values)
            intake = KeptIntake()
            settings = {"format": "jsonl", "max_message_bytes": 1_000_000}
            async with running(source(broker, "poison", **settings), intake, SECONDS):
                await intake.until(lambda: len(intake.records) == 2, SECONDS)
            assert seen(intake) == [1, 2]
            place = {"topic": "poison", "partition": 0}
            assert [(letter.place, letter.raw) for letter in intake.letters] == [
                ({**place, "offset": 1}, values[1]),
                ({**place, "offset": 3}, large),
            ]
            assert TOMBSTONE in intake.problems
            assert await relay.committed("of-poison", "poison") == 5

    asyncio.run(check())


def test_an_event_over_several_messages_is_whole_after_a_restart(broker: Tansu) -> None:
    record = "type=%s msg=audit(1700000000.100:7): %s"
    syscall = record % (
        "SYSCALL",
        "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=0 ppid=1 pid=9 auid=0 uid=0 gid=0 euid=0"
        ' suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1 comm="id" exe="/usr/bin/id" key=(null)',
    )
    rest = [record % ("EXECVE", 'argc=2 a0="id" a1="-u"'), record % ("PROCTITLE", 'proctitle="id"')]

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("audit")
            await relay.produce("audit", [syscall.encode()])
            first, second = KeptIntake(), KeptIntake()
            async with running(source(broker, "audit", format="auditd"), first, SECONDS):
                await first.until(lambda: len(first.records) == 1, SECONDS)
            assert await relay.committed("of-audit", "audit") in {None, 0}
            await relay.produce("audit", [line.encode() for line in rest])
            async with running(source(broker, "audit", format="auditd"), second, SECONDS):
                await second.until(lambda: any("_CMDLINE" in event for event in second.events), SECONDS)
            joined = next(event for event in second.events if "_CMDLINE" in event)
            assert joined["_CMDLINE"] == "id -u"
            assert await relay.committed("of-audit", "audit") == 3

    asyncio.run(check())


def test_lines_held_back_are_given_out_when_the_topic_is_quiet(broker: Tansu) -> None:
    """The format is told from the lines there are."""

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("quiet")
            await relay.produce("quiet", [b'{"n": 1}\n{"n": 2}'])
            intake = KeptIntake()
            async with running(source(broker, "quiet"), intake, SECONDS):
                await intake.until(lambda: len(intake.records) == 2, SECONDS)
            assert intake.places == [{"topic": "quiet", "partition": 0, "offset": 0, "line": line} for line in (1, 2)]
            assert await relay.committed("of-quiet", "quiet") == 1

    asyncio.run(check())


def test_brokers_that_go_away_are_told_and_come_back(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("gone")
            await relay.produce("gone", numbered(*range(10)))
            await relay.down()
            intake = KeptIntake()
            async with running(source(broker, "gone"), intake, SECONDS):
                await intake.until(lambda: len(intake.reported) == 1, SECONDS)
                assert broker.address in intake.reported[0]
                await relay.up()
                await intake.until(lambda: len(intake.records) == 10 and intake.is_connected, SECONDS)
                await eventually(lambda: relay.committed("of-gone", "gone"), 10)
                await relay.down()
                await intake.until(lambda: not intake.is_connected, SECONDS)
                assert "do not answer" in intake.reported[-1] or "tried again" in intake.reported[-1]
                await intake.until(lambda: "tried again" in intake.reported[-1], 2 * SECONDS)
                await relay.up()
                await relay.produce("gone", numbered(*range(10, 20)))
                await intake.until(lambda: len(intake.records) >= 20, 2 * SECONDS)
            assert seen(intake) == list(range(20)), f"all was committed, but came again: {intake.reported}"
            left = [task for task in asyncio.all_tasks() if "aiokafka" in task.get_coro().cr_code.co_filename]
            assert left == [], "of the session that broke off"
            assert await relay.committed("of-gone", "gone") == 20

    asyncio.run(check())


class CuttingIntake(KeptIntake):
    """Cuts the brokers off at the moment when the tenth message is settled, before that can be committed."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self.cut: asyncio.Task[None] | None = None

    def _take(self, batch: Batch) -> None:
        super()._take(batch)
        if self.cut is None and len(self.records) >= 10:
            self.cut = asyncio.create_task(self._relay.down())


def test_what_was_settled_and_not_committed_comes_again_with_the_same_places(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("repeated")
            await relay.produce("repeated", numbered(*range(10)))
            intake = CuttingIntake(relay)
            async with running(source(broker, "repeated", format="jsonl"), intake, SECONDS):
                await intake.until(lambda: any("tried again" in reason for reason in intake.reported), 2 * SECONDS)
                assert intake.cut is not None
                await intake.cut
                await relay.up()
                await intake.until(lambda: len(intake.records) == 20, 2 * SECONDS)
            assert seen(intake) == [*range(10), *range(10)]
            assert intake.places[:10] == intake.places[10:], "so the alerts have the same ids"
            assert await relay.committed("of-repeated", "repeated") == 10

    asyncio.run(check())


def test_a_topic_made_anew_is_read_from_its_beginning() -> None:
    """A broker that forgot everything: the offset lies behind the end."""

    async def check() -> None:
        with tansu() as first:
            async with first.reachable() as relay:
                await relay.create("anew")
                await relay.produce("anew", numbered(*range(10)))
                intake = KeptIntake()
                async with running(source(first, "anew", session_timeout=8), intake, SECONDS):
                    await intake.until(lambda: len(intake.records) == 10, 40)
                    with tansu(outer=first.outer) as second:
                        first.inner = second.inner
                        await relay.down()
                        await relay.up()
                        await relay.create("anew")
                        await relay.produce("anew", numbered(10, 11))
                        await intake.until(lambda: len(intake.records) >= 12, 60)
                assert seen(intake)[-2:] == [10, 11]

    asyncio.run(check())


def test_an_offset_out_of_range_is_told_and_read_from_the_start(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("range")
            await relay.produce("range", numbered(*range(5)))
            intake = KeptIntake()
            async with running(source(broker, "range", format="jsonl"), intake, SECONDS):
                await eventually(lambda: relay.committed("of-range", "range"), 5)
                relay.errors[FETCH, "range"] = [OFFSET_OUT_OF_RANGE]
                await intake.until(lambda: len(intake.records) == 10, SECONDS)
            assert seen(intake) == [*range(5), *range(5)]
            assert ["range/0: ends before message 5" in reason for reason in intake.reported] == [True]

    asyncio.run(check())


def test_a_topic_that_may_not_be_read_is_told_and_tried_again(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("forbidden")
            await relay.produce("forbidden", numbered(1))
            relay.errors[FETCH, "forbidden"] = [TOPIC_AUTHORIZATION_FAILED]
            intake = KeptIntake()
            async with running(source(broker, "forbidden"), intake, SECONDS):
                await intake.until(lambda: bool(intake.records), SECONDS)
            assert "TopicAuthorizationFailedError" in intake.reported[0]
            assert "tried again" in intake.reported[0]

    asyncio.run(check())


def test_a_batch_that_fails_its_checksum_waits_and_nothing_else_does(broker: Tansu) -> None:
    """aiokafka alone loses messages of the sound partition here, if it took them with the same call; by chance, so often."""

    async def check() -> None:
        async with broker.reachable() as relay:
            relay.damage[b"sound"] = b"found"
            for number in range(6):
                topic = f"damaged-{number}"
                await relay.create(topic, 2)
                for value in [*numbered(1), b'{"n": 2, "mark": "sound"}', *numbered(3)]:
                    await relay.produce(topic, [value])
                await relay.produce(topic, numbered(4), partition=1)
            intake = KeptIntake()
            settings = {"topics": [], "pattern": "damaged-.", "format": "jsonl"}
            async with running(source(broker, "damaged", **settings), intake, SECONDS):
                await intake.until(lambda: len(intake.reported) >= 12 and len(intake.records) >= 12, SECONDS)
                assert all("Invalid CRC" in reason for reason in intake.reported)
                assert sorted(seen(intake)) == [1] * 6 + [4] * 6, "all before it, and all beside it"
                assert await relay.committed("of-damaged", "damaged-0") == 1
                relay.damage.clear()
                await intake.until(lambda: len(intake.records) == 24, SECONDS)
            assert sorted(seen(intake)) == sorted([1, 2, 3, 4] * 6)

    asyncio.run(check())


@pytest.fixture
def short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's patience would make slow tests."""
    monkeypatch.setattr(kafka_watch, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(kafka_watch, "STALL_SECONDS", 1.0)


def test_a_client_that_brings_nothing_is_replaced(broker: Tansu, short_watch: None) -> None:
    """The broker fails every fetch with an error that aiokafka only writes to its log."""

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("stalled")
            await relay.produce("stalled", numbered(1))
            relay.errors[FETCH, "stalled"] = [UNKNOWN_ERROR] * 100_000
            intake = KeptIntake()
            async with running(source(broker, "stalled", format="jsonl"), intake, SECONDS):
                await intake.until(lambda: bool(intake.reported), SECONDS)
                assert "although there is more" in intake.reported[0]
                relay.errors.clear()
                await intake.until(lambda: bool(intake.records), SECONDS)

    asyncio.run(check())


def test_waiting_for_room_is_no_stall(broker: Tansu, short_watch: None) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("room")
            intake = KeptIntake()
            async with running(source(broker, "room", format="jsonl", batch=2), intake, SECONDS):
                await eventually(lambda: relay.committed("of-room", "room"), 0)
                intake.open.clear()
                await relay.produce("room", numbered(*range(10)))
                await intake.until(lambda: intake.lags.get("room/0", 0) > 0, SECONDS)
                await asyncio.sleep(2.5)  # longer than a stall: nothing happens, which is the point
                assert intake.reported == []
                intake.open.set()
                await intake.until(lambda: len(intake.records) == 10, SECONDS)
            assert intake.reported == [], "nor when it goes on"
            assert seen(intake) == list(range(10))

    asyncio.run(check())


def test_a_member_without_room_gives_its_partitions_to_others(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("full", 2)
            full, free = KeptIntake(), KeptIntake()
            settings = {"format": "jsonl", "max_poll_interval": 2}
            async with running(source(broker, "full", **settings), full, SECONDS):
                await eventually(lambda: relay.committed("of-full", "full", 1), 0)
                async with running(source(broker, "full", **settings), free, SECONDS):
                    full.open.clear()
                    for number in range(2):
                        await relay.produce("full", numbered(*range(number * 5, number * 5 + 5)), partition=number)
                    await free.until(lambda: set(seen(free)) == set(range(10)), 3 * SECONDS)
                full.open.set()

    asyncio.run(check())


def test_topics_that_appear_later_are_read_from_their_beginning(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("many-a")
            await relay.create("not-many-a")
            await relay.produce("many-a", numbered(1))
            await relay.produce("not-many-a", numbered(99))
            intake = KeptIntake()
            settings = {"topics": [], "pattern": "many-.", "start": "end", "refresh": 1}
            async with running(source(broker, "many", **settings), intake, SECONDS):
                await eventually(lambda: relay.committed("of-many", "many-a"), 1)
                await relay.create("many-b")
                await relay.produce("many-b", numbered(2))
                await intake.until(lambda: bool(intake.records), SECONDS)
            assert seen(intake) == [2]

    asyncio.run(check())


def test_a_topic_that_is_missing_is_told_and_read_when_it_is_there(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            intake = KeptIntake()
            async with running(source(broker, "missing", refresh=1, start="end"), intake, SECONDS):
                await intake.until(lambda: bool(intake.reported), SECONDS)
                assert "there is no topic 'missing'" in intake.reported[0]
                await relay.create("missing")
                await relay.produce("missing", numbered(1))
                await intake.until(lambda: bool(intake.records), SECONDS)
            assert seen(intake) == [1]

    asyncio.run(check())


def test_a_login_that_fails_is_told() -> None:
    """tansu answers SCRAM with an error that aiokafka lets out as a KeyError."""

    async def check() -> None:
        with tansu("--authentication") as guarded:
            async with guarded.reachable():
                intake = KeptIntake()
                sasl = {"mechanism": "SCRAM-SHA-256", "username": "eve", "password": "guess"}
                async with running(source(guarded, "any", sasl=sasl), intake, SECONDS):
                    await intake.until(lambda: len(intake.reported) == 2, SECONDS)
                assert "login refused" in intake.reported[0]
                assert "guess" not in "".join(intake.reported)
                sink = KafkaSink(KafkaSinkSettings(brokers=(guarded.address,), topic="any", sasl=sasl))
                with pytest.raises(SendError):
                    await sink.send([alert(1)])
                await sink.close()

    asyncio.run(check())


@contextlib.contextmanager
def member(broker: Tansu, topic: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.system.kafka_member", broker.address, topic, str(path)]
    with path.with_suffix(".err").open("wb") as errors, subprocess.Popen(command, cwd=ROOT, stderr=errors) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_member_that_is_killed_loses_nothing(broker: Tansu, tmp_path: Path) -> None:
    """SIGKILL amid reading: the other member takes the partitions over; what had been settled and not committed comes twice."""
    total, partitions = 1_200, 4

    def read() -> dict[str, list[int]]:
        return {
            path.stem: [int(line.split()[0]) for line in path.read_text().splitlines()]
            for path in tmp_path.glob("*.read")
        }

    async def until(condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition(read()):
                await asyncio.sleep(0.05)

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("killed", partitions)

            async def feed() -> None:
                for start in range(0, total, 20):
                    await relay.produce(
                        "killed", numbered(*range(start, start + 20)), partition=start // 20 % partitions
                    )
                    await asyncio.sleep(0.05)

            with member(broker, "killed", tmp_path / "a.read") as first, member(broker, "killed", tmp_path / "b.read"):
                feeding = asyncio.create_task(feed())
                await until(lambda found: all(len(found.get(name, ())) > 40 for name in ("a", "b")))
                await asyncio.sleep(random.uniform(0, 0.3))
                first.kill()
                await feeding
                await until(lambda found: len({number for numbers in found.values() for number in numbers}) == total)
            found = read()
            assert set(found["a"]) | set(found["b"]) == set(range(total))
            assert found["a"], "both had a share"
            repeated = len(found["a"]) + len(found["b"]) - total
            assert repeated <= 400, f"{repeated} of {total} came twice"

    asyncio.run(check())


# The sink


def alert(number: int, **changes: Any) -> dict[str, Any]:
    rule = {"id": f"rule-{number % 2}", "title": "Title", "level": "high"}
    usual = {
        "schema_version": 1,
        "id": f"alert-{number}",
        "rule": rule,
        "host": "web1",
        "event": {"User": f"user{number}"},
    }
    return {**usual, **changes}


async def stored(relay: Relay, topic: str, count: int, partitions: int = 1) -> list[Any]:
    """Return the first *count* messages of *topic*, and any that came with them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=relay.address, **relay._security())
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        found: list[Any] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                for messages in (await consumer.getmany(timeout_ms=300)).values():
                    found += messages
        for messages in (await consumer.getmany(timeout_ms=300)).values():
            found += messages
        return found
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def sink(broker: Tansu, topic: str, **changes: Any) -> AsyncIterator[KafkaSink]:
    usual = {"brokers": [broker.address], "topic": topic, "timeout": 10}
    one = KafkaSink(KafkaSinkSettings.model_validate({**usual, **changes}))
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_alerts_arrive_with_key_and_headers_and_can_be_read_by_the_source(broker: Tansu, compression: str) -> None:
    async def check() -> None:
        topic = f"alerts-{compression}"
        async with broker.reachable() as relay:
            await relay.create(topic, 3)
            alerts = [alert(number) for number in range(20)]
            alerts[3]["rule"]["id"] = "bad\nid \u202e"
            async with sink(broker, topic, compression=compression) as one:
                await one.send(alerts[:10])
                await one.send(alerts[10:])
            messages = await stored(relay, topic, 20, 3)
            assert len(messages) == 20
            by_id = {dict(message.headers)["alert_id"]: message for message in messages}
            for each in alerts:
                message = by_id[each["id"].encode()]
                assert json.loads(message.value) == each
                assert message.key == each["rule"]["id"].encode()
                assert dict(message.headers)["level"] == b"high"
            assert dict(by_id[b"alert-3"].headers)["rule_id"] == b"bad\\nid \\u202e"
            partitions = {message.key: set() for message in messages}
            for message in messages:
                partitions[message.key].add(message.partition)
            assert all(len(found) == 1 for found in partitions.values()), "one key, one partition"
            intake = KeptIntake()
            async with running(source(broker, topic, format="jsonl"), intake, SECONDS):
                await intake.until(lambda: len(intake.records) == 20, SECONDS)
            assert sorted(event["id"] for event in intake.events) == sorted(each["id"] for each in alerts)

    asyncio.run(check())


def test_an_alert_that_is_too_large_is_refused_alone(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("large")
            large = alert(2, event={"pad": "x" * 10_000})
            async with sink(broker, "large", max_message_bytes=5_000) as one:
                with pytest.raises(Refused) as refused:
                    await one.send([alert(1), large, alert(3)])
                assert refused.value.reasons == {1: "larger than max_message_bytes (5000)"}
                await one.send([alert(4)])
            messages = await stored(relay, "large", 3)
            assert [json.loads(message.value)["id"] for message in messages] == ["alert-1", "alert-3", "alert-4"]

    asyncio.run(check())


def test_what_the_broker_finds_too_large_is_refused_alone(broker: Tansu) -> None:
    """It refuses whole batches; each is tried alone, then."""

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("refused")
            async with sink(broker, "refused") as one:
                await one.send([alert(0)])
                relay.errors[PRODUCE, "refused"] = [MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE]
                with pytest.raises(Refused) as refused:
                    await one.send([alert(1), alert(2)])
                assert list(refused.value.reasons) == [0]
                assert "larger than the broker takes" in refused.value.reasons[0]

    asyncio.run(check())


def test_missing_authorization_is_tried_again(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("denied")
            async with sink(broker, "denied") as one:
                relay.errors[PRODUCE, "denied"] = [TOPIC_AUTHORIZATION_FAILED]
                with pytest.raises(SendError, match="TopicAuthorizationFailed"):
                    await one.send([alert(0)])
                await one.send([alert(0)])

    asyncio.run(check())


def test_what_was_not_acknowledged_is_sent_again_and_stored_once(broker: Tansu) -> None:
    """The same alerts come again, as the service brings them; the client had kept on trying by itself."""

    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("again")
            async with sink(broker, "again", timeout=1) as one:
                await one.send([alert(0)])
                await relay.down()
                alerts = [alert(number) for number in range(1, 4)]
                for _ in range(2):
                    with pytest.raises(SendError, match="not acknowledged within 1 s"):
                        await one.send(alerts)
                await relay.up()
                async with asyncio.timeout(SECONDS):
                    while True:
                        with contextlib.suppress(SendError):
                            await one.send(alerts)
                            break
                await one.send([alert(4)])
            messages = await stored(relay, "again", 5)
            assert [json.loads(message.value)["id"] for message in messages] == [
                f"alert-{number}" for number in range(5)
            ]

    asyncio.run(check())


def test_the_sink_closes_although_brokers_are_gone(broker: Tansu) -> None:
    async def check() -> None:
        async with broker.reachable() as relay:
            await relay.create("closing")
            async with sink(broker, "closing", timeout=0.5) as one:
                async with asyncio.timeout(SECONDS):
                    while True:
                        with contextlib.suppress(SendError):
                            await one.send([alert(0)])
                            break
                await relay.down()
                with pytest.raises(SendError):
                    await one.send([alert(1)])

    asyncio.run(asyncio.wait_for(check(), 20))


# TLS


def test_tls_with_client_certificates(broker: Tansu, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "other", "cert", "key")}
    authority.cert_pem.write_to_path(str(files["ca"]))
    other.cert_pem.write_to_path(str(files["other"]))
    client = authority.issue_cert("client.example")
    client.cert_chain_pems[0].write_to_path(str(files["cert"]))
    client.private_key_pem.write_to_path(str(files["key"]))
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    server_side.load_verify_locations(files["ca"])
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=files["ca"])
    client.configure_cert(client_side)
    good = {name: str(files[name]) for name in ("ca", "cert", "key")}

    async def check() -> None:
        async with broker.reachable((server_side, client_side)) as relay:
            await relay.create("tls")
            async with sink(broker, "tls", tls=good) as one:
                await one.send([alert(1)])
            intake = KeptIntake()
            async with running(source(broker, "tls", tls=good), intake, SECONDS):
                await intake.until(lambda: len(intake.records) == 1, SECONDS)
            for bad in ({"ca": good["ca"]}, {**good, "ca": str(files["other"])}):
                refused = KeptIntake()
                async with running(source(broker, "tls", tls=bad), refused, SECONDS):
                    await refused.until(lambda intake=refused: bool(intake.reported), SECONDS)
                assert not refused.records
                async with sink(broker, "tls", tls=bad) as one:
                    with pytest.raises(SendError):
                        await one.send([alert(2)])

    asyncio.run(check())

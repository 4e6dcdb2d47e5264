"""The history: alerts that stay after delivery, acknowledgements, escalations, and room that it never takes from new alerts."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.batches import Checkpoint
from sigma.pyeval.monitor.store import Outgoing, Store, StoreError, StoreFull
from sigma.pyeval.monitor.store_file import FORMAT

MEBIBYTE = 1 << 20

FORMAT_1 = """
CREATE TABLE checkpoints (source TEXT, stream TEXT, state BLOB NOT NULL, PRIMARY KEY (source, stream)) WITHOUT ROWID;
CREATE TABLE alerts (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, waiting INTEGER NOT NULL);
CREATE TABLE pending (sink TEXT, number INTEGER, PRIMARY KEY (sink, number)) WITHOUT ROWID;
CREATE TABLE known (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, stream TEXT, id TEXT, UNIQUE (source, stream, id));
PRAGMA user_version = 1;
"""


def alert(number: int, size: int = 10) -> dict[str, Any]:
    return {"id": f"id-{number}", "text": "x" * size}


def run(path: Path, work: Any, most_bytes: int = 8 * MEBIBYTE, history: int = 10_000) -> Any:
    async def within() -> Any:
        store = Store(path / "state", most_bytes, history)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(within())


async def kept(store: Store) -> list[str]:
    return [one.alert["id"] for one in await store.history(1_000)]


async def deliver(store: Store, sink: str) -> list[str]:
    """Deliver all that is due for a sink by any time; return the ids."""
    pending = await store.pending(sink, 10_000, float("inf"))
    await store.delivered(sink, [one.number for one in pending])
    return [one.alert["id"] for one in pending]


def test_alerts_stay_after_their_delivery_and_those_without_a_sink_too(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a"]), Outgoing(alert(2), [])], None)
        assert await deliver(store, "a") == ["id-1"]
        assert await store.waiting() == {}

    run(tmp_path, work)

    async def later(store: Store) -> None:
        newest, oldest = await store.history(10)
        assert (newest.alert, newest.acknowledged, newest.by) == (alert(2), None, None)
        assert oldest.alert == alert(1)
        assert newest.number > oldest.number
        assert await store.find("id-1") == oldest
        assert await store.find("id-3") is None

    run(tmp_path, later)


def test_the_history_is_read_in_parts(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(number), []) for number in range(1, 7)], None)
        newest = await store.history(2)
        assert [one.alert["id"] for one in newest] == ["id-6", "id-5"]
        older = await store.history(2, before=newest[-1].number)
        assert [one.alert["id"] for one in older] == ["id-4", "id-3"]
        newer = await store.history(10, after=older[0].number)
        assert [one.alert["id"] for one in newer] == ["id-6", "id-5"]
        assert await store.history(10, after=newest[0].number) == []

    run(tmp_path, work)


@pytest.mark.parametrize(("most", "expected"), [(0, []), (1, ["id-5"]), (3, ["id-5", "id-4", "id-3"])])
def test_only_the_newest_are_kept(tmp_path: Path, most: int, expected: list[str]) -> None:
    async def work(store: Store) -> None:
        for number in range(1, 6):
            await store.settle("s", [Outgoing(alert(number), ["a"] if number % 2 else [])], None)
            await deliver(store, "a")
        assert await kept(store) == expected

    run(tmp_path, work, history=most)


def test_an_alert_that_waits_is_never_forgotten(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(0), ["down"])], None)
        for number in range(1, 6):
            await store.settle("s", [Outgoing(alert(number), ["a"])], None)
            await deliver(store, "a")
        assert await kept(store) == ["id-5", "id-4", "id-0"]
        assert await deliver(store, "down") == ["id-0"]
        assert await kept(store) == ["id-5", "id-4"]

    run(tmp_path, work, history=2)


def test_a_smaller_history_is_that_at_once(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(number), []) for number in range(6)], None)
        store.most_history = 2  # a reload
        await store.settle("s", [Outgoing(alert(6), [])], None)
        assert await kept(store) == ["id-6", "id-5"]

    run(tmp_path, work)


def test_the_history_makes_room_for_alerts_that_wait(tmp_path: Path) -> None:
    """However much was delivered, as many wait as would in an empty store."""

    async def fill(store: Store) -> int:
        for number in range(1_000):
            try:
                await store.settle("s", [Outgoing(alert(number, 20_000), ["a"])], Checkpoint("", number))
            except StoreFull:
                return number
        raise AssertionError("the store has no bound")

    async def work(store: Store) -> None:
        empty = await fill(store)
        assert len(await deliver(store, "a")) == empty
        assert len(await kept(store)) == empty  # all of it is history now, and the file is full
        assert await fill(store) >= empty - 1
        assert await store.waiting() == {"a": len(await kept(store))}
        with pytest.raises(StoreFull):
            await store.settle("s", [Outgoing(alert(1, 20_000), [])], None)

    run(tmp_path, work, MEBIBYTE)
    assert (tmp_path / "state").stat().st_size < 3 * MEBIBYTE


def test_the_oldest_are_the_first_to_go(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        for number in range(60):
            await store.settle("s", [Outgoing(alert(number, 40_000), [])], None)
        found = await kept(store)
        assert 3 < len(found) < 30
        assert found == [f"id-{number}" for number in range(59, 59 - len(found), -1)]

    run(tmp_path, work, MEBIBYTE)


def test_acknowledging(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(number), ["a"]) for number in range(3)], None)
        await store.settle("t", [Outgoing(alert(1), [])], None)  # one id twice: found in two streams
        assert await store.acknowledge(["id-1", "id-0", "gone", "id-1"], "ann", 5.5) == ["id-1", "id-0"]
        assert await store.acknowledge(["id-0", "id-2"], "bob", 6.0) == ["id-2"]
        assert [(one.alert["id"], one.acknowledged, one.by) for one in await store.history(9)] == [
            ("id-1", 5.5, "ann"),
            ("id-2", 6.0, "bob"),
            ("id-1", 5.5, "ann"),
            ("id-0", 5.5, "ann"),
        ]
        assert await store.waiting() == {"a": 3}  # what is no escalation is delivered all the same

    run(tmp_path, work)

    async def later(store: Store) -> None:
        found = await store.find("id-2")
        assert found is not None
        assert (found.acknowledged, found.by) == (6.0, "bob")

    run(tmp_path, later)


def test_acknowledgements_go_with_their_alerts(tmp_path: Path) -> None:
    """What is forgotten and found again later is not acknowledged any more."""

    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(number), []) for number in range(2)], None)
        await store.acknowledge(["id-0"], "ann", 5.0)
        store.most_history = 1
        await store.settle("s", [Outgoing(alert(2), [])], None)
        assert await store.find("id-0") is None
        await store.settle("s", [Outgoing(alert(0), [])], None)
        found = await store.find("id-0")
        assert found is not None
        assert found.acknowledged is None

    run(tmp_path, work)


def test_an_escalation_is_due_later_unless_somebody_acknowledges(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle(
            "s", [Outgoing(alert(number), ["a", "boss"], {"boss": 100.0 + number}) for number in range(3)], None
        )
        assert await store.next_due("a") == 0
        assert await store.next_due("boss") == 100.0
        assert await store.next_due("nobody") is None
        assert await store.pending("boss", 9, 99.9) == []
        assert [(one.alert["id"], one.due) for one in await store.pending("boss", 9, 101.0)] == [
            ("id-0", 100.0),
            ("id-1", 101.0),
        ]
        assert len(await store.pending("a", 9, 0.0)) == 3
        assert await store.acknowledge(["id-0", "id-2"], "ann", 50.0) == ["id-0", "id-2"]
        assert await store.waiting() == {"a": 3, "boss": 1}

    run(tmp_path, work, history=0)

    async def after_a_restart(store: Store) -> None:
        assert await store.next_due("boss") == 101.0
        assert [one.alert["id"] for one in await store.pending("boss", 9, 200.0)] == ["id-1"]
        await deliver(store, "boss")
        assert len(await deliver(store, "a")) == 3
        assert await kept(store) == []  # nothing waits for an escalation that was called off

    run(tmp_path, after_a_restart, history=0)


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state") as database:
        database.executescript(FORMAT_1)
        database.execute("""INSERT INTO checkpoints VALUES ('s', '', '{"offset":7}')""")
        database.execute("""INSERT INTO alerts VALUES (4, CAST('{"id":"id-4","text":"ü"}' AS BLOB), 2)""")
        database.execute("""INSERT INTO alerts VALUES (5, CAST('{"id":"id-5"}' AS BLOB), 1)""")
        database.executemany("INSERT INTO pending VALUES (?, ?)", [("a", 4), ("b", 4), ("a", 5)])
        database.execute("INSERT INTO known VALUES (1, 's', 'p', 'id-4')")
    database.close()

    async def work(store: Store) -> None:
        assert store.checkpoints("s") == {"": {"offset": 7}}
        assert await store.waiting() == {"a": 2, "b": 1}
        assert [one.alert for one in await store.pending("a", 9)] == [{"id": "id-4", "text": "ü"}, {"id": "id-5"}]
        assert (await store.settle("s", [Outgoing({"id": "id-4"}, ["a"])], Checkpoint("p", 1, False))).alerts == []
        assert await store.acknowledge(["id-4"], "ann", 1.0) == ["id-4"]
        await store.settle("s", [Outgoing(alert(6), ["a"], {"a": 9.0})], None)
        assert await deliver(store, "a") == ["id-4", "id-5", "id-6"]
        assert await store.waiting() == {"b": 1}
        assert [one.number for one in await store.history(9)] == [6, 5, 4]

    run(tmp_path, work)
    run(tmp_path, lambda store: store.history(1))  # once is enough
    with sqlite3.connect(tmp_path / "state") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_an_older_file_that_cannot_be_brought_up_to_date_stays_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state") as database:
        database.executescript(FORMAT_1)
        database.execute("INSERT INTO alerts VALUES (1, 'no JSON', 1)")
    database.close()
    with pytest.raises(StoreError, match="malformed JSON"):
        Store(tmp_path / "state", MEBIBYTE)
    with sqlite3.connect(tmp_path / "state") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT body, waiting FROM alerts").fetchall() == [("no JSON", 1)]
    database.close()

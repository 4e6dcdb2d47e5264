"""The store: alerts and checkpoints together or not at all, known ids, bounds, and what a second process sees."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.batches import Checkpoint
from sigma.pyeval.monitor.store import Excepted, Hits, Outgoing, Store, StoreError, StoreFull

MEBIBYTE = 1 << 20


def alert(number: int, size: int = 10) -> dict[str, Any]:
    return {"id": f"id-{number}", "text": "x" * size}


def run(path: Path, work: Any, most_bytes: int = 8 * MEBIBYTE) -> Any:
    """Run ``work(store)`` on a store that is opened before and closed behind it."""

    async def within() -> Any:
        store = Store(path, most_bytes)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(within())


def ids(pending: list[Any]) -> list[str]:
    return [one.alert["id"] for one in pending]


def written(store: Store) -> dict[str, Any]:
    """Return the checkpoints in the file."""
    rows = store._database.execute("SELECT stream, state FROM checkpoints")
    return {stream: json.loads(state) for stream, state in rows}


def test_an_alert_waits_for_each_sink_until_it_has_taken_it(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a", "b"]), Outgoing(alert(2), ["b"])], Checkpoint("", 5))
        assert ids(await store.pending("a", 10)) == ["id-1"]
        assert ids(await store.pending("b", 10)) == ["id-1", "id-2"]
        assert ids(await store.pending("b", 1)) == ["id-1"]
        assert await store.waiting() == {"a": 1, "b": 2}
        numbers = [one.number for one in await store.pending("b", 10)]
        await store.delivered("b", numbers)
        await store.delivered("b", numbers)  # a second time changes nothing
        assert await store.waiting() == {"a": 1}
        assert ids(await store.pending("a", 10)) == ["id-1"]

    run(tmp_path / "state", work)

    async def later(store: Store) -> None:
        assert store.checkpoints("s") == {"": 5}
        assert store.checkpoints("other") == {}
        pending = await store.pending("a", 10)
        await store.delivered("a", [pending[0].number])
        assert await store.waiting() == {}

    run(tmp_path / "state", later)

    async def history(store: Store) -> None:
        assert [one.alert["id"] for one in await store.history(10)] == ["id-2", "id-1"]

    run(tmp_path / "state", history)


def test_checkpoints_without_alerts_are_written_when_saved(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [], Checkpoint("p", {"offset": 0}))
        assert written(store) == {"p": {"offset": 0}}  # the first at once
        await store.settle("s", [], Checkpoint("p", {"offset": 1}))
        assert written(store) == {"p": {"offset": 0}}
        assert store.checkpoints("s") == {"p": {"offset": 1}}  # for a source that a reload starts again
        await store.save()
        assert written(store) == {"p": {"offset": 1}}
        await store.settle("s", [], Checkpoint("p", {"offset": 2}))
        await store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("p", {"offset": 3}))
        await store.save()  # does not bring the older one back
        assert written(store) == {"p": {"offset": 3}}

    run(tmp_path / "state", work)


def test_alerts_found_again_behind_an_incomplete_checkpoint_are_known(tmp_path: Path) -> None:
    async def first(store: Store) -> None:
        new = await store.settle(
            "s", [Outgoing(alert(1), ["a"]), Outgoing(alert(2), ["a"])], Checkpoint("p", 10, False)
        )
        assert [one["id"] for one in new.alerts] == ["id-1", "id-2"]

    async def after_the_crash(store: Store) -> None:
        again = [Outgoing(alert(2), ["a"]), Outgoing(alert(3), ["a"])]
        assert [one["id"] for one in (await store.settle("s", again, Checkpoint("p", 10, False))).alerts] == ["id-3"]
        other = await store.settle("s", [Outgoing(alert(2), ["a"])], Checkpoint("q", 1))
        assert [one["id"] for one in other.alerts] == ["id-2"]  # another stream knows nothing of it
        await store.settle("s", [Outgoing(alert(3), ["a"])], Checkpoint("p", 20))  # complete: forgotten from here on
        assert [
            one["id"] for one in (await store.settle("s", [Outgoing(alert(3), ["a"])], Checkpoint("p", 30))).alerts
        ] == ["id-3"]
        assert ids(await store.pending("a", 10)) == ["id-1", "id-2", "id-3", "id-2", "id-3"]

    run(tmp_path / "state", first)
    run(tmp_path / "state", after_the_crash)


def test_ids_are_forgotten_when_a_complete_checkpoint_is_saved_without_alerts(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("p", 10, False))
        await store.settle("s", [], Checkpoint("p", 20))
        await store.save()
        assert [
            one["id"] for one in (await store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("p", 30))).alerts
        ] == ["id-1"]

    run(tmp_path / "state", work)


async def fill(store: Store) -> int:
    """Settle batches until one finds no room; return its number."""
    for number in range(1_000):
        try:
            await store.settle("s", [Outgoing(alert(number, 50_000), ["a"])], Checkpoint("", number))
        except StoreFull:
            return number
    raise AssertionError("the store has no bound")


def test_parts_of_a_batch_are_known_until_its_checkpoint_is_written(tmp_path: Path) -> None:
    async def first(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("p", 10), more=True)
        assert store.checkpoints("s") == {}

    async def after_the_crash(store: Store) -> None:
        again = [Outgoing(alert(1), ["a"]), Outgoing(alert(2), ["a"])]
        assert [one["id"] for one in (await store.settle("s", again, Checkpoint("p", 10))).alerts] == ["id-2"]
        assert store.checkpoints("s") == {"p": 10}
        assert ids(await store.pending("a", 10)) == ["id-1", "id-2"]

    run(tmp_path / "state", first)
    run(tmp_path / "state", after_the_crash)


def test_a_full_store_takes_nothing_and_can_be_emptied(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        number = await fill(store)
        assert number > 5
        assert store.checkpoints("s") == {"": number - 1}  # of the last that was kept
        await store.settle("s", [], Checkpoint("", "noted"))
        await store.save()  # checkpoints have room of their own
        for one in await store.pending("a", 1_000):
            await store.delivered("a", [one.number])
        await store.settle("s", [Outgoing(alert(number, 50_000), ["a"])], Checkpoint("", number))
        assert ids(await store.pending("a", 10)) == [f"id-{number}"]
        assert await store.used_bytes() < MEBIBYTE

    run(tmp_path / "state", work, MEBIBYTE)
    assert (tmp_path / "state").stat().st_size <= 2 * MEBIBYTE + MEBIBYTE


def test_all_of_a_batch_is_kept_or_none(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        batch = [Outgoing(alert(number, 50_000), ["a"]) for number in range(100)]
        with pytest.raises(StoreFull):
            await store.settle("s", batch, Checkpoint("", 1))
        assert await store.waiting() == {}
        assert store.checkpoints("s") == {}

    run(tmp_path / "state", work, MEBIBYTE)


def test_an_older_checkpoint_is_never_written_behind_a_newer_one(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [], Checkpoint("x", 0))
        await store.settle("s", [], Checkpoint("x", 1))
        settling = asyncio.create_task(store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("x", 2)))
        await asyncio.sleep(0)
        await store.save()
        await settling
        await store.save()
        assert store.checkpoints("s") == {"x": 2}

    run(tmp_path / "state", work)

    async def cut_off(store: Store) -> None:
        await store.settle("s", [], Checkpoint("x", 3))
        settling = asyncio.create_task(store.settle("s", [Outgoing(alert(2), ["a"])], Checkpoint("x", 4)))
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.wait([settling])
        await store.save()
        assert store.checkpoints("s")["x"] in (2, 4)  # not begun, or done

    run(tmp_path / "state", cut_off)


def test_a_checkpoint_that_cannot_be_written_stays_noted(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(StoreFull):
            await store.settle("s", [], Checkpoint("x", "y" * 3_000_000))
        with pytest.raises(StoreFull):
            await store.save()
        await store.settle("s", [Outgoing(alert(1), ["a"])], Checkpoint("x", 1))
        await store.save()
        assert store.checkpoints("s") == {"x": 1}

    run(tmp_path / "state", work, MEBIBYTE)


def test_known_ids_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigma.pyeval.monitor.store.MOST_KNOWN", 5)

    async def work(store: Store) -> None:
        for number in range(20):
            await store.settle("s", [Outgoing(alert(number), [])], Checkpoint("x", number, False))
        again = [Outgoing(alert(number), []) for number in range(15, 20)]
        assert (await store.settle("s", again, Checkpoint("x", 20, False))).alerts == []
        assert len((await store.settle("s", [Outgoing(alert(14), [])], Checkpoint("x", 20, False))).alerts) == 1

    run(tmp_path / "state", work)


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a"])], None)
        modes = {stat.S_IMODE(os.stat(file).st_mode) for file in tmp_path.iterdir()}
        assert modes == {0o600}

    run(tmp_path / "state", work)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.settle("s", [Outgoing(alert(1), ["a"])], None)
        code = "import sys; from sigma.pyeval.monitor.store import Store; Store(__import__('pathlib').Path(sys.argv[1]), 10**7)"
        process = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code, str(tmp_path / "state")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another process uses it" in process.stderr

    run(tmp_path / "state", work)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no database, but long enough to be looked at" * 100, "damaged"), (b"", None)],
)
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes, reason: str | None) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)

    async def work(store: Store) -> None:
        assert await store.waiting() == {}

    if reason is None:
        run(path, work)
    else:
        with pytest.raises(StoreError, match=reason):
            run(path, work)


def test_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="format 99"):
        Store(tmp_path / "state", MEBIBYTE)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check the setting 'state'"):
        Store(tmp_path / "nothing" / "state", MEBIBYTE)


def test_alerts_survive_a_killed_process(tmp_path: Path) -> None:
    """``settle`` returned, so the alert is there, although nobody closed the store."""
    code = """
import asyncio, os, signal, sys
from pathlib import Path
from sigma.pyeval.monitor.batches import Checkpoint
from sigma.pyeval.monitor.store import Outgoing, Store
async def main():
    store = Store(Path(sys.argv[1]), 10**7)
    for number in range(20):
        await store.settle("s", [Outgoing({"id": str(number)}, ["a"])], Checkpoint("", number))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], check=False)

    async def work(store: Store) -> None:
        assert store.checkpoints("s") == {"": 19}
        assert ids(await store.pending("a", 100)) == [str(number) for number in range(20)]

    run(tmp_path / "state", work)


def test_hits_of_exceptions_are_counted_once(tmp_path: Path) -> None:
    hits = [Excepted("id-1", "a", 5.0, None), Excepted("id-2", "b", 6.0, "r"), Excepted("id-3", "a", 7.0, "r")]

    async def first(store: Store) -> None:
        assert (await store.settle("s", [], Checkpoint("p", 10, False), excepted=hits)).excepted == hits
        assert store.checkpoints("s") == {"p": 10}

    async def after_the_crash(store: Store) -> None:
        again = [*hits[1:], Excepted("id-4", "b", 9.0, "r")]
        settled = await store.settle("s", [Outgoing(alert(5), [])], Checkpoint("p", 20), excepted=again)
        assert [one.id for one in settled.excepted] == ["id-4"]
        assert await store.exception_hits() == {"a": Hits(2, 7.0), "b": Hits(2, 9.0)}
        await store.settle("t", [], None, excepted=hits[:1])  # of a source that cannot read again
        assert (await store.exception_hits())["a"] == Hits(3, 5.0)

    run(tmp_path / "state", first)
    run(tmp_path / "state", after_the_crash)

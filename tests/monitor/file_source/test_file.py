"""The source ``file``: where files are begun, what wakes it, events over several lines, where reading goes on later."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Json
from sigma.pyeval.monitor.sources import file as file_module
from sigma.pyeval.monitor.sources.file import FileSource, FileSourceSettings

from ..intake import KeptIntake, running
from .following import append, offsets, reads, rename, restarted, run_once, source, texts


def test_files_that_are_there_are_read_from_their_end(path: Path) -> None:
    """By default only what comes is read; a line that is being written then is read whole."""
    path.write_text("old\nhalf")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path, start="end"), intake):
            await intake.until(lambda: "" in intake.checkpoints)
            append(path, " a line\nnew\n")
            await reads(intake, "half a line", "new")
        assert intake.is_connected
        assert intake.places[0] == {"path": str(path), "generation": 0, "offset": 4}

    asyncio.run(scenario())


def test_the_beginning_where_it_is_asked_for(path: Path) -> None:
    """``start: beginning`` reads what is there."""
    path.write_text("old\n")
    asyncio.run(run_once(source(path), KeptIntake(), "old"))


def test_new_files_are_read_from_their_beginning(tmp_path: Path) -> None:
    """A pattern's files that appear later are new: while the source runs, and between two runs."""
    (tmp_path / "a.log").write_text("old\n")
    settings: dict[str, Any] = {"start": "end"}

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(tmp_path / "*.log", **settings), intake):
            await intake.until(lambda: "" in intake.checkpoints)
            (tmp_path / "b.log").write_text("b\n")
            await reads(intake, "b")
        intake = restarted(intake)
        (tmp_path / "c.log").write_text("c\n")
        async with running(source(tmp_path / "*.log", **settings), intake):
            await reads(intake, "c")
        intake = restarted(intake)
        (tmp_path / "other.txt").write_text("of a pattern that is new now\n")
        async with running(source(tmp_path / "*.log", tmp_path / "*.txt", **settings), intake):
            append(tmp_path / "a.log", "a\n")
            await reads(intake, "a")

    asyncio.run(scenario())


def test_a_new_file_that_was_rotated_before_it_was_seen(path: Path) -> None:
    """What was rotated since the last look belongs to it; older files do not."""
    old = path.with_name("app.log.2")
    old.write_text("long ago\n")
    os.utime(old, (1000, 1000))

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await intake.until(lambda: "" in intake.checkpoints)
        intake = restarted(intake)
        path.with_name("app.log.1").write_text("one\n")
        path.write_text("two\n")
        await run_once(source(path), intake, "one", "two")
        assert offsets(intake) == [(0, 0), (1, 0)]

    asyncio.run(scenario())


def test_lines_are_read_where_reading_ended(path: Path) -> None:
    """Nothing twice, nothing left out, places counted on."""
    path.write_text("one\ntw")

    async def scenario() -> None:
        first = KeptIntake()
        then = await run_once(source(path), first, "one")
        append(path, "o\nthree\n")
        await run_once(source(path), then, "two", "three")
        assert offsets(first) == [(0, 0)]
        assert offsets(then) == [(0, 4), (0, 8)]

    asyncio.run(scenario())


EVENT = [
    "type=SYSCALL msg=audit(1700000000.100:7): arch=c000003e syscall=59 success=yes exit=0 items=0 ppid=1 pid=9 auid=0 uid=0 "
    'tty=pts0 ses=1 comm="id" exe="/usr/bin/id" key=(null)',
    'type=EXECVE msg=audit(1700000000.100:7): argc=1 a0="id"',
    "type=PROCTITLE msg=audit(1700000000.100:7): proctitle=6964",
]


def is_joined(event: dict[str, Any]) -> bool:
    """Return whether it is the process event made of all records."""
    return event.get("_CMDLINE") == "id"


def test_an_event_that_a_rotation_cuts_in_two(path: Path) -> None:
    """It is whole, while the source runs and when it has to begin again at the first half."""
    path.write_text("\n".join(EVENT[:2]) + "\n")

    async def scenario() -> None:
        first = KeptIntake()
        async with running(source(path, format="auditd", pause=60), first):
            await first.until(lambda: len(first.events) == 2)
            rename(path)
            append(path, EVENT[2] + "\n")
            await first.until(lambda: any(map(is_joined, first.events)))
        assert first.batches[0].checkpoint is not None
        states: list[Json] = [
            batch.checkpoint for batch in first.batches if batch.checkpoint and batch.checkpoint.stream
        ]
        held = [checkpoint for checkpoint in states if not checkpoint.complete]
        assert held
        for checkpoint in held:
            again = KeptIntake({**first.checkpoints, checkpoint.stream: json.loads(json.dumps(checkpoint.state))})
            async with running(source(path, format="auditd", pause=60), again):
                await again.until(lambda again=again: any(map(is_joined, again.events)))
            assert again.places == first.places
            assert again.events == first.events

    asyncio.run(scenario())


def test_a_pause_gives_out_what_is_held(path: Path) -> None:
    """An event whose last record does not come is given out after a while, and then nothing is held any more."""
    path.write_text(EVENT[0] + "\n" + EVENT[1] + "\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path, format="auditd", pause=0.1), intake):
            await intake.until(lambda: any(map(is_joined, intake.events)))
        last = intake.batches[-1].checkpoint
        assert last is not None
        assert last.complete
        assert last.state["current"]["offset"] == path.stat().st_size

    asyncio.run(scenario())


def test_lines_that_wait_unread_are_no_pause(path: Path) -> None:
    """While detection is behind nothing is read; that does not cut events in two."""
    other = path.with_name("other.log")
    path.write_text(EVENT[0] + "\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path, other, format="auditd", pause=0.3), intake):
            await intake.until(lambda: len(intake.events) == 1)
            intake.open.clear()
            other.write_text("type=TEST msg=audit(1700000000.100:8): x=1\n")
            await asyncio.sleep(0.2)
            append(path, EVENT[1] + "\n" + EVENT[2] + "\n")
            await asyncio.sleep(0.3)
            intake.open.set()
            await intake.until(lambda: len(intake.events) >= 5)
        assert len([event for event in intake.events if is_joined(event)]) == 1

    asyncio.run(scenario())


def test_a_line_that_is_too_long(path: Path) -> None:
    """It is one problem; the lines around it are read, and counted."""
    path.write_text("one\n" + "x" * 2_000_000 + "\ntwo\n")

    async def scenario() -> None:
        intake = KeptIntake()
        await run_once(source(path, max_line_bytes=1000), intake, "one", "two")
        assert intake.problems == [f"{path}, byte 4: a line longer than 1000 bytes is left out"]
        assert sum(batch.lines for batch in intake.batches) == 3
        assert sum(batch.size for batch in intake.batches) == path.stat().st_size

    asyncio.run(scenario())


def test_many_files_with_few_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quiet files are closed beyond a bound, and read on when they change, rotated or not."""
    monkeypatch.setattr(file_module, "MAX_OPEN", 5)
    paths = [tmp_path / f"{name}.log" for name in "abcdefghijklmnopqrst"]
    for path in paths:
        path.write_text(f"{path.stem} one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(tmp_path / "*.log"), intake):
            await intake.until(lambda: len(intake.events) == 20)

            def opened() -> int:
                links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
                return sum(str(tmp_path) in os.path.realpath(link) for link in links)

            await intake.until(lambda: opened() <= 5)
            for path in paths:
                append(path, f"{path.stem} two\n")
            for path in paths[:10]:
                path.rename(f"{path}.1")
                path.write_text(f"{path.stem} three\n")
            await intake.until(lambda: len(intake.events) == 50)
        assert sorted(texts(intake)) == sorted(
            [f"{path.stem} {which}" for path in paths for which in ("one", "two")]
            + [f"{path.stem} three" for path in paths[:10]]
        )

    asyncio.run(scenario())


def test_changes_wake_the_source(tmp_path: Path) -> None:
    """With a long time between looks, a new line and a new file are read at once all the same."""
    (tmp_path / "a.log").write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(tmp_path / "*.log", poll=60), intake):
            await reads(intake, "one")
            await asyncio.sleep(0.2)  # the watch begins beside the first look
            append(tmp_path / "a.log", "two\n")
            await reads(intake, "one", "two")
            (tmp_path / "b.log").write_text("three\n")
            await reads(intake, "one", "two", "three")

    asyncio.run(scenario())


def test_the_lag_is_told_in_bytes(path: Path) -> None:
    """How much is there and not read, by path; none at the end."""
    path.write_text("x" * 999 + "\n")

    async def scenario() -> None:
        intake = KeptIntake()
        seen: list[float] = []
        intake.lag = lambda stream, value: seen.append(value)  # type: ignore[method-assign]
        async with running(source(path), intake):
            await intake.until(lambda: seen[-1:] == [0])
            intake.open.clear()
            append(path, ("x" * 999 + "\n") * 1000)
            await intake.until(lambda: seen[-1] > 500_000)
            intake.open.set()
            await intake.until(lambda: seen[-1] == 0)
        assert FileSource.lag_unit == "bytes"

    asyncio.run(scenario())


def test_stopping_in_the_middle(path: Path) -> None:
    """The source ends after the batch it is at; the rest is read by the next run, each line once."""
    path.write_text("".join(f"{number}\n" for number in range(20_000)))

    async def scenario() -> None:
        first = KeptIntake()
        task = asyncio.create_task(source(path).run(first))
        await first.until(lambda: len(first.batches) >= 3)
        first.stopping.set()
        await asyncio.wait_for(task, 2)
        then = restarted(first)
        async with running(source(path), then):
            await then.until(lambda: texts(first) + texts(then) == [str(number) for number in range(20_000)])

    asyncio.run(scenario())


def test_every_checkpoint_leads_to_the_same_places(path: Path) -> None:
    """Wherever a crash falls, the rest is read with the same places, over plain and compressed generations."""
    lines = [f"line {number}\n" for number in range(9_000)]
    path.with_name("app.log.2.gz").write_bytes(gzip.compress("".join(lines[:4_000]).encode()))
    path.with_name("app.log.1").write_text("".join(lines[4_000:8_500]))
    path.write_text("".join(lines[8_500:]))

    async def read_all(intake: KeptIntake, count: int) -> list[tuple[str, tuple[Any, Any]]]:
        async with running(source(path), intake):
            await intake.until(lambda: len(intake.events) >= count)
        return list(zip(texts(intake), offsets(intake), strict=True))

    async def scenario() -> None:
        first = KeptIntake({"": {"paths": {str(path): 0}}})
        whole = await read_all(first, 9_000)
        assert [text for text, _ in whole] == [line.strip() for line in lines]
        assert {place[0] for _, place in whole} == {0, 1, 2}
        done = 0
        for batch in first.batches:
            done += len(batch.records)
            assert batch.checkpoint is not None
            if batch.records:
                state = json.loads(json.dumps(batch.checkpoint.state))
                rest = await read_all(KeptIntake({**first.checkpoints, str(path): state}), 9_000 - done)
                assert rest == whole[done:]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"paths": []}, "at least 1 item"),
        ({"paths": [""]}, "a path is empty"),
        ({"paths": ["/x"], "format": "sysloog"}, "did you mean 'syslog'"),
        ({"paths": ["/x"], "format": "syslog", "options": {"x": "y"}}, "has no option 'x'"),
        ({"paths": ["/\udcff"]}, "a path is not text"),
        ({"paths": ["/x"], "start": "middle"}, "'end' or 'beginning'"),
        ({"paths": ["/x"], "max_line_bytes": 1 << 30}, "less than or equal to"),
        ({"paths": ["/x"], "poll": 0}, "greater than or equal to"),
        ({"paths": ["/x"], "pols": 1}, "Extra inputs"),
    ],
)
def test_mistakes_in_settings(settings: dict[str, Any], message: str) -> None:
    """They show before anything runs."""
    with pytest.raises(ValidationError, match=message):
        FileSourceSettings(type="file", **settings)


def test_names() -> None:
    """The source is called by its type unless it has a name."""
    assert source("/x").name == "file"
    assert source("/x", name="auth").name == "auth"

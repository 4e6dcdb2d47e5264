"""The source ``file``: lines of files that are written to, rotated, truncated and removed, and where reading goes on later."""

from __future__ import annotations

import asyncio
import bz2
import contextlib
import gzip
import json
import lzma
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Json
from sigma.pyeval.monitor.sources import file as file_module
from sigma.pyeval.monitor.sources import opening as opening_module
from sigma.pyeval.monitor.sources import tail as tail_module
from sigma.pyeval.monitor.sources.file import FileSource, FileSourceSettings
from sigma.pyeval.monitor.sources.logfiles import LogFile
from sigma.pyeval.monitor.sources.rotation import Seen
from sigma.pyeval.monitor.sources.wakeups import WakeUps

from .intake import KeptIntake, running


def source(*paths: Path | str, **settings: Any) -> FileSource:
    """Return a source that looks often and waits little."""
    given = {"format": "syslog", "poll": 0.05, "grace": 0.05, "start": "beginning", **settings}
    return FileSource(FileSourceSettings(type="file", paths=[str(path) for path in paths], **given))


def texts(intake: KeptIntake) -> list[str]:
    """Return the messages that were read, in order."""
    return [event["MESSAGE"] for event in intake.events]


def offsets(intake: KeptIntake) -> list[tuple[Any, Any]]:
    """Return generation and offset of what was read, in order."""
    return [(place["generation"], place["offset"]) for place in intake.places]


def restarted(intake: KeptIntake) -> KeptIntake:
    """Return the intake of the next run, with the checkpoints as they come back from the store."""
    return KeptIntake(json.loads(json.dumps(intake.checkpoints)))


def append(path: Path, text: str) -> None:
    """Write at the end of a file."""
    with path.open("a") as file:
        file.write(text)


async def reads(intake: KeptIntake, *messages: str) -> None:
    """Wait until these messages were read, all of them and nothing else."""
    try:
        await intake.until(lambda: len(texts(intake)) >= len(messages), 5)
    finally:
        assert texts(intake) == list(messages)


async def run_once(source: FileSource, intake: KeptIntake, *messages: str) -> KeptIntake:
    """Run until these messages were read; return the next run's intake."""
    async with running(source, intake):
        await reads(intake, *messages)
    assert texts(intake) == list(messages)
    return restarted(intake)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a log may be."""
    return tmp_path / "app.log"


# Where reading begins.


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


# Rotation.


def rename(path: Path) -> None:
    """Rotate by renaming; the writer has reopened at once."""
    path.rename(path.with_name("app.log.1"))
    path.touch()


def copytruncate(path: Path) -> None:
    """Rotate by copying."""
    path.with_name("app.log.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)


Rotate = Callable[[Path], None]


@pytest.mark.parametrize("rotate", [rename, copytruncate])
@pytest.mark.parametrize("live", [True, False], ids=["live", "later"])
def test_rotation(rotate: Rotate, live: bool, path: Path) -> None:
    """The rest of the old file comes before the new one, whose lines are of the next generation."""
    path.write_text("one\n")

    def happen() -> None:
        append(path, "two\nthree")
        rotate(path)
        append(path, "a new line, longer than all that was read\n")

    async def scenario() -> None:
        intake = KeptIntake()
        messages = ["one", "two", "three", "a new line, longer than all that was read"]
        async with running(source(path), intake):
            await reads(intake, "one")
            if live:
                happen()
                await reads(intake, *messages)
        if not live:
            happen()
            intake = restarted(intake)
            await run_once(source(path), intake, *messages[1:])
        assert offsets(intake)[-3:] == [(0, 4), (0, 8), (1, 0)]
        assert intake.reported == []
        await run_once(source(path), restarted(intake))

    asyncio.run(scenario())


def test_lines_that_come_late_to_a_renamed_file(path: Path) -> None:
    """A writer that reopens late loses nothing: within the grace in order, later at least with its own places."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            with path.open("a") as writer:
                rename(path)
                append(path, "new\n")
                await reads(intake, "one", "new")
                writer.write("late\n")
                writer.flush()
                await reads(intake, "one", "new", "late")
                writer.write("later\n")
        intake = restarted(intake)
        async with running(source(path), intake):
            await reads(intake, "later")
            append(path, "newer\n")
            await reads(intake, "later", "newer")
        assert offsets(intake) == [(0, 9), (1, 4)]

    asyncio.run(scenario())


def test_within_the_grace_the_old_file_comes_first(path: Path) -> None:
    """Order is kept while the writer has not noticed the rotation."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path, grace=0.4), intake):
            await reads(intake, "one")
            with path.open("a") as writer:
                rename(path)
                append(path, "new\n")
                await asyncio.sleep(0.15)
                assert texts(intake) == ["one"]
                writer.write("late\n")
            await reads(intake, "one", "late", "new")

    asyncio.run(scenario())


def pack_zstd(data: bytes) -> bytes:
    """Compress as zstd(1) does."""
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", pack_zstd)]
)
def test_catching_up_through_compressed_files(ending: str, pack: Callable[[bytes], bytes], path: Path) -> None:
    """After a while without the source: the rest of what was read, whatever it is called now, and all that came after it."""
    old = path.with_name(f"app.log.4.{ending}")
    old.write_bytes(pack(b"before everything\n"))
    os.utime(old, (1000, 1000))
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        path.unlink()
        path.with_name(f"app.log.3.{ending}").write_bytes(pack(b"one\ntwo"))
        path.with_name(f"app.log.2.{ending}").write_bytes(pack(b"three\n"))
        path.with_name("app.log.1").write_bytes(b"four\n")
        path.write_text("five\n")
        await run_once(source(path), then, "two", "three", "four", "five")
        assert offsets(then) == [(0, 4), (1, 0), (2, 0), (3, 0)]
        assert then.reported == []

    asyncio.run(scenario())


def test_empty_generations_have_no_number(path: Path) -> None:
    """Places are the same whether an empty file was seen or not."""
    path.write_text("one\n")

    async def scenario() -> None:
        first = KeptIntake()
        then = await run_once(source(path), first, "one")
        path.unlink()
        path.with_name("app.log.3").write_text("one\n")
        path.with_name("app.log.2.gz").write_bytes(gzip.compress(b""))
        path.with_name("app.log.1").write_text("")
        path.write_text("two\n")
        await run_once(source(path), then, "two")
        assert offsets(then) == [(1, 0)]

    asyncio.run(scenario())


def test_a_file_that_took_the_number_of_the_next_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and opening, the next file was rotated and compressed, and its number given to a new one."""
    path.write_text("one\n")
    original = opening_module.open_seen
    rotations = iter([True])

    def late(seen: Seen) -> LogFile:
        if seen.path == str(path) and seen.size == 4 and next(rotations, False):
            packed = path.with_name("app.log.1.gz")
            path.with_name("app.log.1").rename(path.with_name("app.log.2"))
            packed.write_bytes(gzip.compress(path.read_bytes()))
            path.write_text("three\n")  # in place, so that it has the number of the file before
        return original(seen)

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            rename(path)
            monkeypatch.setattr(opening_module, "open_seen", late)
            path.write_text("two\n")
            await reads(intake, "one", "two", "three")
        assert offsets(intake) == [(0, 0), (1, 0), (2, 0)]
        assert intake.reported == []

    asyncio.run(scenario())


def test_a_file_that_is_gone_is_told(path: Path) -> None:
    """What is left is read; the new file has the old one's number, as happens, and is not taken for it."""
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        with path.open("r+") as file:
            file.truncate(0)
            file.write("something else\n")
        path.with_name("app.log.1").write_text("rotated since\n")
        await run_once(source(path), then, "rotated since", "something else")
        assert offsets(then) == [(1, 0), (2, 0)]
        assert [line.removeprefix(str(path)) for line in then.reported] == [
            ": the file that was read up to byte 4 is gone, or was truncated; "
            "lines written to it after that, if any, are lost"
        ]

    asyncio.run(scenario())


def test_truncation_without_a_copy_is_told(path: Path) -> None:
    """The unfinished line that was there is given out as it is."""
    path.write_text("one\ntw")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            await intake.until(lambda: intake.lags[str(path)] == 0)
            path.write_text("new\n")
            await reads(intake, "one", "tw", "new")
        assert offsets(intake) == [(0, 0), (0, 4), (1, 0)]
        assert [line.removeprefix(str(path)) for line in intake.reported] == [
            ": truncated after 6 bytes were read, and there is no copy; lines written in between, if any, are lost"
        ]

    asyncio.run(scenario())


def test_a_file_that_was_emptied_is_told_once(path: Path) -> None:
    """Nobody knows whether anything was lost; later starts don't ask again, and read what is written then."""
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        path.write_text("")
        async with running(source(path), then):
            await then.until(lambda: then.checkpoints[str(path)]["ended"])
        assert [line.removeprefix(str(path)) for line in then.reported] == [
            ": the file that was read up to byte 4 is gone, or was truncated; "
            "lines written to it after that, if any, are lost"
        ]
        again = restarted(then)
        async with running(source(path), again):
            await again.until(lambda: bool(again.lags))
        last = restarted(again)
        append(path, "two\n")
        await run_once(source(path), last, "two")
        assert offsets(last) == [(1, 0)]
        assert again.reported == last.reported == []
        assert not last.checkpoints[str(path)]["ended"]

    asyncio.run(scenario())


def test_a_file_that_is_emptied_while_it_is_read_is_told_once(path: Path) -> None:
    """The next start knows."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            path.write_text("")
            # Nothing to read wakes nobody; the next line shows what happened.
            append(path, "t")
            await intake.until(lambda: bool(intake.reported))
        then = restarted(intake)
        append(path, "wo\n")
        await run_once(source(path), then, "two")
        assert offsets(then) == [(1, 0)]
        assert (len(intake.reported), then.reported) == (1, [])

    asyncio.run(scenario())


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    """The file is read, found again and followed through its rotation; everything said of it is text."""
    path = tmp_path / os.fsdecode(b"\xff.log")
    other = tmp_path / r"\xff.log"
    path.write_text("one\n")
    other.write_text("other\n")
    name = str(tmp_path / r"\xff.log")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(tmp_path / "*.log"), intake):
            await intake.until(lambda: len(texts(intake)) == 2)
            await intake.until(lambda: intake.lags == {name: 0, str(tmp_path / r"\x5cxff.log"): 0})
        assert {text: place["path"] for text, place in zip(texts(intake), intake.places, strict=True)} == {
            "one": name,
            "other": str(tmp_path / r"\x5cxff.log"),
        }
        told = json.dumps([intake.checkpoints, intake.places, intake.reported], ensure_ascii=False)
        told.encode()
        then = restarted(intake)
        append(path, "two\n")
        path.rename(f"{path}.1")
        append(path, "three\n" + "x" * 2000 + "\n")
        await run_once(source(tmp_path / "*.log", max_line_bytes=1000), then, "two", "three")
        assert [(place["path"], *where) for place, where in zip(then.places, offsets(then), strict=True)] == [
            (name, 0, 4),
            (name, 1, 0),
        ]
        await then.until(lambda: then.problems == [f"{name}:6: a line longer than 1000 bytes is left out"])
        assert then.reported == []

    asyncio.run(scenario())


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    """It is looked at every now and then, and the others are watched all the same."""
    folder = tmp_path / os.fsdecode(b"\xfe")
    folder.mkdir()
    path = folder / "app.log"
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(tmp_path / "*" / "*.log"), intake):
            await reads(intake, "one")
            append(path, "two\n")
            await reads(intake, "one", "two")
        assert intake.places[0]["path"] == str(tmp_path / r"\xfe" / "app.log")
        assert intake.reported == []

    asyncio.run(scenario())


def test_changes_of_a_file_whose_name_is_not_utf8_do_not_end_watching(tmp_path: Path) -> None:
    """What watches folders gives up at such a name, and is begun anew."""

    async def scenario() -> None:
        told: list[str] = []
        stopping = asyncio.Event()
        async with WakeUps(stopping, told.append) as wakeups:
            await wakeups.watch(frozenset([str(tmp_path)]))
            async with asyncio.timeout(10):
                while not wakeups._woken.is_set():  # no path is told
                    (tmp_path / os.fsdecode(b"\xff")).write_text("x")
                    await asyncio.sleep(0.05)
                changed: set[str] = set()
                while not changed:
                    (tmp_path / "app.log").write_text("x")
                    changed = await wakeups.wait(0.1)
        assert changed == {str(tmp_path / "app.log")}
        assert told == []

    asyncio.run(scenario())


def test_a_copy_shorter_than_what_was_read_is_no_loss(path: Path) -> None:
    """Lines written between copy and truncation are lost to the copy, not to us."""
    one = "1" * 1024
    path.write_text(f"{one}\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, one)
            path.with_name("app.log.1").write_bytes(path.read_bytes())
            append(path, "between\n")
            await reads(intake, one, "between")
            path.write_text("new\n")
            await reads(intake, one, "between", "new")
        assert intake.reported == []
        path.with_name("app.log.1").rename(path.with_name("app.log.2"))
        path.with_name("app.log.1").write_text("new\n")
        path.write_text("newer\n")
        await run_once(source(path), restarted(intake), "newer")

    asyncio.run(scenario())


@pytest.mark.parametrize("packed", [False, True])
def test_a_short_copy_of_the_same_moment_is_not_read_again(path: Path, packed: bool) -> None:
    """A file system's clock ticks slowly: the copy may be as young as what was written after it."""
    one = "1" * 1024
    path.write_text(f"{one}\n")
    copy = path.with_name("app.log.1.gz" if packed else "app.log.1")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, one)
            text = path.read_bytes()
            copy.write_bytes(gzip.compress(text) if packed else text)
            append(path, "between\n")
            modified = path.stat().st_mtime_ns
            os.utime(copy, ns=(modified, modified))
            await reads(intake, one, "between")
            path.write_text("new\n")
            await reads(intake, one, "between", "new")
        assert intake.reported == []

    asyncio.run(scenario())


def test_a_damaged_predecessor_is_told_and_passed(path: Path) -> None:
    """What can be read of it is read."""
    path.write_text("one\n")
    text = b"one\n" + b"".join(b"%d\n" % number for number in range(50_000))

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        path.unlink()
        path.with_name("app.log.1.gz").write_bytes(gzip.compress(text)[:-3000])
        path.write_text("end\n")
        async with running(source(path), then):
            await then.until(lambda: texts(then)[-1:] == ["end"])
        assert texts(then)[:20_000] == [str(number) for number in range(20_000)]
        assert [line.split(":")[1].split(" after ")[0] for line in then.reported] == [" damaged"]

    asyncio.run(scenario())


# Events over several lines.

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


# What goes wrong.


def test_a_line_that_is_too_long(path: Path) -> None:
    """It is one problem; the lines around it are read, and counted."""
    path.write_text("one\n" + "x" * 2_000_000 + "\ntwo\n")

    async def scenario() -> None:
        intake = KeptIntake()
        await run_once(source(path, max_line_bytes=1000), intake, "one", "two")
        assert intake.problems == [f"{path}:4: a line longer than 1000 bytes is left out"]
        assert sum(batch.lines for batch in intake.batches) == 3
        assert sum(batch.size for batch in intake.batches) == path.stat().st_size

    asyncio.run(scenario())


def test_a_path_that_cannot_be_read_for_a_while(path: Path) -> None:
    """It is told once, and reading goes on where it was when it can be read again."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            aside = path.with_name("aside")
            path.rename(aside)
            path.symlink_to(path)  # stat(2) fails, for root too
            await intake.until(lambda: bool(intake.reported))
            await asyncio.sleep(0.2)
            path.unlink()
            append(aside, "two\n")
            aside.rename(path)
            await reads(intake, "one", "two")
        assert [line.removeprefix(str(path)) for line in intake.reported] == [
            ": cannot be read: Too many levels of symbolic links; it is tried again"
        ]

    asyncio.run(scenario())


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Have files' modes count, also where tests run as root; return a folder that may be used."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_file_without_permission(unprivileged: Path) -> None:
    """It is told once, tried again, and read on where reading was, not from its beginning."""
    path = unprivileged / "app.log"
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        append(path, "two\n")
        path.chmod(0)
        async with running(source(path), then):
            await then.until(lambda: bool(then.reported))
            await asyncio.sleep(0.2)
            path.chmod(0o600)
            await reads(then, "two")
        assert offsets(then) == [(0, 4)]
        assert [line.removeprefix(str(path)) for line in then.reported] == [
            ": cannot be read: Permission denied; it is tried again"
        ]

    asyncio.run(scenario())


def test_a_new_file_without_permission(unprivileged: Path) -> None:
    """All of it is new once it can be read, and it is tried without being changed."""
    path = unprivileged / "app.log"
    path.write_text("one\n")
    path.chmod(0)

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path, start="end"), intake):
            await intake.until(lambda: bool(intake.reported))
            path.chmod(0o600)
            await reads(intake, "one")

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_listed(unprivileged: Path) -> None:
    """The file is read; that rotated ones are not found is told."""
    folder = unprivileged / "logs"
    folder.mkdir()
    path = folder / "app.log"
    path.write_text("one\n")
    folder.chmod(0o311)

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            append(path, "two\n")
            await reads(intake, "one", "two")
        assert intake.reported[-1] == f"{folder}: cannot be listed; rotated files are not found there"

    asyncio.run(scenario())
    folder.chmod(0o777)


def test_predecessors_that_cannot_be_read(path: Path) -> None:
    """They are told and left out; what comes after them is read."""
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        path.rename(path.with_name("app.log.4"))
        path.with_name("app.log.3.gz").write_bytes(b"\x1f\x8b no gzip")
        path.with_name("app.log.2.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 50)
        path.with_name("app.log.1").write_text("two\n")
        path.write_text("three\n")
        await run_once(source(path), then, "two", "three")
        assert [line.split(": ")[0] for line in then.reported] == [f"{path}.3.gz", f"{path}.2.zst"]
        assert offsets(then) == [(1, 0), (2, 0)]

    asyncio.run(scenario())


def test_a_file_that_was_left_is_left_for_good_in_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before is read, half a line included; then its place is where it ends."""
    monkeypatch.setattr(tail_module, "LINGER_SECONDS", 0.3)
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            rename(path)
            append(path, "new\n")
            await reads(intake, "one", "new")
            append(path.with_name("app.log.1"), "late")
            await reads(intake, "one", "new", "late")
            await intake.until(lambda: not intake.checkpoints[str(path)]["late"])
        assert intake.checkpoints[str(path)]["previous"]["offset"] == 8
        assert offsets(intake) == [(0, 0), (1, 0), (0, 4)]

    asyncio.run(scenario())


def test_a_file_that_was_left_and_is_emptied(path: Path) -> None:
    """Somebody truncates the rotated file: it is told, and the stream goes on."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            rename(path)
            append(path, "new\n")
            await reads(intake, "one", "new")
            os.truncate(path.with_name("app.log.1"), 0)
            await intake.until(lambda: not intake.checkpoints[str(path)]["late"])
            append(path, "newer\n")
            await reads(intake, "one", "new", "newer")
        assert [line.removeprefix(str(path)) for line in intake.reported] == [
            ": cannot be read to its end: it was truncated"
        ]

    asyncio.run(scenario())


def test_a_folder_in_the_place_of_the_file(path: Path) -> None:
    """Something else has the name for a while."""
    path.write_text("one\n")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "one")
            path.rename(path.with_name("app.log.1"))
            path.mkdir()
            await asyncio.sleep(0.2)
            path.rmdir()
            path.write_text("two\n")
            await reads(intake, "one", "two")

    asyncio.run(scenario())


def test_a_path_that_goes_and_comes_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last half line is given out; its places are never used again, also not by a later run."""
    monkeypatch.setattr(tail_module, "LINGER_SECONDS", 0.1)
    path.write_text("one\nhalf")

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path.parent / "*.log"), intake):
            await reads(intake, "one")
            path.unlink()
            await intake.until(lambda: intake.checkpoints[str(path)]["gone"], 5)
            await intake.until(lambda: not intake.is_connected)
            path.write_text("two\n")
            await reads(intake, "one", "half", "two")
            path.unlink()
            await intake.until(lambda: intake.checkpoints[str(path)]["gone"], 5)
        assert offsets(intake) == [(0, 0), (0, 4), (1, 0)]
        intake = restarted(intake)
        path.write_text("three\n")
        await run_once(source(path.parent / "*.log"), intake, "three")
        assert offsets(intake) == [(2, 0)]
        assert intake.reported == []

    asyncio.run(scenario())


def test_a_folder_that_is_not_there_at_the_start(path: Path) -> None:
    """A file system that is mounted a little later changes nothing: reading goes on where it was."""
    path.write_text("one\n")

    async def scenario() -> None:
        then = await run_once(source(path), KeptIntake(), "one")
        folder, aside = path.parent, path.parent.with_name("aside")
        folder.rename(aside)
        async with running(source(path), then):
            await asyncio.sleep(0.2)
            append(aside / "app.log", "two\n")
            aside.rename(folder)
            await reads(then, "two")
        assert offsets(then) == [(0, 4)]
        assert then.reported == []

    asyncio.run(scenario())


def test_a_link_that_is_turned_to_another_file(path: Path) -> None:
    """The rest of its old target comes first, also after a restart."""
    one, two = path.with_name("one"), path.with_name("two")
    one.write_text("1\n")
    path.symlink_to(one)

    def turn(target: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    async def scenario() -> None:
        intake = KeptIntake()
        async with running(source(path), intake):
            await reads(intake, "1")
            append(one, "2\n")
            two.write_text("3\n")
            turn(two)
            await reads(intake, "1", "2", "3")
        append(two, "4\n")
        one.write_text("5\n")
        turn(one)
        intake = restarted(intake)
        await run_once(source(path), intake, "4", "5")
        assert offsets(intake) == [(1, 2), (2, 0)]

    asyncio.run(scenario())


# Many files, and being woken.


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


def test_folders_that_cannot_be_watched(tmp_path: Path) -> None:
    """It is told once, waiting goes on by the clock, and ends with the source."""
    told: list[str] = []
    held: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        stopping = asyncio.Event()
        async with WakeUps(stopping, told.append) as wakeups:
            await asyncio.to_thread(lambda: None)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
            with contextlib.suppress(OSError):  # as many as there may be, so that inotify_init(2) fails
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            for _ in range(5):
                await wakeups.watch(frozenset({str(tmp_path)}))
                assert await wakeups.wait(0.05) == set()
            stopping.set()
            async with asyncio.timeout(1):
                assert await wakeups.wait(60) == set()

    try:
        asyncio.run(scenario())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in held:
            os.close(descriptor)
    assert len(told) == 1
    assert told[0].startswith("folders cannot be watched, files are looked at every now and then: ")


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


# Settings.


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

"""Files that are rotated while they are followed: renamed, copied, compressed."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sigma.pyeval.monitor.sources import opening as opening_module
from sigma.pyeval.monitor.sources import tail as tail_module
from sigma.pyeval.monitor.sources.logfiles import LogFile
from sigma.pyeval.monitor.sources.rotation import Seen

from ..intake import KeptIntake, running
from .following import append, offsets, reads, rename, restarted, run_once, source, texts


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

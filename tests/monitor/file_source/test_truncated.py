"""Files that are truncated, removed or replaced while they are followed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources import tail as tail_module

from ..intake import KeptIntake, running
from .following import append, offsets, reads, rename, restarted, run_once, source


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

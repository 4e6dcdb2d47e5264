"""Files and folders that cannot be read, or have names that are no text."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigma.pyeval.monitor.sources.wakeups import WakeUps

from ..intake import KeptIntake, running
from .following import append, offsets, reads, restarted, run_once, source, texts


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
        await then.until(lambda: then.problems == [f"{name}, byte 6: a line longer than 1000 bytes is left out"])
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

"""Standard input as a source: pipes, files, devices and terminals, to their end or until the service stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.sources import stdin
from sigma.pyeval.monitor.sources.stdin import StdinSettings, StdinSource

from .intake import KeptIntake, running


def source(descriptor: int, **settings: Any) -> StdinSource:
    return StdinSource(StdinSettings(type="stdin", **settings), descriptor)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def run_to_end(descriptor: int, **settings: Any) -> KeptIntake:
    intake = KeptIntake()

    async def run() -> None:
        async with asyncio.timeout(10):
            await source(descriptor, **settings).run(intake)

    asyncio.run(run())
    return intake


def test_no_standard_input_is_one_clear_error() -> None:
    program = (
        "import asyncio\n"
        "from sigma.pyeval.monitor.batches import PartError\n"
        "from sigma.pyeval.monitor.sources.stdin import StdinSettings, StdinSource\n"
        "try: asyncio.run(StdinSource(StdinSettings(type='stdin')).run(None))\n"
        "except PartError as error: print(error)\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "source stdin: standard input is closed; start the service with one\n"


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    """Lines are records, the last one also without its newline; there is no checkpoint."""
    log = tmp_path / "log"
    log.write_bytes(b'{"a": 1}\n{"a": 2}\r\n{"a": 3}')
    with log.open("rb") as file:
        intake = run_to_end(file.fileno())
    assert [event["a"] for event in intake.events] == [1, 2, 3]
    assert [place["line"] for place in intake.places] == [1, 2, 3]
    assert sum(batch.lines for batch in intake.batches) == 3
    assert sum(batch.size for batch in intake.batches) == log.stat().st_size
    assert intake.checkpoints == {}
    assert not intake.is_connected


def test_places_of_two_runs_differ(tmp_path: Path) -> None:
    """The first line of one run is not that of another, as they are not read again."""
    log = tmp_path / "log"
    log.write_bytes(b'{"a": 1}\n')
    runs = []
    for _ in range(2):
        with log.open("rb") as file:
            runs.append(run_to_end(file.fileno()).places)
    assert runs[0] != runs[1]


def test_nothing_to_read_is_the_end() -> None:
    """/dev/null has no lines."""
    with open("/dev/null", "rb") as null:
        assert run_to_end(null.fileno()).batches == []


def test_what_cannot_be_read_is_told_and_ends_it(tmp_path: Path) -> None:
    """A folder is no input."""
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        intake = run_to_end(folder)
    finally:
        os.close(folder)
    assert "Is a directory" in intake.reported[0]


def test_a_pipe_is_followed_until_it_is_closed(pipe: tuple[int, int]) -> None:
    """Lines come as they are written; an event at the end is whole."""
    reading, writing = pipe
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(reading, format="jsonl"), intake):
            os.write(writing, b'{"a": 1}\n{"a"')
            await intake.until(lambda: len(intake.events) == 1)
            os.write(writing, b": 2}\n")
            await intake.until(lambda: len(intake.events) == 2)
            os.write(writing, b'{"a": 3}')
            os.close(writing)
            await intake.until(lambda: len(intake.events) == 3)
            await intake.until(lambda: not intake.is_connected)

    asyncio.run(run())


def test_a_silence_gives_out_what_is_held_back(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines, held back to tell their format, do not wait for the hundredth."""
    monkeypatch.setattr(stdin, "SILENCE_SECONDS", 0.05)
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(pipe[0]), intake):
            os.write(pipe[1], b'{"a": 1}\n')
            await intake.until(lambda: len(intake.events) == 1)

    asyncio.run(run())


def test_stopping_ends_a_read_that_waits(pipe: tuple[int, int]) -> None:
    """A silent pipe does not keep the service from ending; a line without an end is counted as lost."""
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(pipe[0], format="jsonl"), intake, seconds=1):
            os.write(pipe[1], b'{"a": 1}\n{"a": ')
            await intake.until(lambda: len(intake.events) == 1)

    asyncio.run(run())
    assert sum(intake.losses.values()) == 1


def test_a_terminal_is_read_line_by_line() -> None:
    """A terminal is waited for like a pipe."""
    master, slave = pty.openpty()
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(slave, format="jsonl"), intake, seconds=1):
            os.write(master, b'{"a": 1}\n')
            await intake.until(lambda: len(intake.events) == 1)

    try:
        asyncio.run(run())
    finally:
        os.close(master)
        os.close(slave)


def test_what_is_not_taken_is_not_read(pipe: tuple[int, int]) -> None:
    """While batches wait, the pipe fills, and its writer waits."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    intake = KeptIntake()
    intake.open.clear()
    line = b'{"a": "' + b"x" * 1000 + b'"}\n'
    data = line * 2_000
    written = 0

    async def run() -> None:
        nonlocal written
        async with running(source(reading, format="jsonl"), intake):
            for _ in range(20):
                with contextlib.suppress(BlockingIOError):
                    written += os.write(writing, data[written:])
                await asyncio.sleep(0.01)
            assert written < 1_000_000
            intake.open.set()
            await intake.until(lambda: sum(batch.size for batch in intake.batches) == written)

    asyncio.run(run())
    assert len(intake.events) == written // len(line)


def test_a_line_too_long_is_told_and_the_next_is_read(tmp_path: Path) -> None:
    """It is a problem at its place; nothing else is lost."""
    log = tmp_path / "log"
    log.write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 5_000 + b'"}\n{"a": 3}\n')
    with log.open("rb") as file:
        intake = run_to_end(file.fileno(), format="jsonl", max_line_bytes=1024)
    assert [event["a"] for event in intake.events] == [1, 3]
    assert intake.places[1]["line"] == 3
    assert intake.problems == ["a line of 5009 bytes is left out, as max_line_bytes is 1024"]


def test_a_format_that_is_none_is_told_at_start() -> None:
    """A mistake in the configuration is seen when the source is made."""
    with pytest.raises(ValueError, match="unknown log format"):
        source(0, format="nonsense")

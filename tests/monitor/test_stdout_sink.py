"""The stdout sink: lines for whoever reads them, at the reader's pace, without holding up the service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import resource
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.batches import SendError
from sigma.pyeval.monitor.sinks.stdout import StdoutSettings, StdoutSink

ALERTS: list[dict[str, Any]] = [{"id": number, "text": "x" * 1_000} for number in range(500)]


def sink(descriptor: int) -> StdoutSink:
    return StdoutSink(StdoutSettings(type="stdout"), descriptor)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def read_all(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += os.read(descriptor, 65536)
    return found


def test_alerts_are_lines_of_json(pipe: tuple[int, int]) -> None:
    """One line an alert."""
    asyncio.run(sink(pipe[1]).send([{"id": 1}, {"id": "a\nb"}]))
    assert os.read(pipe[0], 100) == b'{"id":1}\n{"id":"a\\nb"}\n'


def test_a_file_is_written_to(tmp_path: Path) -> None:
    """Standard output may lead to a file; the descriptor is left open."""
    with (tmp_path / "out").open("wb") as out:
        made = sink(out.fileno())
        asyncio.run(made.send(ALERTS))
        asyncio.run(made.reopen())
        asyncio.run(made.close())
        asyncio.run(made.send(ALERTS))
    assert len((tmp_path / "out").read_bytes().splitlines()) == 1_000


def test_a_slow_reader_is_waited_for_and_nothing_else_is(pipe: tuple[int, int]) -> None:
    """While nobody reads, the loop runs; all lines come when somebody does."""

    async def run() -> bytes:
        sending = asyncio.create_task(sink(pipe[1]).send(ALERTS))
        turns = 0
        for _ in range(50):
            await asyncio.sleep(0.001)
            turns += 1
        assert (turns, sending.done()) == (50, False)
        size = sum(len(json.dumps(alert, separators=(",", ":"))) + 1 for alert in ALERTS)
        found = await asyncio.to_thread(read_all, pipe[0], size)
        await sending
        return found

    found = asyncio.run(run())
    assert [json.loads(line) for line in found.splitlines()] == ALERTS
    assert os.get_blocking(pipe[1])


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    """Whoever shares it may have set that."""
    os.set_blocking(pipe[1], False)

    async def run() -> bytes:
        sending = asyncio.create_task(sink(pipe[1]).send(ALERTS))
        size = sum(len(json.dumps(alert, separators=(",", ":"))) + 1 for alert in ALERTS)
        found = await asyncio.to_thread(read_all, pipe[0], size)
        await sending
        return found

    assert len(asyncio.run(run()).splitlines()) == 500


def test_a_send_that_is_cancelled_leaves_one_broken_line_at_most(pipe: tuple[int, int]) -> None:
    """The next line begins on a line of its own."""

    async def run() -> bytes:
        made = sink(pipe[1])
        sending = asyncio.create_task(made.send(ALERTS))
        await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        reading = asyncio.create_task(asyncio.to_thread(read_until, pipe[0], b'{"id":"last"}\n'))
        await made.send([{"id": "last"}])
        return await reading

    lines = asyncio.run(run()).splitlines()
    assert lines[-1] == b'{"id":"last"}'
    assert [json.loads(line)["id"] for line in lines[:-2]] == list(range(len(lines) - 2))


def read_until(descriptor: int, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += os.read(descriptor, 65536)
    return found


def test_nobody_reads_any_more(pipe: tuple[int, int]) -> None:
    """A closed pipe is an error that is tried again, not the end of the service."""
    os.close(pipe[0])
    with pytest.raises(SendError, match="standard output: Broken pipe"):
        asyncio.run(sink(pipe[1]).send(ALERTS))


def test_a_full_device_refuses() -> None:
    """The reason is the system's."""
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(SendError, match="No space left on device"):
        asyncio.run(sink(full.fileno()).send(ALERTS))


def test_a_line_torn_by_a_full_disk_is_ended_first(tmp_path: Path) -> None:
    """What was written of it stays; the alerts come again, whole."""
    with (tmp_path / "out").open("wb") as out:
        made = sink(out.fileno())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12, hard))
        try:
            with pytest.raises(SendError, match="File too large"):
                asyncio.run(made.send([{"id": 1}, {"id": 2}]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        asyncio.run(made.send([{"id": 1}, {"id": 2}]))
    assert (tmp_path / "out").read_bytes() == b'{"id":1}\n{"i\n{"id":1}\n{"id":2}\n'


def test_a_terminal_that_is_stopped_holds_up_nothing() -> None:
    """Ctrl-S on a terminal: the loop runs on, and the lines come after Ctrl-Q."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    termios.tcflow(slave, termios.TCOOFF)
    made = sink(slave)

    async def run() -> bytes:
        sending = asyncio.create_task(made.send(ALERTS))
        await asyncio.sleep(0.05)
        assert not sending.done()
        termios.tcflow(slave, termios.TCOON)
        size = sum(len(json.dumps(alert, separators=(",", ":"))) + 1 for alert in ALERTS)
        found = await asyncio.to_thread(read_all, master, size)
        await sending
        await made.close()
        return found

    try:
        assert len(asyncio.run(run()).splitlines()) == 500
    finally:
        os.close(master)
        os.close(slave)

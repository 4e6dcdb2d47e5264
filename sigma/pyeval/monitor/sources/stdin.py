"""Standard input: log lines until its end. What has been read once cannot be read again."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.monitor.batches import Batch, Intake, PartError, Place
from sigma.pyeval.monitor.lines import LineStream
from sigma.pyeval.monitor.settings import LineSettings
from sigma.pyeval.monitor.sources.splitting import LineSplitter, TooLong

CHUNK_BYTES = 256 * 1024
SILENCE_SECONDS = 2.0
"""After so long without input, what is held back for more lines is given out."""


class StdinSettings(LineSettings):
    """Lines of standard input, until its end."""

    type: Literal["stdin"]

    max_line_bytes: int = Field(default=1 << 20, ge=1024, le=64 << 20)
    """Longer lines are passed over, and each is told as a problem."""


class StdinSource:
    """Reads standard input: a pipe, a file, a terminal or a socket; ``Source``.

    It is read only as fast as batches are taken, and has no checkpoint. Lines are counted from 1; since the next run
    counts again, a place also holds when the run began.

    Args:
        settings: The source's settings.
        descriptor: What is read instead of standard input; not closed.
    """

    kind = "stdin"
    lag_unit = ""

    def __init__(self, settings: StdinSettings, descriptor: int = 0) -> None:
        self.name = settings.name or settings.type
        self._stream = LineStream(settings.format, settings.options)
        self._splitter = LineSplitter(settings.max_line_bytes)
        self._limit = settings.max_line_bytes
        self._descriptor = descriptor
        self._number = 0
        self._began = ""

    async def run(self, intake: Intake) -> None:
        """Read until the end of input, or until *intake* is stopping.

        Raises:
            PartError: There is no standard input.
        """
        # Its number may be that of something else by now; what Python found when it started tells.
        if self._descriptor == 0 and sys.__stdin__ is None:
            raise PartError(f"source {self.name}: standard input is closed; start the service with one")
        self._began = datetime.now(UTC).isoformat()
        intake.connected(True)
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(intake.stopping.wait())
            try:
                await self._read_all(intake, stopping)
            finally:
                stopping.cancel()
        intake.connected(False)

    async def _read_all(self, intake: Intake, stopping: asyncio.Task[bool]) -> None:
        while not stopping.done():
            try:
                if not await self._readable(stopping):
                    self._stream.pause()
                    await self._put(intake, 0, 0, ())
                    continue
                # Where nothing is there any more (another process read it), a descriptor that does not block says so.
                chunk = await self._read()
            except BlockingIOError:
                continue
            except OSError as error:
                intake.problem(f"standard input cannot be read, which ends it: {error.strerror}")
                chunk = b""
            if not chunk:
                await self._end(intake)
                return
            lines = self._splitter.feed(chunk)
            await self._put(intake, len(lines), len(chunk), self._feed(lines))
        if self._splitter.pending:
            intake.dropped(1, "a line of standard input that had no end yet when the service stopped")
        self._stream.pause()
        await self._put(intake, 0, 0, ())

    async def _end(self, intake: Intake) -> None:
        lines = self._splitter.finish()
        problems = self._feed(lines)
        self._stream.pause()
        await self._put(intake, len(lines), 0, problems)

    async def _readable(self, stopping: asyncio.Task[bool]) -> bool:
        """Wait for input, and tell whether there is some; ``False`` after a silence, and when *stopping* is done."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(self._descriptor, _settle, ready)
        except PermissionError:  # epoll_ctl(2): a regular file, a device without waiting; always ready
            return True
        try:
            await asyncio.wait((ready, stopping), timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._descriptor)
        return ready.done() and not stopping.done()

    async def _read(self) -> bytes:
        # A thread, since a file may lie on a slow disk; what is not a file has something to read now.
        return await asyncio.to_thread(os.read, self._descriptor, CHUNK_BYTES)

    def _feed(self, lines: list[bytes | TooLong]) -> list[Problem]:
        """Give *lines* to the parser; return a problem for each that is too long."""
        problems = []
        for line in lines:
            self._number += 1
            if isinstance(line, bytes):
                self._stream.feed(self._number, line)
            else:
                reason = f"a line of {line.length} bytes is left out, as max_line_bytes is {self._limit}"
                problems.append(Problem.at(self._number, reason, line.start))
        return problems

    async def _put(self, intake: Intake, lines: int, size: int, problems: list[Problem] | tuple[()]) -> None:
        records, unread = self._stream.take()
        if records or unread or problems or lines or size:
            await intake.put(Batch(records, self._place, [*unread, *problems], lines=lines, size=size))

    def _place(self, record: Record) -> Place:
        return {"began": self._began, "line": record.line}


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

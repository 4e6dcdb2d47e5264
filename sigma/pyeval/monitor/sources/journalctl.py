"""The program journalctl as a child: started, listened to, ended; and questions that its first line answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sigma.pyeval.output import printable

CHUNK_BYTES = 256 * 1024
END_SECONDS = 2.0
"""So long journalctl may take to end before it is killed."""

_SAID_BYTES = 4 * 1024
_SAID_CHARACTERS = 400
_CURSOR = re.compile(rb'"__CURSOR"\s*:\s*"([^"\\]+)"')
_TIME = re.compile(rb'"__REALTIME_TIMESTAMP"\s*:\s*"(\d{1,18})"')


class JournalctlError(Exception):
    """Journalctl could not be started, or ended by itself.

    Args:
        reason: One line for people.
        said: What it wrote to standard error, one line.
    """

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.said = said


def cursor_of(line: bytes) -> str | None:
    """Return the cursor of an entry in JSON.

    A quotation mark inside a JSON string is escaped, so that no message can pretend to hold this name.
    """
    found = _CURSOR.search(line)
    return None if found is None else found[1].decode("utf-8", "replace")


def time_of(line: bytes) -> float | None:
    """Return when journald received an entry in JSON, in seconds since 1970."""
    found = _TIME.search(line)
    return None if found is None else int(found[1]) / 1_000_000


class Child:
    """A running journalctl. Made by ``Journalctl.running``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = b""
        self._at_end = False
        self._listening = asyncio.create_task(self._listen())

    @property
    def said(self) -> str:
        """What it has written to standard error, on one line; the end of it where that is much."""
        text = " ".join(self._said.decode("utf-8", "replace").split())
        return printable(text)[-_SAID_CHARACTERS:]

    async def read(self) -> bytes:
        """Return what it has printed, ``b""`` at its end."""
        assert self._process.stdout is not None  # noqa: S101 (asked for with PIPE)
        chunk = await self._process.stdout.read(CHUNK_BYTES)
        self._at_end = not chunk
        return chunk

    async def ended(self) -> JournalctlError:
        """Wait for its end; return what there is to say of it."""
        code = await self._process.wait()
        await self._listening
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        said = self.said
        return JournalctlError(f"journalctl ended with {how}{': ' + said if said else ''}", said)

    async def succeeded(self) -> bool:
        """Wait for its end; tell whether its exit code is 0."""
        return await self._process.wait() == 0

    async def end(self) -> None:
        """Ask it to end; kill it where it does not in time."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)

    async def drain(self) -> None:
        """Read what nobody wants any more, as a pipe is closed only at its end."""
        while await self.read():
            pass
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 (asked for with PIPE)
        while chunk := await self._process.stderr.read(_SAID_BYTES):
            self._said = (self._said + chunk)[-_SAID_BYTES:]

    def _signal(self, number: signal.Signals) -> None:
        # Where journalctl is a script of somebody's, what it started may print on when it has ended.
        if self._process.returncode is None or not self._at_end:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.killpg(self._process.pid, number)


@dataclass(frozen=True, slots=True)
class Journalctl:
    """How journalctl is called.

    Attributes:
        program: Name or path of the program.
        where: Options that choose the journal.
        filters: Options and, behind ``--``, matches that choose entries of it.
    """

    program: str
    where: Sequence[str]
    filters: Sequence[str]

    @asynccontextmanager
    async def running(
        self, stopping: asyncio.Event, arguments: Sequence[str], *, filtered: bool
    ) -> AsyncIterator[Child]:
        """Run it beside the body; it is ended when *stopping* is set, and behind the body.

        Raises:
            JournalctlError: It cannot be started.
        """
        command = [self.program, "--output=json", "--all", "--no-pager", *self.where, *arguments]
        process = await _start([*command, *self.filters] if filtered else command)
        child = Child(process)
        ending = asyncio.create_task(_end_when(stopping, child))
        try:
            yield child
        finally:
            ending.cancel()
            await child.end()
            await child.drain()
            await asyncio.gather(ending, return_exceptions=True)

    async def first(self, stopping: asyncio.Event, *arguments: str) -> tuple[str | None, str]:
        """Return the cursor of the first entry that it prints, whatever its filters, and what it said besides.

        Raises:
            JournalctlError: It failed, or was ended as *stopping* is set.
        """
        asked = ["--merge", "--output-fields=_BOOT_ID", *arguments]
        printed, cursor = b"", None
        async with self.running(stopping, asked, filtered=False) as child:
            while cursor is None and (chunk := await child.read()):
                printed += chunk
                cursor = cursor_of(printed)
            if cursor is None and not await child.succeeded():
                raise await child.ended()
        return cursor, child.said


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    try:
        # A session of its own: an interrupt from the terminal is the service's to handle.
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            limit=CHUNK_BYTES,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise JournalctlError(f"{printable(command[0])} cannot be started: {error.strerror}") from error


async def _end_when(stopping: asyncio.Event, child: Child) -> None:
    await stopping.wait()
    await child.end()

"""The source ``file``: log files that are written to, through rotation, from where reading ended the last time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import Field, model_validator

from sigma.pyeval.logs.text import without_surrogates
from sigma.pyeval.monitor.batches import Batch, Checkpoint, Intake, Json, Place
from sigma.pyeval.monitor.settings import LineSettings, Seconds
from sigma.pyeval.output import counted

from .discovery import Discovery
from .fingerprint import Mark
from .outflow import Reading
from .pathnames import path_text, text_path
from .starting import mark_at_end
from .tail import Tail, state
from .wakeups import WakeUps

MAX_OPEN: Final = 512
"""Files that are kept open while nothing happens to them; of more, those that were quiet for the longest are closed."""

MOST_NAMED: Final = 3
"""Files named where the source says where it goes on."""

_CLOCK_NANOSECONDS: Final = 20_000_000
"""Files' times come from a clock that may be so far behind (a tick of the kernel)."""

_T = TypeVar("_T")


class FileSourceSettings(LineSettings):
    """Log files."""

    type: Literal["file"]
    """Reads log files while they are written to, through their rotation."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files, or patterns: ``*``, ``?``, ``[...]``, and ``**`` for any folders. Rotated files (``auth.log.1``,
    ``auth.log-20261122.gz``) that a pattern matches are read as what they are: predecessors of their file."""

    start: Literal["end", "beginning"] = "end"
    """Where files that are there at the first start are read from. Files that appear later are read from their beginning."""

    max_line_bytes: int = Field(default=1 << 20, ge=256, le=16 << 20)
    """A longer line is left out, and counted as a problem."""

    poll: Seconds = Field(default=1.0, ge=0.05, le=60)
    """Seconds after which files are looked at even if the system has told of no change."""

    pause: Seconds = Field(default=2.0, gt=0, le=3600)
    """Seconds without a new line after which events are given out whose further lines have not come (``end_of_event_timeout``
    of auditd.conf(5))."""

    grace: Seconds = Field(default=2.0, ge=0, le=3600)
    """Seconds that a renamed file is read on before its successor is, as its writer may still have it open. Lines that come to
    it in the minute after that are read too, between those of the successor."""

    ready_lag: int | None = Field(default=None, ge=0)
    """``/readyz`` says that the service is not ready while more bytes of one file than these wait to be read; any number may
    unless given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(not path or "\0" in path for path in self.paths):
            raise ValueError("a path is empty or holds a NUL character")
        if any(without_surrogates(path) != path for path in self.paths):
            raise ValueError("a path is not text; where a file's name is not UTF-8, use a pattern with '?'")
        return self


class FileSource:
    """Reads files; its streams are their paths, as text (``path_text``).

    Attributes:
        name: Of the source.
        kind: ``file``.
        lag_unit: ``bytes``.
    """

    kind = "file"
    lag_unit = "bytes"

    def __init__(self, settings: FileSourceSettings) -> None:
        self.name = settings.name or settings.type
        self._settings = settings
        self._how = Reading(settings.format, settings.options, settings.max_line_bytes, settings.grace, settings.pause)

    def goes_on_at(self, checkpoints: Mapping[str, Json]) -> str:
        """Return the files and how many of their bytes were read, those of the settings alone, the first few by name."""
        is_ours = Discovery(self._settings.paths, lambda _: None).pattern_of
        read = [
            f"{name}, byte {kept['current']['offset']}"
            for name, kept in checkpoints.items()
            if name and is_ours(text_path(name)) is not None
        ]
        more = f"; and {counted(len(read) - MOST_NAMED, 'other file')}" if len(read) > MOST_NAMED else ""
        return "; ".join(read[:MOST_NAMED]) + more

    async def run(self, intake: Intake) -> None:
        """Read until ``intake.stopping`` is set."""
        with ThreadPoolExecutor(1, thread_name_prefix="file") as thread:
            following = _Following(self._settings, self._how, intake, thread)
            try:
                await following.run()
            finally:
                thread.shutdown()
                following.close()


class _Following:
    """One run of the source. Files are touched in *thread* alone, where a slow disk or a long parse makes nobody wait."""

    def __init__(self, settings: FileSourceSettings, how: Reading, intake: Intake, thread: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._how = how
        self._intake = intake
        self._thread = thread
        self._told: list[str] = []
        self._discovery = Discovery(settings.paths, self._told.append)
        self._tails: dict[str, Tail] = {}
        self._by_path: dict[str, Tail] = {}
        self._gone: dict[str, Json] = {}
        self._busy: dict[Tail, None] = {}
        self._lags: dict[str, float] = {}
        self._known_since: dict[str, int] = dict((intake.checkpoints.get("") or {}).get("paths", {}))
        self._looked = 0
        self._connected: bool | None = None

    async def run(self) -> None:
        """Look at files, read those that have changed, and so on."""
        intake = self._intake
        self._restore()
        next_look = 0.0
        async with WakeUps(intake.stopping, intake.problem) as wakeups:
            while not intake.stopping.is_set():
                now = time.monotonic()
                if now >= next_look:
                    next_look = now + self._settings.poll
                    await self._look_at_all()
                    await wakeups.watch(await self._do(lambda: self._discovery.folders(self._tails.keys())))
                else:
                    changed = await wakeups.wait(0 if self._busy else next_look - now)
                    if not await self._look_at(changed):
                        next_look = 0.0
                await self._read_busy()

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()

    def _restore(self) -> None:
        """Take up the streams of the last run; those of paths that are not in the settings any more are left alone."""
        for name, kept in self._intake.checkpoints.items():
            path = text_path(name)
            if not path or self._discovery.pattern_of(path) is None:
                continue
            if kept["gone"]:
                self._gone[path] = kept
            else:
                self._add(path, kept)

    def _add(self, path: str, kept: Json) -> None:
        tail = self._tails[path] = Tail(path, self._how, kept)
        for name in (os.path.abspath(path), os.path.realpath(path)):
            self._by_path[name] = tail

    async def _look_at_all(self) -> None:
        """Look for new files and at all known ones."""
        now = time.time_ns() - _CLOCK_NANOSECONDS
        first = not self._looked
        for path, pattern in await self._do(lambda: list(self._discovery.new_files(self._tails.keys()))):
            kept = self._gone.pop(path, None) or await self._do(self._first_state, path, pattern, now)
            self._add(path, kept)
        self._looked = now
        await self._look(list(self._tails.values()))
        if first:
            await self._begin(now)
        self._close_quiet_files()
        self._tell_state()

    async def _begin(self, now: int) -> None:
        """Read the first batch of each stream, which has its place, before it is noted that this was no first start."""
        await self._read_busy()
        since = {pattern: self._known_since.get(pattern, now) for pattern in self._settings.paths}
        if since != self._known_since:
            self._known_since = since
            await self._intake.put(Batch([], _no_place, checkpoint=Checkpoint("", {"paths": since})))

    def _first_state(self, path: str, pattern: str, now: int) -> Json:
        """Return where a file begins that was never read.

        What is there when its pattern is new begins where the settings say; anything else appeared later, perhaps with rotated
        files already, which are younger than the last look.
        """
        if self._looked:
            return state(Mark.at_beginning(path, self._looked))
        since = self._known_since.get(pattern)
        if since is not None:
            return state(Mark.at_beginning(path, since))
        if self._settings.start == "beginning":
            return state(Mark.at_beginning(path, now))
        return state(mark_at_end(path, now, self._settings.max_line_bytes))

    async def _look_at(self, changed: Iterable[str]) -> bool:
        """Look at the streams of these paths; return False if all have to be, as there may be a new one."""
        tails: dict[Tail, None] = {}
        known = True
        for path in changed:
            tail = self._by_path.get(path)
            if tail is not None:
                tails[tail] = None
            elif self._discovery.pattern_of(path) is not None and not os.path.isdir(path):
                known = False
        if tails:
            await self._look(list(tails))
        return known

    async def _look(self, tails: list[Tail]) -> None:
        """Look at streams: some want to be read; of others the parser may have held something back for too long."""
        wanting = await self._do(lambda: {tail: tail.look() for tail in tails})
        self._busy.update(dict.fromkeys(tail for tail in tails if wanting[tail]))
        quiet = [tail for tail in tails if tail.is_pausing and tail not in self._busy]
        for tail in quiet:
            await self._intake.put(await self._do(tail.pause))

    async def _read_busy(self) -> None:
        """Read one batch of each stream that has any."""
        for tail in list(self._busy):
            if self._intake.stopping.is_set():
                return
            batch = await self._do(tail.read)
            self._tell(tail)
            if batch is not None:
                await self._intake.put(batch)
            elif not tail.more:
                await self._let_rest(tail)
            if not tail.more:
                del self._busy[tail]

    async def _let_rest(self, tail: Tail) -> None:
        """Take what is left from a stream that has been read to its end; drop it if its path is gone for good."""
        if tail.is_over:
            batch = await self._do(tail.retire)
            tail.close()
            del self._tails[tail.path]
            self._by_path = {name: other for name, other in self._by_path.items() if other is not tail}
            if self._lags.pop(tail.path, None) is not None:
                self._intake.lag(path_text(tail.path), None)
            assert batch.checkpoint is not None  # noqa: S101 (every batch of a tail has one)
            self._gone[tail.path] = batch.checkpoint.state
            await self._intake.put(batch)
        elif tail.is_pausing:
            await self._intake.put(await self._do(tail.pause))

    def _close_quiet_files(self) -> None:
        quiet = [tail for tail in self._tails.values() if tail.is_open]
        if len(quiet) > MAX_OPEN:
            quiet.sort(key=lambda tail: tail.used)
            for tail in quiet[: len(quiet) - MAX_OPEN]:
                if tail not in self._busy:
                    tail.park()

    def _tell(self, tail: Tail) -> None:
        """Tell what a stream has to tell."""
        for reason in tail.told:
            self._intake.problem(reason)
        tail.told.clear()
        if self._lags.get(tail.path) != tail.lag:
            self._lags[tail.path] = tail.lag
            self._intake.lag(path_text(tail.path), tail.lag)

    def _tell_state(self) -> None:
        for reason in self._told:
            self._intake.problem(reason)
        self._told.clear()
        for tail in self._tails.values():
            if tail.told:
                self._tell(tail)
        connected = bool(self._tails)
        if connected != self._connected:
            self._connected = connected
            self._intake.connected(connected)

    async def _do(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*arguments))


def _no_place(_: Any) -> Place:
    return {}

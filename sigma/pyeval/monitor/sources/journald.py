"""The systemd journal, followed with journalctl from the entry where reading ended the last time."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.monitor.batches import Batch, Checkpoint, Intake, Json, Place
from sigma.pyeval.monitor.lines import LineStream
from sigma.pyeval.monitor.settings import SourceSettings
from sigma.pyeval.monitor.sources.journalctl import Child, Journalctl, JournalctlError, cursor_of, time_of
from sigma.pyeval.monitor.sources.pauses import FIRST_PAUSE, LONGEST_PAUSE, growing_pauses, stopped_within
from sigma.pyeval.monitor.sources.splitting import LineSplitter, TooLong

SILENCE_SECONDS = 2.0
"""After so long without an entry, what is held back for more of them is given out."""

HELD_SECONDS = 10.0
"""So much older than the last entry may one be that is held back."""

HELD_LINES = 20_000
"""So many entries may come behind one that is held back."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = FIRST_PAUSE, LONGEST_PAUSE
"""Pauses before journalctl is started again; each is twice the one before while nothing is read."""

LONG_WAIT_SECONDS = 60.0
"""After so long a wait for room in the queue, the journal is asked whether it still holds the last entry read."""

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,255}")
_MATCH = re.compile(r"[A-Z0-9_]{1,64}=[^\0]{0,4096}", re.DOTALL)
_NAMESPACE = re.compile(r"[A-Za-z0-9_.+*-]{1,128}")
_SINCE = re.compile(r"-\d{1,9}(?:s|min|h|d|w)")
_CURSOR = re.compile(r"[!-~]{1,1024}")


def _start(value: str) -> str:
    if value in ("now", "beginning") or _SINCE.fullmatch(value):
        return value
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(value).strftime("%Y-%m-%d %H:%M:%S")
    raise ValueError("is 'now', 'beginning', a time before now (-90s, -5min, -1h, -7d, -2w), or a date and time")


def _unit(value: str) -> str:
    if _UNIT.fullmatch(value) is None:
        raise ValueError("is no name of a unit; patterns are not taken, as units that start later would be left out")
    return value


def _match(value: str) -> str:
    if _MATCH.fullmatch(value) is None:
        raise ValueError("a match is FIELD=value, the field in capitals, as in journalctl(1)")
    return value


def _namespace(value: str) -> str:
    if _NAMESPACE.fullmatch(value) is None:
        raise ValueError("is no namespace of a journal; see journalctl(1)")
    return value


def _path(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("is no path")
    return value


class JournaldSettings(SourceSettings):
    """The systemd journal, read with journalctl."""

    type: Literal["journald"]

    start: Annotated[str, AfterValidator(_start)] = "now"
    """Where the first run begins: ``now``, ``beginning``, a time before now (``-1h``), or a local date and time."""

    directory: Annotated[str, AfterValidator(_path)] | None = None
    """Read the journal files of this directory, instead of the system's."""

    files: tuple[Annotated[str, AfterValidator(_path)], ...] = ()
    """Read these journal files (patterns); resolved when journalctl starts, so ``directory`` suits files that are rotated."""

    namespace: Annotated[str, AfterValidator(_namespace)] | None = None
    """Read the journal of this namespace; ``*`` is all of them."""

    units: tuple[Annotated[str, AfterValidator(_unit)], ...] = ()
    """Only entries of these units, each named in full, as with ``journalctl --unit``."""

    matches: tuple[Annotated[str, AfterValidator(_match)], ...] = ()
    """Only entries with these fields (``_TRANSPORT=audit``); of several values of one field any will do."""

    max_line_bytes: int = Field(default=4 << 20, ge=64 << 10, le=64 << 20)
    """An entry that is longer in JSON is passed over, and told as a problem."""

    program: Annotated[str, AfterValidator(_path)] = "journalctl"
    """Name or path of journalctl."""

    ready_lag: float | None = Field(default=None, ge=0)
    """``/readyz`` says that the service is not ready while the entry read last is older than so many seconds; it may be any
    age unless given."""

    @model_validator(mode="after")
    def _one_journal(self) -> JournaldSettings:
        if sum(map(bool, (self.directory, self.files, self.namespace))) > 1:
            raise ValueError("directory, files and namespace exclude each other")
        return self


class _Entry(NamedTuple):
    cursor: str | None
    time: float


class JournaldSource:
    """Follows the journal; ``Source``. A restart goes on behind the last entry whose outcome is durable.

    Reading begins *at* that entry, not after it: journalctl before version 255 passes over the first entry that it finds
    for ``--after-cursor`` even where that is another one (systemd issue 30288), and so it shows whether the journal still
    holds it.
    """

    kind = "journald"
    lag_unit = "seconds"

    def __init__(self, settings: JournaldSettings) -> None:
        self.name = settings.name or settings.type
        self._settings = settings
        self._journalctl = Journalctl(settings.program, _where(settings), _filters(settings))
        self._stream = LineStream("journald")
        self._begun = False
        self._cursor: str | None = None
        """The last entry read; ``None`` is the beginning of the journal."""
        self._position = 0
        self._entries: dict[int, _Entry] = {}
        """The last entry whose event and all before are given out, and all behind it, by position."""
        self._problems: list[Problem] = []
        self._told = ""
        # Without it, --follow shows the current boot only, since version 251.
        self._all_boots = "--merge"

    async def run(self, intake: Intake) -> None:
        """Follow the journal until *intake* is stopping; journalctl is started again when it ends."""
        pauses = growing_pauses(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while not intake.stopping.is_set():
            before = self._position
            try:
                await self._read(intake)
            except JournalctlError as error:
                if intake.stopping.is_set():
                    break
                if "--merge is not supported" in error.said and self._all_boots == "--merge":
                    self._all_boots = "--boot=all"  # versions 251 to 253
                    continue
                intake.problem(f"{error}; it is started again")
            finally:
                intake.connected(False)
            if self._position > before:
                pauses = growing_pauses(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            await stopped_within(intake.stopping, next(pauses))

    async def _read(self, intake: Intake) -> None:
        if not self._begun:
            await self._begin(intake)
        await self._find(intake)
        arguments = ["--follow", "--no-tail", "--quiet", self._all_boots]
        if self._cursor is not None:
            arguments.append(f"--cursor={self._cursor}")
        async with self._journalctl.running(intake.stopping, arguments, filtered=True) as child:
            intake.connected(True)
            await self._follow(intake, child)
            raise await child.ended()

    def goes_on_at(self, checkpoints: Mapping[str, Json]) -> str:
        """Return the cursor of the last entry read."""
        state = checkpoints.get("")
        return f"the entry behind {state['cursor']}" if isinstance(state, dict) and state.get("cursor") else ""

    async def _begin(self, intake: Intake) -> None:
        """Find where reading begins; on the first run this is kept at once, so that a second one begins there too."""
        if "" in intake.checkpoints:
            self._cursor = _cursor_of_state(intake.checkpoints[""], intake)
        else:
            self._cursor = await self._first_start(intake)
            await intake.put(Batch((), self._no_place, checkpoint=Checkpoint("", {"cursor": self._cursor})))
        self._entries = {0: _Entry(self._cursor, 0.0)}
        self._begun = True

    async def _first_start(self, intake: Intake) -> str | None:
        start = self._settings.start
        if start == "beginning":
            return None
        return await self._ask(intake, "--reverse", *([] if start == "now" else [f"--until={start}"]))

    async def _find(self, intake: Intake) -> None:
        """See whether the journal still holds the last entry read; where it does not, say so and read what there is."""
        if self._cursor is None:
            await self._ask(intake)  # for what journalctl has to say, such as about rights
            return
        try:
            found = await self._ask(intake, f"--cursor={self._cursor}")
        except JournalctlError as error:
            if "seek to cursor" not in error.said:
                raise
            intake.problem(f"the journal is read from its beginning, as the checkpoint is no cursor: {error.said}")
            self._cursor = None
            return
        if found is None:  # nor any later one: all of it is new, or older by a clock that was set back
            self._tell_gap(intake, "it is read from its beginning")
            self._cursor = None
        elif found != self._cursor:
            self._tell_gap(intake, "it is read from the next entry on")

    def _tell_gap(self, intake: Intake, outcome: str) -> None:
        last = self._cursor or ""
        intake.problem(f"entries may be lost: the journal no longer holds the last entry read ({last}); {outcome}")

    async def _ask(self, intake: Intake, *arguments: str) -> str | None:
        cursor, said = await self._journalctl.first(intake.stopping, *arguments)
        if said and said != self._told:
            intake.problem(f"journalctl says: {said}")
            self._told = said
        return cursor

    async def _follow(self, intake: Intake, child: Child) -> None:
        """Hand over what *child* prints until it ends; the part of a line at its end is read again."""
        splitter = LineSplitter(self._settings.max_line_bytes)
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    chunk = await child.read()
            except TimeoutError:
                self._stream.pause()
                await self._put(intake, 0, 0)
                intake.lag("", 0.0)
                continue
            if not chunk:
                return
            lines = splitter.feed(chunk)
            for line in lines:
                self._take(line)
            self._release()
            if await self._put(intake, len(lines), len(chunk)) > LONG_WAIT_SECONDS:
                await self._look_back(intake)

    def _take(self, line: bytes | TooLong) -> None:
        start = line if isinstance(line, bytes) else line.start
        cursor = cursor_of(start)
        if cursor is not None and cursor == self._cursor:
            return  # where reading began
        self._position += 1
        if cursor is None or not isinstance(line, bytes):
            limit = self._settings.max_line_bytes
            reason = (
                f"an entry of {line.length} bytes is left out, as max_line_bytes is {limit}"
                if isinstance(line, TooLong)
                else "a line of journalctl that is no entry"
            )
            self._problems.append(Problem.at(self._position, reason, start))
            cursor = cursor or self._cursor
        else:
            self._stream.feed(self._position, line)
        self._cursor = cursor
        self._entries[self._position] = _Entry(cursor, time_of(start) or self._entries[self._position - 1].time)

    def _release(self) -> None:
        """Give out what has been held back for long while other entries came: there is no silence then."""
        held = self._stream.held_from()
        if held is None:
            return
        age = self._entries[self._position].time - self._entries[held].time
        if age > HELD_SECONDS or self._position - held > HELD_LINES:
            self._stream.pause()

    async def _put(self, intake: Intake, lines: int, size: int) -> float:
        """Hand over what has been found; return how many seconds that took."""
        records, unread = self._stream.take()
        problems = [*unread, *self._problems]
        self._problems = []
        if not (records or problems or lines):
            return 0.0
        places = {record.line: self._entries[record.line].cursor or "" for record in records}

        def place(record: Record) -> Place:
            return {"cursor": places[record.line]}

        intake.lag("", max(0.0, time.time() - self._entries[self._position].time))
        began = time.monotonic()
        await intake.put(Batch(records, place, problems, self._checkpoint(), lines=lines, size=size))
        return time.monotonic() - began

    def _checkpoint(self) -> Checkpoint:
        """Return the last entry before the first one that is held back; forget those before it."""
        held = self._stream.held_from()
        last = self._position if held is None else held - 1
        for position in range(next(iter(self._entries)), last):
            del self._entries[position]
        return Checkpoint("", {"cursor": self._entries[last].cursor}, complete=held is None)

    async def _look_back(self, intake: Intake) -> None:
        """Tell where entries were deleted while none were read; journalctl reads on, in what it has open."""
        found = await self._ask(intake, f"--cursor={self._cursor}")
        if found != self._cursor:
            self._tell_gap(intake, "journalctl reads on")

    def _no_place(self, record: Record) -> Place:
        raise LookupError(record.line)


def _where(settings: JournaldSettings) -> Sequence[str]:
    where = [f"--file={path}" for path in settings.files]
    if settings.directory is not None:
        where.append(f"--directory={settings.directory}")
    if settings.namespace is not None:
        where.append(f"--namespace={settings.namespace}")
    return where


def _filters(settings: JournaldSettings) -> Sequence[str]:
    return [*(f"--unit={unit}" for unit in settings.units), "--", *settings.matches]


def _cursor_of_state(state: Json, intake: Intake) -> str | None:
    cursor: Any = state.get("cursor", "") if isinstance(state, dict) else ""
    if cursor is None or (isinstance(cursor, str) and _CURSOR.fullmatch(cursor)):
        return cursor
    intake.problem("the journal is read from its beginning, as the checkpoint is no cursor")
    return None

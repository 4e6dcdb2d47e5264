"""What survives a crash: checkpoints of sources and the alerts that sinks have not accepted yet, in one SQLite file.

Alerts and the checkpoint behind the events that they are about are written in one transaction: an event is either judged and
its alerts are kept, or it is read again. An alert that is found once more after a crash is known by its id.

The file is bounded (``max_page_count`` of SQLite); when it is full nothing is written and the sources wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from sigma.pyeval.output import json_line

from .batches import Checkpoint, Json

FORMAT: Final = 1
"""Version of the tables; a file of another version is refused."""

PAGE_BYTES: Final = 4096
_SPARE_PAGES = 256
"""Pages beyond the bound that deliveries and checkpoints may use, so that a full spool can always be emptied."""

MOST_KNOWN: Final = 100_000
"""Ids of alerts kept for lines that would be read again; parsers hold lines back for far fewer."""

_TABLES = """
CREATE TABLE checkpoints (source TEXT, stream TEXT, state BLOB NOT NULL, PRIMARY KEY (source, stream)) WITHOUT ROWID;
CREATE TABLE alerts (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, waiting INTEGER NOT NULL);
CREATE TABLE pending (sink TEXT, number INTEGER, PRIMARY KEY (sink, number)) WITHOUT ROWID;
CREATE TABLE known (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, stream TEXT, id TEXT, UNIQUE (source, stream, id));
"""

_T = TypeVar("_T")


class StoreError(Exception):
    """The file cannot be used; the message says which, why and what to do."""


class StoreFull(Exception):
    """There is no room for an alert until sinks have taken others; the transaction was undone."""


class Pending(NamedTuple):
    """An alert that waits for a sink: its number, which grows with time, and what it says."""

    number: int
    alert: Mapping[str, Json]


class Outgoing(NamedTuple):
    """An alert and the names of the sinks that want it."""

    alert: Mapping[str, Json]
    sinks: Sequence[str]


class Store:
    """The state of one service; all calls are done one after the other in a thread of their own.

    Args:
        path: The SQLite file, made with mode 0600 where it is not there.
        most_bytes: About how large it may grow.

    Raises:
        StoreError: It cannot be opened, is of another version, damaged, or used by another process.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._pages = max(most_bytes // PAGE_BYTES, 16)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._unsaved: dict[tuple[str, str], Checkpoint] = {}
        self._written: Counter[tuple[str, str]] = Counter()
        self._freed = asyncio.Event()
        try:
            self._database = self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self._begun = set(self._database.execute("SELECT source, stream FROM checkpoints"))
        self._with_known = {
            (source, stream) for source, stream in self._database.execute("SELECT DISTINCT source, stream FROM known")
        }

    def checkpoints(self, source: str) -> dict[str, Json]:
        """Return the states that a source has left, by stream; for its start."""
        rows = self._database.execute("SELECT stream, state FROM checkpoints WHERE source = ?", (source,))
        return {stream: orjson.loads(state) for stream, state in rows}

    async def settle(
        self, source: str, alerts: Sequence[Outgoing], checkpoint: Checkpoint | None, *, more: bool = False
    ) -> list[Mapping[str, Json]]:
        """Make the alerts of a batch durable together with its checkpoint; return those that are new.

        Without alerts the checkpoint is only noted, for ``save``: reading again what raised none does no harm. With *more*
        the alerts are a part of the batch and the checkpoint is left for the last part: until then they are known by
        their ids, in case the batch is read again.

        Raises:
            StoreFull: Nothing was written.
        """
        if checkpoint is None:
            return await self._call(lambda: self._settle(source, alerts, None, more)) if alerts else []
        key = (source, checkpoint.stream)
        if not alerts and not more:
            self._unsaved[key] = checkpoint
            if key not in self._begun:  # where a first start began must not be forgotten
                await self.save()
            return []
        # Taken out before the write, so that no older one can be saved behind it.
        noted = self._unsaved.pop(key, None)
        self._written[key] += 1
        try:
            return await self._call(lambda: self._settle(source, alerts, checkpoint, more))
        except StoreFull:
            if noted is not None:
                self._unsaved.setdefault(key, noted)
            raise

    def could_hold(self, alert: Mapping[str, Json]) -> bool:
        """Return whether *alert* would fit if no other alert waited."""
        return len(json_line(alert)) + 16 * PAGE_BYTES <= self._pages * PAGE_BYTES

    async def room(self, seconds: float) -> None:
        """Wait until a sink has taken alerts since ``settle`` was refused, at most so long."""
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._freed.wait(), seconds)

    async def save(self) -> None:
        """Write the checkpoints noted by ``settle``.

        Raises:
            StoreFull: They could not be written and are still noted.
        """
        if not self._unsaved:
            return
        unsaved, self._unsaved = self._unsaved, {}
        written = {key: self._written[key] for key in unsaved}
        try:
            await self._call(lambda: self._save(unsaved))
        except StoreFull:
            for key, checkpoint in unsaved.items():
                if self._written[key] == written[key]:  # else a later one is on its way
                    self._unsaved.setdefault(key, checkpoint)
            raise

    async def pending(self, sink: str, most: int) -> list[Pending]:
        """Return up to *most* alerts that wait for *sink*, the oldest first."""
        return await self._call(lambda: self._pending(sink, most))

    async def delivered(self, sink: str, numbers: Sequence[int]) -> None:
        """Forget that these alerts wait for *sink*; those that wait for no other are removed."""
        await self._call(lambda: self._delivered(sink, numbers))
        self._freed.set()

    async def waiting(self) -> dict[str, int]:
        """Return how many alerts wait for each sink that any wait for, sinks of earlier runs included."""
        rows = await self._call(
            lambda: self._database.execute("SELECT sink, count(*) FROM pending GROUP BY sink").fetchall()
        )
        return dict(rows)

    async def used_bytes(self) -> int:
        """Return how much of the bound is in use."""
        return await self._call(self._used) * PAGE_BYTES

    async def close(self) -> None:
        """Save what was noted and close the file; StoreFull where it could not be saved, the file is closed all the same."""
        try:
            await self.save()
        finally:
            await self._call(self._database.close)
            self._thread.shutdown()

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> sqlite3.Connection:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self._path}: cannot be opened: {error}; check the setting 'state'") from error
        try:
            # Exclusive: a second service on the same state would deliver and skip what is not its own.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("BEGIN EXCLUSIVE")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _TABLES.split(";")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {FORMAT}")
            database.execute("COMMIT")
        except sqlite3.Error as error:
            database.close()
            busy = "locked" in str(error)
            reason = (
                "another process uses it; is the service running already?" if busy else f"damaged or no state: {error}"
            )
            raise StoreError(f"{self._path}: {reason}") from error
        if version not in (0, FORMAT):
            database.close()
            raise StoreError(f"{self._path}: written by another version (format {version}); name another 'state'")
        return database

    def _settle(
        self, source: str, alerts: Sequence[Outgoing], checkpoint: Checkpoint | None, more: bool
    ) -> list[Mapping[str, Json]]:
        stream = None if checkpoint is None else checkpoint.stream
        again = checkpoint is not None and (more or not checkpoint.complete)
        with _Transaction(self._database, self._pages, durable=True) as database:
            new = alerts
            if stream is not None and (again or (source, stream) in self._with_known):
                new = [one for one in alerts if self._is_new(database, source, stream, one)]
            for alert, sinks in new:
                if not sinks:
                    continue
                row = database.execute(
                    "INSERT INTO alerts (body, waiting) VALUES (?, ?)", (json_line(alert), len(sinks))
                )
                database.executemany("INSERT INTO pending VALUES (?, ?)", [(sink, row.lastrowid) for sink in sinks])
            if checkpoint is not None and not more:
                self._write_checkpoint(database, source, checkpoint)
        if checkpoint is not None:
            if not more:
                self._begun.add((source, checkpoint.stream))
            (self._with_known.add if again else self._with_known.discard)((source, checkpoint.stream))
        return [alert for alert, _ in new]

    def _is_new(self, database: sqlite3.Connection, source: str, stream: str, one: Outgoing) -> bool:
        """Return whether an alert was not found before, and keep its id for when its event is read again."""
        row = database.execute(
            "INSERT OR IGNORE INTO known (source, stream, id) VALUES (?, ?, ?)", (source, stream, one.alert["id"])
        )
        if row.rowcount > 0 and row.lastrowid is not None:
            database.execute("DELETE FROM known WHERE number <= ?", (row.lastrowid - MOST_KNOWN,))
        return row.rowcount > 0

    def _write_checkpoint(self, database: sqlite3.Connection, source: str, checkpoint: Checkpoint) -> None:
        database.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)",
            (source, checkpoint.stream, json_line(checkpoint.state)),
        )
        if checkpoint.complete:
            database.execute("DELETE FROM known WHERE source = ? AND stream = ?", (source, checkpoint.stream))

    def _save(self, unsaved: Mapping[tuple[str, str], Checkpoint]) -> None:
        with _Transaction(self._database, self._pages + _SPARE_PAGES, durable=False) as database:
            for (source, _), checkpoint in unsaved.items():
                self._write_checkpoint(database, source, checkpoint)
        for (source, _), checkpoint in unsaved.items():
            self._begun.add((source, checkpoint.stream))
            if checkpoint.complete:
                self._with_known.discard((source, checkpoint.stream))

    def _pending(self, sink: str, most: int) -> list[Pending]:
        rows = self._database.execute(
            "SELECT number, body FROM pending JOIN alerts USING (number) WHERE sink = ? ORDER BY number LIMIT ?",
            (sink, most),
        )
        return [Pending(number, orjson.loads(body)) for number, body in rows]

    def _delivered(self, sink: str, numbers: Iterable[int]) -> None:
        with _Transaction(self._database, self._pages + _SPARE_PAGES, durable=False) as database:
            for number in numbers:
                found = database.execute("DELETE FROM pending WHERE sink = ? AND number = ?", (sink, number)).rowcount
                if found:
                    database.execute("UPDATE alerts SET waiting = waiting - 1 WHERE number = ?", (number,))
                    database.execute("DELETE FROM alerts WHERE number = ? AND waiting <= 0", (number,))

    def _used(self) -> int:
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        return pages - free


class _Transaction:
    """One transaction within a bound of pages; undone where anything fails.

    Durable ones are on disk when they end (``synchronous = FULL``), also if the machine loses power. The others are when
    the next durable one is: a process that is killed loses neither.
    """

    def __init__(self, database: sqlite3.Connection, pages: int, *, durable: bool) -> None:
        self._database = database
        self._pages = pages
        self._durable = durable

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute(f"PRAGMA max_page_count = {self._pages}")
        self._database.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                self._database.execute("COMMIT")
                return
        except sqlite3.Error as failure:
            error = failure
        if self._database.in_transaction:  # SQLite itself undoes one that met a full disk
            self._database.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StoreFull from error
        if kind is None and error is not None:
            raise error

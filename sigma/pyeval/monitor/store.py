"""What survives a crash: checkpoints of sources, alerts that wait for sinks, the newest alerts, and what tuning remembers.

Alerts and the checkpoint behind the events that they are about are written in one transaction: an event is either judged and
its alerts are kept, or it is read again. An alert that is found once more after a crash is known by its id. What exceptions
and suppression decide is decided within that transaction, of alerts that are new, and undone with it.

The file is bounded (``max_page_count`` of SQLite). Delivered alerts stay as history and are the first to make room; when all
that is left waits, nothing is written and the sources wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import orjson

from sigma.pyeval.output import json_line

from . import correlation_state, history, outbox
from .batches import Checkpoint, Json
from .correlation_state import KeptState, Observed
from .history import Kept
from .settled import Excepted, Hits, Outgoing, Pending, Settled
from .store_file import PAGE_BYTES, StoreError, StoreFull, Transaction, open_file
from .tuning.windows import MOST_WINDOWS, ROW_BYTES, Ended, Windows

__all__ = [
    "Excepted", "Hits", "Kept", "Outgoing", "Pending", "Settled", "Store", "StoreError",
    "StoreFull",
]  # fmt: skip

_SPARE_PAGES = 256
"""Pages beyond the bound that deliveries and checkpoints may use, so that a full spool can always be emptied."""

_WINDOWS_SHARE = 8
_ROUND_SHARE = 16
"""Of the bound: the part that windows of suppression may take, and the part that is freed at once of the history."""

MOST_KNOWN: Final = 100_000
"""Ids of alerts kept for lines that would be read again; parsers hold lines back for far fewer."""

MOST_HISTORY: Final = 10_000
"""Alerts kept after their delivery, unless the configuration says otherwise."""

_T = TypeVar("_T")


class _Batch(NamedTuple):
    """The arguments of ``Store.settle``."""

    source: str
    alerts: Sequence[Outgoing]
    checkpoint: Checkpoint | None
    more: bool
    excepted: Sequence[Excepted]
    observed: Sequence[Observed]


class Store:
    """The state of one service; all calls are done one after the other in a thread of their own.

    Args:
        path: The SQLite file, made with mode 0600 where it is not there.
        most_bytes: About how large it may grow.
        most_history: How many alerts are kept after their delivery, while there is room.

    Raises:
        StoreError: It cannot be opened, is of another version, damaged, or used by another process.

    Attributes:
        most_history: As given; may be changed.
    """

    def __init__(self, path: Path, most_bytes: int, most_history: int = MOST_HISTORY) -> None:
        self.most_history = most_history
        self._pages = max(most_bytes // PAGE_BYTES, 16)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._unsaved: dict[tuple[str, str], Checkpoint] = {}
        self._written: Counter[tuple[str, str]] = Counter()
        self._freed = asyncio.Event()
        try:
            self._database = self._thread.submit(open_file, path).result()
        except BaseException:
            self._thread.shutdown()
            raise
        # What is no history cannot make room, so windows have a bound of their own within the spool's.
        most_windows = min(MOST_WINDOWS, self._pages * PAGE_BYTES // (ROW_BYTES * _WINDOWS_SHARE))
        self._windows = Windows(self._database, most_windows)
        self._begun = set(self._database.execute("SELECT source, stream FROM checkpoints"))
        self._with_known = {
            (source, stream) for source, stream in self._database.execute("SELECT DISTINCT source, stream FROM known")
        }

    def checkpoints(self, source: str) -> dict[str, Json]:
        """Return the states that a source has left, by stream; for its start."""
        rows = self._thread.submit(self._checkpoints, source).result()
        written = {stream: orjson.loads(state) for stream, state in rows}
        noted = {stream: one.state for (name, stream), one in self._unsaved.items() if name == source}
        return written | noted

    async def settle(  # noqa: PLR0913 - the parts of one transaction
        self,
        source: str,
        alerts: Sequence[Outgoing],
        checkpoint: Checkpoint | None,
        *,
        more: bool = False,
        excepted: Sequence[Excepted] = (),
        observed: Sequence[Observed] = (),
    ) -> Settled:
        """Make the alerts of a batch durable together with its checkpoint.

        Without alerts the checkpoint is only noted, for ``save``: reading again what raised none does no harm. With *more*
        the alerts are a part of the batch and the checkpoint is left for the last part: until then they are known by
        their ids, in case the batch is read again.

        Args:
            source: The source's name.
            alerts: The alerts, in order.
            checkpoint: Where reading goes on behind the batch.
            more: Whether this is not the last part of it.
            excepted: Matches that an exception kept from being alerts; counted if they are new.
            observed: What correlation rules have taken in; see ``unseen``.

        Raises:
            StoreFull: Nothing was written.
        """
        batch = _Batch(source, alerts, checkpoint, more, excepted, observed)
        anything = alerts or excepted or observed
        if checkpoint is None:
            return await self._call(lambda: self._with_room(lambda: self._settle(batch))) if anything else Settled()
        key = (source, checkpoint.stream)
        if not anything and not more:
            self._unsaved[key] = checkpoint
            if key not in self._begun:  # where a first start began must not be forgotten
                await self.save()
            return Settled()
        # Taken out before the write, so that no older one can be saved behind it.
        noted = self._unsaved.pop(key, None)
        self._written[key] += 1
        try:
            return await self._call(lambda: self._with_room(lambda: self._settle(batch)))
        except StoreFull:
            if noted is not None:
                self._unsaved.setdefault(key, noted)
            raise

    async def unseen(
        self, source: str, checkpoint: Checkpoint | None, observed: Sequence[Observed]
    ) -> Sequence[Observed]:
        """Return those of *observed* that were not settled before, when their events were read the first time."""
        if checkpoint is not None and (source, checkpoint.stream) not in self._with_known:
            return observed
        stream = None if checkpoint is None else checkpoint.stream
        return await self._call(lambda: correlation_state.unseen(self._database, source, stream, observed))

    def correlation_state(self) -> KeptState:
        """Return what correlation rules have kept."""
        return self._thread.submit(correlation_state.kept, self._database).result()

    async def keep_correlation_state(self, state: bytes) -> None:
        """Keep *state* in place of the last one and of all that was observed since.

        Raises:
            StoreFull: There is no room; what was kept before still is.
        """
        await self._call(lambda: self._keep_correlation_state(state))

    def could_hold(self, alert: Mapping[str, Json]) -> bool:
        """Return whether *alert* would fit if no other alert waited."""
        taken = self._windows.count * ROW_BYTES + 16 * PAGE_BYTES
        return len(json_line(alert)) + taken <= self._pages * PAGE_BYTES

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

    async def pending(self, sink: str, most: int, by: float | None = None) -> list[Pending]:
        """Return up to *most* alerts that are due for *sink* by a time (epoch; now unless given), the first due first."""
        when = time.time() if by is None else by
        return await self._call(lambda: outbox.pending(self._database, sink, most, when))

    async def next_due(self, sink: str) -> float | None:
        """Return when the first alert that waits for *sink* is due (epoch; 0 for at once), or ``None`` where none waits."""
        found = await self._call(
            lambda: self._database.execute("SELECT min(due) FROM pending WHERE sink = ?", (sink,)).fetchone()
        )
        return None if found[0] is None else float(found[0])

    async def delivered(self, sink: str, numbers: Sequence[int]) -> None:
        """Forget that these alerts wait for *sink*; those that wait for no other are history."""
        await self._call(lambda: self._delivered(sink, numbers))
        self._freed.set()

    async def history(self, most: int, before: int | None = None, after: int | None = None) -> list[Kept]:
        """Return up to *most* alerts with numbers below *before* and above *after*, the newest first.

        Those that still wait for sinks are among them.
        """
        return await self._call(lambda: history.kept(self._database, most, before, after))

    async def numbers(self, first: int) -> set[int]:
        """Return the numbers, from *first* on, of the alerts that are kept."""
        return await self._call(lambda: history.numbers(self._database, first))

    async def find(self, alert_id: str) -> Kept | None:
        """Return the newest alert with this id, or ``None`` where it is not kept."""
        return await self._call(lambda: history.kept_with_id(self._database, alert_id))

    async def acknowledge(self, ids: Sequence[str], by: str, at: float) -> list[str]:
        """Note that *by* has seen these alerts; their escalations are called off. Return the ids of those that were not yet.

        Ids that are not kept are passed over. On disk when this returns.

        Args:
            ids: The alerts' ids.
            by: Who acknowledges them.
            at: When, in seconds since the epoch.

        Raises:
            StoreFull: The disk is full; nothing was written.
        """
        done = await self._call(lambda: self._acknowledge(ids, by, at))
        self._freed.set()
        return done

    async def exception_hits(self) -> dict[str, Hits]:
        """Return what each exception has excepted, also those that the configuration no longer has."""
        return await self._call(lambda: history.exception_hits(self._database))

    async def sweep(self, now: float) -> list[Ended]:
        """Remove windows of suppression that are over; return those whose suppressed alerts no alert has told of."""
        if not self._windows.count:
            return []
        return await self._call(lambda: self._sweep(now))

    async def waiting(self) -> dict[str, int]:
        """Return how many alerts wait for each sink that any wait for, sinks of earlier runs included."""
        rows = await self._call(
            lambda: self._database.execute("SELECT sink, count(*) FROM pending GROUP BY sink").fetchall()
        )
        return dict(rows)

    @property
    def most_bytes(self) -> int:
        """The bound."""
        return self._pages * PAGE_BYTES

    async def used_bytes(self) -> int:
        """Return how much of the bound is in use; the history is a part of it, and makes room where that is needed."""
        return await self._call(self._used) * PAGE_BYTES

    async def close(self) -> None:
        """Save what was noted and close the file; StoreFull where it could not be saved, the file is closed all the same."""
        try:
            await self.save()
        finally:
            await self._call(self._database.close)
            self._thread.shutdown()

    def _checkpoints(self, source: str) -> list[tuple[str, bytes]]:
        return self._database.execute("SELECT stream, state FROM checkpoints WHERE source = ?", (source,)).fetchall()

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _with_room(self, write: Callable[[], _T]) -> _T:
        """Write; where there is no room, forget delivered alerts until there is or none is left."""
        wanted = self._pages * PAGE_BYTES // _ROUND_SHARE
        while True:
            try:
                return write()
            except StoreFull:
                self._windows.recount()
                with self._spare() as database:
                    forgotten = history.forget_oldest(database, wanted)
                if not forgotten:
                    raise
                wanted *= 2
            except BaseException:
                self._windows.recount()
                raise

    def _settle(self, batch: _Batch) -> Settled:
        source, checkpoint, more = batch.source, batch.checkpoint, batch.more
        stream = None if checkpoint is None else checkpoint.stream
        again = checkpoint is not None and (more or not checkpoint.complete)
        alerts, excepted = batch.alerts, batch.excepted
        pages = self._pages if alerts else self._pages + _SPARE_PAGES
        with Transaction(self._database, pages, durable=True) as database:
            if stream is not None and (again or (source, stream) in self._with_known):
                alerts = [one for one in alerts if self._is_new(database, source, stream, one.alert["id"])]
                excepted = [one for one in excepted if self._is_new(database, source, stream, one.id)]
            passed, suppressed = self._sift(alerts)
            ended = self._windows.make_room(time.time())
            for one in passed:
                outbox.keep(database, one)
            for one_excepted in excepted:
                database.execute(
                    "INSERT INTO exception_hits (name, hits, last) VALUES (?, 1, ?)"
                    " ON CONFLICT (name) DO UPDATE SET hits = hits + 1, last = excluded.last",
                    (one_excepted.exception, one_excepted.at),
                )
            for observation in batch.observed:
                correlation_state.note(database, observation, source if stream is None else None)
                if stream is not None and again:
                    self._is_new(database, source, stream, observation.id)
            if not all(one.sinks for one in passed):
                history.trim(database, self.most_history)
            if checkpoint is not None and not more:
                self._write_checkpoint(database, source, checkpoint)
        if checkpoint is not None:
            if not more:
                self._begun.add((source, checkpoint.stream))
            (self._with_known.add if again else self._with_known.discard)((source, checkpoint.stream))
        return Settled(passed, suppressed, excepted, ended)

    def _sift(self, alerts: Sequence[Outgoing]) -> tuple[Sequence[Outgoing], Sequence[Outgoing]]:
        """Return which alerts pass suppression, each telling how many before it did not, and which do not."""
        passed, suppressed = [], []
        for one in alerts:
            before = 0 if one.claim is None else self._windows.admit(one.claim)
            if before is None:
                suppressed.append(one)
            else:
                passed.append(one._replace(alert={**one.alert, "suppressed": before}) if before else one)
        return passed, suppressed

    def _is_new(self, database: sqlite3.Connection, source: str, stream: str, alert_id: str) -> bool:
        """Return whether an alert was not found before, and keep its id for when its event is read again."""
        row = database.execute(
            "INSERT OR IGNORE INTO known (source, stream, id) VALUES (?, ?, ?)", (source, stream, alert_id)
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
        with self._spare() as database:
            for (source, _), checkpoint in unsaved.items():
                self._write_checkpoint(database, source, checkpoint)
        for (source, _), checkpoint in unsaved.items():
            self._begun.add((source, checkpoint.stream))
            if checkpoint.complete:
                self._with_known.discard((source, checkpoint.stream))

    def _delivered(self, sink: str, numbers: Iterable[int]) -> None:
        with self._spare() as database:
            outbox.delivered(database, sink, numbers)
            history.trim(database, self.most_history)

    def _keep_correlation_state(self, state: bytes) -> None:
        def once() -> None:
            with self._spare() as database:
                correlation_state.keep(database, state)

        self._with_room(once)

    def _acknowledge(self, ids: Sequence[str], by: str, at: float) -> list[str]:
        with self._spare(durable=True) as database:
            return history.acknowledge(database, ids, by, at)

    def _sweep(self, now: float) -> list[Ended]:
        if not self._windows.any_over(now):
            return []
        try:
            with self._spare():
                return self._windows.sweep(now)
        except BaseException:
            self._windows.recount()
            raise

    def _spare(self, *, durable: bool = False) -> Transaction:
        """Return a transaction that may use what a full spool leaves."""
        return Transaction(self._database, self._pages + _SPARE_PAGES, durable=durable)

    def _used(self) -> int:
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        return pages - free

"""Batches become alerts: the rules are held against each record; the store takes alerts and checkpoint together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sigma.pyeval.alerts import make_alert
from sigma.pyeval.logs.records import Record
from sigma.pyeval.output import counted, json_line
from sigma.pyeval.redaction import Redaction
from sigma.pyeval.rules import LogSource
from sigma.pyeval.ruleset import Ruleset

from .batches import Batch, DeadLetter, Json, Source
from .dead_letters import DeadLetterFile, message_record
from .journal import LOGGER, Throttle
from .metrics import Metrics
from .settings import SinkSettings
from .sinks.selection import selects
from .store import Outgoing, Store, StoreFull

_UNKNOWN = LogSource()
_SLICE = 500
"""Records judged before other tasks get their turn."""

_DISCARDED = 1_000
"""Alerts of a sink that is not required that are given up at once for room."""

_ROOM_SECONDS = 0.5
"""How often a batch that found the store full asks again."""


class SourceIntake:
    """What a source is given (``batches.Intake``): a bounded queue, counters, its checkpoints and its dead letters."""

    def __init__(self, source: Source, queue: int, store: Store, metrics: Metrics, dead: DeadLetterFile) -> None:
        self.checkpoints: Mapping[str, Json] = store.checkpoints(source.name)
        self.stopping = asyncio.Event()
        self.queue: asyncio.Queue[Batch | None] = asyncio.Queue(queue)
        self._source = source
        self._metrics = metrics
        self._dead = dead
        self._losses = Throttle(f"source {source.name}: lost")
        self._failures = Throttle(f"source {source.name}")
        self.problems = Throttle(f"source {source.name}: not read")

    async def put(self, batch: Batch) -> None:
        """Hand over a batch; waits while the queue is full."""
        await self.queue.put(batch)

    def dropped(self, count: int, reason: str) -> None:
        """Count and log what was lost."""
        self._metrics.dropped.labels(self._source.name, reason).inc(count)
        self._losses.warning(f"{count}: {reason}")

    def problem(self, reason: str) -> None:
        """Count and log a failure that will be tried again."""
        self._metrics.failures.labels(self._source.name).inc()
        self._failures.warning(reason)

    def connected(self, connected: bool) -> None:
        """Note whether the source can receive."""
        self._metrics.connected.labels(self._source.name).set(connected)

    def lag(self, stream: str, value: float) -> None:
        """Note how far reading is behind."""
        self._metrics.lag.labels(self._source.name, stream, self._source.lag_unit).set(value)

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Put a message aside and count it."""
        await self._dead.append([message_record(letter.reason, letter.place, letter.raw)])
        self._metrics.dead_letters.labels(self._source.name).inc()
        self._failures.warning(f"put aside in {self._dead.path}: {letter.reason}")

    def finish(self) -> None:
        """Log what was counted and not shown."""
        for throttle in (self._losses, self._failures, self.problems):
            throttle.end_period()


class Detection:
    """Holds the rules against the batches of all sources.

    Args:
        ruleset: The rules.
        sinks: The settings of each sink, by name; they select its alerts.
        redaction: What alerts don't show.
        store: Where alerts and checkpoints go.
        metrics: What is counted.
        wake: Called with the names of the sinks for which new alerts wait.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the service names each
        self,
        ruleset: Ruleset,
        sinks: Mapping[str, SinkSettings],
        redaction: Redaction,
        store: Store,
        metrics: Metrics,
        wake: Callable[[Iterable[str]], None],
    ) -> None:
        self._ruleset = ruleset
        self._sinks = sinks
        self._optional = [name for name, settings in sinks.items() if not settings.required]
        self._redaction = redaction
        self._store = store
        self._metrics = metrics
        self._wake = wake
        self._full = Throttle("the spool is full")

    async def run(self, source: Source, intake: SourceIntake) -> None:
        """Judge what comes through *intake* until the end of its input."""
        while (batch := await intake.queue.get()) is not None:
            self._count(source, intake, batch)
            outgoing: list[Outgoing] = []
            for start in range(0, len(batch.records), _SLICE):
                for record in batch.records[start : start + _SLICE]:
                    outgoing += self._alerts(source, batch, record)
                await asyncio.sleep(0)
            new = await self._settle(source, intake, batch, outgoing)
            if batch.settled is not None:
                batch.settled(new)
        intake.finish()

    def _count(self, source: Source, intake: SourceIntake, batch: Batch) -> None:
        self._metrics.lines.labels(source.name).inc(batch.lines)
        self._metrics.bytes.labels(source.name).inc(batch.size)
        self._metrics.events.labels(source.name).inc(len(batch.records))
        self._metrics.problems.labels(source.name).inc(len(batch.problems))
        for problem in batch.problems:
            intake.problems.warning(f"{problem.reason}: {problem.excerpt}")

    def _alerts(self, source: Source, batch: Batch, record: Record) -> list[Outgoing]:
        """Return the alerts of one record; its log source leaves out rules for other ones, as ``scan`` does."""
        logsource = record.logsource
        if logsource == _UNKNOWN:
            logsource = self._ruleset.route(record.event)
        matches = self._ruleset.match(record.event, logsource)
        if not matches:
            return []
        place = {"name": source.name, "type": source.kind, **batch.place(record)}
        now = datetime.now(UTC)
        outgoing = []
        for match in matches:
            alert = make_alert(match, record, place, now, self._redaction)
            sinks = [name for name, settings in self._sinks.items() if selects(settings, alert)]
            outgoing.append(Outgoing(alert, sinks))
        return outgoing

    async def _settle(
        self, source: Source, intake: SourceIntake, batch: Batch, outgoing: Sequence[Outgoing], *, more: bool = False
    ) -> list[Mapping[str, Json]]:
        """Keep the alerts, and the checkpoint unless *more* of the batch follow; return those that are new.

        Where there is no room for all of them, they are kept one half after the other, as sinks make room.
        """
        waited = False
        while True:
            try:
                new = await self._store.settle(source.name, outgoing, batch.checkpoint, more=more)
                break
            except StoreFull:
                if await self._discard():
                    continue
                if len(outgoing) > 1:
                    half = len(outgoing) // 2
                    first = await self._settle(source, intake, batch, outgoing[:half], more=True)
                    return first + await self._settle(source, intake, batch, outgoing[half:], more=more)
                if outgoing and not self._store.could_hold(outgoing[0].alert):
                    await self._put_aside(intake, outgoing)
                    outgoing = ()
                    continue
                if not waited:
                    waited = True
                    self._metrics.store_full.inc()
                    self._full.warning(
                        f"source {source.name} waits until sinks take alerts; see spool_bytes, and the room on the disk"
                    )
                await self._store.room(_ROOM_SECONDS)
        self._announce(new, outgoing)
        return new

    def _announce(self, new: Sequence[Mapping[str, Json]], outgoing: Sequence[Outgoing]) -> None:
        """Count new alerts and wake the sinks that they are for."""
        ids = {alert["id"] for alert in new}
        for alert, sinks in outgoing:
            if alert["id"] in ids:
                level = alert["rule"].get("level") or "none"
                self._metrics.alerts.labels(level).inc()
                if not sinks:
                    self._metrics.unsent.labels(level).inc()
                self._wake(sinks)

    async def _put_aside(self, intake: SourceIntake, outgoing: Sequence[Outgoing]) -> None:
        """Write an alert that would not fit into an empty spool to the source's dead letters."""
        reason = "an alert larger than the whole spool; see spool_bytes"
        for alert, _ in outgoing:
            await intake.dead_letter(DeadLetter(reason, dict(alert["source"]), json_line(alert)))

    async def _discard(self) -> bool:
        """Give up the oldest alerts of sinks that are not required, or not configured any more; return whether there were any."""
        found = False
        gone = [name for name in await self._store.waiting() if name not in self._sinks]
        for name in (*self._optional, *gone):
            pending = await self._store.pending(name, _DISCARDED)
            if not pending:
                continue
            try:
                await self._store.delivered(name, [one.number for one in pending])
            except StoreFull:  # the disk is full, not the spool
                return False
            self._metrics.discarded.labels(name).inc(len(pending))
            LOGGER.error("sink %s: %s given up, the spool is full", name, counted(len(pending), "alert"))
            found = True
        return found

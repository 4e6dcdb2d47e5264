"""Batches become alerts: the rules are held against each record; the store takes alerts and checkpoint together."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sigma.pyeval.alerts import alert_id, make_alert
from sigma.pyeval.logs.records import Record
from sigma.pyeval.output import counted, json_line
from sigma.pyeval.redaction import Redaction
from sigma.pyeval.rules import LogSource, Match
from sigma.pyeval.ruleset import Ruleset

from .batches import Batch, DeadLetter, Json, Source
from .dead_letters import DeadLetterFile, message_record
from .journal import LOGGER, Throttle
from .metrics import Metrics
from .readiness import Progress
from .settings import SinkSettings
from .sinks.selection import selects
from .store import Excepted, Outgoing, Settled, Store, StoreFull
from .tuning.loading import Tuning
from .tuning.windows import Ended

_UNKNOWN = LogSource()
_SLICE = 500
"""Records judged before other tasks get their turn."""

_DISCARDED = 1_000
"""Alerts of a sink that is not required that are given up at once for room."""

_ROOM_SECONDS = 0.5
"""How often a batch that found the store full asks again."""


class SourceIntake:
    """What a source is given (``batches.Intake``): a bounded queue, counters, its checkpoints and its dead letters.

    Attributes:
        progress: How detection gets on with its batches.
        is_connected, lags: What the source has told last, lags by stream.
    """

    def __init__(self, source: Source, queue: int, store: Store, metrics: Metrics, dead: DeadLetterFile) -> None:
        self.checkpoints: Mapping[str, Json] = store.checkpoints(source.name)
        self.stopping = asyncio.Event()
        self.queue: asyncio.Queue[Batch | None] = asyncio.Queue(queue)
        self.progress = Progress()
        self.is_connected = False
        self.lags: dict[str, float] = {}
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
        self.is_connected = connected
        self._metrics.connected.labels(self._source.name).set(connected)

    def lag(self, stream: str, value: float | None) -> None:
        """Note how far reading is behind, or that the stream is gone."""
        labels = (self._source.name, stream, self._source.lag_unit)
        if value is None:
            if self.lags.pop(stream, None) is not None:
                self._metrics.lag.remove(*labels)
            return
        self.lags[stream] = value
        self._metrics.lag.labels(*labels).set(value)

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

    Attributes:
        ruleset, sinks, redaction: As given; may be replaced, which the next record follows.
        tuning: Exceptions and suppression, made for the ruleset; may be replaced with it.
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
        self.ruleset = ruleset
        self.sinks = sinks
        self.redaction = redaction
        self.tuning = Tuning()
        self._store = store
        self._metrics = metrics
        self._wake = wake
        self._full = Throttle("the spool is full")

    async def run(self, source: Source, intake: SourceIntake) -> None:
        """Judge what comes through *intake* until the end of its input."""
        while (batch := await intake.queue.get()) is not None:
            intake.progress.step()
            self._count(source, intake, batch)
            outgoing: list[Outgoing] = []
            excepted: list[Excepted] = []
            for start in range(0, len(batch.records), _SLICE):
                began = time.perf_counter()
                for record in batch.records[start : start + _SLICE]:
                    self._judge(source, batch, record, outgoing, excepted)
                self._metrics.judging.labels(source.name).inc(time.perf_counter() - began)
                intake.progress.step()
                await asyncio.sleep(0)
            new = await self._settle(source, intake, batch, outgoing, excepted)
            if batch.settled is not None:
                batch.settled(new)
            intake.progress.rest()
        intake.finish()

    def _count(self, source: Source, intake: SourceIntake, batch: Batch) -> None:
        self._metrics.lines.labels(source.name).inc(batch.lines)
        self._metrics.bytes.labels(source.name).inc(batch.size)
        self._metrics.events.labels(source.name).inc(len(batch.records))
        if batch.records:
            self._metrics.last_event.labels(source.name).set(time.time())
        self._metrics.problems.labels(source.name).inc(len(batch.problems))
        for problem in batch.problems:
            intake.problems.warning(f"{problem.reason}: {problem.excerpt}")

    def _judge(
        self, source: Source, batch: Batch, record: Record, outgoing: list[Outgoing], excepted: list[Excepted]
    ) -> None:
        """Add what one record raises; its log source leaves out rules for other ones, as ``scan`` does."""
        logsource = record.logsource
        if logsource == _UNKNOWN:
            logsource = self.ruleset.route(record.event)
        matches = self.ruleset.match(record.event, logsource)
        if not matches:
            return
        place = {"name": source.name, "type": source.kind, **batch.place(record)}
        now = datetime.now(UTC)
        exceptions = self.tuning.exceptions
        for match in matches:
            if exceptions and (name := exceptions.excepting(match, now.date())) is not None:
                excepted.append(Excepted(alert_id(match, place)[0], name, now.timestamp(), match.rule.id))
                self._metrics.matched(match.rule, 0.0)
                continue
            began = time.perf_counter()
            alert = make_alert(match, record, place, now, self.redaction)
            self._metrics.matched(match.rule, time.perf_counter() - began)
            outgoing.append(self._addressed(match, alert, now.timestamp()))

    def _addressed(self, match: Match, alert: Mapping[str, Json], now: float) -> Outgoing:
        """Return an alert with the sinks that want it, when, and what it needs to pass suppression."""
        sinks, due = [], {}
        for name, settings in self.sinks.items():
            if selects(settings, alert):
                sinks.append(name)
                if settings.after is not None:
                    due[name] = now + settings.after
        claim = self.tuning.suppression.claim(match, alert, now) if self.tuning.suppression else None
        return Outgoing(alert, sinks, due, claim)

    async def _settle(  # noqa: PLR0913 - a batch, where it came from, and what it raised
        self,
        source: Source,
        intake: SourceIntake,
        batch: Batch,
        outgoing: Sequence[Outgoing],
        excepted: Sequence[Excepted],
        *,
        more: bool = False,
    ) -> list[Mapping[str, Json]]:
        """Keep the alerts, and the checkpoint unless *more* of the batch follow; return those that are new.

        Where there is no room for all of them, they are kept one half after the other, as sinks make room.
        """
        waited = False
        while True:
            try:
                settled = await self._store.settle(
                    source.name, outgoing, batch.checkpoint, more=more, excepted=excepted
                )
                break
            except StoreFull:
                if await self._discard():
                    continue
                if len(outgoing) > 1:
                    half = len(outgoing) // 2
                    first = await self._settle(source, intake, batch, outgoing[:half], excepted, more=True)
                    return first + await self._settle(source, intake, batch, outgoing[half:], (), more=more)
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
                intake.progress.step(no_room=True)
                await self._store.room(_ROOM_SECONDS)
        self._announce(settled)
        return settled.alerts

    def _announce(self, settled: Settled) -> None:
        """Count what became of a batch, and wake the sinks that its alerts are for."""
        for one in settled.kept:
            level = one.alert["rule"].get("level") or "none"
            self._metrics.alerts.labels(level).inc()
            if not one.sinks:
                self._metrics.unsent.labels(level).inc()
            self._wake(one.sinks)
        for one in settled.suppressed:
            self._metrics.suppressed.labels(self._metrics.id_label(one.alert["rule"].get("id"))).inc()
        for excepted in settled.excepted:
            self._metrics.excepted.labels(excepted.exception, self._metrics.id_label(excepted.rule)).inc()
        if settled.ended:
            self._metrics.evicted.inc(sum(one.evicted for one in settled.ended))
            self._report(settled.ended)

    async def sweep(self) -> None:
        """Tell of windows of suppression that are over and that no later alert tells of.

        Raises:
            StoreFull: The disk is full; they are told of the next time.
        """
        self._report(await self._store.sweep(time.time()))

    def _report(self, ended: Sequence[Ended]) -> None:
        """Log, once for each rule, what was suppressed and no alert will tell."""
        suppressed: Counter[str] = Counter()
        for one in ended:
            suppressed[one.rule] += one.suppressed
        for rule, count in suppressed.items():
            if count:
                LOGGER.info("rule %s: %s suppressed, and none followed", rule, counted(count, "alert"))

    async def _put_aside(self, intake: SourceIntake, outgoing: Sequence[Outgoing]) -> None:
        """Write an alert that would not fit into an empty spool to the source's dead letters."""
        reason = "an alert larger than the whole spool; see spool_bytes"
        for one in outgoing:
            await intake.dead_letter(DeadLetter(reason, dict(one.alert["source"]), json_line(one.alert)))

    async def _discard(self) -> bool:
        """Give up the oldest alerts of sinks that are not required, or not configured any more; return whether there were any."""
        found = False
        gone = [name for name in await self._store.waiting() if name not in self.sinks]
        optional = [name for name, settings in self.sinks.items() if not settings.required]
        for name in (*optional, *gone):
            pending = await self._store.pending(name, _DISCARDED, math.inf)
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

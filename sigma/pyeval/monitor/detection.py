"""Batches become alerts: the rules are held against each record; the store takes alerts and checkpoint together."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sigma.pyeval.alerts import alert_id, make_alert, make_correlation_alert
from sigma.pyeval.correlation.results import CorrelationMatch
from sigma.pyeval.logs.records import Record
from sigma.pyeval.output import counted, json_line
from sigma.pyeval.redaction import Redaction
from sigma.pyeval.rules import LogSource, Match
from sigma.pyeval.ruleset import Ruleset

from .batches import Batch, DeadLetter, Json, Source
from .correlation import Correlation, Seen
from .correlation_state import Observed
from .intake import SourceIntake
from .journal import LOGGER, Throttle
from .metrics import Metrics
from .settings import SinkSettings
from .sinks.selection import selects
from .store import Excepted, Outgoing, Settled, Store, StoreFull
from .tuning.loading import Tuning
from .tuning.windows import Ended

LOCAL_KINDS: Final = frozenset({"file", "journald", "stdin"})
"""Sources that read what lies on this machine: its name is the host of events that name none."""

_UNKNOWN = LogSource()
_SLICE = 500
"""Records judged before other tasks get their turn."""

_DISCARDED = 1_000
"""Alerts of a sink that is not required that are given up at once for room."""

_OWED = 200
"""Alerts of correlation rules that are kept at once."""

_ROOM_SECONDS = 0.5
"""How often a batch that found the store full asks again."""


@dataclass(slots=True)
class Judged:
    """What a batch raised.

    Attributes:
        outgoing: Its alerts.
        excepted: Matches that raise none.
        seen: Events for correlation rules.
        observed: What these take of them, as far as it is new.
    """

    outgoing: list[Outgoing] = field(default_factory=list)
    excepted: list[Excepted] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    observed: Sequence[Observed] = ()


class Detection:
    """Holds the rules against the batches of all sources.

    Args:
        ruleset: The rules.
        sinks: The settings of each sink, by name; they select its alerts.
        redaction: What alerts don't show.
        store: Where alerts and checkpoints go.
        metrics: What is counted.
        wake: Called with the names of the sinks for which new alerts wait.
        correlation: The correlation rules.

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
        correlation: Correlation,
    ) -> None:
        self.ruleset = ruleset
        self.sinks = sinks
        self.redaction = redaction
        self.tuning = Tuning()
        self.correlation = correlation
        self._owed: list[Outgoing] = []
        self._passed: Observed | None = None
        self._store = store
        self._metrics = metrics
        self._wake = wake
        self._full = Throttle("the spool is full")
        self._machine = socket.gethostname() or None

    async def run(self, source: Source, intake: SourceIntake) -> None:
        """Judge what comes through *intake* until the end of its input."""
        self.correlation.begin(source.name, intake.checkpoints)
        while (batch := await intake.queue.get()) is not None:
            intake.progress.step()
            self._count(source, intake, batch)
            judged = Judged()
            for start in range(0, len(batch.records), _SLICE):
                began = time.perf_counter()
                for record in batch.records[start : start + _SLICE]:
                    self._judge(source, batch, record, judged)
                self._metrics.judging.labels(source.name).inc(time.perf_counter() - began)
                intake.progress.step()
                await asyncio.sleep(0)
            new = await self._conclude(source, intake, batch, judged)
            if batch.settled is not None:
                batch.settled(new)
            intake.progress.rest()
        self.correlation.end(source.name)
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

    def _judge(self, source: Source, batch: Batch, record: Record, judged: Judged) -> None:
        """Add what one record raises; its log source leaves out rules for other ones, as ``scan`` does."""
        logsource = record.logsource
        if logsource == _UNKNOWN:
            logsource = self.ruleset.route(record.event)
        matches = self.ruleset.match(record.event, logsource, members=self.correlation.is_active)
        if not matches:
            return
        place = {"name": source.name, "type": source.kind, **batch.place(record)}
        now = datetime.now(UTC)
        exceptions = self.tuning.exceptions
        admitted = []
        for match in matches:
            if exceptions and (name := exceptions.excepting(match, now.date())) is not None:
                judged.excepted.append(Excepted(alert_id(match, place)[0], name, now.timestamp(), match.rule.id))
                self._metrics.matched(match.rule, 0.0)
                continue
            admitted.append(match)
            if match.rule.generate:
                began = time.perf_counter()
                alert = make_alert(match, record, place, now, self.redaction, self._reader(source.kind))
                self._metrics.matched(match.rule, time.perf_counter() - began)
                judged.outgoing.append(self._addressed(match, alert, now.timestamp()))
        if self.correlation.is_active and (observed := [one for one in admitted if self.correlation.concerns(one)]):
            judged.seen.append(Seen(observed, record, place))

    def _reader(self, kind: Json) -> str | None:
        return self._machine if kind in LOCAL_KINDS else None

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

    async def _conclude(
        self, source: Source, intake: SourceIntake, batch: Batch, judged: Judged
    ) -> list[Mapping[str, Json]]:
        """Keep what a batch raised, and what correlation rules make of it; return the alerts that are new."""
        correlation = self.correlation
        if not judged.seen:
            new = await self._settle(source, intake, batch, judged)
        else:
            intake.progress.rest()  # who holds the lock may wait for room; if it is stuck, it says so itself
            async with correlation.lock:
                intake.progress.step()
                with contextlib.suppress(StoreFull):  # then there is no room for the batch either
                    await correlation.keep()
                new = await self._settle_observed(source, intake, batch, judged)
        if batch.records and correlation.is_active:
            correlation.tell(source.name, _stream(batch), batch.records)
        return new

    async def _settle_observed(
        self, source: Source, intake: SourceIntake, batch: Batch, judged: Judged
    ) -> list[Mapping[str, Json]]:
        """Let correlation rules take a batch in, and keep it; they go back to what is kept where that cannot be."""
        correlation = self.correlation
        found = correlation.observe(judged.seen)
        unseen = await self._store.unseen(source.name, batch.checkpoint, [one for one, _ in found])
        fresh = {one.id for one in unseen}
        settled = False
        try:
            taken = {observed.id: (observed, observation) for observed, observation in found if observed.id in fresh}
            judged.observed, raised = correlation.take(taken.values())
            judged.outgoing += self._raised(raised)
            new = await self._settle(source, intake, batch, judged)
            settled = True
        finally:
            if not settled:
                correlation.restore()
                self._owed, self._passed, correlation.owing = (
                    [],
                    None,
                    False,
                )  # raised again, as that state is from before
        return new

    def _raised(self, found: Iterable[CorrelationMatch]) -> Iterator[Outgoing]:
        """Yield the alerts of what correlation rules found; exceptions for these rules look at the event and the group."""
        now = datetime.now(UTC)
        for one in found:
            match = Match(one.rule, {**one.event, **one.group})
            name = self.tuning.exceptions.excepting(match, now.date()) if self.tuning.exceptions else None
            self._metrics.matched(one.rule, 0.0)
            if name is None:
                reader = self._reader(one.source.get("type"))
                alert = make_correlation_alert(
                    one, Match(one.rule, one.event), now, self.redaction, reader, correlations=self.ruleset.correlations
                )
                yield self._addressed(match, alert, now.timestamp())
            else:
                self._metrics.excepted.labels(name, self._metrics.id_label(one.rule.id)).inc()

    async def correlate(self, *, ended: bool = False) -> None:
        """Tell what correlation rules find as time passes, and keep their state; to be called every second or so.

        Args:
            ended: Whether no more input will come: windows that are open are judged as they are, and nothing is remembered.

        Raises:
            StoreFull: There is no room; it is told the next time.
        """
        correlation = self.correlation
        if not correlation.is_active or (correlation.lock.locked() and not ended):
            return  # a batch that waits for room must not hold up who calls
        more = True
        while more:
            async with correlation.lock:
                await self._settle_owed()
                if ended:
                    found, more = correlation.finish(), False
                else:
                    found, more = correlation.release()
                self._owed += self._raised(found)
                correlation.owing = bool(self._owed)
                if found and not ended:
                    self._passed = correlation.released()
                await self._settle_owed()
                await correlation.keep()
            await asyncio.sleep(0)

    async def _settle_owed(self) -> None:
        """Keep the alerts that the passing of time has raised, in parts.

        Raises:
            StoreFull: There is no room for the first of those that are left.
        """
        most = _OWED
        while self._owed:
            part = self._owed[:most]
            observed = [self._passed] if self._passed is not None and len(part) == len(self._owed) else []
            try:
                settled = await self._store.settle("", part, None, observed=observed)
            except StoreFull:
                if await self._discard():
                    continue
                if most == 1:
                    self._metrics.store_full.inc()
                    raise
                most = max(1, most // 8)
                continue
            self._owed = self._owed[most:]
            self._announce(settled)
        self._passed, self.correlation.owing = None, False

    async def _settle(
        self, source: Source, intake: SourceIntake, batch: Batch, judged: Judged, *, more: bool = False
    ) -> list[Mapping[str, Json]]:
        """Keep the alerts, and the checkpoint unless *more* of the batch follow; return those that are new.

        Where there is no room for all of them, they are kept one half after the other, as sinks make room. What was observed
        goes with the last: until then it is not seen.
        """
        outgoing, excepted = judged.outgoing, judged.excepted
        waited = False
        while True:
            try:
                settled = await self._store.settle(
                    source.name,
                    outgoing,
                    batch.checkpoint,
                    more=more,
                    excepted=excepted,
                    observed=judged.observed,
                )
                break
            except StoreFull:
                if await self._discard():
                    continue
                if len(outgoing) > 1:
                    half = len(outgoing) // 2
                    first = Judged(outgoing[:half], excepted)
                    rest = Judged(outgoing[half:], observed=judged.observed)
                    new = await self._settle(source, intake, batch, first, more=True)
                    return new + await self._settle(source, intake, batch, rest, more=more)
                if outgoing and not self._store.could_hold(outgoing[0].alert):
                    await self._put_aside(intake, outgoing)
                    outgoing = []
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


def _stream(batch: Batch) -> str:
    """Return which part of its source a batch is from: one that is in order by itself."""
    if batch.checkpoint is not None:
        return batch.checkpoint.stream
    place = batch.place(batch.records[-1])
    return f"{place['topic']}/{place['partition']}" if "partition" in place else ""

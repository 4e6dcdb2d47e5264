"""The running service. ``Service.run`` alone starts and ends tasks; the end of input flows from sources to sinks.

::

    source.run --> queue --> detection.run --> store --> delivery.run --> sink.send
       each         bounded      each                       each

To stop, the sources are asked to; each returns after its last batch. The end of its queue ends its detection, and when all
of them have ended, each delivery sends what is left. What a deadline cuts short stays in the store.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from starlette.routing import BaseRoute

from sigma.pyeval.output import counted
from sigma.pyeval.ruleset import Ruleset

from .batches import PartError, Sink, Source
from .configuration import Configuration
from .correlation import Correlation
from .dead_letters import DeadLetterFile
from .delivery import Delivery
from .detection import Detection
from .intake import SourceIntake
from .journal import LOGGER
from .kinds import Served, create_sink, create_source
from .metrics import Metrics
from .page.health import PartsHealth
from .page.routes import Page
from .parts import SinkPart, SourcePart, ended
from .readiness import Readiness, oldest_age
from .server import Server, ServerSettings
from .settings import SinkSettings, SourceSettings
from .status import status_routes
from .store import Store, StoreFull
from .trends import Trends
from .tuning.loading import Tuning, load_tuning

SAVE_SECONDS: Final = 1.0
"""How often checkpoints are written that no alert took along."""

_SOURCES_SHARE: Final = 0.5
_SERVER_SHARE: Final = 0.2
"""Of ``stop_seconds``: after the one sources have ended, the other is the server's for its last replies; sinks have the rest."""

TRIAL_SECONDS: Final = 1.0
"""A source that a reload brings and that fails within this time is taken back, and the reload with it."""

FIXED: Final = ("state", "server", "spool_bytes")
"""Sections of the configuration that only a restart changes."""

_LOOK_SECONDS = 1.0
_S = TypeVar("_S", SourceSettings, SinkSettings)


class Ending(IntEnum):
    """How the service ended, once it had started; the exit code of ``sigma-pyeval monitor``."""

    CLEAN = 0
    """Asked to stop, or all input ended: nothing read was left unjudged; what sinks did not take is kept."""
    DEADLINE = 4
    """A source or a sink did not end in time and was cut off; nothing is lost that delivery promises."""
    FAILED = 5
    """A part failed for good; the log says which."""


class Change(NamedTuple):
    """What a running service is changed to: as its constructor's arguments."""

    configuration: Configuration
    ruleset: Ruleset
    tuning: Tuning


class Service:
    """Sources, detection and sinks of one configuration.

    Args:
        configuration: What to run.
        ruleset: The rules.
        tuning: Exceptions and suppression, made for these; as the configuration says unless given.

    Raises:
        StoreError: The state cannot be used.

    Attributes:
        metrics: What is counted.
        readiness: Whether it is alive, and ready.
        started: Set when every part runs.
    """

    def __init__(self, configuration: Configuration, ruleset: Ruleset, tuning: Tuning | None = None) -> None:
        self.metrics = Metrics()
        self.started = asyncio.Event()
        tuning = load_tuning(configuration, ruleset) if tuning is None else tuning
        self._now = Change(configuration, ruleset, tuning)
        self._stop = asyncio.Event()
        self._changing = asyncio.Lock()
        self._group = asyncio.TaskGroup()
        state = configuration.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store = Store(state / "state.sqlite", configuration.spool_bytes, configuration.history)
        self._sources: dict[str, SourcePart] = {}
        self._sinks: dict[str, SinkPart] = {}
        correlation = Correlation(ruleset, configuration.correlation, self._store, configuration.spool_bytes)
        self.metrics.correlation.watch(lambda: correlation.statistics, lambda: correlation.not_counted)
        self._detection = Detection(
            ruleset, {}, configuration.redaction, self._store, self.metrics, self._wake, correlation
        )
        self._detection.tuning = tuning
        self.readiness = Readiness(lambda: self._detection.ruleset, self._sources, self._sinks)
        self.metrics.took_over(ruleset)
        self.metrics.store_limit.set(configuration.spool_bytes)
        sources = [create_source(settings) for settings in configuration.sources]
        for sink in configuration.sinks:
            self._add_sink(sink, create_sink(sink))
        for settings, source in zip(configuration.sources, sources, strict=True):
            self._add_source(settings, source)
        self._detection.sinks = {name: part.settings for name, part in self._sinks.items()}
        self._trends = Trends(self.metrics)
        self._page = self._create_page()
        self._server = self._create_server()

    @property
    def now(self) -> Change:
        """What runs at present."""
        return self._now

    def stop(self) -> None:
        """Ask the service to end; ``run`` returns when it has."""
        self._stop.set()

    async def reopen(self) -> None:
        """Open the sinks' files anew, after their rotation."""
        for part in self._sinks.values():
            try:
                await part.sink.reopen()
            except OSError as error:
                LOGGER.warning("sink %s: closing its file failed: %s", part.sink.name, error)

    async def run(self, *others: Callable[[], Coroutine[None, None, None]]) -> Ending:
        """Run until the input ends or ``stop`` is called; the only place where tasks of the service begin.

        Args:
            others: What else runs meanwhile, and is cancelled at the end.
        """
        await self._tell_leftovers()
        in_time, failed = True, False
        try:
            await self._keep_correlation_state()
            async with self._group as group:
                upkeep = [group.create_task(self._keep_up(), name="state")]
                served = asyncio.Event()
                serving = []
                if self._server is not None:
                    serving.append(group.create_task(self._server.run(served), name="server"))
                for sink in self._sinks.values():
                    sink.start(group)
                for source in self._sources.values():
                    source.start(group, self._detection)
                if self._server is not None:
                    await self._server.started.wait()  # a taken port ends the group, and this wait with it
                    LOGGER.info("server: %s at %s", "listening" if self._page is None else "page", self._server.url)
                self.started.set()
                LOGGER.info("running: %s -> %s", ", ".join(self._sources), ", ".join(self._sinks))
                if self._page is not None:
                    upkeep.append(group.create_task(self._trends.run(), name="trends"))
                upkeep += [group.create_task(other(), name="upkeep") for other in others]
                await self._input_ended()
                for task in upkeep[1:]:
                    task.cancel()
                began, seconds = time.monotonic(), self._now.configuration.stop_seconds
                in_time = await self._all(part.stop(seconds * _SOURCES_SHARE) for part in self._sources.values())
                if not self._stop.is_set():
                    await self._correlate(ended=True)
                deadline = began + seconds * (1 - _SERVER_SHARE)
                in_time &= await self._all(part.stop(deadline) for part in self._sinks.values())
                served.set()
                in_time &= await ended(serving, began + seconds)
                upkeep[0].cancel()
        except* (PartError, OSError) as expected:
            for reason in expected.exceptions:
                LOGGER.error("cannot go on: %s", reason)
            failed = True
        except* Exception as errors:  # noqa: BLE001 - logged whole; what was not settled is read again
            for error in errors.exceptions:
                LOGGER.error("a part of the service failed", exc_info=error)
            failed = True
        finally:
            await self._close()
        return Ending.FAILED if failed else Ending.CLEAN if in_time else Ending.DEADLINE

    async def change(self, wanted: Change) -> None:
        """Go over to other rules, sources and sinks while everything that stays the same runs on.

        Checkpoints, waiting alerts and what detection remembers are those of before; a part that is ended for a change has
        judged or delivered all that it took.

        Raises:
            PartError: Something cannot be changed, or a new part cannot run; what ran before runs on.
        """
        before = self._now
        for section in FIXED:
            if getattr(wanted.configuration, section) != getattr(before.configuration, section):
                raise PartError(f"{section} cannot be changed while the service runs; restart it")
        async with self._changing:
            try:
                await self._go_over(wanted, trial=True)
            except Exception:
                await self._go_over(before, trial=False)
                raise
            self.metrics.took_over(wanted.ruleset)

    async def _go_over(self, wanted: Change, *, trial: bool) -> None:
        """End what is no longer wanted as it is, and begin what is not there."""
        configuration = wanted.configuration
        new_sources = _unlike(configuration.sources, self._sources)
        new_sinks = _unlike(configuration.sinks, self._sinks)
        sources = {settings.name: create_source(settings) for settings in new_sources.values()}
        sinks = {settings.name: create_sink(settings) for settings in new_sinks.values()}
        if self._server is None and any(isinstance(source, Served) for source in sources.values()):
            raise PartError("the service has no server for the new source; restart it")
        wanted_sources = {settings.name for settings in configuration.sources} - set(new_sources)
        wanted_sinks = {settings.name for settings in configuration.sinks} - set(new_sinks)
        await self._end_sources(self._sources.keys() - wanted_sources)
        await self._end_sinks(self._sinks.keys() - wanted_sinks)
        for name, sink in sinks.items():
            self._add_sink(new_sinks[name], sink).start(self._group)
        self._detection.sinks = {name: part.settings for name, part in self._sinks.items()}
        self._detection.ruleset, self._detection.redaction = wanted.ruleset, configuration.redaction
        self._detection.tuning = wanted.tuning
        self._store.most_history = configuration.history
        begun = []
        for name, source in sources.items():
            part = self._add_source(new_sources[name], source, trial=trial)
            part.start(self._group, self._detection)
            begun.append(part)
        self._now = wanted
        if self._server is not None:
            self._server.replace_routes(self._routes())
        if begun and trial:
            await asyncio.gather(*(part.on_trial(TRIAL_SECONDS) for part in begun))
            for part in begun:
                if part.failed is not None:
                    raise part.failed
                part.accept()
        # Last, as what correlation rules remember may not outlive a change of them.
        await self._detection.correlation.change(wanted.ruleset, configuration.correlation)

    def _add_source(self, settings: SourceSettings, source: Source, *, trial: bool = False) -> SourcePart:
        name = source.name
        dead = self._dead_letters("source", name)
        intake = SourceIntake(source, settings.queue, self._store, self.metrics, dead)
        self._sources[name] = SourcePart(settings, source, intake, trial=trial)
        return self._sources[name]

    def _add_sink(self, settings: SinkSettings, sink: Sink) -> SinkPart:
        name = sink.name
        self.metrics.begin_sink(name)
        delivery = Delivery(sink, settings, self._store, self._dead_letters("sink", name), self.metrics)
        self._sinks[name] = SinkPart(settings, sink, delivery)
        return self._sinks[name]

    async def _end_sources(self, names: Iterable[str]) -> None:
        parts = [self._sources[name] for name in names]
        seconds = self._now.configuration.stop_seconds * _SOURCES_SHARE
        await self._all(part.stop(seconds) for part in parts)
        for part in parts:
            del self._sources[part.source.name]
            self.metrics.end_source(part.source.name)

    async def _end_sinks(self, names: Iterable[str]) -> None:
        parts = [self._sinks[name] for name in names]
        deadline = time.monotonic() + self._now.configuration.stop_seconds * _SOURCES_SHARE
        await self._all(part.stop(deadline) for part in parts)
        for part in parts:
            del self._sinks[part.sink.name]
            self.metrics.end_sink(part.sink.name)
            await part.close()

    async def _all(self, stops: Iterable[Coroutine[None, None, bool]]) -> bool:
        """Wait for *stops*, all at the same time; return whether each was in time."""
        return all(await asyncio.gather(*stops))

    async def _input_ended(self) -> None:
        """Wait until all input has ended, or ``stop`` was called; not while parts are being changed."""
        stop = asyncio.create_task(self._stop.wait())
        try:
            while not stop.done():
                reading = [task for part in self._sources.values() for task in part.tasks]
                if not reading and not self._changing.locked():
                    return
                await asyncio.wait([stop, *reading], timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()

    async def _keep_up(self) -> None:
        """Write checkpoints and read gauges, every second."""
        while True:
            self.readiness.upkeep.rest()
            await asyncio.sleep(SAVE_SECONDS)
            self.readiness.upkeep.step()
            try:
                await self._store.save()
                await self._detection.sweep()
            except StoreFull:
                LOGGER.error("no room for checkpoints: the disk of %s is full", self._now.configuration.state)
            await self._correlate()
            waiting = await self._store.waiting()
            for name in {**self._sinks, **waiting}:
                self.metrics.waiting.labels(name).set(waiting.get(name, 0))
            self.metrics.store_bytes.set(await self._store.used_bytes())
            for name, part in list(self._sinks.items()):
                oldest = oldest_age(await self._store.pending(name, 1))
                if name in self._sinks:  # else a reload took it out meanwhile
                    self.metrics.accepting.labels(name).set(part.delivery.failing is None)
                    self.metrics.oldest.labels(name).set(oldest)
            self.metrics.ready.set(self.readiness.is_ready())

    async def _keep_correlation_state(self) -> None:
        try:
            await self._detection.correlation.keep()
        except StoreFull as error:
            if not self._detection.correlation.must_keep:
                return  # what is kept will do
            raise PartError(
                "no room for the state of correlation rules; see spool_bytes, and the room on the disk"
            ) from error

    async def _correlate(self, *, ended: bool = False) -> None:
        try:
            await self._detection.correlate(ended=ended)
        except StoreFull:
            LOGGER.error("no room for what correlation rules found; it is told when there is: see spool_bytes")

    async def _tell_leftovers(self) -> None:
        """Say what waits from an earlier run, also for sinks that the configuration no longer has."""
        for name, count in (await self._store.waiting()).items():
            if name in self._sinks:
                LOGGER.info("sink %s: %s of an earlier run to be sent", name, counted(count, "alert"))
            else:
                LOGGER.warning(
                    "%s for the sink %s, which is no longer configured; they wait until it is again, or room is needed",
                    counted(count, "alert"),
                    name,
                )

    async def _close(self) -> None:
        try:
            for name, count in (await self._store.waiting()).items():
                LOGGER.warning("sink %s: %s not sent; kept for the next start", name, counted(count, "alert"))
        except sqlite3.Error as error:
            LOGGER.error("the state cannot be read: %s", error)
        if self._page is not None:
            self._page.close()
        for part in self._sinks.values():
            await part.close()
        try:
            await self._store.close()
        except (StoreFull, sqlite3.Error) as error:
            LOGGER.error(
                "the last checkpoints were not written, some lines will be read again: %s", error or "disk full"
            )

    def _wake(self, sinks: Iterable[str]) -> None:
        for name in sinks:
            if name in self._sinks:  # else it was taken out a moment ago
                self._sinks[name].delivery.wake()

    def _dead_letters(self, part: str, name: str) -> DeadLetterFile:
        return DeadLetterFile(self._now.configuration.state / "dead-letters" / f"{part}-{name}.jsonl")

    def _create_server(self) -> Server | None:
        """Return the server, where a source is reached through it or it is configured."""
        configuration = self._now.configuration
        if configuration.server is None and not any(isinstance(part.source, Served) for part in self._sources.values()):
            return None
        settings = configuration.server or ServerSettings()
        return Server(settings, self._routes(), configuration.stop_seconds * _SERVER_SHARE)

    def _create_page(self) -> Page | None:
        settings = self._now.configuration.server
        if settings is None or not settings.page:
            return None
        health = PartsHealth(self._sources, self._sinks, lambda: self._now.ruleset, self.metrics, self._store)
        return Page(self._store, self._trends, health, settings.token)

    def _routes(self) -> list[BaseRoute]:
        sources = [part.source for part in self._sources.values()]
        served = [route for source in sources if isinstance(source, Served) for route in source.routes()]
        page = [] if self._page is None else self._page.routes()
        return [*served, *page, *status_routes(self.metrics, self.readiness)]


def _unlike(wanted: Iterable[_S], running: Mapping[str, SourcePart | SinkPart]) -> dict[str, _S]:
    """Return the *wanted* settings, by name, that no *running* part has."""
    return {one.name: one for one in wanted if one.name not in running or running[one.name].settings != one}

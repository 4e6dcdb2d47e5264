"""The running service. ``Service.run`` alone starts and ends tasks; the end of input flows from sources to sinks.

::

    source.run --> queue --> detection.run --> store --> delivery.run --> sink.send
       each         bounded      each                       each

To stop, the sources are asked to; each returns after its last batch. The end of its queue ends its detection, and when all
of them have ended, each delivery sends what is left. What a deadline cuts short stays in the store.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from prometheus_client import disable_created_metrics

from sigma.pyeval.output import counted
from sigma.pyeval.ruleset import Ruleset

from .batches import PartError, Source
from .configuration import Configuration
from .dead_letters import DeadLetterFile
from .delivery import Delivery
from .detection import Detection, SourceIntake
from .journal import LOGGER
from .kinds import Served, create_sink, create_source
from .metrics import Metrics
from .server import Server, ServerSettings
from .status import status_routes
from .store import Store, StoreFull

SAVE_SECONDS: Final = 1.0
"""How often checkpoints are written that no alert took along."""

_SOURCES_SHARE: Final = 0.5
_SERVER_SHARE: Final = 0.2
"""Of ``stop_seconds``: after the one sources have ended, the other is the server's for its last replies; sinks have the rest."""


class Ending(IntEnum):
    """How the service ended, once it had started; the exit code of ``sigma-pyeval monitor``."""

    CLEAN = 0
    """Asked to stop, or all input ended: nothing read was left unjudged; what sinks did not take is kept."""
    DEADLINE = 4
    """A source or a sink did not end in time and was cut off; nothing is lost that delivery promises."""
    FAILED = 5
    """A part failed for good; the log says which."""


class Service:
    """Sources, detection and sinks of one configuration.

    Args:
        configuration: What to run.
        ruleset: The rules.

    Raises:
        StoreError: The state cannot be used.

    Attributes:
        metrics: What is counted.
        started: Set when every part runs.
    """

    def __init__(self, configuration: Configuration, ruleset: Ruleset) -> None:
        self.metrics = Metrics()
        self.started = asyncio.Event()
        self._configuration = configuration
        self._stop = asyncio.Event()
        state = configuration.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store = Store(state / "state.sqlite", configuration.spool_bytes)
        self._sources = [create_source(settings) for settings in configuration.sources]
        self._intakes = {
            source.name: SourceIntake(
                source, settings.queue, self._store, self.metrics, self._dead_letters("source", source.name)
            )
            for source, settings in zip(self._sources, configuration.sources, strict=True)
        }
        self._sinks = [create_sink(settings) for settings in configuration.sinks]
        self._deliveries = {
            sink.name: Delivery(sink, settings, self._store, self._dead_letters("sink", sink.name), self.metrics)
            for sink, settings in zip(self._sinks, configuration.sinks, strict=True)
        }
        for name in self._deliveries:
            self.metrics.begin_sink(name)
        settings_of = {settings.name: settings for settings in configuration.sinks}
        self._detection = Detection(
            ruleset, settings_of, configuration.redaction, self._store, self.metrics, self._wake
        )
        self._server = self._create_server()

    def stop(self) -> None:
        """Ask the service to end; ``run`` returns when it has."""
        self._stop.set()

    async def reopen(self) -> None:
        """Open the sinks' files anew, after their rotation."""
        for sink in self._sinks:
            try:
                await sink.reopen()
            except OSError as error:
                LOGGER.warning("sink %s: closing its file failed: %s", sink.name, error)

    async def run(self) -> Ending:
        """Run until the input ends or ``stop`` is called; the only place that starts tasks of the service."""
        await self._tell_leftovers()
        in_time, failed = True, False
        try:
            async with asyncio.TaskGroup() as group:
                upkeep = [group.create_task(self._keep_up(), name="state")]
                served = asyncio.Event()
                if self._server is not None:
                    upkeep.append(group.create_task(self._server.run(served), name="server"))
                deliveries = [
                    group.create_task(one.run(), name=f"sink {name}") for name, one in self._deliveries.items()
                ]
                pipelines = [
                    task
                    for source in self._sources
                    for task in (
                        group.create_task(self._read(source), name=f"source {source.name}"),
                        group.create_task(self._judge(source), name=f"detection of {source.name}"),
                    )
                ]
                self.started.set()
                LOGGER.info("running: %s -> %s", ", ".join(self._intakes), ", ".join(self._deliveries))
                await self._input_ended(pipelines)
                began, seconds = time.monotonic(), self._configuration.stop_seconds
                in_time = await _ended(pipelines, began + seconds * _SOURCES_SHARE)
                for delivery in self._deliveries.values():
                    delivery.drain()
                in_time &= await _ended(deliveries, began + seconds * (1 - _SERVER_SHARE))
                served.set()
                in_time &= await _ended(upkeep[1:], began + seconds)
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

    async def _input_ended(self, pipelines: Iterable[asyncio.Task[None]]) -> None:
        """Wait until all input has ended, or ``stop`` was called and the sources know."""
        stop = asyncio.create_task(self._stop.wait())
        input_ends = asyncio.create_task(asyncio.wait(pipelines))
        try:
            await asyncio.wait([stop, input_ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            input_ends.cancel()
        for intake in self._intakes.values():
            intake.stopping.set()

    async def _read(self, source: Source) -> None:
        intake = self._intakes[source.name]
        try:
            await source.run(intake)
        except OSError as error:
            raise PartError(f"source {source.name}: {error}") from error
        intake.connected(False)
        await intake.queue.put(None)

    async def _judge(self, source: Source) -> None:
        await self._detection.run(source, self._intakes[source.name])

    async def _keep_up(self) -> None:
        """Write checkpoints and read gauges, every second."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            try:
                await self._store.save()
            except StoreFull:
                LOGGER.error("no room for checkpoints: the disk of %s is full", self._configuration.state)
            waiting = await self._store.waiting()
            for name in {**self._deliveries, **waiting}:
                self.metrics.waiting.labels(name).set(waiting.get(name, 0))
            self.metrics.store_bytes.set(await self._store.used_bytes())

    async def _tell_leftovers(self) -> None:
        """Say what waits from an earlier run, also for sinks that the configuration no longer has."""
        for name, count in (await self._store.waiting()).items():
            if name in self._deliveries:
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
        for sink in self._sinks:
            try:
                await sink.close()
            except Exception as error:  # noqa: BLE001 - what it had accepted is accepted; the others must be closed too
                LOGGER.warning("sink %s: closing failed: %s", sink.name, error)
        try:
            await self._store.close()
        except (StoreFull, sqlite3.Error) as error:
            LOGGER.error(
                "the last checkpoints were not written, some lines will be read again: %s", error or "disk full"
            )

    def _wake(self, sinks: Iterable[str]) -> None:
        for name in sinks:
            self._deliveries[name].wake()

    def _dead_letters(self, part: str, name: str) -> DeadLetterFile:
        return DeadLetterFile(self._configuration.state / "dead-letters" / f"{part}-{name}.jsonl")

    def _create_server(self) -> Server | None:
        """Return the server, where a source is reached through it or it is configured."""
        routes = [route for source in self._sources if isinstance(source, Served) for route in source.routes()]
        if not routes and self._configuration.server is None:
            return None
        return Server(
            self._configuration.server or ServerSettings(),
            [*routes, *status_routes(self.metrics)],
            self._configuration.stop_seconds * _SERVER_SHARE,
        )


async def _ended(tasks: Sequence[asyncio.Task[None]], deadline: float) -> bool:
    """Wait for *tasks* and cancel those that take longer than *deadline*, monotonic; return whether there were none."""
    if not tasks:
        return True
    _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
    for task in late:
        LOGGER.error("%s did not end in time and was cut off; see stop_seconds", task.get_name())
        task.cancel()
    if late:
        await asyncio.wait(late)
    return not late


async def run_service(configuration: Configuration, ruleset: Ruleset) -> Ending:
    """Run a service as a program does: SIGTERM and SIGINT stop it, SIGHUP opens its files anew.

    Raises:
        StoreError: The state cannot be used.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    service = Service(configuration, ruleset)
    loop = asyncio.get_running_loop()
    reopening: set[asyncio.Task[None]] = set()

    def reopen() -> None:
        LOGGER.info("SIGHUP: files and certificates of sinks are opened anew")
        task = loop.create_task(service.reopen())
        reopening.add(task)
        task.add_done_callback(reopening.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    loop.add_signal_handler(signal.SIGHUP, reopen)
    return await service.run()

"""A source or a sink while it runs: its tasks, and how it is ended alone while the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable

from sigma.pyeval.output import printable

from .batches import PartError, Resuming, Sink, Source
from .delivery import Delivery
from .detection import Detection
from .intake import SourceIntake
from .journal import LOGGER
from .settings import SinkSettings, SourceSettings


class SourcePart:
    """A source, its intake, and the two tasks that read it and judge what it reads.

    Args:
        settings: What the source was made from.
        source: The source.
        intake: What it is given.
        trial: Whether a failure is kept in ``failed`` at first, instead of ending the service; see ``accept``.

    Attributes:
        failed: Why the source could not run, where it was on trial.
    """

    def __init__(self, settings: SourceSettings, source: Source, intake: SourceIntake, *, trial: bool = False) -> None:
        self.settings = settings
        self.source = source
        self.intake = intake
        self.failed: PartError | None = None
        self._trial = trial
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, group: asyncio.TaskGroup, detection: Detection) -> None:
        """Begin to read, and to judge with *detection*; where reading goes on from an earlier run is logged."""
        name = self.source.name
        if isinstance(self.source, Resuming) and (place := self.source.goes_on_at(self.intake.checkpoints)):
            LOGGER.info("source %s: going on at %s", name, printable(place))
        self._tasks = [
            group.create_task(self._read(), name=f"source {name}"),
            group.create_task(detection.run(self.source, self.intake), name=f"detection of {name}"),
        ]

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Its tasks that have not ended."""
        return [task for task in self._tasks if not task.done()]

    async def on_trial(self, seconds: float) -> None:
        """Wait whether the source fails at once, as one does whose port is taken; see ``failed``."""
        await asyncio.wait(self._tasks[:1], timeout=seconds)

    def accept(self) -> None:
        """End the trial: a failure from now on is one of the service."""
        self._trial = False

    async def stop(self, seconds: float) -> bool:
        """Ask the source to end, and wait until all it has read is judged; return whether that took less than *seconds*.

        What is cut off was not settled, and is read again from its checkpoint where the source can do so.
        """
        self.intake.stopping.set()
        began = time.monotonic()
        in_time = await ended(self._tasks[:1], began + seconds / 2)
        if not in_time:  # what it has put is judged all the same
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.intake.queue.put(None), seconds / 4)
        return await ended(self._tasks[1:], began + seconds) and in_time

    async def _read(self) -> None:
        try:
            await self.source.run(self.intake)
        except (OSError, PartError) as error:
            failure = error if isinstance(error, PartError) else PartError(f"source {self.source.name}: {error}")
            if not self._trial:
                raise failure from error
            self.failed = failure
        self.intake.connected(False)
        await self.intake.queue.put(None)


class SinkPart:
    """A sink and the task that delivers its alerts.

    Args:
        settings: What the sink was made from.
        sink: The sink.
        delivery: What sends its alerts.
    """

    def __init__(self, settings: SinkSettings, sink: Sink, delivery: Delivery) -> None:
        self.settings = settings
        self.sink = sink
        self.delivery = delivery
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to deliver."""
        self._tasks = [group.create_task(self.delivery.run(), name=f"sink {self.sink.name}")]

    async def stop(self, deadline: float) -> bool:
        """Send what waits, until an attempt fails or *deadline* (monotonic) has come; return whether it ended by itself."""
        self.delivery.drain()
        return await ended(self._tasks, deadline)

    async def close(self) -> None:
        """Close the sink's connections and files; what it had accepted is accepted whatever happens here."""
        try:
            await self.sink.close()
        except Exception as error:  # noqa: BLE001 - the others must be closed too
            LOGGER.warning("sink %s: closing failed: %s", self.sink.name, error)


async def ended(tasks: Iterable[asyncio.Task[None]], deadline: float) -> bool:
    """Wait for *tasks* and cancel those that take longer than *deadline*, monotonic; return whether there were none."""
    waiting = [task for task in tasks if not task.done()]
    if not waiting:
        return True
    _, late = await asyncio.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
    for task in late:
        LOGGER.error("%s did not end in time and was cut off; see stop_seconds", task.get_name())
        task.cancel()
    if late:
        await asyncio.wait(late)
    return not late

"""An intake that keeps what a source hands over, for tests of sources alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sigma.pyeval.logs.records import Record
from sigma.pyeval.monitor.batches import Batch, DeadLetter, Json, Source


class KeptIntake:
    """Takes every batch, settles it at once with *alerts_for*, and keeps what the source told.

    Clear ``open`` to make ``put`` wait (back-pressure).
    """

    def __init__(self, checkpoints: Mapping[str, Json] | None = None) -> None:
        self.checkpoints: dict[str, Json] = dict(checkpoints or {})
        self.stopping = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.alerts_for: Callable[[Batch], list[Mapping[str, Json]]] = lambda batch: []
        self.batches: list[Batch] = []
        self.losses: Counter[str] = Counter()
        self.reported: list[str] = []
        self.letters: list[DeadLetter] = []
        self.lags: dict[str, float] = {}
        self.is_connected = False

    @property
    def records(self) -> list[Record]:
        """All records so far, in order."""
        return [record for batch in self.batches for record in batch.records]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all records so far, in order."""
        return [record.event for record in self.records]

    @property
    def places(self) -> list[dict[str, str | int]]:
        """Where each record stood."""
        return [batch.place(record) for batch in self.batches for record in batch.records]

    @property
    def problems(self) -> list[str]:
        """Why lines could not be read."""
        return [problem.reason for batch in self.batches for problem in batch.problems]

    async def put(self, batch: Batch) -> None:
        await self.open.wait()
        self._take(batch)

    def _take(self, batch: Batch) -> None:
        self.batches.append(batch)
        if batch.checkpoint is not None:
            self.checkpoints[batch.checkpoint.stream] = batch.checkpoint.state
        if batch.settled is not None:
            batch.settled(self.alerts_for(batch))

    def dropped(self, count: int, reason: str) -> None:
        self.losses[reason] += count

    def problem(self, reason: str) -> None:
        self.reported.append(reason)

    def connected(self, connected: bool) -> None:
        self.is_connected = connected

    def lag(self, stream: str, value: float | None) -> None:
        if value is None:
            del self.lags[stream]
        else:
            self.lags[stream] = value

    async def dead_letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until *condition* holds; fail after *seconds*."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(source: Source, intake: KeptIntake, seconds: float = 10) -> AsyncIterator[KeptIntake]:
    """Run *source* beside the body; behind it the source is asked to stop and has to return within *seconds*."""
    task = asyncio.create_task(source.run(intake))
    try:
        yield intake
        intake.stopping.set()
        await asyncio.wait_for(task, seconds)
    finally:
        task.cancel()

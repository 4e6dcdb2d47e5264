"""What a running source is given: a bounded queue, counters, its checkpoints and its dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from .batches import Batch, DeadLetter, Json, Source
from .dead_letters import DeadLetterFile, message_record
from .journal import Throttle
from .metrics import Metrics
from .readiness import Progress
from .store import Store


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

"""One sink's alerts, from the store to the other side: in order, again and again until they are accepted or refused."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sigma.pyeval.output import counted, printable

from .batches import Json, Refused, SendError, Sink
from .dead_letters import DeadLetterFile, alert_record
from .journal import LOGGER, Throttle
from .metrics import Metrics
from .settings import SinkSettings
from .store import Pending, Store, StoreFull

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
"""Seconds between attempts: doubled from the first to the longest, each shortened at random by up to a half (jitter)."""

_LOOK_SECONDS: Final = 60.0
"""The longest wait for an alert that is due later."""

SEND_SECONDS: Final = 120.0
"""How long one call of a sink may take before it is given up and repeated."""


class RateLimit:
    """Lets so many alerts a minute through (token bucket); as many at once after a pause.

    Args:
        per_minute: How many; ``None`` for no limit.
        clock: Tells seconds.
    """

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = None if per_minute is None else per_minute / 60
        self._most = max(per_minute or 0.0, 1.0)
        self._tokens = self._most
        self._clock = clock
        self._then = clock()

    def take(self, wanted: int) -> int:
        """Return how many of the *wanted* may be sent now, and count them."""
        if self._rate is None:
            return wanted
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._then) * self._rate)
        self._then = now
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        return granted

    def wait(self) -> float:
        """Return the seconds until the next alert may be sent."""
        return 0.0 if self._rate is None else max(0.0, (1 - self._tokens) / self._rate)


class Delivery:
    """Sends what waits in the store for one sink; nothing that happens here stops another sink.

    Args:
        sink: The sink.
        settings: Its settings.
        store: Where its alerts lie.
        dead: Where alerts go that it refuses.
        metrics: What is counted.
        pauses: The first and the longest pause between attempts, in seconds.

    Attributes:
        failing: Why the last attempt failed; ``None`` since the last that did not.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the service names each
        self,
        sink: Sink,
        settings: SinkSettings,
        store: Store,
        dead: DeadLetterFile,
        metrics: Metrics,
        pauses: tuple[float, float] = (FIRST_PAUSE, LONGEST_PAUSE),
    ) -> None:
        self.sink = sink
        self.failing: str | None = None
        self._store = store
        self._dead = dead
        self._metrics = metrics
        self._first_pause, self._longest_pause = pauses
        self._full = Throttle(f"sink {sink.name}")
        self._limit = RateLimit(settings.rate_limit)
        self._arrived = asyncio.Event()
        self._draining = asyncio.Event()
        self._attempts = 0
        self._retry_after: float | None = None

    def wake(self) -> None:
        """Say that new alerts wait."""
        self._arrived.set()

    def drain(self) -> None:
        """Say that no more will come: ``run`` returns when all are sent, or at the next attempt that fails."""
        self._draining.set()
        self._arrived.set()

    async def run(self) -> None:
        """Send until everything is sent and ``drain`` was called."""
        while True:
            self._arrived.clear()
            pending = await self._gathered()
            if not pending:
                if self._draining.is_set():
                    return
                await self._next()
                continue
            granted = self._limit.take(len(pending))
            if not granted:
                if await self._pause(self._limit.wait()):
                    return
                continue
            if not await self._sent(pending[:granted]):
                if self._draining.is_set():
                    return
                await self._pause(self._next_pause())

    async def _next(self) -> None:
        """Wait until alerts arrive or one that was left for later is due."""
        due = await self._store.next_due(self.sink.name)
        # The machine's clock may be set meanwhile, which a timeout does not see.
        wait = None if due is None else min(max(due - time.time(), 0.0), _LOOK_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), wait)

    async def _gathered(self) -> list[Pending]:
        """Return what waits; where the sink likes to get alerts together, wait a while for more after the first."""
        pending = await self._store.pending(self.sink.name, self.sink.most)
        if pending and self.sink.linger and len(pending) < self.sink.most and not self._draining.is_set():
            deadline = time.monotonic() + self.sink.linger
            while len(pending) < self.sink.most and (left := deadline - time.monotonic()) > 0:
                if await self._pause(left, until_arrived=True):
                    break
                pending = await self._store.pending(self.sink.name, self.sink.most)
        return pending

    async def _sent(self, pending: Sequence[Pending]) -> bool:
        """Make one attempt; return whether the sink took or refused all of them."""
        refused: Mapping[int, str] = {}
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.sink.send([one.alert for one in pending])
        except Refused as error:
            refused = error.reasons
            try:
                await self._put_aside(pending, refused)
            except OSError as failure:
                await self._remove([one for index, one in enumerate(pending) if index not in refused])
                return self._failed(f"{self._dead.path}: cannot be written: {failure.strerror}", None)
        except SendError as error:
            return self._failed(str(error), error.retry_after)
        except TimeoutError:
            return self._failed(f"no answer within {SEND_SECONDS:.0f} s", None)
        except Exception as error:  # noqa: BLE001 - one sink's mistake must not stop the others; it is logged whole
            LOGGER.error("sink %s: unexpected error", self.sink.name, exc_info=error)
            return self._failed(f"{type(error).__name__}: {error}", None)
        noted = await self._remove(pending)
        self._metrics.sent.labels(self.sink.name).inc(len(pending) - len(refused))
        if escalated := sum(one.due > 0 and index not in refused for index, one in enumerate(pending)):
            self._metrics.escalated.labels(self.sink.name).inc(escalated)
        if self.failing is not None:
            LOGGER.info("sink %s: accepts alerts again", self.sink.name)
        self.failing, self._attempts = None, 0
        return noted

    async def _remove(self, pending: Sequence[Pending]) -> bool:
        """Forget what was accepted, on a full disk again and again until the service ends; return whether that was possible."""
        while True:
            try:
                await self._store.delivered(self.sink.name, [one.number for one in pending])
            except StoreFull:
                self._full.warning("what it accepted cannot be noted, the disk is full")
                if await self._pause(self._longest_pause / 60):
                    return False  # sent again at the next start
            else:
                return True

    def _failed(self, reason: str, retry_after: float | None) -> bool:
        self._metrics.retries.labels(self.sink.name).inc()
        self._attempts += 1
        self._retry_after = retry_after
        if self.failing != reason:  # the same failure is told once
            LOGGER.warning("sink %s: %s; alerts are kept and sent again", self.sink.name, printable(reason))
        self.failing = reason
        return False

    async def _put_aside(self, pending: Sequence[Pending], reasons: Mapping[int, str]) -> None:
        records: list[dict[str, Json]] = [alert_record(why, pending[index].alert) for index, why in reasons.items()]
        await self._dead.append(records)
        self._metrics.refused.labels(self.sink.name).inc(len(records))
        self._metrics.dead_letters.labels(self.sink.name).inc(len(records))
        why = printable(next(iter(reasons.values())))
        LOGGER.error(
            "sink %s: %s refused and put aside in %s: %s",
            self.sink.name,
            counted(len(records), "alert"),
            self._dead.path,
            why,
        )

    def _next_pause(self) -> float:
        pause = min(self._first_pause * 2.0 ** min(self._attempts - 1, 30), self._longest_pause)
        return max(pause * random.uniform(0.5, 1.0), self._retry_after or 0.0)  # noqa: S311 - jitter is no secret

    async def _pause(self, seconds: float, *, until_arrived: bool = False) -> bool:
        """Wait; return whether ``drain`` was called before or meanwhile."""
        waits = [asyncio.create_task(self._draining.wait())]
        if until_arrived:
            self._arrived.clear()
            waits.append(asyncio.create_task(self._arrived.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._draining.is_set()

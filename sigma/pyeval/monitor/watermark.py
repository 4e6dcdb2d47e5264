"""How far the time of events has come, over several sources of which one may be behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

IDLE_SECONDS: Final = 10.0
"""A source from which nothing came for so long is not waited for any more."""


class Watermark:
    """Tells up to when all events have come: the time of the source that is farthest behind, less the lateness.

    Sources that are silent hold nothing up. While all are, time passes as fast as the clock goes.

    Args:
        lateness: How much later than others an event of one source may come, in seconds.
        clock: Tells seconds, monotonic.
    """

    def __init__(self, lateness: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lateness = lateness
        self._clock = clock
        self._newest: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def begin(self, source: str) -> None:
        """Wait for *source* from now on, as for one that has just been heard."""
        self._heard[source] = self._clock()

    def end(self, source: str) -> None:
        """Wait for *source* no more."""
        self._heard.pop(source, None)
        self._newest.pop(source, None)

    def tell(self, source: str, newest: float) -> None:
        """Note that *source* has come to *newest*, seconds since the epoch; that it was farther before stays true."""
        self._heard[source] = self._clock()
        self._newest[source] = max(newest, self._newest.get(source, newest))

    def now(self) -> float | None:
        """Return up to when everything has come, in seconds since the epoch; ``None`` where that cannot be said yet."""
        now = self._clock()
        active = [source for source, heard in self._heard.items() if now - heard < IDLE_SECONDS]
        if active:
            if not all(source in self._newest for source in active):
                return None
            return min(self._newest[source] for source in active) - self._lateness
        if not self._newest:
            return None
        silent = now - max(self._heard[source] for source in self._newest)
        return max(self._newest.values()) + silent - self._lateness

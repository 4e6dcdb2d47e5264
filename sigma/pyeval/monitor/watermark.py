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

    Attributes:
        lateness: As given; may be changed.
    """

    def __init__(self, lateness: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lateness = lateness
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._come_to: dict[str, float] = {}
        self._told_at = 0.0
        self._newest: float | None = None

    def begin(self, source: str) -> None:
        """Wait for *source* from now on, as for one that has just been heard."""
        self._heard[source] = self._clock()

    def end(self, source: str) -> None:
        """Wait for *source* no more."""
        self._heard.pop(source, None)
        self._come_to.pop(source, None)

    def tell(self, source: str, moment: float) -> None:
        """Note that *source* has come to *moment*, seconds since the epoch; that it was farther before stays true."""
        self._told_at = self._heard[source] = self._clock()
        self._come_to[source] = max(moment, self._come_to.get(source, moment))
        self._newest = moment if self._newest is None else max(moment, self._newest)

    def now(self) -> float | None:
        """Return up to when everything has come, in seconds since the epoch; ``None`` where that cannot be said yet."""
        now = self._clock()
        waited_for = [source for source, heard in self._heard.items() if now - heard < IDLE_SECONDS]
        if waited_for:
            if not all(source in self._come_to for source in waited_for):
                return None
            return min(self._come_to[source] for source in waited_for) - self.lateness
        return None if self._newest is None else self._newest + (now - self._told_at) - self.lateness

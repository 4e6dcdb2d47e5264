"""How far the time of events has come, over several streams of which one may be behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

IDLE_SECONDS: Final = 10.0
"""A stream from which nothing came for so long is not waited for any more."""

_Stream = tuple[str, str]


class Watermark:
    """Tells up to when all events have come: the time of the stream that is farthest behind, less the lateness.

    A stream is a part of a source that is in order by itself: a file, a partition. Those that are silent hold nothing up.
    While all are, time passes as fast as the clock goes.

    Args:
        lateness: How much later than others an event of one stream may come, in seconds.
        clock: Tells seconds, monotonic.

    Attributes:
        lateness: As given; may be changed.
    """

    def __init__(self, lateness: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lateness = lateness
        self._clock = clock
        self._heard: dict[_Stream, float] = {}
        self._come_to: dict[_Stream, float] = {}
        self._timeless: set[_Stream] = set()
        self._told_at = 0.0
        self._newest: float | None = None

    def resume(self, newest: float) -> None:
        """Go on from *newest*, seconds since the epoch, to which an earlier run had come."""
        self._newest, self._told_at = newest, self._clock()

    def begin(self, source: str, streams: Iterable[str] = ()) -> None:
        """Wait for *source* from now on, and for each of its *streams*, as for those that have just been heard."""
        for stream in set(streams) - {""} or {""}:
            self._heard[source, stream] = self._clock()

    def end(self, source: str) -> None:
        """Wait for *source* no more."""
        for key in [key for key in self._heard if key[0] == source]:
            del self._heard[key]
            self._come_to.pop(key, None)
            self._timeless.discard(key)

    def tell(self, source: str, stream: str, moment: float | None, now: float) -> None:
        """Note that a stream was heard, and how far it has come; that it was farther before stays true.

        Args:
            source: The source's name.
            stream: Which part of it.
            moment: When its last event happened, in seconds since the epoch; ``None`` where it does not tell.
            now: The present, which counts for a stream that never tells.
        """
        key = (source, stream)
        if stream:
            self._heard.pop((source, ""), None)  # what stood for streams not known yet
        self._told_at = self._heard[key] = self._clock()
        if moment is None:
            if key in self._come_to and key not in self._timeless:
                return
            self._timeless.add(key)
            moment = now
        elif key in self._timeless:
            self._timeless.discard(key)
            self._come_to.pop(key, None)
        self._come_to[key] = max(moment, self._come_to.get(key, moment))
        self._newest = moment if self._newest is None else max(moment, self._newest)

    def now(self) -> float | None:
        """Return up to when everything has come, in seconds since the epoch; ``None`` where that cannot be said yet."""
        now = self._clock()
        waited_for = [key for key, heard in self._heard.items() if now - heard < IDLE_SECONDS]
        if waited_for:
            if not all(key in self._come_to for key in waited_for):
                return None
            return min(self._come_to[key] for key in waited_for) - self.lateness
        return None if self._newest is None else self._newest + (now - self._told_at) - self.lateness

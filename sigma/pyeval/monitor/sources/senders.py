"""Senders of one source, each with a parser of its own, and a bound on what all of them make us hold back."""

from __future__ import annotations

import time
from collections import deque

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.monitor.lines import LineStream

MAX_HELD_BYTES = 64 * 1024 * 1024
"""Bytes of lines that parsers of one source hold back together for events over several lines."""

LINE_BYTES = 200
"""What a held line takes beside its text; without it, many short lines would pass the bound."""

SILENCE = 2.0
"""Seconds after a sender's last line in which the rest of an event must come (auditd.conf(5): end_of_event_timeout)."""


class HeldBytes:
    """What the senders hold back; beyond the bound the one with the most gives out what it has.

    Args:
        limit: Bytes, counted with ``LINE_BYTES`` for each line.
    """

    def __init__(self, limit: int = MAX_HELD_BYTES) -> None:
        self._limit = limit
        self._held: dict[SenderStream, int] = {}
        self._total = 0

    def note(self, sender: SenderStream, held: int) -> None:
        """Take down what *sender* holds now."""
        self._total += held - self._held.pop(sender, 0)
        if held:
            self._held[sender] = held
        while self._total > self._limit:
            most = max(self._held, key=self._held.__getitem__)
            self._total -= self._held.pop(most)
            most.pause()

    @property
    def senders(self) -> list[SenderStream]:
        """All that hold something back."""
        return list(self._held)


class SenderStream:
    """The lines of one sender (a connection, or an address that datagrams come from).

    Args:
        address: Its name in places.
        stream: Its parser.
        held: The bound that it shares with the other senders.
    """

    def __init__(self, address: str, stream: LineStream, held: HeldBytes) -> None:
        self.address = address
        self._stream = stream
        self._held = held
        self._heard = time.monotonic()
        self._fed = 0
        self._marks: deque[tuple[int, int]] = deque()
        self._marked = False

    def feed(self, number: int, line: bytes) -> None:
        """Take the line with this running number."""
        if not self._marked:
            self._marks.append((number, self._fed))
            self._marked = True
        self._fed += len(line) + LINE_BYTES
        self._stream.feed(number, line)

    def take(self) -> tuple[list[Record], list[Problem]]:
        """Return what has been found since the last call, in order."""
        found = self._stream.take()
        if self._marked:
            self._heard = time.monotonic()
            self._marked = False
        self._held.note(self, self._held_bytes())
        return found

    def pause(self) -> None:
        """Have what is held back given out with the next ``take``."""
        self._stream.pause()
        self._marks.clear()

    def due(self) -> float | None:
        """Return the moment (of ``time.monotonic``) to ``pause`` unless a line comes; ``None`` if nothing is held back."""
        return None if self._stream.held_from() is None else self._heard + SILENCE

    def _held_bytes(self) -> int:
        """Return the bytes fed since the earliest line that is held back; never less than what is held."""
        earliest = self._stream.held_from()
        if earliest is None:
            self._marks.clear()
            return 0
        while len(self._marks) > 1 and self._marks[1][0] <= earliest:
            self._marks.popleft()
        return self._fed - (self._marks[0][1] if self._marks else 0)

"""Chunks of bytes to lines of a bounded length, whatever the chunks' borders."""

from __future__ import annotations

from typing import NamedTuple

KEPT_BYTES = 4 * 1024
"""So much is kept of the beginning of a line that is too long."""


class TooLong(NamedTuple):
    """A line beyond the bound, which is passed over.

    Attributes:
        start: Its first ``KEPT_BYTES`` bytes.
        length: Its length in bytes.
    """

    start: bytes
    length: int


class LineSplitter:
    """Chunks in, whole lines out, without the line feed, or carriage return and line feed, at their end.

    At most ``max_line_bytes`` and one chunk are held in memory.

    Args:
        max_line_bytes: Bound of a line's length.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._limit = max_line_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._start = b""
        self._passed = 0

    @property
    def pending(self) -> int:
        """Bytes that stand behind the last newline."""
        return self._passed or self._held

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """Return the lines that *chunk* completes."""
        *ended, rest = chunk.split(b"\n")
        lines: list[bytes | TooLong] = []
        for piece in ended:
            self._add(piece)
            lines.append(self._take())
        self._add(rest)
        return lines

    def finish(self) -> list[bytes | TooLong]:
        """Return what stands behind the last newline, as a line; nothing where there is nothing."""
        return [self._take()] if self.pending else []

    def _add(self, piece: bytes) -> None:
        if self._passed:
            self._passed += len(piece)
            self._start += piece[: KEPT_BYTES - len(self._start)]
            return
        if piece:
            self._pieces.append(piece)
            self._held += len(piece)
        if self._held > self._limit + 1:  # one more, as a carriage return is no part of the line
            self._pass_over()

    def _pass_over(self) -> None:
        self._passed, self._start = self._held, b"".join(self._pieces)[:KEPT_BYTES]
        self._pieces, self._held = [], 0

    def _take(self) -> bytes | TooLong:
        line = b"".join(self._pieces).removesuffix(b"\r")
        if len(line) > self._limit:
            self._pass_over()
        if not self._passed:
            self._pieces, self._held = [], 0
            return line
        found = TooLong(self._start, self._passed)
        self._pieces, self._held, self._start, self._passed = [], 0, b"", 0
        return found

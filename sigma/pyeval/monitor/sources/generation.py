"""One generation of a log file: its bytes as lines at their places, bounded, and seen to be still the same file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sigma.pyeval.logs.records import Problem

from .fingerprint import HEAD_BYTES, OFFSET_BITS, TAIL_BYTES, Digest, Mark
from .logfiles import CHUNK_BYTES, LogFile

MAX_LINES: Final = 2_000
"""Lines that are fed at once."""

Feed = Callable[[int, bytes], None]


class Rewritten(Exception):
    """The file is shorter than what was read, or holds something else: it was truncated, or written anew."""


class Generation:
    """Reads the lines of one file.

    Args:
        number: Which generation of its path it is.
        file: Open; closed by ``close``.
        max_line_bytes: A longer line is a problem, and not held in memory.
        offset: Where reading begins, at the beginning of a line.
        head: The first bytes of the file, as far as they are before *offset*.
        tail: The bytes before *offset*.

    Attributes:
        number: Which generation of its path it is.
        file: What is read.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - where reading begins takes three values
        self, number: int, file: LogFile, max_line_bytes: int, offset: int = 0, head: bytes = b"", tail: bytes = b""
    ) -> None:
        self.number = number
        self.file = file
        self._lines = 0
        self._size = 0
        self._problems: list[Problem] = []
        self._limit = max_line_bytes
        self._offset = offset
        self._head, self._tail = head, tail
        self._head_digest = Digest.of(head)
        self._buffer = b""
        self._read_tail = tail
        self._skipped = 0
        self._skipped_tail = b""
        self._modified = file.status().st_mtime_ns
        # A writer that goes on at its old place in a truncated file leaves a hole before it, which reads as NUL bytes.
        self._in_hole = not (head + tail).strip(b"\0")

    @property
    def read_to(self) -> int:
        """Bytes read from the file, those of an unfinished line included."""
        return self._offset + self._skipped + len(self._buffer)

    @property
    def has_lines(self) -> bool:
        """Whether whole lines have been read that are not fed yet."""
        return b"\n" in self._buffer

    def mark(self) -> Mark:
        """Return the place before the first line that has not been fed."""
        if self._head_digest.length < HEAD_BYTES:
            self._head_digest = Digest.of(self._head[: self._offset])
        file = self.file
        digest = Digest.of(self._tail)
        return Mark(
            self.number, self._offset, self._head_digest, digest, file.device, file.inode, self._modified, file.path
        )

    def fill(self) -> bool:
        """Read on; return whether there was anything.

        Raises:
            Rewritten: What was read before is not there any more.
            OSError: The file cannot be read.
        """
        known = self._read_tail
        position = self.read_to
        if self.file.packed:
            new = self.file.read_at(position, CHUNK_BYTES)
        else:
            modified = self.file.status().st_mtime_ns
            data = self.file.read_at(position - len(known), len(known) + CHUNK_BYTES)
            # The beginning is looked at after the rest was read: if it is still the same, so was the rest.
            if not data.startswith(known) or self.file.read_at(0, len(self._head)) != self._head:
                raise Rewritten
            self._modified = modified
            new = data[len(known) :]
        if not new:
            return False
        if len(self._head) < HEAD_BYTES and position < HEAD_BYTES:
            self._head += new[: HEAD_BYTES - position]
        self._read_tail = (known + new[-TAIL_BYTES:])[-TAIL_BYTES:]
        self._buffer += new
        return True

    def feed(self, feed: Feed) -> int:
        """Feed up to ``MAX_LINES`` whole lines to *feed*, with their positions; return how many."""
        self._pass_over()
        buffer = self._buffer
        lines = buffer.split(b"\n", MAX_LINES)
        rest = lines.pop()
        if not lines:
            if len(rest) > self._limit:
                self._skip()
            return 0
        if b"\r" in buffer or max(map(len, lines)) > self._limit:
            self._feed_slowly(lines, feed)
        else:
            position = self.number << OFFSET_BITS | self._offset
            for line in lines:
                feed(position, line)
                position += len(line) + 1
        self._consume(len(buffer) - len(rest), len(lines))
        return len(lines)

    def finish(self, feed: Feed) -> int:
        """Feed what stands behind the last newline, as nothing will come after it; return how many lines that is."""
        self._pass_over()
        if self._skipped or not self._buffer:
            self._drop()
            return 0
        self._feed_slowly([self._buffer], feed)
        self._consume(len(self._buffer), 1)
        return 1

    def take(self) -> tuple[int, int, list[Problem]]:
        """Return how many lines were read since the last call, how many bytes, and which lines could not be read."""
        taken = self._lines, self._size, self._problems
        self._lines, self._size, self._problems = 0, 0, []
        return taken

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _feed_slowly(self, lines: list[bytes], feed: Feed) -> None:
        """Feed *lines* of which some end in a carriage return, or are too long."""
        position = self.number << OFFSET_BITS | self._offset
        for line in lines:
            if len(line) > self._limit:
                self._too_long(position, line)
            else:
                feed(position, line.rstrip(b"\r"))
            position += len(line) + 1

    def _consume(self, size: int, lines: int) -> None:
        self._tail = (self._tail + self._buffer[max(0, size - TAIL_BYTES) : size])[-TAIL_BYTES:]
        self._buffer = self._buffer[size:]
        self._offset += size
        self._lines += lines
        self._size += size

    def _too_long(self, position: int, line: bytes) -> None:
        self._problems.append(Problem.at(position, f"a line longer than {self._limit} bytes is left out", line))

    def _skip(self) -> None:
        """Drop the beginning of a line that is too long; it is passed over up to its newline.

        The mark stays before the line, so that its problem has the same place whenever it is read.
        """
        self._too_long(self.number << OFFSET_BITS | self._offset, self._buffer)
        self._skipped_tail = self._tail
        self._drop()

    def _drop(self) -> None:
        self._skipped_tail = (self._skipped_tail + self._buffer[-TAIL_BYTES:])[-TAIL_BYTES:]
        self._skipped += len(self._buffer)
        self._buffer = b""

    def _pass_over(self) -> None:
        """Pass over the rest of a line that is too long, and over a hole at the beginning of the file."""
        if self._skipped:
            end = self._buffer.find(b"\n") + 1
            if not end:
                self._drop()
                return
            self._tail = (self._skipped_tail + self._buffer[max(0, end - TAIL_BYTES) : end])[-TAIL_BYTES:]
            self._offset += self._skipped + end
            self._size += self._skipped + end
            self._lines += 1
            self._skipped, self._skipped_tail = 0, b""
            self._buffer = self._buffer[end:]
        if self._in_hole and self._buffer:
            hole = len(self._buffer) - len(self._buffer.lstrip(b"\0"))
            self._in_hole = hole == len(self._buffer)
            if hole:
                self._consume(hole, 0)

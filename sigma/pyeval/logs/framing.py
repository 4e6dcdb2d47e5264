"""Syslog messages in a byte stream: RFC 6587 octet counting and newlines, told apart for each message."""

from __future__ import annotations

import re

from sigma.pyeval.logs.records import Problem

MAX_MESSAGE_BYTES = 64 * 1024
"""Longest message that is kept whole; the rest of a longer one is dropped and reported."""

_COUNT = re.compile(rb"([1-9]\d{0,8}) (?=<)")
_PARTIAL_COUNT = re.compile(rb"[1-9]\d{0,8} ?\Z")
_DELIMITERS = b"\n\r\0 "


class FrameSplitter:
    """Chunks of one connection in, whole messages out (RFC 6587 section 3.4).

    A message that begins with a number, a blank and ``<`` is octet-counted (3.4.1); every other one ends at a
    newline (3.4.2). At most ``max_message_bytes`` and one chunk are held back.

    Args:
        max_message_bytes: Longer messages are cut: their beginning is delivered, followed by a problem.
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = max_message_bytes
        self._buffer = b""
        self._skip_octets = 0
        self._skip_line = False
        self._count = 0

    def feed(self, chunk: bytes) -> list[bytes | Problem]:
        """Return the messages complete with *chunk*; a problem's ``line`` is its message's number."""
        found: list[bytes | Problem] = []
        buffer = self._skipped(self._buffer + chunk)
        position = 0
        while position < len(buffer):
            if buffer[position] in _DELIMITERS:  # left over between messages
                position += 1
                continue
            end = self._counted(buffer, position, found) or self._to_newline(buffer, position, found)
            if end is None:
                break
            position = end
        self._buffer = buffer[position:]
        return found

    def flush(self) -> list[bytes | Problem]:
        """Return what stands after the last delimiter: the connection is closed."""
        rest, self._buffer = self._buffer, b""
        counted = _COUNT.match(rest)
        if counted is None:
            return [rest.rstrip(_DELIMITERS)] if rest.strip(_DELIMITERS) else []
        self._count += 1
        text = rest[counted.end() :]
        reason = f"the connection ended after {len(text)} of {counted[1].decode()} octets"
        return [text, Problem.at(self._count, reason, rest)]

    def _skipped(self, buffer: bytes) -> bytes:
        if self._skip_octets:
            skipped = min(self._skip_octets, len(buffer))
            self._skip_octets -= skipped
            return buffer[skipped:]
        if self._skip_line:
            _, newline, buffer = buffer.partition(b"\n")
            self._skip_line = not newline
        return buffer

    def _counted(self, buffer: bytes, position: int, found: list[bytes | Problem]) -> int | None:
        counted = _COUNT.match(buffer, position)
        if counted is None:
            return None
        octets, start = int(counted[1]), counted.end()
        available = len(buffer) - start
        if octets > self._limit and available >= self._limit:
            self._deliver_cut(buffer[start : start + self._limit], f"message of {octets} octets", found)
            self._skip_octets = max(0, octets - available)
            return start + min(octets, available)
        if available < octets:
            return None
        self._deliver(buffer[start : start + octets], found)
        return start + octets

    def _to_newline(self, buffer: bytes, position: int, found: list[bytes | Problem]) -> int | None:
        if _COUNT.match(buffer, position) or _PARTIAL_COUNT.match(buffer, position):
            return None
        end = buffer.find(b"\n", position)
        length = (end if end >= 0 else len(buffer)) - position
        if length > self._limit:
            self._deliver_cut(buffer[position : position + self._limit], "message without a newline", found)
            self._skip_line = end < 0
            return end + 1 if end >= 0 else len(buffer)
        if end < 0:
            return None
        self._deliver(buffer[position:end], found)
        return end + 1

    def _deliver(self, message: bytes, found: list[bytes | Problem]) -> None:
        self._count += 1
        text = message.rstrip(_DELIMITERS)
        if text:
            found.append(text)

    def _deliver_cut(self, message: bytes, what: str, found: list[bytes | Problem]) -> None:
        self._deliver(message, found)
        found.append(Problem.at(self._count, f"{what} cut at {self._limit} octets", message))

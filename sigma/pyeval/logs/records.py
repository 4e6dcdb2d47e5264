"""What a parser yields: a record (one event and where it stood) or a problem (a line that could not be read)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from sigma.pyeval.rules import LogSource

EXCERPT_CHARACTERS = 200


class Record(NamedTuple):
    """One event taken from a log; a tuple, since parsers make hundreds of thousands of them a second.

    Attributes:
        event: The event's fields; a plain dict of JSON types.
        line: Position of the line it stands on, or of the first line of a joined event.
        logsource: The log source that rules are held against.
        serial: The audit serial as ``"epoch.milliseconds:serial"``'s last part, for auditd events.
    """

    event: dict[str, Any]
    line: int
    logsource: LogSource
    serial: str | None = None


class Problem(NamedTuple):
    """One line that could not be read: where, why, and the beginning of its text (escaped, for people)."""

    line: int
    reason: str
    excerpt: str

    @classmethod
    def at(cls, line: int, reason: str, raw: bytes) -> Problem:
        """Return the problem of *raw* on *line*, its text cut and free of control characters."""
        text = raw[: EXCERPT_CHARACTERS * 4].decode("utf-8", "backslashreplace")
        excerpt = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:EXCERPT_CHARACTERS])
        return cls(line, reason, excerpt)


class Parser(Protocol):
    """A log format: lines in, records and problems out; no I/O, no exceptions.

    ``feed`` takes one line without its newline and its position (a line number, counted from 1 by callers that read files);
    ``flush`` yields what is still held back at the end of input, or in a pause of it: the parser may be fed on afterwards.
    A parser may hold state between lines and must bound it.
    """

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Take one line; yield what is complete with it."""

    def flush(self) -> Iterable[Record | Problem]:
        """Yield what was held back for more lines."""

    def held_from(self) -> int | None:
        """Return the position of the earliest line that is held back for more lines, or ``None``.

        Whoever reads on later (after a crash) must begin there, so that an event over several lines is whole again.
        """
        return None

"""One stream of log lines: its format told from its first lines, its parser, and which line must be read again after a crash."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from sigma.pyeval.logs.formats import SAMPLE_BYTES, SAMPLE_LINES, create_parser, detect_format
from sigma.pyeval.logs.reading import AUTO
from sigma.pyeval.logs.records import Parser, Problem, Record

MAX_SAMPLE_BYTES = SAMPLE_BYTES * 4
"""So many bytes of first lines are held back to tell the format from."""


class LineStream:
    """Lines in, records and problems out; one for each file, connection or partition, as lines of several would be mixed.

    Positions are integers that grow from line to line; a ``Record.line`` is the position of its first line.

    Args:
        input_format: A log format's name, or ``auto``: the first lines are held back until they tell.
        options: Keyword arguments of the format's parser.

    Raises:
        ValueError: No such format, or options that it does not have.
    """

    def __init__(self, input_format: str = AUTO, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})
        self._parser: Parser | None = None if input_format == AUTO else create_parser(input_format, **self._options)
        self._sample: deque[tuple[int, bytes]] = deque()
        self._sample_bytes = 0
        self._found: list[Record | Problem] = []
        self._told = ""

    def feed(self, position: int, line: bytes) -> None:
        """Take one line, without its newline."""
        if self._parser is not None:
            self._found += self._parser.feed(position, line)
            return
        self._sample.append((position, line))
        self._sample_bytes += len(line)
        if len(self._sample) >= SAMPLE_LINES or self._sample_bytes >= MAX_SAMPLE_BYTES:
            self._tell_format()

    def pause(self) -> None:
        """Say that no further line has come for a while: what was held back for more of them is given out."""
        if self._parser is None and self._sample:
            self._tell_format()
        if self._parser is not None:
            self._found += self._parser.flush()

    def take(self) -> tuple[list[Record], list[Problem]]:
        """Return what has been found since the last call, in order."""
        found, self._found = self._found, []
        records = [one for one in found if type(one) is Record]
        return records, [one for one in found if type(one) is Problem]

    def held_from(self) -> int | None:
        """Return the position of the earliest line whose event has not been given out, or ``None``."""
        if self._sample:
            return self._sample[0][0]
        return None if self._parser is None else self._parser.held_from()

    def _tell_format(self) -> None:
        """Choose the parser by the lines held back and feed them to it; where they don't tell, they are problems."""
        detection = detect_format([line for _, line in self._sample])
        lines, self._sample, self._sample_bytes = list(self._sample), deque(), 0
        if detection.format is None or detection.format == "evtx":
            self._refuse(lines, "format unknown", detection.reason.removesuffix("; name it"))
            return
        try:
            self._parser = create_parser(detection.format, **self._options)
        except ValueError as error:
            self._refuse(lines, "options that do not fit", f"{detection.reason}, but {error}")
            return
        for position, line in lines:
            self._found += self._parser.feed(position, line)

    def _refuse(self, lines: list[tuple[int, bytes]], what: str, why: str) -> None:
        """Make *lines* problems; only the first has the whole reason, until there is another."""
        reason = f"{what}: {why}; set format and options in the source's settings"
        for position, line in lines:
            if line.strip():
                self._found.append(Problem.at(position, reason if reason != self._told else what, line))
                self._told = reason

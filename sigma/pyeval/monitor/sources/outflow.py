"""What comes out of the files of one path: lines go into its parser, batches with their checkpoints come out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.monitor.batches import Batch, Checkpoint, Json, Place
from sigma.pyeval.monitor.lines import LineStream
from sigma.pyeval.output import printable

from .fingerprint import generation_and_offset
from .generation import Generation
from .pathnames import path_text
from .places import Places


class Reading(NamedTuple):
    """How streams are read; see the settings of the source.

    Attributes:
        format: The log format.
        options: Its options.
        max_line_bytes: Longest line.
        grace: Seconds.
        pause: Seconds.
    """

    format: str
    options: Mapping[str, Any]
    max_line_bytes: int
    grace: float
    pause: float


class Outflow:
    """Feeds the lines of a path's files, one after the other, to one parser, as an event may go on behind a rotation.

    Args:
        path: Of the files; as text (``path_text``) it is the stream's name.
        how: How it is read.
        position: Of the first line.
        state: Of the checkpoint before it.

    Attributes:
        used: When lines were read last (``time.monotonic``).
    """

    def __init__(self, path: str, how: Reading, position: int, state: Json) -> None:
        self.used = time.monotonic()
        self._name = path_text(path)
        self._pause = how.pause
        self._stream = LineStream(how.format, how.options)
        self._places = Places(position, state)
        self._lines = self._size = 0
        self._problems: list[Problem] = []
        self._unpaused = False

    @property
    def is_pausing(self) -> bool:
        """Whether no line has come for so long that the parser should give out what it holds back."""
        return self._unpaused and time.monotonic() - self.used >= self._pause

    def feed(self, generation: Generation) -> bool:
        """Take the next whole lines; return whether there were any, readable or not."""
        generation.feed(self._stream.feed)
        return self._count(generation)

    def finish(self, generation: Generation) -> None:
        """Take what stands behind the last newline of a file that is over."""
        generation.finish(self._stream.feed)
        self._count(generation)

    def pause(self) -> None:
        """Have the parser give out what it holds back."""
        self._unpaused = False
        self._stream.pause()

    def batch(self, position: int, state: Json) -> Batch:
        """Return what has come out.

        Args:
            position: Of the next line.
            state: For a checkpoint there.
        """
        records, problems = self._stream.take()
        kept, complete = self._places.advance(position, state, self._stream.held_from())
        batch = Batch(
            records,
            self._place,
            [self._placed(problem) for problem in (*self._problems, *problems)],
            Checkpoint(self._name, kept, complete),
            lines=self._lines,
            size=self._size,
        )
        self._lines = self._size = 0
        self._problems = []
        return batch

    def _count(self, generation: Generation) -> bool:
        lines, size, problems = generation.take()
        self._lines += lines
        self._size += size
        self._problems += problems
        if lines:
            self._unpaused = True
            self.used = time.monotonic()
        return bool(lines or problems)

    def _place(self, record: Record) -> Place:
        generation, offset = generation_and_offset(record.line)
        return {"path": self._name, "generation": generation, "offset": offset}

    def _placed(self, problem: Problem) -> Problem:
        """Return *problem* with the place that it is about in its reason."""
        _, offset = generation_and_offset(problem.line)
        return problem._replace(reason=f"{printable(self._name)}, byte {offset}: {problem.reason}")

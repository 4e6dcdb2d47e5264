"""What passes from a source to detection: batches of records, with the checkpoint behind them; and what a source is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sigma.pyeval.logs.records import Problem, Record

Json = Any
"""A value of JSON types."""

Place = dict[str, str | int]
"""Where a record stood in its source (a path and an offset, a cursor, a topic, partition and offset): the same whenever the
record is read again, also after a crash. Alert ids are made from it."""


class Checkpoint(NamedTuple):
    """Where reading goes on, once everything before is settled.

    Attributes:
        stream: Which part of the source it is about: a path, a partition; ``""`` where the source is one.
        state: What the source wants back when it starts the next time; JSON types.
        complete: Whether no line before this place will be read again. Otherwise lines behind it have been judged
            already (a parser holds an older one back), and their alerts are known by their ids when they come again.
    """

    stream: str
    state: Json
    complete: bool = True


@dataclass(slots=True)
class Batch:
    """Records that are judged, and whose alerts are kept, together: all of them or none.

    Attributes:
        records: The events; ``Record.line`` is a position that ``place`` understands.
        place: Tells where a record stood.
        problems: What could not be read; counted and logged.
        checkpoint: Where reading goes on behind this batch; ``None`` for sources that cannot read again.
        settled: Called when all alerts of the batch are durable, with them in order; not called where the service
            ends before.
        lines: How many lines, messages or requests were read for the batch.
        size: Their bytes.
    """

    records: Sequence[Record]
    place: Callable[[Record], Place]
    problems: Sequence[Problem] = ()
    checkpoint: Checkpoint | None = None
    settled: Callable[[Sequence[Mapping[str, Json]]], None] | None = None
    lines: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that cannot be handled and is put aside, so that it neither stops the rest nor is lost.

    Attributes:
        reason: Why, for people.
        place: Where it stood, or which alert it is.
        raw: The message as it came.
    """

    reason: str
    place: Place
    raw: bytes = field(repr=False)


class Intake(Protocol):
    """What a running source is given: where its batches go, and how it tells what happens to it.

    Attributes:
        stopping: Set when the source is to end: it returns from ``run`` after its last batch.
    """

    stopping: asyncio.Event

    @property
    def checkpoints(self) -> Mapping[str, Json]:
        """By stream, the state that the source left when it ran before."""

    async def put(self, batch: Batch) -> None:
        """Hand over a batch; waits while the queue is full, which is how back-pressure reaches the source."""

    def dropped(self, count: int, reason: str) -> None:
        """Count and log what was lost before it could be judged."""

    def problem(self, reason: str) -> None:
        """Count and log what went wrong and will be tried again, or was left out: a connection, a file, a child."""

    def connected(self, connected: bool) -> None:
        """Tell whether the source can receive at present."""

    def lag(self, stream: str, value: float | None) -> None:
        """Tell how far reading is behind, in the source's own unit (``Source.lag_unit``); ``None`` when the stream is gone."""

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Put a message aside; durable when this returns."""


class Source(Protocol):
    """Something that events come from. Made from its settings; opens nothing before ``run``.

    Attributes:
        name: Unique among the sources; part of alert ids, so it should not be changed.
        kind: The source's type in the configuration.
        lag_unit: What ``Intake.lag`` counts: ``seconds``, ``bytes``, ``messages``, or ``""`` where there is none.
    """

    @property
    def name(self) -> str:
        """Unique among the sources."""

    @property
    def kind(self) -> str:
        """The type in the configuration."""

    @property
    def lag_unit(self) -> str:
        """The unit of the lag."""

    async def run(self, intake: Intake) -> None:
        """Read until the input ends or ``intake.stopping`` is set, then return; every line read has been put.

        What can be tried again is (told with ``intake.problem``, with growing pauses); an exception ends the service.
        """


@runtime_checkable
class Resuming(Protocol):
    """A source that can tell people where it goes on."""

    def goes_on_at(self, checkpoints: Mapping[str, Json]) -> str:
        """Return the place that *checkpoints* (as ``Intake.checkpoints``) name; nothing where it begins anew."""


class PartError(Exception):
    """A source, the server or a sink cannot run for good; the message says which, why and what to do, on one line."""


class SendError(Exception):
    """A sink could not take alerts now: a connection refused, an answer that asks to come again. They are sent again.

    Args:
        reason: One line for people, without secrets.
        retry_after: Seconds that the other side asked to wait, or ``None``.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):
    """The other side will never take some of the alerts of a call; all others of it were accepted.

    Args:
        reasons: Index into the alerts that were sent -> why, for people.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__("; ".join(dict.fromkeys(reasons.values())))
        self.reasons = dict(reasons)


class Sink(Protocol):
    """Somewhere that alerts go. Made from its settings; opens nothing before the first ``send``.

    Attributes:
        name: Unique among the sinks.
        kind: The sink's type in the configuration.
        most: At most so many alerts are sent with one call.
        linger: Seconds that the first alert may wait for others to be sent together (an e-mail digest).
    """

    @property
    def name(self) -> str:
        """Unique among the sinks."""

    @property
    def kind(self) -> str:
        """The type in the configuration."""

    @property
    def most(self) -> int:
        """Alerts of one call."""

    @property
    def linger(self) -> float:
        """Seconds to wait for more."""

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Deliver *alerts*; when this returns the other side has accepted all of them. May be cancelled.

        Raises:
            SendError: None, or not all, were accepted; all will be sent again.
            Refused: Some will never be; the others were accepted.
        """

    async def reopen(self) -> None:
        """Open files anew (SIGHUP, after log rotation); nothing for most sinks."""

    async def close(self) -> None:
        """Close connections; called once, after the last ``send``."""

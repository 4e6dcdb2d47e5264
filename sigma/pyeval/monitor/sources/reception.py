"""What all listeners of one source share: running numbers, parsers for senders, and batches that know who sent what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from sigma.pyeval.logs.records import Problem, Record

from ..batches import Batch, Intake, Place
from ..lines import LineStream
from .allowed import AllowedSenders, Network
from .senders import HeldBytes, SenderStream

BATCH_LINES: Final = 500
"""Messages judged together at most."""

LINGER: Final = 0.05
"""Seconds in which further messages join a batch."""


class Reception:
    """One run of a source with listeners.

    Nothing can be read again, so numbers need not be found again after a crash but must never repeat: places hold
    the time at which the run began.

    Args:
        intake: Where batches go.
        parser: A log format's name, and its options.
        networks: Where senders may be.
    """

    def __init__(self, intake: Intake, parser: tuple[str, Mapping[str, Any]], networks: tuple[Network, ...]) -> None:
        self.intake = intake
        self.allowed = AllowedSenders(networks, intake.problem)
        self.held = HeldBytes()
        self._parser = parser
        self._numbers = count(1)
        self._began = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def sender(self, address: str) -> SenderStream:
        """Return a new sender with a parser of its own."""
        return SenderStream(address, LineStream(*self._parser), self.held)

    def number(self) -> int:
        """Return the next message's number."""
        return next(self._numbers)

    def place_in(self, listener: str, senders: Mapping[int, str]) -> Callable[[Record], Place]:
        """Return what tells the places of records by their numbers; *senders* has the address for each."""

        def place(record: Record) -> Place:
            number = record.line
            return {"listener": listener, "sender": senders[number], "began": self._began, "number": number}

        return place


class Gathering:
    """Messages on their way into one batch, of one sender or of several.

    Args:
        reception: What they arrive by.
        listener: ``udp``, ``tcp`` ...
        limit: Longer messages are cut there, which is a problem.
    """

    def __init__(self, reception: Reception, listener: str, limit: int) -> None:
        self._reception = reception
        self._listener = listener
        self._limit = limit
        self._fed: dict[SenderStream, None] = {}
        self._problems: list[Problem] = []
        self._records: list[Record] = []
        self._senders: dict[int, str] = {}
        self.lines = 0
        self._size = 0

    def add(self, sender: SenderStream, message: bytes) -> int:
        """Take one message; return its number."""
        number = self._reception.number()
        self.lines += 1
        self._size += len(message)
        if len(message) > self._limit:
            self.problem(Problem.at(number, f"message of {len(message)} bytes cut at {self._limit}", message))
            message = message[: self._limit]
        sender.feed(number, message)
        self._fed[sender] = None
        return number

    def problem(self, problem: Problem) -> None:
        """Take what is wrong with a message."""
        self._problems.append(problem)

    def collect(self, sender: SenderStream) -> None:
        """Take what *sender* has found, whether or not it was fed last."""
        records, problems = sender.take()
        for record in records:
            self._senders[record.line] = sender.address
        self._records += records
        self._problems += problems
        self._fed.pop(sender, None)

    def batch(self) -> Batch | None:
        """Return what has come together, or ``None`` if nothing has."""
        for sender in list(self._fed):
            self.collect(sender)
        if not (self.lines or self._records or self._problems):
            return None
        place = self._reception.place_in(self._listener, self._senders)
        return Batch(self._records, place, self._problems, lines=self.lines, size=self._size)

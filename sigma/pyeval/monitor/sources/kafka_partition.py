"""One partition of a topic while it is assigned: its messages as lines, and the offset that may be committed."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from sigma.pyeval.logs.json_values import JsonError, parse_json
from sigma.pyeval.logs.records import Problem, Record

from ..batches import DeadLetter, Place
from ..lines import LineStream

MAX_KEPT_BYTES: Final = 16 << 20
"""Bytes of messages kept for dead letters while a parser holds a line of theirs back; beyond, the oldest are let go."""

TOMBSTONE: Final = "a message without a value (a tombstone) is no event"
_LINE_BITS: Final = 32
"""A position is a message's offset, and in so many lower bits the line within it: 0 where it is one line, else from 1."""


class Message(Protocol):
    """What is used of aiokafka's ``ConsumerRecord``."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def value(self) -> bytes | None:
        """Its content."""


class Reading(NamedTuple):
    """What came out of messages since the last time.

    Attributes:
        records: The events.
        problems: What could not be read, for counting.
        letters: The messages that could not be read, to be put aside.
        messages: How many messages were read.
        size: Their bytes.
    """

    records: list[Record]
    problems: list[Problem]
    letters: list[DeadLetter]
    messages: int
    size: int


@dataclass(slots=True, eq=False)
class Passage:
    """A batch on its way: the offset to go on from when it and all before it are settled, and whether it is."""

    offset: int
    settled: bool = False


class Partition:
    """The messages of one partition, from its assignment to its revocation.

    Args:
        topic: The topic's name.
        number: The partition's number.
        stream: Parses its lines; fresh, as lines read before are read again from the committed offset.
        longest: Bytes of the longest message that is parsed.

    Attributes:
        leaving: Set when the partition is revoked: nothing more is handed over.
        read_at: When messages were read last, on the event loop's clock.
        failures: How often it could not be read, at most 10; kept until it is assigned anew.
        retry_at: When it is asked again after a failure, on the same clock.
        settled: The offset that may be committed; ``None`` before anything was settled.
        committed: The offset committed last, by this object.
    """

    def __init__(self, topic: str, number: int, stream: LineStream, longest: int) -> None:
        self.topic = topic
        self.number = number
        self.leaving = False
        self.read_at = 0.0
        self.failures = 0
        self.retry_at = 0.0
        self.settled: int | None = None
        self.committed: int | None = None
        self._stream = stream
        self._longest = longest
        self._next = 0
        self._passages: deque[Passage] = deque()
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._problems: list[Problem] = []
        self._letters: list[DeadLetter] = []
        self._messages = self._size = 0

    @property
    def name(self) -> str:
        """What metrics and people call it."""
        return f"{self.topic}/{self.number}"

    @property
    def unsettled(self) -> int:
        """How many of its batches are on their way."""
        return len(self._passages)

    def place(self, record: Record) -> Place:
        """Return where *record* stood; ``line`` only where its message has several."""
        offset, line = divmod(record.line, 1 << _LINE_BITS)
        place: Place = {"topic": self.topic, "partition": self.number, "offset": offset}
        return {**place, "line": line} if line else place

    def feed(self, messages: Iterable[Message]) -> None:
        """Parse *messages*, which follow those fed before."""
        for message in messages:
            offset, value = message.offset, message.value
            self._next = offset + 1
            self._messages += 1
            if value is None:
                self._problems.append(Problem.at(offset << _LINE_BITS, TOMBSTONE, b""))
                continue
            self._size += len(value)
            if len(value) > self._longest:
                self._refuse(offset, f"a message of {len(value)} bytes; max_message_bytes is {self._longest}", value)
                continue
            self._keep(offset, value)
            for number, line in enumerate(lines := lines_of(value), 1):
                self._stream.feed(offset << _LINE_BITS | (number if len(lines) > 1 else 0), line)

    def pause(self) -> None:
        """Give out what is held back for more lines, as none came for a while."""
        self._stream.pause()

    @property
    def holds(self) -> bool:
        """Whether a line is held back for more lines."""
        return self._stream.held_from() is not None

    def take(self) -> Reading:
        """Return what has been found since the last call."""
        records, problems = self._stream.take()
        poison: dict[int, list[Problem]] = {}
        for problem in problems:
            poison.setdefault(problem.line >> _LINE_BITS, []).append(problem)
        for offset, found in poison.items():
            # A message of many bad lines has one letter, with the first reasons.
            reason = "; ".join(list(dict.fromkeys(problem.reason for problem in found))[:3])
            raw = self._kept.get(offset)
            self._letters.append(self._letter(offset, reason, found[0].excerpt.encode() if raw is None else raw))
        letters = sorted(self._letters, key=lambda letter: letter.place["offset"])
        reading = Reading(records, [*self._problems, *problems], letters, self._messages, self._size)
        self._problems, self._letters, self._messages, self._size = [], [], 0, 0
        self._let_go()
        return reading

    def depart(self) -> Passage:
        """Return the passage of a batch with all that was taken."""
        held = self._stream.held_from()
        passage = Passage(self._next if held is None else held >> _LINE_BITS)
        self._passages.append(passage)
        return passage

    def arrive(self, passage: Passage) -> None:
        """Note that *passage* is settled; the offset moves on when all before it are as well."""
        passage.settled = True
        while self._passages and self._passages[0].settled:
            self.settled = self._passages.popleft().offset

    def _keep(self, offset: int, value: bytes) -> None:
        self._kept[offset] = value
        self._kept_bytes += len(value)
        while self._kept_bytes > MAX_KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])

    def _let_go(self) -> None:
        """Forget the messages that no line is held back of."""
        held = self._stream.held_from()
        while self._kept and (held is None or next(iter(self._kept)) < held >> _LINE_BITS):
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])

    def _refuse(self, offset: int, reason: str, raw: bytes) -> None:
        self._problems.append(Problem.at(offset << _LINE_BITS, reason, raw))
        self._letters.append(self._letter(offset, reason, raw))

    def _letter(self, offset: int, reason: str, raw: bytes) -> DeadLetter:
        return DeadLetter(reason, {"topic": self.topic, "partition": self.number, "offset": offset}, raw)


def lines_of(value: bytes) -> list[bytes]:
    """Return the lines of a message without their newlines; JSON printed over several lines counts as one.

    A message of several lines gets an empty one behind them, so that an entry which ends with one (journald-export) ends with
    its message.
    """
    text = value.rstrip(b"\r\n")
    if b"\n" not in text:
        return [text]
    if text.lstrip()[:1] in (b"{", b"["):
        try:
            parse_json(text)
        except JsonError:
            pass  # several objects, or none that is whole: the parser tells them apart
        else:
            return [text]
    return [*(line.rstrip(b"\r") for line in text.split(b"\n")), b""]

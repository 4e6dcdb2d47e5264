"""A test case: what a rule must say of an event, or of the events of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sigma.pyeval.logs.reading import AUTO


@dataclass(frozen=True, slots=True)
class Log:
    """Events in a file.

    Attributes:
        path: The file.
        input_format: Its format, as ``scan`` names it.
        options: Keyword arguments of the format's parser.
        lines: Where these events begin; none for all events of the log.
        count: How many events must match exactly; of a correlation rule, how many matches must be raised.
        at_least: How many must at least.
    """

    path: Path
    input_format: str = AUTO
    options: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[int, ...] = ()
    count: int | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event of a sequence, and when it happens; without a time it says so itself, or happens with the one before."""

    event: Mapping[str, Any]
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventSequence:
    """Events one after the other, for a correlation rule.

    Attributes:
        events: The events.
        count: How many matches they must raise exactly.
    """

    events: tuple[TimedEvent, ...]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule must say.

    Attributes:
        name: For people; unique within its file.
        path: The file that the case stands in.
        place: Where it stands there, as ``match[0]``.
        must_match: Whether the rule must match, or must not.
        subject: One event as the rule is held against it, or a log; for a correlation rule also a sequence of events.
    """

    name: str
    path: Path
    place: str
    must_match: bool
    subject: Mapping[str, Any] | Log | EventSequence


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a file of cases: where, what, and what to do."""

    path: Path
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.place}: {self.reason}" if self.place else f"{self.path}: {self.reason}"

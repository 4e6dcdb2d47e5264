"""Which explanations are shown to people: those of the lines that were asked for, or the few most worth reading of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sigma.pyeval.explain import Explanation
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.logs.records import Record

_TIME = "_SOURCE_REALTIME_TIMESTAMP"


class Explained(NamedTuple):
    """What the rules say of one record.

    Attributes:
        explanations: One a rule; or those of correlation rules, which are of all records, without a place.
        path: The log.
        line: Where the record stands, or begins.
        remark: What else is to be said of where it stands.
    """

    explanations: Sequence[Explanation | CorrelationExplanation]
    path: str = ""
    line: int = 0
    remark: str = ""


class AskedLines:
    """Chooses the records on some lines of one log, and the audit events that are joined from them.

    A joined event stands at the line of its first record and comes after all its records; it is what most rules are about.
    """

    def __init__(self, lines: Sequence[int]) -> None:
        self._lines = frozenset(lines)
        self._events: dict[object, set[int]] = {}
        self._found: dict[object, list[tuple[Record, Sequence[Explanation]]]] = {}

    def wants(self, record: Record) -> bool:
        """Return whether the record stands on one of the lines, or is joined from one that does."""
        if record.line in self._lines:
            self._events.setdefault(_event_of(record), set()).add(record.line)
            return True
        return _is_joined(record) and _event_of(record) in self._events

    def add(self, record: Record, explanations: Sequence[Explanation]) -> None:
        """Keep what the rules say of a record that is wanted."""
        self._found.setdefault(_event_of(record), []).append((record, explanations))

    def explained(self, path: str) -> Iterator[Explained]:
        """Yield what was added, audit events and their records together: first what matches, then what is in scope."""
        for event, found in self._found.items():
            joined = [record.line for record, _ in found if _is_joined(record)]
            for record, explanations in sorted(
                found, key=lambda one: min(map(_readability, one[1]), default=(True, True))
            ):
                yield Explained(explanations, path, record.line, _remark(record, joined, sorted(self._events[event])))


def _event_of(record: Record) -> object:
    """Return what the records of one audit event have in common; of other records, the line."""
    return record.line if record.serial is None else (record.serial, str(record.event.get(_TIME)))


def _is_joined(record: Record) -> bool:
    return record.serial is not None and "type" not in record.event


def _readability(explanation: Explanation) -> tuple[bool, bool]:
    return not explanation.matched, not explanation.in_scope


def _remark(record: Record, joined: Sequence[int], asked: Sequence[int]) -> str:
    if not joined:
        return ""
    if not _is_joined(record):
        return f"the {record.event['type']} record alone, of the event joined at line {joined[0]}"
    parts = [str(line) for line in asked if line != record.line]
    return "the joined event" + (f", of which line {', '.join(parts)} is a part" if parts else "")


class Shortlist:
    """Keeps the explanations most worth reading: matches, then those that the fewest items keep from matching.

    Args:
        most: How many are kept.

    Attributes:
        seen: How many there were.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.seen = 0
        self._kept: list[tuple[tuple[bool, bool, bool, bool, int], int, Explained]] = []

    def add(self, explanations: Sequence[Explanation], path: str, line: int) -> None:
        """Take in what the rules say of a record."""
        for one in explanations:
            self.seen += 1
            self._kept.append((one.nearness, self.seen, Explained([one], path, line)))
            if len(self._kept) > 2 * self._most:
                self._trim()

    def _trim(self) -> None:
        self._kept.sort(key=lambda one: one[:2])
        del self._kept[self._most :]

    def explained(self) -> Iterator[Explained]:
        """Yield all where they are few enough, in the order in which they came; else those kept, the best first."""
        if self.seen > self._most:
            self._trim()
        else:
            self._kept.sort(key=lambda one: one[1])
        yield from (one for _, _, one in self._kept)

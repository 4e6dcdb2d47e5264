"""The events of a case's log, as ``scan`` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.rules import LogSource
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.scanning import Scan

from .cases import Log


class LogEvent(NamedTuple):
    """A record, and the log source by which ``scan`` leaves rules out for it."""

    record: Record
    logsource: LogSource | None


class LogUnusable(Exception):
    """A case's log does not give the events that the case is about; the text says why, with the place."""


def log_events(log: Log, ruleset: Ruleset) -> Iterator[LogEvent]:
    """Yield the events that a case is about, none of them kept.

    Raises:
        LogUnusable: When all are read: the log, or a line of it, cannot be read; there is no event in it, or none on a line
            that is named.
    """
    problems: list[Problem] = []
    scan = Scan(ruleset, lambda _, problem: problems.append(problem), log.input_format, log.options)
    wanted = frozenset(log.lines)
    lacking = set(wanted)
    is_empty = True
    for record in scan.records(str(log.path)):
        if not wanted or record.line in wanted:
            lacking.discard(record.line)
            is_empty = False
            yield LogEvent(record, scan.logsource(record))
        del problems[1:]  # the first one is told
    if problems:
        place = f"{log.path}:{problems[0].line}" if problems[0].line else str(log.path)
        raise LogUnusable(f"{place}: {problems[0].reason}")
    if lacking:
        raise LogUnusable(f"{log.path}: no event begins on line {min(lacking)}")
    if is_empty:
        raise LogUnusable(f"{log.path}: no event in it")

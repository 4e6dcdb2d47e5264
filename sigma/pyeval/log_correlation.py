"""Correlation rules held against logs: one stream of all records that match, each known by its place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from .correlation.correlator import NotCounted
from .correlation.groups import Counts, Limits
from .correlation.results import CorrelationMatch
from .findings import Finding
from .logs.records import Record
from .output import counted
from .rules import LogSource, Match, correlation_keys
from .ruleset import Ruleset

MOST_WAITING = 1_000_000
"""Matches of logs that wait for the end to be put in order of time; beyond, the earliest are taken in."""


class CorrelationOptions(NamedTuple):
    """How a scan correlates.

    Attributes:
        refire: The re-fire policy.
        lateness: Seconds that an event may come later than others; ``None`` to put all logs in order of time first, and to
            correlate at the end.
    """

    refire: Literal["each", "once"] = "each"
    lateness: float | None = None


class LogCorrelation:
    """Takes the matches of records, log by log; gives findings as soon as the time has come for them.

    Attributes:
        is_live: Whether findings come before the end, so that each record lets time pass.
    """

    def __init__(self, ruleset: Ruleset, options: CorrelationOptions) -> None:
        self.is_live = options.lateness is not None
        self._correlator = ruleset.correlator(
            options.refire,
            lateness=math.inf if options.lateness is None else options.lateness,
            limits=Limits(pending=MOST_WAITING),
        )

    def begin_log(self) -> None:
        """Note that records of another log follow."""
        self._correlator.begin_log()

    def observe(self, matches: Sequence[Match], record: Record, path: str) -> Iterator[Finding]:
        """Take in the matches of one record, those of rules that serve only correlations included."""
        return _findings(self._correlator.observe(matches, record.event, source=place_of(record, path)))

    def finish(self) -> Iterator[Finding]:
        """Yield what is left to find when all logs are read."""
        return _findings(self._correlator.finish())

    def statistics(self) -> Counts:
        """Return what had to be left out."""
        return self._correlator.statistics()

    def not_counted(self) -> list[NotCounted]:
        """Return which matches were not counted, for want of which field."""
        return self._correlator.not_counted()


def not_counted_text(ruleset: Ruleset, one: NotCounted) -> str:
    """Return for people which matches a correlation rule of *ruleset* did not count, and why."""
    keys = (*(rule.key for rule in ruleset.rules), *correlation_keys(ruleset.correlations))
    title = next(
        (rule.title for key, rule in zip(keys, ruleset.all_rules, strict=True) if key == one.member), one.member
    )
    why = (
        f"no {one.field}, by which {one.rule.title!r} groups"
        if one.groups
        else f"no value in {one.field} that the condition of {one.rule.title!r} can use"
    )
    return f"{counted(one.number, 'match')} of {title!r} had {why}: not counted"


def place_of(record: Record, path: str) -> dict[str, Any]:
    """Return where a record was read, for a correlator: so its matches have the same ids wherever they are found."""
    source: dict[str, Any] = {"path": path, "line": record.line}
    if record.serial is not None:
        source["serial"] = record.serial
    if logsource := record.logsource.as_dict():
        source["logsource"] = logsource
    return source


def _findings(found: Iterable[CorrelationMatch]) -> Iterator[Finding]:
    for match in found:
        place: dict[str, Any] = match.source or {}
        yield Finding(
            Match(match.rule, match.event),
            place.get("path", ""),
            place.get("line", 0),
            LogSource(**place.get("logsource", {})),
            place.get("serial"),
            match,
        )

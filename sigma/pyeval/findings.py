"""A finding: a match and where in which log it was found; what reports and alerts are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

from .codegen import rule_record
from .correlation.results import CorrelationMatch
from .rules import LogSource, Match


class Finding(NamedTuple):
    """One match of one record of a log.

    Attributes:
        match: The rule and the event.
        path: The log's path as given, ``-`` for standard input.
        line: The record's line, counted from 1; of a joined event the line of its first record.
        logsource: The log source that the record was read as.
        serial: The audit serial, for auditd events.
        correlation: What a correlation rule found; the match's rule is that one, its event the one that raised it.
    """

    match: Match
    path: str
    line: int
    logsource: LogSource
    serial: str | None = None
    correlation: CorrelationMatch | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a dict of JSON types: rule, event, log source, source, and correlation where there is one.

        What the log does not tell of the log source is the rule's.
        """
        source: dict[str, Any] = {"path": self.path, "line": self.line}
        if self.serial is not None:
            source["serial"] = self.serial
        found = {
            "rule": rule_record(self.match.rule),
            "event": self.match.event,
            "logsource": self.match.rule.logsource.as_dict() | self.logsource.as_dict(),
            "source": source,
        }
        return found if self.correlation is None else found | {"correlation": self.correlation.as_dict()}

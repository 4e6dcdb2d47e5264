"""Reads the log of auditd: every record is an event, records of one serial give joined events.

What is decoded, joined and left out is written in docs/auditd.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigma.pyeval.logs.audit_events import AUDITD, AuditEvents
from sigma.pyeval.logs.audit_join import EventJoiner
from sigma.pyeval.logs.audit_names import add_names
from sigma.pyeval.logs.audit_records import NO_RECORD, parse_audit_line
from sigma.pyeval.logs.records import Parser, Problem, Record


class AuditdParser(Parser):
    """Parser of audit.log, raw or ENRICHED, of one machine or of several (``node=``).

    Args:
        failed_executions: Also give a process_creation event for each execution that failed.
        user_names: User id -> name. Adds ``UID``, ``AUID`` ... to records that lack them, and ``_USER`` to
            joined events.
        group_names: Group id -> name; likewise.
    """

    def __init__(
        self,
        *,
        failed_executions: bool = False,
        user_names: Mapping[int, str] | None = None,
        group_names: Mapping[int, str] | None = None,
    ) -> None:
        self._user_names = user_names or {}
        self._group_names = group_names or {}
        self._joiner = EventJoiner(AuditEvents(failed_executions=failed_executions, user_names=user_names))

    def feed(self, line: int, raw: bytes) -> list[Record | Problem]:
        """Return the record on *line* and the joined events that it completes, or a problem.

        A blank line is no record and no problem.
        """
        event = parse_audit_line(raw)
        if event is None:
            return [Problem.at(line, NO_RECORD, raw)] if raw.strip() else []
        return self.take(line, event, raw)

    def take(self, line: int, event: dict[str, Any], raw: bytes) -> list[Record | Problem]:
        """Return what ``feed`` does, for a record's *event* (``audit_event``) that came in another format.

        Args:
            line: Position of the line that it stands on.
            event: The record; it goes into what is returned, and gets names of users and groups.
            raw: The line.
        """
        if self._user_names or self._group_names:
            add_names(event, self._user_names, self._group_names)
        out: list[Record | Problem] = [Record(event, line, AUDITD, event["_AUDIT_ID"])]
        self._joiner.add(line, event, raw, out)
        return out

    def flush(self) -> list[Record | Problem]:
        """Return the joined events whose end has not been seen; the parser may be fed on afterwards."""
        return self._joiner.flush()

    def held_from(self) -> int | None:
        """Return the first line of the joined events that are held back."""
        return self._joiner.held_from()

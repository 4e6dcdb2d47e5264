"""Records of one serial, interleaved, out of order or lost, become whole events: a window bounded in events, bytes and log time.

The kernel writes the records of one event in order, SYSCALL first, PROCTITLE and EOE last, but those of several processors
reach the log interleaved, and a relay may change their order. An event is whole as soon as it holds what its SYSCALL record
announces; otherwise it is given out a little after its last record, or when log time or the bounds below say that no more will come.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.audit_events import EXECUTING, AuditEvents
from sigma.pyeval.logs.audit_records import AuditRecord
from sigma.pyeval.logs.records import Problem, Record

JOINED_TYPES = frozenset({"SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE", "SOCKADDR", "OPENAT2", "EOE"})
"""Types of records that joined events are made of; all others stand for themselves."""

WINDOW_MICROSECONDS = 2_000_000
"""Log time after which an event's missing records are given up (auditd's own end_of_event_timeout is 2 seconds)."""

GRACE_RECORDS = 64
"""Records that may pass between an event's PROCTITLE or EOE and its last record that came out of order."""

MAX_PENDING_EVENTS = 1_024
"""Events held back at once; beyond, the oldest is given out as it is."""

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Bytes of log lines held back at once; beyond, the oldest event is given out as it is."""

MAX_EVENT_RECORDS = 4_096
"""Records joined into one event (arguments of 6 MB, the most that Linux takes, fill about 1,600)."""

MAX_FINISHED_EVENTS = 1_024
"""Events remembered as given out, so that a record which comes too late does not begin the event again."""

MAX_NODES = 1_024
"""Nodes whose log time is known."""

_Key = tuple[str | None, str, str]


class _Pending:
    """One event whose records are being collected."""

    __slots__ = ("closed", "full", "key", "line", "paths", "records", "size", "syscall", "types")

    def __init__(self, key: _Key, line: int) -> None:
        self.key = key
        self.line = line
        self.records: list[dict[str, Any]] = []
        self.syscall: dict[str, Any] | None = None
        self.types: set[str] = set()
        self.paths = 0
        self.size = 0
        self.closed = False
        self.full = False

    def is_whole(self) -> bool:
        """Return whether everything is there that the SYSCALL record announces."""
        syscall = self.syscall
        if not self.closed or syscall is None:
            return False
        items = syscall.get("items", "0")
        if items != "0" and (str(self.paths) != items or "CWD" not in self.types):
            return False
        call = syscall.get("SYSCALL")
        if call in EXECUTING and syscall.get("success") == "yes":
            return "EXECVE" in self.types and self._has_all_arguments()
        return call != "connect" or "SOCKADDR" in self.types

    def _has_all_arguments(self) -> bool:
        execves = [record for record in self.records if record["type"] == "EXECVE"]
        if len(execves) > 1:
            return False  # pieces may be missing in the middle: wait for the end of the grace
        last = execves[0].get("argc", "")
        return last == "0" or (last.isdecimal() and f"a{int(last) - 1}" in execves[0])


class EventJoiner:
    """Collects records by (node, time, serial) and gives each event to *events* once."""

    def __init__(self, events: AuditEvents) -> None:
        self._events = events
        self._pending: OrderedDict[_Key, _Pending] = OrderedDict()
        self._closing: deque[tuple[int, _Key]] = deque()
        self._finished: OrderedDict[_Key, None] = OrderedDict()
        self._log_time: OrderedDict[str | None, int] = OrderedDict()
        self._bytes = 0
        self._count = 0

    def add(self, line: int, record: AuditRecord, raw: bytes) -> list[Record | Problem]:
        """Take one *record*, which stood on *line* as *raw*; return the joined events that are complete now."""
        node, time, serial, event = record
        record_type = event["type"]
        self._count += 1
        out: list[Record | Problem] = []
        if self._closing and self._closing[0][0] <= self._count:
            self._end_grace(out)
        if record_type not in JOINED_TYPES:
            return out
        key = (node, time, serial)
        pending = self._pending.get(key)
        if pending is None:
            if key in self._finished:
                return out
            pending = self._open(key, line, out)
        if len(pending.records) >= MAX_EVENT_RECORDS:
            if not pending.full:
                pending.full = True
                reason = (
                    f"audit event {serial} has more than {MAX_EVENT_RECORDS} records; the rest is not joined"
                )
                out.append(Problem.at(line, reason, raw))
            return out
        pending.records.append(event)
        pending.types.add(record_type)
        pending.size += len(raw)
        self._bytes += len(raw)
        if record_type == "PATH":
            pending.paths += 1
        elif record_type == "SYSCALL":
            pending.syscall = event
        elif record_type in {"PROCTITLE", "EOE"} and not pending.closed:
            pending.closed = True
            self._closing.append((self._count + GRACE_RECORDS, key))
        if pending.closed and pending.is_whole():
            self._finish(pending, out)
        elif self._bytes > MAX_PENDING_BYTES:
            self._finish(next(iter(self._pending.values())), out)
        return out

    def flush(self) -> list[Record | Problem]:
        """Return all events that are held back, as they are; for the end of input, or a pause in it."""
        out: list[Record | Problem] = []
        for pending in list(self._pending.values()):
            self._finish(pending, out)
        self._closing.clear()
        return out

    def _open(self, key: _Key, line: int, out: list[Record | Problem]) -> _Pending:
        """Begin an event, after giving out those that are over by log time or by number."""
        node, time, _ = key
        self._log_time[node] = int(time)
        if len(self._log_time) > MAX_NODES:
            self._log_time.popitem(last=False)
        while self._pending:
            oldest = next(iter(self._pending.values()))
            # The time of the node's latest record, not the highest: a clock set back must not end every event at once.
            age = self._log_time.get(oldest.key[0], 0) - int(oldest.key[1])
            if age < WINDOW_MICROSECONDS and len(self._pending) < MAX_PENDING_EVENTS:
                break
            self._finish(oldest, out)
        pending = self._pending[key] = _Pending(key, line)
        return pending

    def _end_grace(self, out: list[Record | Problem]) -> None:
        while self._closing and self._closing[0][0] <= self._count:
            pending = self._pending.get(self._closing.popleft()[1])
            if pending is not None:
                self._finish(pending, out)

    def _finish(self, pending: _Pending, out: list[Record | Problem]) -> None:
        del self._pending[pending.key]
        self._bytes -= pending.size
        self._finished[pending.key] = None
        if len(self._finished) > MAX_FINISHED_EVENTS:
            self._finished.popitem(last=False)
        joined: Iterable[Record] = self._events.join(pending.records, pending.line, pending.key[2])
        out.extend(joined)

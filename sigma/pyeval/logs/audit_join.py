"""Records of one serial, interleaved, out of order or lost, become whole events within a bounded window.

The kernel writes the records of one event in order, SYSCALL first, PROCTITLE and EOE last, but those of
several processors reach the log interleaved, and a relay may change their order. An event is whole as soon
as it holds what its SYSCALL record announces; otherwise it is given out a little after its last record, or
when log time or the bounds below say that no more will come.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from sigma.pyeval.logs.audit_events import EXECUTING, AuditEvents
from sigma.pyeval.logs.audit_records import AuditRecord
from sigma.pyeval.logs.records import Problem, Record

JOINED_TYPES = frozenset({"SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE", "SOCKADDR", "OPENAT2", "EOE"})
"""Types of records that joined events are made of; all others stand for themselves."""

ENDING_TYPES = frozenset({"PROCTITLE", "EOE"})
"""Types that the kernel writes last."""

WINDOW_MICROSECONDS = 2_000_000
"""Log time after which missing records are given up (end_of_event_timeout of auditd.conf(5): 2 s)."""

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

    def take(self, record_type: str, event: dict[str, Any]) -> None:
        """Take one more record."""
        self.records.append(event)
        self.types.add(record_type)
        if record_type == "PATH":
            self.paths += 1
        elif record_type == "SYSCALL":
            self.syscall = event
        elif record_type in ENDING_TYPES:
            self.closed = True

    def is_whole(self) -> bool:
        """Return whether everything is there that the SYSCALL record announces."""
        syscall = self.syscall
        if not self.closed or syscall is None:
            return False
        items = syscall.get("items") or "0"
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
        last = execves[0].get("argc") or ""
        return last == "0" or (last.isdecimal() and len(last) <= 7 and f"a{int(last) - 1}" in execves[0])


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

    def add(self, line: int, record: AuditRecord, raw: bytes, out: list[Record | Problem]) -> None:
        """Take one *record*, from *line*, text *raw*; append the joined events now complete to *out*."""
        self._count += 1
        if self._closing and self._closing[0][0] <= self._count:
            self._end_grace(out)
        node, time, serial, event = record
        record_type = event["type"]
        if record_type not in JOINED_TYPES:
            return
        key = (node, time, serial)
        pending = self._pending.get(key)
        if pending is None:
            if key in self._finished:
                return
            pending = self._open(key, line, out)
        elif len(pending.records) >= MAX_EVENT_RECORDS:
            if not pending.full:
                pending.full = True
                reason = f"audit event {serial} has over {MAX_EVENT_RECORDS} records; the rest is not joined"
                out.append(Problem.at(line, reason, raw))
            return
        size = len(raw)
        pending.size += size
        self._bytes += size
        pending.take(record_type, event)
        if pending.closed:
            if pending.is_whole():
                self._finish(pending, out)
                return
            if record_type in ENDING_TYPES:
                self._closing.append((self._count + GRACE_RECORDS, key))
        while self._bytes > MAX_PENDING_BYTES:
            self._finish(next(iter(self._pending.values())), out)

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
            # The time of the latest record, not the highest: a clock set back must not end every event.
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
        joined = self._events.join(pending.records, pending.line, pending.key[2])
        out.extend(joined)
        if joined or pending.syscall is not None:  # else a late record may still bring the event
            self._finished[pending.key] = None
            if len(self._finished) > MAX_FINISHED_EVENTS:
                self._finished.popitem(last=False)

"""Records of one serial, interleaved, out of order or lost, become whole events within a bounded window.

The kernel writes the records of one event in order, SYSCALL first, PROCTITLE and EOE last, but those of
several processors reach the log interleaved, and a relay may change their order. An event is whole as soon
as it holds what its SYSCALL record announces; otherwise it is given out a little after its last record, or
when log time or the bounds below say that no more will come.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from sigma.pyeval.logs.audit_events import AuditEvents, EventRecords
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

    __slots__ = ("closed", "full", "key", "line", "records", "size", "time")

    def __init__(self, key: _Key, line: int) -> None:
        self.key = key
        self.time = int(key[1])
        self.line = line
        self.records: list[dict[str, Any]] = []
        self.size = 0
        self.closed = False
        self.full = False


class EventJoiner:
    """Collects records by node, time and serial, and gives each event to *events* once."""

    def __init__(self, events: AuditEvents) -> None:
        self._events = events
        self._pending: OrderedDict[_Key, _Pending] = OrderedDict()
        self._closing: deque[tuple[int, _Key]] = deque()
        self._finished: OrderedDict[_Key, None] = OrderedDict()
        self._log_time: OrderedDict[str | None, int] = OrderedDict()
        self._bytes = 0
        self._count = 0

    def add(self, line: int, event: dict[str, Any], raw: bytes, out: list[Record | Problem]) -> None:
        """Take the record of *event*; append the joined events that are complete now to *out*.

        Args:
            line: Position of the line that the record stands on.
            event: The record, as ``audit_event`` gives it.
            raw: The line.
            out: Where joined events go, and problems.
        """
        self._count += 1
        if self._closing and self._closing[0][0] <= self._count:
            self._end_grace(out)
        record_type = event["type"]
        if record_type not in JOINED_TYPES:
            return
        key = (event.get("node"), event["_SOURCE_REALTIME_TIMESTAMP"], event["_AUDIT_ID"])
        pending = self._pending.get(key)
        if pending is None:
            if key in self._finished:
                return
            pending = self._open(key, line, out)
        elif len(pending.records) >= MAX_EVENT_RECORDS:
            if not pending.full:
                pending.full = True
                reason = f"audit event {key[2]} has over {MAX_EVENT_RECORDS} records; the rest is not joined"
                out.append(Problem.at(line, reason, raw))
            return
        size = len(raw)
        pending.size += size
        self._bytes += size
        pending.records.append(event)
        if pending.closed or record_type in ENDING_TYPES:
            self._close(pending, out)
        while self._bytes > MAX_PENDING_BYTES:
            self._finish(next(iter(self._pending.values())), out)

    def _close(self, pending: _Pending, out: list[Record | Problem]) -> None:
        """Give out an event that has its last record, if it is whole; else begin to wait for the rest."""
        found = EventRecords(pending.records)
        if found.is_whole():
            self._finish(pending, out, found)
        elif not pending.closed:
            pending.closed = True
            self._closing.append((self._count + GRACE_RECORDS, pending.key))

    def flush(self) -> list[Record | Problem]:
        """Return all events that are held back, as they are; for the end of input, or a pause in it."""
        out: list[Record | Problem] = []
        for pending in list(self._pending.values()):
            self._finish(pending, out)
        self._closing.clear()
        return out

    def held_from(self) -> int | None:
        """Return the lowest position of an event that is held back, or ``None``."""
        return min((pending.line for pending in self._pending.values()), default=None)

    def _open(self, key: _Key, line: int, out: list[Record | Problem]) -> _Pending:
        """Begin an event, after giving out those that are over by log time or by number."""
        node = key[0]
        pending = _Pending(key, line)
        self._log_time[node] = pending.time
        if len(self._log_time) > MAX_NODES:
            self._log_time.popitem(last=False)
        while self._pending:
            oldest = next(iter(self._pending.values()))
            # The time of the latest record, not the highest: a clock set back must not end every event.
            age = self._log_time.get(oldest.key[0], 0) - oldest.time
            if age < WINDOW_MICROSECONDS and len(self._pending) < MAX_PENDING_EVENTS:
                break
            self._finish(oldest, out)
        self._pending[key] = pending
        return pending

    def _end_grace(self, out: list[Record | Problem]) -> None:
        while self._closing and self._closing[0][0] <= self._count:
            pending = self._pending.get(self._closing.popleft()[1])
            if pending is not None:
                self._finish(pending, out)

    def _finish(self, pending: _Pending, out: list[Record | Problem], found: EventRecords | None = None) -> None:
        del self._pending[pending.key]
        self._bytes -= pending.size
        if found is None:
            found = EventRecords(pending.records)
        joined = self._events.join(found, pending.line)
        out.extend(joined)
        if joined or found.syscall is not None:  # else a late record may still bring the event
            self._finished[pending.key] = None
            if len(self._finished) > MAX_FINISHED_EVENTS:
                self._finished.popitem(last=False)

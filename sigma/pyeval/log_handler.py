"""Rules held against what a Python program logs: a ``logging.Handler``."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from .rules import Match
from .ruleset import Ruleset

OnMatch = Callable[[Match, logging.LogRecord], object]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

_CHANGING = frozenset({dict, list, tuple, set, bytearray})


def record_event(record: logging.LogRecord) -> dict[str, Any]:
    """Return a log record as an event, with the names that the journal has for its parts.

    ``MESSAGE``, ``PRIORITY`` (of syslog, as text), ``SYSLOG_IDENTIFIER`` and ``LOGGER`` (the logger's name), ``_PID``,
    ``CODE_FILE``, ``CODE_LINE``, ``CODE_FUNC``, ``THREAD_NAME``, ``PROCESS_NAME``; ``EXCEPTION_TEXT`` where there is one; and
    what was given as ``extra``, under its own names.

    Raises:
        Exception: Whatever the record's own message raises when it is put together.
    """
    event: dict[str, Any] = {
        "MESSAGE": record.getMessage(),
        "PRIORITY": str(next((number for level, number in _PRIORITIES if record.levelno >= level), 7)),
        "SYSLOG_IDENTIFIER": record.name,
        "LOGGER": record.name,
        "_PID": str(record.process),
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName,
        "THREAD_NAME": record.threadName,
        "PROCESS_NAME": record.processName,
    }
    if record.exc_text:  # also of a record that came from another process, which has nothing else of it
        event["EXCEPTION_TEXT"] = record.exc_text
    elif record.exc_info and record.exc_info[0] is not None:
        event["EXCEPTION_TEXT"] = logging.Formatter().formatException(record.exc_info)
    return {**event, **{name: value for name, value in vars(record).items() if name not in _STANDARD}}


def _settled(value: Any) -> Any:
    """Return a value of an event as it is now, copied where the program may still change it before it is judged."""
    if type(value) not in _CHANGING:
        return value
    try:
        return _copied(value)
    except RecursionError:  # too deep, or within itself: the matchers know what to do
        return value


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _copied(one) for name, one in value.items()}
    return kind(map(_copied, value)) if kind in _CHANGING else value


class DetectionHandler(logging.Handler):
    """Holds rules against log records in a thread of its own, and calls back for each match.

    The program that logs only makes the event and leaves it in a bounded queue; when that is full, the record is counted in
    ``dropped`` and not judged. An exception of the callback is handled as logging handles its own errors (``handleError``)
    and goes no further. What the callback itself logs is not judged.

    Args:
        ruleset: The rules.
        on_match: Called with the match and the record, in the handler's thread.
        level: Records below it are not judged.
        capacity: Records that may wait.
        event_of: Makes the event of a record, in the thread that logs.
        stop_seconds: How long ``flush`` and ``close`` wait at most for what has been logged before.

    Attributes:
        dropped: Records that came while the queue was full.
    """

    def __init__(  # noqa: PLR0913 - a caller names each
        self,
        ruleset: Ruleset,
        on_match: OnMatch,
        *,
        level: int | str = logging.NOTSET,
        capacity: int = 10_000,
        event_of: Callable[[logging.LogRecord], dict[str, Any]] = record_event,
        stop_seconds: float = 5.0,
    ) -> None:
        super().__init__(level)
        if capacity < 1:
            raise ValueError(f"capacity is at least 1, not {capacity}")
        self.dropped = 0
        self._ruleset = ruleset
        self._on_match = on_match
        self._capacity = capacity
        self._event_of = event_of
        self._stop_seconds = stop_seconds
        self._waiting: queue.Queue[tuple[logging.LogRecord, dict[str, Any]] | None] = queue.Queue(capacity)
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._closed = False

    def handle(self, record: logging.LogRecord) -> bool:
        """Take the record, unless the callback logged it."""
        # Told before the handler's lock is taken: at the end logging holds that while it waits for the callback.
        if self._thread is threading.current_thread():
            return False
        return bool(super().handle(record))  # a record, in newer versions of Python

    def emit(self, record: logging.LogRecord) -> None:
        """Leave the record to the handler's thread; never waits, never raises."""
        if self._closed:
            return
        try:
            event = {name: _settled(value) for name, value in self._event_of(record).items()}
            self._ensure_thread()
        except Exception:  # noqa: BLE001 - as logging does with a message that cannot be put together
            self.handleError(record)
            return
        try:
            self._waiting.put_nowait((record, event))
        except queue.Full:
            self.dropped += 1

    def flush(self) -> None:
        """Wait until what was logged before is judged, ``stop_seconds`` at most."""
        self._wait(time.monotonic() + self._stop_seconds)

    def _wait(self, until: float) -> None:
        if self._closed or self._thread is threading.current_thread() or self._process != os.getpid():
            return
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks and (left := until - time.monotonic()) > 0:
                self._waiting.all_tasks_done.wait(left)

    def close(self) -> None:
        """Judge what waits, ``stop_seconds`` at most, and end the thread."""
        if not self._closed:
            until = time.monotonic() + self._stop_seconds
            self._wait(until)
            self._closed = True
            if (
                self._thread is not None
                and self._thread is not threading.current_thread()
                and self._process == os.getpid()
            ):
                try:
                    self._waiting.put_nowait(None)
                except queue.Full:
                    pass  # it is stuck in the callback; as a daemon it ends with the program
                else:
                    self._thread.join(max(0.0, until - time.monotonic()))
        super().close()

    def _ensure_thread(self) -> None:
        """Start the thread; in a forked process once more, where the parent's did not come along."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._process != os.getpid():
            self._waiting = queue.Queue(self._capacity)
            self._process = os.getpid()
        self._thread = threading.Thread(target=self._judge_all, name="sigma-pyeval-logging", daemon=True)
        self._thread.start()

    def _judge_all(self) -> None:
        waiting = self._waiting
        while (one := waiting.get()) is not None:
            record, event = one
            try:
                for match in self._ruleset.match(event):
                    self._on_match(match, record)
            except Exception:  # noqa: BLE001 - a callback's mistake must not end detection
                self.handleError(record)
            finally:
                waiting.task_done()

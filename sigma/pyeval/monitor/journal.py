"""The service's own log: one entry a message on standard error, with nothing in it that could pass for another entry."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, TextIO

from sigma.pyeval.output import counted, json_line, printable

LOGGER = logging.getLogger("sigma_pyeval.monitor")

LogFormat = Literal["text", "json"]

SHOWN = 10
"""So many messages of one kind are logged each minute; the others are counted."""

_PERIOD = 60.0
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""Levels of syslog(3), which sd-daemon(3) takes at the start of a line."""

_PART = re.compile(r"((?:source|sink) [A-Za-z0-9._-]{1,64}|server|spool|rules|reload\w*)\b")
"""What a message is about: this service's messages begin with it, and what they tell of others only comes behind."""


class _OneLine(logging.Formatter):
    """``time level message``; control and bidirectional characters are written as escapes.

    Args:
        in_journal: Whether each line begins with its priority for the journal (``<4>``).
    """

    def __init__(self, *, in_journal: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)  # with a traceback, where there is one: its newlines are escaped too
        start = _priority(record.levelno) if self._in_journal else ""
        return "\n".join(
            f"{start}{' ' if number else ''}{printable(line)}" for number, line in enumerate(text.split("\n"))
        )


class _Json(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``part``, ``message``, and ``traceback`` where there is one.

    ``part`` is ``source NAME``, ``sink NAME``, ``server``, ``rules``, ``spool``, ``reloading``, or ``service`` for the rest.

    Args:
        in_journal: As for text.
    """

    def __init__(self, *, in_journal: bool) -> None:
        super().__init__()
        self._in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        moment = time.gmtime(record.created)
        part = _PART.match(message)
        entry = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "part": "service" if part is None else part[1],
            "message": printable(message),
        }
        if record.exc_info:
            entry["traceback"] = "\n".join(map(printable, self.formatException(record.exc_info).split("\n")))
        start = _priority(record.levelno) if self._in_journal else ""
        return start + json_line(entry).decode("utf-8")


def log_to_stderr(level: str = "info", style: LogFormat = "text") -> None:
    """Send the service's messages of *level* and above to standard error.

    Where that is the journal, each line begins with its priority, which the journal takes off.
    """
    handler = logging.StreamHandler()
    kind = _Json if style == "json" else _OneLine
    handler.setFormatter(kind(in_journal=is_journal(sys.stderr, os.environ)))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether *stream* goes to the journal: ``JOURNAL_STREAM`` has its device and inode (systemd.exec(5))."""
    told = environment.get("JOURNAL_STREAM")
    if not told:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return told == f"{status.st_dev}:{status.st_ino}"


def _priority(level: int) -> str:
    return next(f"<{priority}>" for least, priority in _PRIORITIES if level >= least)


class Throttle:
    """Logs the first messages of a minute and then how many more there were: a broken log must not fill the disk.

    Args:
        name: What the messages are about.
        clock: Tells seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._began = clock()
        self._count = 0

    def warning(self, message: str) -> None:
        """Log or count *message*."""
        if self._clock() - self._began >= _PERIOD:
            self.end_period()
        self._count += 1
        if self._count <= SHOWN:
            LOGGER.warning("%s: %s", self._name, printable(message))

    def end_period(self) -> None:
        """Say how many messages were not shown, and begin anew; also called when the service ends."""
        if self._count > SHOWN:
            LOGGER.warning("%s: %s more like these", self._name, counted(self._count - SHOWN, "message"))
        self._began, self._count = self._clock(), 0

"""The service's own log: one line a message on standard error, with nothing in it that could pass for another line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from sigma.pyeval.output import counted, printable

LOGGER = logging.getLogger("sigma_pyeval.monitor")

SHOWN = 10
"""So many messages of one kind are logged each minute; the others are counted."""

_PERIOD = 60.0


class _OneLine(logging.Formatter):
    """``time level message``; control and bidirectional characters are written as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)  # with a traceback, where there is one: its newlines are escaped too
        return printable(text) if "\n" not in text else "\n ".join(map(printable, text.split("\n")))


def log_to_stderr(level: str = "info") -> None:
    """Send the service's messages of *level* and above to standard error."""
    handler = logging.StreamHandler()
    formatter = _OneLine("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


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

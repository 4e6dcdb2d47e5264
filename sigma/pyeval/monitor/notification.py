"""What systemd is told of the service: that it runs, reloads and stops, how it is, and that it is alive (sd_notify(3)).

A no-op where the service was not started with ``Type=notify``. Nothing that goes wrong here stops the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from typing import Final

from sigma.pyeval.output import printable

from .journal import LOGGER
from .readiness import Readiness

STATUS_SECONDS: Final = 10.0
"""How often the status line is told."""

_LONGEST_STATUS = 1_000
_MOST_OWED = 16


class Notifier:
    """The socket of the service manager.

    Args:
        environment: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are; they are taken out of it, so that
            programs that the service starts don't speak for it.

    Attributes:
        watchdog_seconds: Within which time ``alive`` has to be called again, or ``None``.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog(environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", ""))
        self._socket: socket.socket | None = None
        self._address = ""
        self._owed: list[str] = []
        if not address:
            self.watchdog_seconds = None
            return
        if address[0] not in "/@" or len(address) < 2:
            LOGGER.warning(
                "NOTIFY_SOCKET: %s is no socket of this machine; systemd is told nothing", printable(address)
            )
            return
        self._address = "\0" + address[1:] if address[0] == "@" else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self) -> None:
        """Tell that every part runs."""
        self._tell("READY=1\nSTATUS=running")

    def stopping(self) -> None:
        """Tell that the service ends."""
        self._tell("STOPPING=1\nSTATUS=stopping: what was read is judged and delivered")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that the service reloads, and behind the body that it runs again, whatever came of it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self._tell("READY=1")

    def status(self, text: str) -> None:
        """Tell in one line how the service is."""
        self._tell(f"STATUS={printable(text)[:_LONGEST_STATUS]}", owed=False)

    def alive(self) -> None:
        """Keep the watchdog quiet until ``watchdog_seconds`` from now."""
        self._tell("WATCHDOG=1", owed=False)

    async def run(self, readiness: Readiness) -> None:
        """Tell the status, and while no part is stuck that the service is alive; never ends by itself.

        It runs in the event loop: where that stands still, nothing is told either, and systemd ends the service.
        """
        pause = min(STATUS_SECONDS, (self.watchdog_seconds or STATUS_SECONDS * 2) / 2)
        told = 0.0
        was_stuck = ""
        while True:
            self._pay()
            stuck = readiness.stuck()
            if stuck and not was_stuck:
                LOGGER.error("%s; the watchdog is not told any more that the service is alive", stuck)
            elif was_stuck and not stuck:
                LOGGER.info("the service gets on again")
            was_stuck = stuck
            if not stuck and self.watchdog_seconds is not None:
                self.alive()
            if time.monotonic() - told >= min(STATUS_SECONDS, pause):
                told = time.monotonic()
                self.status(readiness.summary())
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, message: str, *, owed: bool = True) -> None:
        """Send *message*; what the manager has no room for is sent again later where it is *owed*."""
        if self._socket is None:
            return
        if owed and self._owed:  # in order
            self._owed.append(message)
            self._pay()
        elif not self._sent(message) and owed:
            self._owed.append(message)
        del self._owed[:-_MOST_OWED]

    def _pay(self) -> None:
        while self._owed and self._sent(self._owed[0]):
            del self._owed[0]

    def _sent(self, message: str) -> bool:
        """Make one attempt; return whether another would be of no use."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(message.encode("utf-8"), self._address)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.ENOBUFS}:
                return False
            LOGGER.warning("systemd cannot be told: %s", error.strerror)
        return True


def _watchdog(microseconds: str, process: str) -> float | None:
    """Return the watchdog's time in seconds (sd_watchdog_enabled(3)); ``None`` without one, or where it is another process's."""
    if not (microseconds.isascii() and microseconds.isdigit()) or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 or None

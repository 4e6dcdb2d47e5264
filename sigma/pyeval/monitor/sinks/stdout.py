"""Alerts as lines on standard output: JSON for programs, or a sentence each for people."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from sigma.pyeval.monitor.batches import Json, SendError
from sigma.pyeval.monitor.settings import SinkSettings
from sigma.pyeval.output import json_line

from .alert_text import text_message

LONGEST_TEXT: Final = 2_000
"""Bytes of one alert as text."""


class StdoutSettings(SinkSettings):
    """Lines on standard output."""

    type: Literal["stdout"]

    format: Literal["json", "text"] = "json"
    """``json``: the alert as it is; ``text``: when, level, title, host, what happened and what matched, for people."""


class StdoutSink:
    """Writes to standard output, whatever that is, and waits for who reads it without holding up anything else; ``Sink``.

    Standard output may be shared with other programs, so it is left in blocking mode: only as much is written at once as a
    pipe is sure to take (PIPE_BUF, pipe(7)).

    Args:
        settings: The sink's settings.
        descriptor: What is written to instead of standard output; not closed.
    """

    kind = "stdout"
    most = 500
    linger = 0.0

    def __init__(self, settings: StdoutSettings, descriptor: int = 1) -> None:
        self.name = settings.name or settings.type
        self._line = _text_line if settings.format == "text" else json_line
        self._descriptor = descriptor
        self._terminal: int | None = None
        self._torn = False

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Write *alerts*; a line left unfinished by a call before, which failed or was cancelled, is ended first."""
        lines = b"".join(self._line(alert) + b"\n" for alert in alerts)
        rest = memoryview(b"\n" + lines if self._torn else lines)
        try:
            descriptor = self._writable_descriptor()
            while rest:
                waits = await _writable(descriptor)
                written = (
                    self._write(descriptor, rest[: select.PIPE_BUF])
                    if waits
                    else await asyncio.to_thread(self._write, descriptor, rest)
                )
                rest = rest[written:]
        except OSError as error:
            raise SendError(f"standard output: {error.strerror}") from error

    async def reopen(self) -> None:
        """Do nothing: standard output has no name to be opened by."""

    async def close(self) -> None:
        """Leave standard output open."""
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _write(self, descriptor: int, data: memoryview) -> int:
        try:
            written = os.write(descriptor, data)
        except BlockingIOError:  # another writer was faster
            return 0
        if written:
            self._torn = data[written - 1] != ord("\n")
        return written

    def _writable_descriptor(self) -> int:
        """Return what to write to; a terminal is opened anew without blocking, since it can be stopped (Ctrl-S)."""
        if self._terminal is None and os.isatty(self._descriptor):
            with contextlib.suppress(OSError):  # not ours to open: written to as it is
                name = os.ttyname(self._descriptor)
                self._terminal = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        return self._descriptor if self._terminal is None else self._terminal


def _text_line(alert: Mapping[str, Json]) -> bytes:
    moment = str(alert.get("event_time") or alert.get("detected") or "")[:19]
    return f"{moment} {text_message(alert, LONGEST_TEXT)}".lstrip().encode("utf-8", "replace")


async def _writable(descriptor: int) -> bool:
    """Wait until *descriptor* takes something; return ``False`` for a file, which is not waited for."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_writer(descriptor, _settle, ready)
    except PermissionError:  # epoll_ctl(2): a regular file, or a device without waiting
        return False
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)
    return True


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

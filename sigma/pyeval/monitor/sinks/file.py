"""Alerts as lines of JSON at the end of a file; a line is whole or not there, and on disk when its alert counts as delivered."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from sigma.pyeval.monitor.batches import Json, SendError
from sigma.pyeval.monitor.settings import SinkSettings
from sigma.pyeval.output import json_line, printable

LOCK_SECONDS = 5.0
"""So long another process that writes to the file is waited for."""

# Without O_NONBLOCK, opening a pipe that nobody reads would wait for ever.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK


def _file_path(value: str) -> str:
    if not value or "\0" in value or value.endswith("/"):
        raise ValueError("is no path of a file")
    return value


class FileSinkSettings(SinkSettings):
    """Lines of JSON in a file."""

    type: Literal["file"]

    path: Annotated[str, AfterValidator(_file_path)]
    """The file; made with mode 0600. A symbolic link is refused. Its folder has to be there."""

    fsync: bool = True
    """Whether an alert counts as delivered only when it is on disk, not in the system's memory alone."""


class FileSink:
    """Appends to a file, which may be renamed or deleted at any time; ``Sink``."""

    kind = "file"
    most = 500
    linger = 0.0

    def __init__(self, settings: FileSinkSettings) -> None:
        self.name = settings.name or settings.type
        self._path = Path(settings.path)
        self._fsync = settings.fsync
        self._descriptor: int | None = None
        # A send that was cancelled goes on in its thread.
        self._lock = threading.Lock()

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Append *alerts*, all or none."""
        try:
            await asyncio.to_thread(self._append, alerts)
        except OSError as error:
            raise SendError(f"{printable(str(self._path))}: {error.strerror or error}") from error

    async def reopen(self) -> None:
        """Close the file; the next alerts open what has its name then."""
        await asyncio.to_thread(self._close_locked)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._close_locked)

    def _append(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        lines = b"".join(json_line(alert) + b"\n" for alert in alerts)
        with self._lock:
            try:
                descriptor = self._opened()
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    _append_whole(descriptor, lines, fsync=self._fsync)
                else:
                    _write(descriptor, lines)
            except OSError:
                # After an error of fsync(2) only a new descriptor can be trusted.
                self._close()
                raise

    def _opened(self) -> int:
        """Return a descriptor of the file that has the name now, which is made where there is none."""
        if self._descriptor is not None and not self._has_name(self._descriptor):
            self._close()
        if self._descriptor is None:
            self._descriptor = _open(self._path)
            if self._fsync:
                _sync_folder(self._path.parent)
        return self._descriptor

    def _has_name(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _close_locked(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed") from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISCHR(mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is neither a file nor a device")


def _sync_folder(folder: Path) -> None:
    """Bring a new file's name to disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written to but not read; the file's own fsync has to do
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append_whole(descriptor: int, lines: bytes, *, fsync: bool) -> None:
    """Append *lines* to a regular file, or leave it as it was; other processes that do the same wait."""
    _lock_file(descriptor)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # by a crash, or a disk that was full
        try:
            _write(descriptor, b"\n" + lines if torn else lines)
            if fsync:
                os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        if os.fstat(descriptor).st_nlink == 0:
            raise OSError(errno.ESTALE, "was deleted while it was written to")
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _lock_file(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise OSError(errno.EAGAIN, "is locked by another process") from error
            time.sleep(0.005)
        else:
            return


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

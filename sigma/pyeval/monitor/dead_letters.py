"""What can be neither handled nor thrown away: one file of JSON lines for each source and sink."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sigma.pyeval.output import json_line


class DeadLetterFile:
    """Appends records to a file of mode 0600; each is on disk when ``append`` returns.

    Args:
        path: The file; it and its directory are made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = asyncio.Lock()

    async def append(self, records: Sequence[dict[str, Any]]) -> None:
        """Write one line for each of *records*, with the time; OSError where the file cannot be written."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = b"".join(json_line({"time": now, **record}) + b"\n" for record in records)
        async with self._lock:
            await asyncio.to_thread(self._write, lines)

    def _write(self, lines: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self.path, flags, 0o600), "r+b", buffering=0) as file:
            start = file.seek(0, os.SEEK_END)
            if start and os.pread(file.fileno(), 1, start - 1) != b"\n":
                lines = b"\n" + lines  # a power failure cut the last one off
            try:
                if file.write(lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), start)  # no half line before the next one
                raise
        if is_new:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def message_record(reason: str, place: dict[str, str | int], raw: bytes) -> dict[str, Any]:
    """Return the record of a message that could not be read: its bytes in base64, as they may be no text."""
    return {"reason": reason, "place": place, "raw_base64": base64.b64encode(raw).decode("ascii")}


def alert_record(reason: str, alert: Any) -> dict[str, Any]:
    """Return the record of an alert that a sink refused."""
    return {"reason": reason, "alert": alert}

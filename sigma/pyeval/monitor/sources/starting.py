"""Where a file begins whose older lines are not wanted: behind its last whole line."""

from __future__ import annotations

import os

from .fingerprint import HEAD_BYTES, TAIL_BYTES, Digest, Mark
from .logfiles import CHUNK_BYTES, PlainFile


def mark_at_end(path: str, now: int, max_line_bytes: int) -> Mark:
    """Return the place behind the last newline of the file at *path*; its beginning if it cannot be read yet.

    Args:
        path: The file.
        now: Nanoseconds since 1970.
        max_line_bytes: A line that is longer and not at its end is passed over.
    """
    try:
        file = PlainFile(path)
    except OSError:
        # Reading tells what is wrong; once it can be read, all of it is new.
        return Mark.at_beginning(path, now)
    try:
        offset = _behind_last_newline(file, max_line_bytes)
        head = file.read_at(0, min(offset, HEAD_BYTES))
        tail = file.read_at(max(0, offset - TAIL_BYTES), min(offset, TAIL_BYTES))
        return Mark(0, offset, Digest.of(head), Digest.of(tail), file.device, file.inode, now, os.path.realpath(path))
    finally:
        file.close()


def _behind_last_newline(file: PlainFile, max_line_bytes: int) -> int:
    end = size = file.status().st_size
    while end > 0 and size - end <= max_line_bytes:
        start = max(0, end - CHUNK_BYTES)
        newline = file.read_at(start, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0 if end == 0 else size

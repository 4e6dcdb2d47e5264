"""Open log files: plain ones, read at any place and seen to change; compressed ones, read from the beginning on."""

from __future__ import annotations

import errno
import io
import lzma
import os
import stat
import sys
import zlib
from typing import Final, Protocol, cast

from sigma.pyeval.logs.inputs import CompressionUnavailableError, open_log

from .fingerprint import HEAD_BYTES, TAIL_BYTES, Mark
from .rotation import FolderChanging, Seen

CHUNK_BYTES: Final = 256 * 1024
"""So much is read at once."""


class LogFile(Protocol):
    """One open file of a log.

    Attributes:
        path: Where it lay when it was opened.
        packed: Whether it is compressed: nobody writes to it, and it is read only forwards.
        device: The file system it is on, and
        inode: its number there.
    """

    path: str
    packed: bool
    device: int
    inode: int

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* uncompressed bytes from *position* on; none at the end.

        Raises:
            OSError: It cannot be read, or is damaged from here on.
        """

    def before(self, mark: Mark) -> tuple[bytes, bytes] | None:
        """Return the first bytes and those before the mark's place, or ``None`` if it is another file than the mark's."""

    def status(self) -> os.stat_result:
        """Return its size, and when it was last written to."""

    def close(self) -> None:
        """Close it."""


class PlainFile:
    """A file as it is written to (``LogFile``).

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """

    packed = False

    def __init__(self, path: str) -> None:
        self.path = path
        # A named pipe must not make the service wait for its writer.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = self.status()
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file")
        self.device, self.inode = found.st_dev, found.st_ino

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position* on."""
        return os.pread(self._descriptor, size, position)

    def before(self, mark: Mark) -> tuple[bytes, bytes] | None:
        """Return the first bytes and those before the mark's place, if it is the mark's file."""
        if self.status().st_size < mark.offset:
            return None
        head = self.read_at(0, min(mark.offset, HEAD_BYTES))
        tail = self.read_at(max(0, mark.offset - TAIL_BYTES), min(mark.offset, TAIL_BYTES))
        return (head, tail) if _fits(mark, head, tail) else None

    def status(self) -> os.stat_result:
        """Return its size, and when it was last written to."""
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class PackedFile:
    """A compressed file (``LogFile``); places are those in what it holds.

    Raises:
        OSError: It cannot be opened, or what it is compressed with needs a package that is not installed.
    """

    packed = True

    def __init__(self, path: str) -> None:
        self.path = path
        self._status = os.stat(path)
        self.device, self.inode = self._status.st_dev, self._status.st_ino
        try:
            self._stream = cast(io.BufferedReader, open_log(path))
        except CompressionUnavailableError as error:
            raise OSError(errno.ENOTSUP, str(error)) from error
        self._position = 0
        self._broken: OSError | None = None

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position* on, which is not before what was read last."""
        while self._position < position:
            if not self._read(min(position - self._position, CHUNK_BYTES)):
                return b""
        return self._read(size)

    def _read(self, size: int) -> bytes:
        """Return *size* bytes, fewer only before the end or damage."""
        pieces = []
        while size > 0 and self._broken is None:
            try:
                piece = self._stream.read1(size)
            except _damage() as error:
                finding = f"damaged after {self._position} bytes of its text: {error}"
                self._broken = OSError(errno.EIO, finding)
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
        if self._broken is not None and not pieces:
            raise self._broken
        return b"".join(pieces)

    def before(self, mark: Mark) -> tuple[bytes, bytes] | None:
        """Return the first bytes and those before the mark's place, if it is the mark's file; to be asked only once."""
        head = self._read(min(mark.offset, HEAD_BYTES))
        if not mark.head.fits(head):
            return None
        tail = head[-TAIL_BYTES:]
        while self._position < mark.offset:
            data = self._read(min(mark.offset - self._position, CHUNK_BYTES))
            if not data:
                return None
            tail = (tail + data)[-TAIL_BYTES:]
        return (head, tail) if _fits(mark, head, tail) else None

    def status(self) -> os.stat_result:
        """Return its size and time as they were when it was opened."""
        return self._status

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def _fits(mark: Mark, head: bytes, tail: bytes) -> bool:
    return (
        mark.head.fits(head) and len(tail) >= mark.tail.length and mark.tail.fits(tail[len(tail) - mark.tail.length :])
    )


def _damage() -> tuple[type[Exception], ...]:
    """Return what reading a damaged file raises; zstandard has a class of its own, and is there only if it was needed."""
    kinds: tuple[type[Exception], ...] = (OSError, EOFError, lzma.LZMAError, zlib.error)
    zstandard = sys.modules.get("zstandard")
    return kinds if zstandard is None else (*kinds, zstandard.ZstdError)


def open_seen(seen: Seen) -> LogFile:
    """Return the file that was seen, open.

    Raises:
        OSError: It cannot be opened.
        FolderChanging: Another file has its name by now.
    """
    try:
        file: LogFile = PackedFile(seen.path) if seen.packed else PlainFile(seen.path)
    except FileNotFoundError as error:
        raise FolderChanging(f"{seen.path}: renamed") from error
    if not seen.is_file(file.device, file.inode):
        file.close()
        raise FolderChanging(f"{seen.path}: renamed")
    return file

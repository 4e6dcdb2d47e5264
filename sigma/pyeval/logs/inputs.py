"""Opening log files, compressed or not: the content tells, not the name. Reading files is for this module."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

_PIECE = 1 << 10
"""Compressed bytes that are decompressed at once: at the most (blocks of one repeated byte) they become 32 MiB."""

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


class CompressionUnavailableError(ImportError):
    """The file is compressed in a way that needs an optional package."""


def open_log(path: str | Path) -> BinaryIO:
    """Return the uncompressed bytes of the file at *path* as a buffered reader; the caller closes it.

    gzip, bzip2, xz and zstd (package ``zstandard``) are recognised, several members or frames one after the
    other too. Nothing is read ahead beyond a buffer, so a file may be of any uncompressed size. A file that
    is cut off or damaged raises ``EOFError`` or ``OSError`` (``lzma.LZMAError`` for xz) where reading meets
    the damage, after the lines before.

    Raises:
        OSError: The file cannot be opened.
        CompressionUnavailableError: It is zstd-compressed and ``zstandard`` is not installed.
    """
    file = Path(path).open("rb")  # noqa: SIM115 (handed to the caller)
    try:
        return decompressed(file)
    except BaseException:
        file.close()
        raise


def decompressed(file: io.BufferedReader) -> BinaryIO:
    """Return a reader of what *file* holds, uncompressed; *file* itself where it is not compressed.

    Raises:
        CompressionUnavailableError: As :func:`open_log`.
    """
    magic = file.peek(6)[:6]
    if magic.startswith(_GZIP):
        return _Decompressed(gzip.GzipFile(fileobj=file), file)
    if magic.startswith(_BZIP2):
        return _Decompressed(bz2.BZ2File(file), file)
    if magic.startswith(_XZ):
        return _Decompressed(lzma.LZMAFile(file), file)
    if magic.startswith(_ZSTD):
        return _zstd(file)
    return file


def _zstd(file: io.BufferedReader) -> BinaryIO:
    try:
        zstandard = import_module("zstandard")
    except ImportError as error:
        raise CompressionUnavailableError(
            "the file is zstd-compressed, which needs the package zstandard: pip install zstandard"
        ) from error
    return _Decompressed(_ZstdFrames(zstandard.ZstdDecompressor(), file), file)


class _ZstdFrames:
    """Frames one after the other; unlike the library's own reader it tells of a frame that is cut off.

    Args:
        decompressor: A ``zstandard.ZstdDecompressor``.
        file: What is compressed.
    """

    def __init__(self, decompressor: Any, file: BinaryIO) -> None:
        self._decompressor = decompressor
        self._frame = decompressor.decompressobj()
        self._file = file
        self._text = b""
        self._compressed = b""

    def read1(self, size: int) -> bytes:
        """Return up to *size* bytes, none at the end; EOFError where the file ends within a frame."""
        while not self._text:
            self._compressed = self._compressed or self._file.read(_PIECE)
            if not self._compressed:
                if not self._frame.eof:
                    raise EOFError("the file ends within a zstd frame")
                return b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._text = self._frame.decompress(self._compressed)
            self._compressed = self._frame.unused_data if self._frame.eof else b""
        piece, self._text = self._text[:size], self._text[size:]
        return piece

    def close(self) -> None:
        """Do nothing: the file is closed by who opened it."""


class _Decompressed(io.BufferedReader):
    """A buffered reader that closes the compressed *file* together with the reader on top of it."""

    def __init__(self, reader: Any, file: io.BufferedReader) -> None:
        super().__init__(_Pieces(reader))
        self._file = file

    def close(self) -> None:
        """Close both; safe to call twice."""
        try:
            super().close()
        finally:
            self._file.close()


class _Pieces(io.RawIOBase):
    """Hands on each piece that *reader* has decompressed, so that damage behind it takes none before it along."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of *buffer*; return how much of it."""
        piece = self._reader.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close the reader too."""
        try:
            super().close()
        finally:
            self._reader.close()

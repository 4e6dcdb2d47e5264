"""Log files to records: opened, decompressed, their format told from their content, lines fed to its parser."""

from __future__ import annotations

import itertools
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from .evtx import MAGIC as EVTX_MAGIC
from .evtx import EvtxUnavailableError, read_evtx
from .formats import SAMPLE_BYTES, SAMPLE_LINES, FormatError, create_parser, detect_format
from .inputs import CompressionUnavailableError, decompressed
from .records import Parser, Problem, Record

AUTO = "auto"
LONGEST_LINE = 16 << 20
"""Bytes of the longest line that is parsed; what is longer is a problem, and never held in memory as a whole."""
_PROGRESS_LINES = 1000
_DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)

Progress = Callable[[int], None]
Records = Generator[Record | Problem, None, None]
"""Records and problems in order; closing it closes the file."""


class LogError(ValueError):
    """A log that cannot be read at all: why, and what to do about it."""


def read_log(
    path: Path,
    input_format: str = AUTO,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Records:
    """Return the records and problems of the file at *path*; nothing is kept but what the format's parser holds back.

    Args:
        path: The file; gzip, bzip2, xz and zstd are recognised.
        input_format: A name of ``formats.FORMATS``, ``evtx``, or ``auto`` to tell it from the content.
        options: Keyword arguments of the format's parser.
        progress: Called with the number of bytes of the file read so far, every now and then.

    Raises:
        LogError: The file cannot be opened, or its format not be told. A log that turns out to be damaged yields a problem.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}") from error
    try:
        if input_format == "evtx" or (input_format == AUTO and file.peek(8).startswith(EVTX_MAGIC)):
            file.close()
            return read_evtx(path)
        stream = decompressed(file)
        records = read_stream(stream, input_format, options, progress and (lambda: progress(file.tell())))
    except (CompressionUnavailableError, EvtxUnavailableError) as error:
        file.close()
        raise LogError(str(error)) from error
    except BaseException:
        file.close()
        raise
    return _closing(stream, records)


def read_stream(
    stream: BinaryIO,
    input_format: str = AUTO,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[], None] | None = None,
) -> Records:
    """Return the records and problems of an open binary *stream*; arguments and errors as in ``read_log``.

    The stream is read as far as its format needs to be told, the rest as records are taken.
    """
    lines = _lines(stream)
    if input_format == AUTO:
        sample, lines = _sample(lines)
        input_format = _format_of(sample)
    try:
        parser = create_parser(input_format, **(options or {}))
    except (FormatError, ValueError) as error:
        raise LogError(str(error)) from error
    return _records(parser, lines, progress)


def _sample(lines: Iterator[bytes]) -> tuple[list[bytes], Iterator[bytes]]:
    """Return the lines that tell the format, and all lines from the first on; damage comes where it stands."""
    sample: list[bytes] = []
    try:
        for line in lines:
            sample.append(line)
            if len(sample) >= SAMPLE_LINES or sum(map(len, sample)) > SAMPLE_LINES * SAMPLE_BYTES:
                break
    except _DAMAGE as error:
        if not sample:
            raise LogError(f"damaged from the beginning: {error}") from error
        lines = _raising(error)
    return sample, itertools.chain(sample, lines)


def _raising(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""


def _format_of(sample: list[bytes]) -> str:
    """Return the format that the first lines of a log are in; an empty log is in any, as there is nothing in it."""
    if not any(line.strip() for line in sample):
        return "jsonl"
    detection = detect_format([line.rstrip(b"\r\n") for line in sample])
    if detection.format is None:
        raise LogError(f"format unknown: {detection.reason}; see --input-format")
    return detection.format


def _records(parser: Parser, lines: Iterator[bytes], progress: Callable[[], None] | None) -> Records:
    number = 0
    feed = parser.feed
    try:
        for number, line in enumerate(lines, 1):
            if len(line) >= LONGEST_LINE:
                yield Problem.at(number, f"a line longer than {LONGEST_LINE >> 20} MiB is left out", line)
                continue
            yield from feed(number, line.rstrip(b"\r\n"))
            if progress is not None and number % _PROGRESS_LINES == 0:
                progress()
    except _DAMAGE as error:
        yield Problem.at(number + 1, f"the log is damaged from here on: {error}", b"")
    yield from parser.flush()


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*; of one that is too long only the beginning, the rest is passed over."""
    read = partial(stream.readline, LONGEST_LINE)
    for line in iter(read, b""):
        yield line
        while len(line) >= LONGEST_LINE and not line.endswith(b"\n"):
            line = read()  # noqa: PLW2901


def _closing(stream: BinaryIO, records: Iterator[Record | Problem]) -> Records:
    with stream:
        yield from records

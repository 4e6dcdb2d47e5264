"""A scan over several processes: logs, and parts of large ones, side by side; findings in the order of one process.

Correlation rules need one stream: workers match, the parent correlates.

Each worker is forked with the rules it shall hold against the events. Formats whose lines stand alone are cut into parts at
line ends; audit logs, journals and syslog, whose lines may belong together, are left whole, one worker a log.
"""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .findings import Finding
from .logs.formats import SAMPLE_LINES, detect_format
from .logs.reading import AUTO, LogError, read_log, read_stream
from .logs.records import Problem, Record
from .rules import LogSource, Match
from .scanning import STDIN, Scan

PART_BYTES = 8 << 20
LARGEST_WHOLE_BYTES = 64 << 20
"""A log of more bytes than this that cannot be cut is read by the parent itself, finding by finding: nothing piles up."""
LINES_STAND_ALONE = frozenset({"access", "cef", "cloudtrail", "jsonl", "logfmt", "regex"})
_PIECES_AHEAD = 3  # for each worker, so that none waits while the parent writes


class Part(NamedTuple):
    """A log, or the bytes *start* to *end* of it, whose first line has the number *line*."""

    path: str
    input_format: str
    start: int = 0
    end: int | None = None
    line: int = 1


@dataclass(slots=True)
class PartResult:
    """What a worker found: (number of the rule, event, line, log source, serial), in order, with the problems between."""

    found: list[tuple[int, dict[str, object], int, LogSource, str | None] | Problem] = field(default_factory=list)
    events: int = 0
    readable: bool = True


_scan: Scan | None = None  # what a worker was forked with


def scan_logs(scan: Scan, paths: Iterable[str], jobs: int) -> Iterator[Finding]:
    """Yield the findings of all logs in order, as ``Scan.log`` and ``Scan.finish`` do, read by *jobs* processes.

    What the scan counts and reports is the same as without; at most a few parts are held in memory.
    """
    global _scan  # noqa: PLW0603 - forked workers inherit it; a rule set is far too large to be sent
    _scan = scan
    scan.prepare()  # before the fork, so that the matcher is made once
    waiting: deque[tuple[Part, Future[PartResult] | None]] = deque()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for part in _parts(paths, scan.input_format):
            alone = part.path == STDIN or (part.end is None and _size(part.path) > LARGEST_WHOLE_BYTES)
            waiting.append((part, None if alone else pool.submit(_scan_part, part)))
            while len(waiting) > jobs * _PIECES_AHEAD or (waiting and waiting[0][1] is None):
                yield from _taken(scan, *waiting.popleft())
        while waiting:
            yield from _taken(scan, *waiting.popleft())
    yield from scan.finish()


def _taken(scan: Scan, part: Part, future: Future[PartResult] | None) -> Iterator[Finding]:
    if future is None:
        yield from scan.log(part.path)
        return
    result = future.result()
    if (progress := scan.reading(part.path)) is not None:
        progress(_size(part.path) if part.end is None else part.end)
    if result.readable and part.start == 0:
        scan.logs += 1
    scan.events += result.events
    if part.start == 0:
        scan.begin_log()
    rules = scan.ruleset.rules
    # Correlation takes the matches of one record together.
    for _, rows in itertools.groupby(result.found, key=lambda row: id(row if isinstance(row, Problem) else row[1])):
        first, *others = rows
        if isinstance(first, Problem):
            scan.report(part.path, first)
            continue
        _, event, line, logsource, serial = first
        matches = [Match(rules[number], event) for number, *_ in (first, *others)]
        yield from scan.findings_of(matches, Record(event, line, logsource, serial), part.path)


def _scan_part(part: Part) -> PartResult:
    """Scan one part; runs in a worker."""
    scan = _scan
    assert scan is not None  # noqa: S101 - set before the fork
    numbers = {id(rule): number for number, rule in enumerate(scan.ruleset.rules)}
    result = PartResult()
    try:
        records = _records(part, scan)
    except (LogError, ImportError) as error:
        result.found.append(Problem(0, str(error), ""))
        result.readable = False
        return result
    shift = part.line - 1
    for record in records:
        if isinstance(record, Problem):
            result.found.append(record._replace(line=record.line + shift))
            continue
        result.events += 1
        for match in scan.match(record):
            number = numbers[id(match.rule)]
            result.found.append((number, record.event, record.line + shift, record.logsource, record.serial))
    return result


def _records(part: Part, scan: Scan) -> Iterator[Record | Problem]:
    if part.end is None:
        return read_log(Path(part.path), part.input_format, scan.options)
    try:
        with open(part.path, "rb") as file:
            file.seek(part.start)
            data = file.read(part.end - part.start)
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}") from error
    return read_stream(io.BytesIO(data), part.input_format, scan.options)


def _parts(paths: Iterable[str], input_format: str) -> Iterator[Part]:
    for path in paths:
        cut = _cuttable_format(path, input_format)
        if cut is None:
            yield Part(path, input_format)
        else:
            yield from _cut(path, cut)


def _cuttable_format(path: str, input_format: str) -> str | None:
    """Return the format of a large plain file whose lines stand alone, else ``None``."""
    if path == STDIN or _size(path) <= PART_BYTES:
        return None
    try:
        with open(path, "rb") as file:
            sample = [file.readline(1 << 16).rstrip(b"\r\n") for _ in range(SAMPLE_LINES)]
    except OSError:
        return None
    detected = detect_format(sample).format if input_format == AUTO else input_format
    if detected not in LINES_STAND_ALONE:
        return None
    objects = all(line.startswith(b"{") and line.endswith(b"}") for line in sample if line)
    return detected if objects or detected not in ("jsonl", "cloudtrail") else None


def _cut(path: str, input_format: str) -> Iterator[Part]:
    """Yield parts of about ``PART_BYTES``, cut at line ends; JSON only between ``}`` and ``{``, never within an object."""
    json = input_format in ("jsonl", "cloudtrail")
    start, line = 0, 1
    with open(path, "rb") as file:
        while True:
            data = bytearray(file.read(PART_BYTES))
            if not data:
                return
            while following := file.readline():
                between_objects = following.startswith(b"{") and data[-80:].rstrip().endswith(b"}")
                if data.endswith(b"\n") and (between_objects or not json):
                    file.seek(-len(following), os.SEEK_CUR)
                    break
                data += following
            yield Part(path, input_format, start, start + len(data), line)
            start += len(data)
            line += data.count(b"\n")


def _size(path: str) -> int:
    """Return the size of a regular file; 0 for anything else."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0

"""Windows event log files (``.evtx``), read by the optional package ``evtx``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

from sigma.pyeval.logs.json_values import JsonError, parse_json_text
from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.logs.windows import flatten_windows, windows_logsource

MAGIC = b"ElfFile\0"
MAX_FAILURES = 1000
"""Bad records in a row after which the rest of the file is given up."""


class EvtxUnavailableError(ImportError):
    """The optional package is not installed."""


def read_evtx(path: str | Path) -> Generator[Record | Problem, None, None]:
    """Return the records of the file at *path*, flat; a record's line is its number in the file.

    This one reads the file itself: the format is made of chunks, not of lines.

    Raises:
        EvtxUnavailableError: The package ``evtx`` is not installed.
    """
    try:
        evtx = import_module("evtx")
    except ImportError as error:
        raise EvtxUnavailableError("reading .evtx files needs the package evtx: pip install evtx") from error
    return _read_records(evtx.PyEvtxParser, str(path))


def _read_records(parser: Callable[[str], Any], path: str) -> Generator[Record | Problem, None, None]:
    try:
        records = iter(parser(path).records_json())
    except (OSError, RuntimeError) as error:
        yield Problem.at(0, f"not a readable .evtx file: {error}", path.encode("utf-8", "backslashreplace"))
        return
    number, failures = 0, 0
    while failures < MAX_FAILURES:
        number += 1
        try:
            record = next(records)
        except StopIteration:
            return
        except (OSError, RuntimeError, ValueError) as error:
            failures += 1
            yield Problem.at(number, f"unreadable record: {error}", b"")
            continue
        failures = 0
        yield _record(number, record)
    yield Problem.at(number, f"given up after {MAX_FAILURES} unreadable records in a row", b"")


def _record(number: int, record: dict[str, Any]) -> Record | Problem:
    text = str(record.get("data", ""))
    try:
        event = flatten_windows(parse_json_text(text))
    except JsonError as error:
        return Problem.at(number, f"unreadable record: {error}", text.encode("utf-8", "backslashreplace"))
    if event is None:
        return Problem.at(number, "a record without Event/System", text.encode("utf-8", "backslashreplace"))
    return Record(event, number, windows_logsource(event))

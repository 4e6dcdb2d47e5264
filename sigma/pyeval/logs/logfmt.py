"""Lines of ``key=value`` pairs (logfmt), values with blanks in double quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode, without_surrogates
from sigma.pyeval.rules import LogSource

_PAIR = re.compile(r'\s*([^\s="]{1,256})(?:=("[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]\S*|(?=\s|$)))?(?=\s|$)')

_UNKNOWN = LogSource()


class LogfmtParser(Parser):
    """Lines of pairs to records with text values; ``Parser``.

    A key alone is ``true``, ``key=`` is the empty text, a key that occurs again makes a list. Escapes in
    quotes are JSON's. A line without any pair, or with text that is none, is a problem.

    Args:
        logsource: The log source of the records.
    """

    def __init__(self, logsource: LogSource = _UNKNOWN) -> None:
        self._logsource = logsource

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        text = decode(raw).strip()
        if not text:
            return ()
        event: dict[str, Any] = {}
        position, pairs = 0, 0
        while position < len(text):
            found = _PAIR.match(text, position)
            if found is None:
                return (Problem.at(line, f"no key=value pair at character {position + 1}", raw),)
            key, value = found.groups()
            pairs += value is not None
            _add(event, key, True if value is None else _unquoted(value))
            position = found.end()
        if not pairs:
            return (Problem.at(line, "no key=value pair on this line", raw),)
        return (Record(event, line, self._logsource),)

    def flush(self) -> Iterable[Record | Problem]:
        """Return nothing: each line is complete."""
        return ()


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return without_surrogates(str(json.loads(value, strict=False)))
    except ValueError:
        return value[1:-1]  # an escape that JSON does not have stays as it is


def _add(event: dict[str, Any], key: str, value: object) -> None:
    if key not in event:
        event[key] = value
    elif isinstance(event[key], list):
        event[key].append(value)
    else:
        event[key] = [event[key], value]

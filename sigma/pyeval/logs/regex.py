"""Lines of a custom format, read by a regular expression with named groups."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode
from sigma.pyeval.rules import LogSource

MAX_LINE_CHARACTERS = 64 * 1024
"""Longer lines are not searched: how long a pattern takes is up to who wrote it."""

_UNKNOWN = LogSource()


class RegexError(ValueError):
    """A pattern that cannot be used; the message says why."""


class RegexParser(Parser):
    """Lines to records whose fields are the named groups that took part in the match; ``Parser``.

    Args:
        pattern: A regular expression of Python's ``re`` with at least one named group, matched from the
            line's start.
        logsource: The log source of the records.

    Raises:
        RegexError: *pattern* is not valid or has no named group.
    """

    def __init__(self, pattern: str, logsource: LogSource = _UNKNOWN) -> None:
        try:
            self._pattern = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise RegexError(f"not a regular expression: {error}") from error
        if not self._pattern.groupindex:
            raise RegexError("the pattern has no named group (?P<name>...), so no event would have a field")
        self._logsource = logsource

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        text = decode(raw).rstrip("\r\n")
        if not text:
            return ()
        if len(text) > MAX_LINE_CHARACTERS:
            return (Problem.at(line, f"line longer than {MAX_LINE_CHARACTERS} characters", raw),)
        found = self._pattern.match(text)
        if found is None:
            return (Problem.at(line, "the pattern does not match this line", raw),)
        event = {name: value for name, value in found.groupdict().items() if value is not None}
        return (Record(event, line, self._logsource),)

    def flush(self) -> Iterable[Record | Problem]:
        """Return nothing: each line is complete."""
        return ()

"""JSON logs: an object a line, objects in envelopes or arrays, and objects printed over many lines.

Compact lines take the fast way, one call of orjson each. Only what no single line can be read as is collected
until its brackets close.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sigma.pyeval.logs.json_values import JsonError, parse_json, parse_json_text
from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.sysmon_linux import add_schema_names
from sigma.pyeval.logs.text import BYTE_ORDER_MARK
from sigma.pyeval.logs.windows import flatten_windows, windows_logsource
from sigma.pyeval.rules import LogSource

MAX_OBJECT_BYTES = 16 << 20
"""Longest object over several lines; a longer one is a problem."""

CLOUDTRAIL = LogSource(product="aws", service="cloudtrail")

_UNKNOWN = LogSource()
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]"]')

Event = dict[str, Any]


class EnvelopeError(ValueError):
    """A record that is not where the path says; the message names the step."""


class JsonLinesParser(Parser):
    """JSON text to records; ``Parser``.

    Accepted are one object a line, an array of objects (on one line or over many), and objects printed over
    several lines, one after the other with or without commas. A record's line is the first of its object.
    Objects of known shape are opened and get their log source: Windows records (``{"Event": {"System":
    ...}}``, made flat), flat Windows events (by Channel), CloudTrail files (``{"Records": [...]}``) and
    records. Events of Sysmon for Linux among them get the names of the Linux event schema besides.

    Args:
        path: Where the event stands in each object: names joined by dots, ``[]`` for each element of an array
            (``log``, ``Records[]``, ``detail.events[]``). Text found there is read as JSON once more.
        logsource: The log source of events whose shape says nothing.
    """

    def __init__(self, path: str | None = None, logsource: LogSource = _UNKNOWN) -> None:
        self._steps = _steps(path) if path else ()
        self._logsource = logsource
        self._pending: list[tuple[int, bytes]] = []
        self._size = 0
        self._depth = 0
        self._in_array = False

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the records of the objects that end on this line."""
        if self._pending:
            return self._continue(line, raw)
        text = raw.strip()
        if not text:
            return ()
        if self._in_array or text[:1] not in b"{":
            text = self._outside(text.removeprefix(BYTE_ORDER_MARK).strip())
            if not text:
                return ()
        try:
            value = parse_json(text)
        except JsonError as error:
            return self._begin(line, raw, text, str(error))
        return self._values(line, value, raw)

    def flush(self) -> Iterable[Record | Problem]:
        """Return what can be read of an object that was cut off."""
        return self._give_up("the log ends within this object") if self._pending else ()

    def held_from(self) -> int | None:
        """Return the line that an object over several lines begins on."""
        return self._pending[0][0] if self._pending else None

    def _outside(self, text: bytes) -> bytes:
        """Take off what stands around objects: the brackets of an array over lines, and commas."""
        if not self._in_array and text == b"[":
            self._in_array = True
            return b""
        if self._in_array and text[:1] == b"]":
            self._in_array = False
            text = text[1:].strip()
        return text.strip(b", \t")

    def _begin(self, line: int, raw: bytes, text: bytes, reason: str) -> Iterable[Record | Problem]:
        if not self._in_array and text[:1] == b"[" and text.rstrip().endswith((b"{", b"[", b",", b"}")):
            self._in_array, text = (
                True,
                text[1:].strip(),
            )  # an array whose first object begins on the same line
            return self.feed(line, text)
        depth = _depth(text)
        if text[:1] == b"{" and (depth == 0 or (depth == -1 and self._in_array)):
            self._in_array = self._in_array and depth == 0
            return self._side_by_side(line, raw, text)
        if depth is None or depth <= 0 or text[:1] not in (b"{", b"["):
            return (Problem.at(line, reason, raw),)
        self._pending, self._size, self._depth = [(line, text)], len(text), depth
        return ()

    def _continue(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        depth = _depth(raw)
        if depth is None:
            return [*self._give_up("the object is broken off"), *self.feed(line, raw)]
        if raw[:1] == b"{" and depth == 0:  # printed objects indent what is inside them
            try:
                parse_json(raw.rstrip(b", \t\r"))
            except JsonError:
                pass  # a part of the pending object, then
            else:
                return [*self._give_up("the object is broken off"), *self.feed(line, raw)]
        self._pending.append((line, raw))
        self._size += len(raw) + 1
        self._depth += depth
        if self._size > MAX_OBJECT_BYTES:
            return self._give_up(f"object longer than {MAX_OBJECT_BYTES} bytes")
        if self._depth > 0:
            return ()
        return self._complete()

    def _side_by_side(self, line: int, raw: bytes, text: bytes) -> Iterable[Record | Problem]:
        try:
            values = _parse_all(text)
        except JsonError as error:
            return (Problem.at(line, str(error), raw),)
        return [found for value in values for found in self._values(line, value, raw)]

    def _complete(self) -> Iterable[Record | Problem]:
        text = b"\n".join(part for _, part in self._pending)
        try:
            values = _parse_all(text)
        except JsonError as error:
            return self._give_up(str(error))
        line = self._pending[0][0]
        self._pending, self._in_array = [], self._in_array and self._depth >= 0
        return [found for value in values for found in self._values(line, value, text)]

    def _give_up(self, reason: str) -> list[Record | Problem]:
        """Report the pending object, and read those of its lines that are whole objects by themselves."""
        pending, self._pending = self._pending, []
        found: list[Record | Problem] = [Problem.at(pending[0][0], reason, pending[0][1])]
        for line, raw in pending[1:]:
            if raw[:1] != b"{":
                continue
            try:
                value = parse_json(raw.rstrip(b", \t\r"))
            except JsonError:
                continue  # a part of the object that is reported
            found += self._values(line, value, raw)
        return found

    def _values(self, line: int, value: Any, raw: bytes) -> Iterable[Record | Problem]:
        if type(value) is dict and not self._steps:
            return self._records(line, value)
        found: list[Record | Problem] = []
        for element in value if isinstance(value, list) else [value]:
            try:
                for inner in _opened(element, self._steps):
                    if isinstance(inner, dict):
                        found += self._records(line, inner)
                    else:
                        found.append(Problem.at(line, f"not an object but {_kind(inner)}", raw))
            except EnvelopeError as error:
                found.append(Problem.at(line, str(error), raw))
        return found

    def _records(self, line: int, value: Event) -> Iterable[Record | Problem]:
        if "Event" in value and (flat := flatten_windows(value)) is not None:
            return (_record(flat, line, windows_logsource(flat)),)
        if len(value) == 1 and isinstance(elements := value.get("Records"), list):
            events = [element for element in elements if isinstance(element, dict)]
            if len(events) == len(elements):
                return [Record(event, line, logsource_of(event, self._logsource)) for event in events]
        return (_record(value, line, logsource_of(value, self._logsource)),)


def _record(event: Event, line: int, logsource: LogSource) -> Record:
    if logsource.service == "sysmon" and logsource.product == "linux":
        add_schema_names(event, logsource)
    return Record(event, line, logsource)


def logsource_of(event: Event, otherwise: LogSource = _UNKNOWN) -> LogSource:
    """Return the log source that an object's keys tell, or *otherwise*."""
    if "Channel" in event and "EventID" in event:
        return windows_logsource(event)
    if "awsRegion" in event and "eventName" in event and str(event.get("eventSource")).endswith(".amazonaws.com"):
        return CLOUDTRAIL
    return otherwise


def _depth(text: bytes) -> int | None:
    """Return by how much brackets open more than close; ``None`` if a string does not end on its line."""
    depth = 0
    for token in _TOKEN.findall(text):
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        elif token == b'"':
            return None
    return depth


def _parse_all(text: bytes) -> list[Any]:
    """Return the values side by side in *text*, with blanks, commas or closing brackets between."""
    values: list[Any] = []
    depth = start = position = 0
    for token in _TOKEN.finditer(text):
        if token[0] in (b"{", b"["):
            if depth == 0:
                _require_separator(text[position : token.start()])
                start = token.start()
            depth += 1
        elif token[0] in (b"}", b"]") and depth:
            depth -= 1
            if depth == 0:
                position = token.end()
                values.append(parse_json(text[start:position]))
    _require_separator(text[position:])
    return values


def _require_separator(text: bytes) -> None:
    if text.strip(b", \t\r\n]"):
        raise JsonError("not JSON: text between objects")


def _steps(path: str) -> tuple[str, ...]:
    """Return ``Records[].detail`` as ``("Records", "[]", "detail")``."""
    return tuple(step for part in path.split(".") for step in re.split(r"(\[\])", part) if step)


def _opened(value: Any, steps: tuple[str, ...]) -> Iterator[Any]:
    if not steps:
        if isinstance(value, str):
            try:
                value = parse_json_text(value)
            except JsonError as error:
                raise EnvelopeError(f"the text in the envelope is {error}") from None
        yield from value if isinstance(value, list) else [value]
        return
    step, rest = steps[0], steps[1:]
    if step == "[]":
        if not isinstance(value, list):
            raise EnvelopeError(f"the envelope has {_kind(value)} where the path says '[]'")
        for element in value:
            yield from _opened(element, rest)
    elif isinstance(value, str):
        try:
            yield from _opened(parse_json_text(value), steps)
        except JsonError as error:
            raise EnvelopeError(f"the text before {step!r} is {error}") from None
    elif isinstance(value, dict) and step in value:
        yield from _opened(value[step], rest)
    else:
        raise EnvelopeError(f"the envelope has no {step!r}")


def _kind(value: Any) -> str:
    names = {str: "text", list: "an array", dict: "an object", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")

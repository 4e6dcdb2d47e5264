"""Sysmon for Linux: XML events, on one line behind a syslog header or on many, read without entities.

Only elements, attributes and text are read. A document type declaration (and with it every entity beyond the
five of XML and character references) is refused before anything is expanded, so that no text of an attacker
grows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

from sigma.pyeval.logs.records import EXCERPT_CHARACTERS, Parser, Problem, Record
from sigma.pyeval.logs.text import decode
from sigma.pyeval.logs.windows import windows_logsource
from sigma.pyeval.rules import LogSource

MAX_EVENT_BYTES = 1 << 20
MAX_DEPTH = 16

_START = re.compile(rb"<Event(?=[\s>]|$)")  # not <EventID>, <EventData>, <Events>
_END = b"</Event>"
_ATTRIBUTES = r"(?: [A-Za-z]+=\"[^\"<\t\n]*\")*"
_PLAIN_EVENT = re.compile(
    rf"<Event(?: xmlns=\"[^\"<\t\n]*\")?>\s*"
    rf"<System>((?:\s*<[A-Za-z]+{_ATTRIBUTES}(?:/>|>[^<]*</[A-Za-z]+>))*)\s*</System>\s*"
    r"<EventData>((?:\s*<Data Name=\"[^\"<\t\n]*\">[^<]*</Data>)*)\s*</EventData>\s*</Event>\s*"
)
_PLAIN_CHILD = re.compile(rf"<([A-Za-z]+)({_ATTRIBUTES})(?:/>|>([^<]*)</([A-Za-z]+)>)")
_PLAIN_ATTRIBUTE = re.compile(r"([A-Za-z]+)=\"([^\"]*)\"")
_PLAIN_DATA = re.compile(r"<Data Name=\"([^\"]*)\">([^<]*)</Data>")
# Category -> what the Linux event schema calls Sysmon's fields (docs/events.md). Other events have no kind there.
_PROCESS_NAMES = {"Image": "_EXE", "ProcessId": "_PID", "User": "_USER"}
_SCHEMA_NAMES: dict[str | None, dict[str, str]] = {
    "process_creation": {
        **_PROCESS_NAMES,
        "CommandLine": "_CMDLINE",
        "CurrentDirectory": "_CWD",
        "LogonId": "_UID",
        "TerminalSessionId": "_AUDIT_SESSION",
        "ParentProcessId": "_PPID",
        "ParentImage": "_PARENT_EXE",
        "ParentCommandLine": "_PARENT_CMDLINE",
    },
    "network_connection": {
        **_PROCESS_NAMES,
        "DestinationIp": "_DESTINATION_IP",
        "DestinationPort": "_DESTINATION_PORT",
        "DestinationHostname": "_DESTINATION_HOSTNAME",
        "SourceIp": "_SOURCE_IP",
        "SourcePort": "_SOURCE_PORT",
        "Protocol": "_PROTOCOL",
        "Initiated": "_INITIATED",
    },
    "file_event": {**_PROCESS_NAMES, "TargetFilename": "_TARGET_FILE"},
}
_UNKNOWN_VALUE = "-"  # what Sysmon writes where it does not know

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NOT_XML_REFERENCE = re.compile(r"&#(?:0{0,8}(\d|[12]\d|3[01])|x0{0,8}(1?[0-9a-fA-F]));")


class EventXmlError(ValueError):
    """A text that is no event; the message says why."""


def parse_event_xml(text: str) -> dict[str, Any]:
    r"""Return the flat event of one ``<Event>`` element.

    Fields: System's children by name, attributes as ``Provider_Name``, ``Security_UserID``; ``TimeCreated``
    is its SystemTime; EventData by the ``Name`` of each Data, Data without a name as a list under ``Data``.
    ``EventID`` is a number, everything else text as written. A control character that XML does not allow
    becomes ``\xNN``: a command line that holds one must not make its event unreadable.

    Raises:
        EventXmlError: *text* is not well-formed, declares a document type, nests too deep or is no event.
    """
    text = _as_xml(text)
    event = _parse_plain(text)
    if event is None:
        event = _parse_any(text)
    if "EventID" not in event:
        raise EventXmlError("no Event element with a System/EventID")
    return event


def sysmon_record(line: int, message: str) -> Record | Problem | None:
    """Return the record of an event inside a syslog or journal *message*; ``None`` where it holds none.

    An event that cannot be read is a problem; the caller then keeps the message as the line of text that it
    is.
    """
    start, end = message.find("<Event>"), message.rfind("</Event>")
    if start < 0:
        return None
    if end < start or end - start > MAX_EVENT_BYTES:
        return Problem.at(line, "Sysmon event cut off or too long", message[:EXCERPT_CHARACTERS].encode())
    try:
        event = parse_event_xml(message[start : end + len("</Event>")])
    except EventXmlError as error:
        return Problem.at(line, f"Sysmon event: {error}", message[:EXCERPT_CHARACTERS].encode())
    return _record(event, line)


class SysmonXmlParser(Parser):
    """Lines with ``<Event>`` elements to records; ``Parser``.

    Records are of ``product: linux``, ``service: sysmon`` and the category that Sigma has for the EventID. An
    event has Sysmon's names, which are Sigma's, and those of the Linux event schema beside them (``_EXE``).

    Text before an event on its first line (a syslog header) is not read; Computer, User and times stand in
    the event. Events may follow each other on one line or be spread over lines; one that grows beyond
    ``MAX_EVENT_BYTES``, is interrupted by the next one or by the end of input becomes a problem at its first
    line.
    """

    def __init__(self) -> None:
        self._first_line = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the records of the events that end on this line."""
        found: list[Record | Problem] = []
        position = 0
        while position < len(raw):
            start = _START.search(raw, position)
            end = raw.find(_END, position)
            if self._parts and start is not None and (end < 0 or start.start() < end):
                found += self._interrupted("the next event begins before this one ends")
            if not self._parts:
                if start is None:
                    return found + self._outside(line, raw[position:])
                self._first_line, position = line, start.start()
                end = raw.find(_END, position)
            if end < 0:
                return found + self._keep(raw[position:])
            found.append(self._finish(raw[position : end + len(_END)]))
            position = end + len(_END)
        return found

    def flush(self) -> Iterable[Record | Problem]:
        """Return the problem of an event that was cut off."""
        return self._interrupted("the log ends within this event") if self._parts else []

    def held_from(self) -> int | None:
        """Return the line that an event over several lines begins on."""
        return self._first_line if self._parts else None

    def _outside(self, line: int, raw: bytes) -> list[Record | Problem]:
        text = raw.strip()
        if not text or text.startswith((b"<?xml", b"<Events", b"</Events")):
            return []
        return [Problem.at(line, "no <Event> on this line", raw)]

    def _keep(self, raw: bytes) -> list[Record | Problem]:
        self._parts.append(raw)
        self._size += len(raw) + 1
        if self._size > MAX_EVENT_BYTES:
            return self._interrupted(f"event longer than {MAX_EVENT_BYTES} bytes")
        return []

    def _finish(self, raw: bytes) -> Record | Problem:
        text = b"\n".join([*self._parts, raw])
        self._parts, self._size = [], 0
        try:
            event = parse_event_xml(decode(text))
        except EventXmlError as error:
            return Problem.at(self._first_line, str(error), text)
        return _record(event, self._first_line)

    def _interrupted(self, reason: str) -> list[Record | Problem]:
        problem = Problem.at(self._first_line, reason, self._parts[0])
        self._parts, self._size = [], 0
        return [problem]


def add_schema_names(event: dict[str, Any], logsource: LogSource) -> None:
    """Add to an event of Sysmon for Linux the names of the Linux event schema, with the same values.

    *logsource* is the event's. Names that the event has, values that Sysmon did not know (``-``) and events of
    kinds that the schema does not have stay as they are.
    """
    for name, schema_name in _SCHEMA_NAMES.get(logsource.category, {}).items():
        value = event.get(name, _UNKNOWN_VALUE)
        if value != _UNKNOWN_VALUE:
            event.setdefault(schema_name, value)
    if "Computer" in event:
        event.setdefault("_HOSTNAME", event["Computer"])


def _record(event: dict[str, Any], line: int) -> Record:
    logsource = _logsource(event)
    if logsource.product == "linux":
        add_schema_names(event, logsource)
    return Record(event, line, logsource)


def _logsource(event: dict[str, Any]) -> LogSource:
    if "Channel" in event or "Provider_Name" in event:
        return windows_logsource(event)
    return windows_logsource({**event, "Provider_Name": "Linux-Sysmon"})


def _parse_plain(text: str) -> dict[str, Any] | None:
    """Return the event of the form that Sysmon writes, without references; ``None`` leaves it to expat.

    This is for speed alone (three times), and strict: what it reads, expat reads the same way.
    """
    plain = None if "&" in text or "\r" in text else _PLAIN_EVENT.fullmatch(text)
    if plain is None:
        return None
    event: dict[str, Any] = {}
    for tag, attributes, value, end in _PLAIN_CHILD.findall(plain[1]):
        if end and end != tag:
            return None
        if attributes:
            names = _PLAIN_ATTRIBUTE.findall(attributes)
            if len(dict(names)) < len(names):
                return None
            for name, attribute in names:
                event[_attribute_field(tag, name)] = attribute
        if value.strip():
            event[tag] = _event_id(value.strip()) if tag == "EventID" else value
    event.update(_PLAIN_DATA.findall(plain[2]))
    return event


def _parse_any(text: str) -> dict[str, Any]:
    reader = _EventReader()
    try:
        reader.parser.Parse(text.encode("utf-8", "backslashreplace"), True)
    except expat.ExpatError as error:
        raise EventXmlError(f"not well-formed XML: {error}") from error
    return reader.event


def _attribute_field(tag: str, attribute: str) -> str:
    """Return the field of an attribute in System; Linux writes ``UserId`` where Windows writes ``UserID``."""
    if tag == "TimeCreated" and attribute == "SystemTime":
        return tag
    return f"{tag}_{'UserID' if attribute == 'UserId' else attribute}"


def _as_xml(text: str) -> str:
    if not text.isprintable() and _NOT_XML.search(text):
        text = _NOT_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    if "&#" in text:
        text = _NOT_XML_REFERENCE.sub(_visible_reference, text)
    return text


def _visible_reference(found: re.Match[str]) -> str:
    code = int(found[1]) if found[1] else int(found[2], 16)
    return found[0] if code in (0x09, 0x0A, 0x0D) else f"\\x{code:02x}"


class _EventReader:
    """Handlers that fill ``event`` while expat reads one Event element."""

    def __init__(self) -> None:
        self.event: dict[str, Any] = {}
        self.parser = expat.ParserCreate(encoding="utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.buffer_text = True
        self._path: list[str] = []
        self._section = ""
        self._name: str | None = None
        self._value: list[str] = []

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        depth = len(self._path)
        if depth > MAX_DEPTH:
            raise EventXmlError(f"elements nested deeper than {MAX_DEPTH}")
        if depth == 1 and tag != "Event":
            raise EventXmlError(f"the element is {tag!r}, not Event")
        if depth == 2:
            self._section = tag
        elif depth == 3:
            self._value = []
            self._name = attributes.get("Name") if self._section == "EventData" else tag
            if self._section == "System":
                for attribute, value in attributes.items():
                    self.event[_attribute_field(tag, attribute)] = value

    def _end(self, tag: str) -> None:
        if len(self._path) == 3 and self._section in {"System", "EventData"}:
            value = "".join(self._value)
            if self._section == "System":
                if value.strip():
                    self.event[tag] = _event_id(value.strip()) if tag == "EventID" else value
            elif self._name is not None:
                self.event[self._name] = value
            else:
                self.event.setdefault("Data", []).append(value)
        self._path.pop()

    def _text(self, text: str) -> None:
        if len(self._path) == 3:
            self._value.append(text)

    def _refuse_doctype(self, *_: object) -> None:
        raise EventXmlError("a document type is declared; entities are not read")


def _event_id(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text

"""Syslog lines: RFC 3164 as found in files, RFC 5424 with structured data, rsyslog's ISO timestamps.

Fields follow systemd.journal-fields(7). ``SYSLOG_RAW`` keeps the whole line, so that a keyword rule finds in
the event exactly what it would find in the line. A line without a header (RFC 3164 section 4.3.3) is an event
of its own whose MESSAGE is the whole line: what an attacker smuggles in with a newline is still searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.audit_lines import audit_line_of_text
from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.services import linux_logsource, message_fields
from sigma.pyeval.logs.sysmon_linux import sysmon_record
from sigma.pyeval.logs.text import BYTE_ORDER_MARK, decode

MAX_PRI = 191
"""Facility 23 (local7), severity 7 (debug): RFC 5424 section 6.2.1."""

_BSD_TIME = (
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2}(?: \d{4})? "
    r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: \d{4}(?= ))?"
)
_ISO_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d| UTC)?"
_FULL_TIME = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? [A-Z]{2,5}"
_TIME = rf"{_BSD_TIME}|{_ISO_TIME}|{_FULL_TIME}"

# A tag is a name, perhaps a pid in brackets, and a colon; macOS writes more between pid and colon, and some
# programs forget the colon.
_NAME = r"[^\s:\[]{1,128}"
_PID = r"\[([^\]\s]{1,64})\](?: \([^)\s]{0,255}\)| <\w{1,16}>)?(?::|(?<=\d\]) )"
_TAG_AHEAD = rf"{_NAME}(?:\[[^\]\s]{{1,64}}\])?:(?:\s|$)"

_RFC3164 = re.compile(
    rf"(?:<(\d{{1,3}})>)?({_TIME}) +"
    rf"(?:(?!{_TAG_AHEAD})(\S+) +)?"  # a first word that is a tag means that the host is missing
    rf"(?:({_NAME})(?:{_PID}|:(?=\s|$)) ?)?(.*)",
    re.DOTALL,
)
_NO_TIME = re.compile(rf"(?:<(\d{{1,3}})>)?(?:({_NAME})(?:{_PID}|:(?=\s|$)) ?)?(.*)", re.DOTALL)
_KERNEL_RING = re.compile(r"\[ *\d{1,12}\.\d{6}\] ")  # dmesg without a tag
_RFC5424 = re.compile(
    rf"(?:<(\d{{1,3}})>)?[1-9]\d{{0,2}} (-|{_ISO_TIME}) "
    r"(\S{1,255}) (\S{1,128}) (\S{1,128}) (\S{1,32}) (.*)",
    re.DOTALL,
)
_SD_ELEMENT = re.compile(r'\[([^\s=\]"]{1,64})((?: [^\s=\]"]{1,64}="[^"\\]*(?:\\.[^"\\]*)*")*) ?\]', re.DOTALL)
_SD_PARAM = re.compile(r' ([^\s=\]"]{1,64})="([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SD_ESCAPE = re.compile(r'\\(["\\\]])')
_VERSION_AHEAD = re.compile(r"(?:<\d{1,3}>)?[1-9]\d{0,2} (?:- |\d{4}-)")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a]")

_PRIORITIES = tuple((str(pri >> 3), str(pri & 7)) for pri in range(MAX_PRI + 1))

_HEADERLESS = {"SYSLOG_RAW", "MESSAGE"}

Event = dict[str, Any]


def parse_syslog(raw: bytes) -> Event:
    """Return the event of one line.

    Args:
        raw: The line without its newline; with or without PRI, timestamp, host and tag; any bytes.

    Returns:
        ``SYSLOG_RAW`` (the whole line) and ``MESSAGE`` always; where the line has them ``SYSLOG_FACILITY``,
        ``PRIORITY`` (decimal text, as journald writes them), ``SYSLOG_TIMESTAMP`` (as written),
        ``_HOSTNAME``, ``SYSLOG_IDENTIFIER`` (without a PAM module in parentheses), ``SYSLOG_PID``; of RFC
        5424 also ``SYSLOG_MSGID`` and ``SYSLOG_STRUCTURED_DATA`` (``{SD-ID: {name: value}}``, a repeated name
        has a list); the fields of a sudo or PAM message by their own names.
    """
    text = decode(raw.removeprefix(BYTE_ORDER_MARK).strip(b"\0\r"))
    event: Event = {"SYSLOG_RAW": text}
    if _VERSION_AHEAD.match(text) and (found := _RFC5424.match(text)):
        program = _read_rfc5424(event, found)
    elif found := _RFC3164.match(text):
        pri, event["SYSLOG_TIMESTAMP"], host, program, pid, message = found.groups()
        if host is not None:
            event["_HOSTNAME"] = host
        _fill(event, pri, program, pid, message)
    else:
        program = _read_without_time(event, text)
    if program is not None:
        for name, value in message_fields(program, event["MESSAGE"]).items():
            event.setdefault(name, value)
    return event


class SyslogParser(Parser):
    """Syslog lines to records of ``product: linux`` and the program's service; ``Parser``.

    Args:
        audit: A parser of auditd lines; records that audispd or the kernel sent to syslog go to it instead.

    An empty line yields nothing. A line without a header that holds control characters is also a problem (a
    binary file, most likely); its text is searched all the same. Sysmon's events (one line of XML each)
    become Sysmon records.
    """

    def __init__(self, audit: Parser | None = None) -> None:
        self._audit = audit

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        if not raw.strip(b"\0\r\n\t "):
            return ()
        event = parse_syslog(raw)
        message = event["MESSAGE"]
        if "<Event>" in message and (found := sysmon_record(line, message)) is not None:
            return (found,) if isinstance(found, Record) else (found, _text_record(line, event))
        if self._audit is not None and (audit_line := audit_line_of_text(message)) is not None:
            return self._audit.feed(line, audit_line)
        record = _text_record(line, event)
        if not event.keys() - _HEADERLESS and _CONTROL.search(message):
            return (record, Problem.at(line, "no syslog header, and control characters in the text", raw))
        return (record,)

    def flush(self) -> Iterable[Record | Problem]:
        """Return what the audit parser still holds; syslog itself keeps nothing back."""
        return self._audit.flush() if self._audit is not None else ()

    def held_from(self) -> int | None:
        """Return what the audit parser says."""
        return self._audit.held_from() if self._audit is not None else None


def _text_record(line: int, event: Event) -> Record:
    return Record(event, line, linux_logsource(event.get("SYSLOG_IDENTIFIER")))


def _fill(event: Event, pri: str | None, program: str | None, pid: str | None, message: str) -> None:
    if pri is not None and int(pri) <= MAX_PRI:
        event["SYSLOG_FACILITY"], event["PRIORITY"] = _PRIORITIES[int(pri)]
    if program is not None:
        event["SYSLOG_IDENTIFIER"] = program.partition("(")[0] or program
    if pid is not None:
        event["SYSLOG_PID"] = pid
    event["MESSAGE"] = message


def _read_without_time(event: Event, text: str) -> str | None:
    """Read ``<PRI>tag: text`` and ``tag[pid]: text``; without PRI and pid only the kernel is a tag."""
    found = _NO_TIME.match(text)
    assert found is not None  # noqa: S101 (every part of the pattern is optional)
    pri, program, pid, message = found.groups()
    if pri is None and _KERNEL_RING.match(text):
        program, message = "kernel", text
    elif pri is None and not (program == "kernel" or (pid is not None and pid.isdecimal())):
        program, pid, message = None, None, text
    _fill(event, pri, program, pid, message)
    return program


def _read_rfc5424(event: Event, found: re.Match[str]) -> str | None:
    pri, time, host, program, pid, message_id, rest = found.groups()
    data, message = _structured_data(rest)
    if time != "-":
        event["SYSLOG_TIMESTAMP"] = time
    if host != "-":
        event["_HOSTNAME"] = host
    _fill(event, pri, _unless_nil(program), _unless_nil(pid), message.removeprefix("\ufeff"))
    if message_id != "-":
        event["SYSLOG_MSGID"] = message_id
    if data:
        event["SYSLOG_STRUCTURED_DATA"] = data
    return _unless_nil(program)


def _structured_data(text: str) -> tuple[dict[str, Event], str]:
    """Return the elements that *text* begins with, and the message; what is no element stays in it."""
    if text == "-" or text.startswith("- "):
        return {}, text[2:]
    data: dict[str, Event] = {}
    position = 0
    while element := _SD_ELEMENT.match(text, position):
        params = data.setdefault(element[1], {})
        for name, value in _SD_PARAM.findall(element[2]):
            plain = _SD_ESCAPE.sub(r"\1", value)
            present = params.get(name)
            if present is None:
                params[name] = plain
            elif isinstance(present, list):
                present.append(plain)
            else:
                params[name] = [present, plain]
        position = element.end()
    return data, text[position:].removeprefix(" ")


def _unless_nil(value: str) -> str | None:
    return None if value == "-" else value

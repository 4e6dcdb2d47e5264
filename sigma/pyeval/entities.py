"""Who and what an event is about: host, user, process, file, connection, request, whatever its log calls them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sigma.pyeval.matchers.values import lookup, number_of, text_of
from sigma.pyeval.output import json_line
from sigma.pyeval.rules import Match

LONGEST_EXCERPT = 120
"""Characters of an event that ``excerpt`` returns at most."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process; each part is ``None`` where the event does not say."""

    executable: str | None = None
    command_line: str | None = None
    name: str | None = None
    pid: int | None = None
    working_directory: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A user: name and numeric id (as text)."""

    name: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection; *ip* is always an address as written by ``ipaddress``, *domain* any other text."""

    ip: str | None = None
    port: int | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a web server and its answer."""

    method: str | None = None
    host: str | None = None
    target: str | None = None
    path: str | None = None
    query: str | None = None
    version: str | None = None
    user_agent: str | None = None
    referrer: str | None = None
    status: int | None = None
    response_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Entities:
    """Everything that :func:`parse_entities` knows to find; what an event does not say is ``None`` or empty."""

    host: str | None
    user: User
    process: Process
    parent: Process
    file_path: str | None
    source: Endpoint
    destination: Endpoint
    protocol: str | None
    outbound: bool | None
    request: Request
    program: str | None
    facility: int | None
    priority: int | None
    message: str | None


# Field names by what they mean, the first that has a value counts: the Linux event schema, single audit records,
# Sysmon and Windows, access logs, CloudTrail, and ECS for logs that were normalised before.
_HOST = ("_HOSTNAME", "node", "Computer", "ComputerName", "host.name", "host.hostname", "hostname", "Hostname")
_USER = ("_USER", "User", "UID", "acct", "SubjectUserName", "cs-username", "userIdentity.userName", "user.name")
_USER_ID = ("_UID", "uid", "user.id")
_EXECUTABLE = ("_EXE", "Image", "NewProcessName", "exe", "process.executable")
_COMMAND_LINE = ("_CMDLINE", "CommandLine", "ProcessCommandLine", "process.command_line")
_NAME = ("_COMM", "comm", "process.name")
_PID = ("_PID", "ProcessId", "pid", "SYSLOG_PID", "s-pid", "process.pid")
_DIRECTORY = ("_CWD", "CurrentDirectory", "cwd", "process.working_directory")
_PARENT_EXECUTABLE = ("_PARENT_EXE", "ParentImage", "ParentProcessName", "process.parent.executable")
_PARENT_COMMAND_LINE = ("_PARENT_CMDLINE", "ParentCommandLine", "process.parent.command_line")
_PARENT_PID = ("_PPID", "ParentProcessId", "ppid", "process.parent.pid")
_FILE = ("_TARGET_FILE", "TargetFilename", "file.path")
_SOURCE = ("_SOURCE_IP", "SourceIp", "c-ip", "addr", "sourceIPAddress", "IpAddress", "src_ip", "source.ip")
_SOURCE_PORT = ("_SOURCE_PORT", "SourcePort", "IpPort", "src_port", "source.port")
_SOURCE_NAME = ("SourceHostname", "source.domain")
_DESTINATION = ("_DESTINATION_IP", "DestinationIp", "s-ip", "dst_ip", "destination.ip")
_DESTINATION_PORT = ("_DESTINATION_PORT", "DestinationPort", "s-port", "dst_port", "destination.port")
_DESTINATION_NAME = ("_DESTINATION_HOSTNAME", "DestinationHostname", "destination.domain")
_MESSAGE = ("MESSAGE", "message", "Message")
_EXCERPT = ("_CMDLINE", "CommandLine", "MESSAGE", "_TARGET_FILE", "TargetFilename", "message", "c-uri")


def parse_entities(event: Mapping[str, Any]) -> Entities:
    """Return what *event* says of each entity; a value of the wrong kind (a port ``x``, an address ``-``) is none."""
    executable, parent_executable = _text(event, _EXECUTABLE), _text(event, _PARENT_EXECUTABLE)
    file_path = _text(event, _FILE)
    if file_path is None and event.get("type") == "PATH":  # an audit record of one path
        file_path = _text(event, ("name",))
    return Entities(
        host=parse_host(event),
        user=User(_text(event, _USER), _text(event, _USER_ID)),
        process=Process(
            executable,
            _text(event, _COMMAND_LINE),
            _text(event, _NAME) or base_name(executable),
            _number(event, _PID),
            _text(event, _DIRECTORY),
        ),
        parent=Process(
            parent_executable,
            _text(event, _PARENT_COMMAND_LINE),
            base_name(parent_executable),
            _number(event, _PARENT_PID),
        ),
        file_path=file_path,
        source=_endpoint(event, _SOURCE, _SOURCE_PORT, _SOURCE_NAME),
        destination=_endpoint(event, _DESTINATION, _DESTINATION_PORT, _DESTINATION_NAME),
        protocol=_text(event, ("_PROTOCOL", "Protocol", "network.transport")),
        outbound={"true": True, "false": False}.get((_text(event, ("_INITIATED", "Initiated")) or "").lower()),
        request=_request(event),
        program=_text(event, ("SYSLOG_IDENTIFIER",)),
        facility=_number(event, ("SYSLOG_FACILITY",), 23),
        priority=_number(event, ("PRIORITY",), 7),
        message=_text(event, _MESSAGE),
    )


def parse_host(event: Mapping[str, Any]) -> str | None:
    """Return the name of the host that *event* is about."""
    return _text(event, _HOST)


def names_host(event: Mapping[str, Any]) -> bool:
    """Return whether *event* says which host it is of, or may do so: ``host`` is that too, or what a client asked for."""
    return parse_host(event) is not None or "host" in event


def _request(event: Mapping[str, Any]) -> Request:
    version = _text(event, ("cs-version",))
    return Request(
        method=_text(event, ("cs-method", "http.request.method")),
        host=_text(event, ("cs-host", "url.domain")),
        target=_text(event, ("c-uri", "cs-uri", "url.original")),
        path=_text(event, ("cs-uri-stem", "url.path")),
        query=_text(event, ("cs-uri-query", "url.query")),
        version=version and version.upper().removeprefix("HTTP/"),
        user_agent=_text(event, ("cs-user-agent", "c-useragent", "userAgent", "user_agent.original")),
        referrer=_text(event, ("cs-referer", "cs-referrer", "http.request.referrer")),
        status=_number(event, ("sc-status", "http.response.status_code"), 999),
        response_bytes=_number(event, ("sc-bytes", "http.response.body.bytes"), 2**53),
    )


def _endpoint(event: Mapping[str, Any], ips: Iterable[str], ports: Iterable[str], names: Iterable[str]) -> Endpoint:
    text, name = _text(event, ips), _text(event, names)
    ip = parse_ip(text)
    return Endpoint(ip, _number(event, ports, 65535), name or (text if ip is None else None))


def parse_ip(text: str | None) -> str | None:
    """Return *text* in the one form of its IPv4 or IPv6 address, or ``None`` where it is none."""
    try:
        return str(ipaddress.ip_address(text)) if text and len(text) <= 45 and "%" not in text else None
    except ValueError:
        return None


def base_name(path: str | None) -> str | None:
    """Return the last part of a path, of Linux or of Windows."""
    return path.replace("\\", "/").rpartition("/")[2] or None if path else None


def _text(event: Mapping[str, Any], fields: Iterable[str]) -> str | None:
    """Return the first value with text; ``-`` and ``?`` are how logs write that there is none."""
    for field in fields:
        for value in _values(event, field):
            text = text_of(value)
            if text and text not in ("-", "?", "(none)", "(null)"):
                return text
    return None


def _values(event: Mapping[str, Any], field: str) -> Iterable[object]:
    """Return the values of *field*; most of the many names asked are not there, which one look or two tell."""
    if field not in event and field.partition(".")[0] not in event:
        return ()
    return lookup(event, field) or ()


def _number(event: Mapping[str, Any], fields: Iterable[str], largest: int = 2**31 - 1) -> int | None:
    for field in fields:
        for value in _values(event, field):
            number = number_of(value)
            if isinstance(number, int) and 0 <= number <= largest:
                return number
    return None


def headline(match: Match) -> str | None:
    """Return what a person would look at first in the event: the rule's own fields, a command line, a message, a path."""
    return event_headline(match.event, match.rule.fields)


def event_headline(event: Mapping[str, Any], fields: Iterable[str] = ()) -> str | None:
    """Return ``headline`` of an event by itself; *fields* are those that its rule names."""
    for field in (*fields, *_EXCERPT):
        for value in _values(event, field):
            if isinstance(value, str) and value:
                return value
    return _arguments(event)


def _arguments(event: Mapping[str, Any]) -> str | None:
    """Return the words of an audit record of type EXECVE (``a0``, ``a1``, ...), joined."""
    words = (event.get(f"a{number}") for number in itertools.count())
    texts = [str(word) for word in itertools.takewhile(lambda word: isinstance(word, str), words)]
    return " ".join(texts) or None if event.get("type") == "EXECVE" else None


def excerpt(match: Match, longest: int = LONGEST_EXCERPT) -> str:
    """Return the beginning of the headline, or of the event as JSON where it has none."""
    return (headline(match) or json_line(match.event).decode())[:longest]

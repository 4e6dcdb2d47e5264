r"""One line of an audit log becomes one record: its fields, decoded, in a flat event.

The text form is ``[node=NAME ]type=TYPE msg=audit(SECONDS.MILLISECONDS:SERIAL): name=value ...``; the
ENRICHED form of auditd.conf(5) adds fields in capitals behind the control character 0x1d. Names stay as they
are logged, except:

- ``msg='...'`` of programs' own messages is opened, its fields stand beside the others;
- the pieces ``a1[0]``, ``a1[1]`` ... of a long argument in an EXECVE record also stand together as ``a1``;
- words that are no field become ``msg``; SELinux' ``{ read write }`` becomes ``seresult`` and ``seperms``,
  as in ausearch;
- ``SYSCALL`` and ``ARCH`` are added from the numbers, ``saddr_fam``, ``laddr``, ``lport``, ``path`` from
  ``saddr``;
- ``_SOURCE_REALTIME_TIMESTAMP`` (microseconds since 1970, text) and ``_AUDIT_ID`` (serial) say when and
  which.

Where a name occurs twice the first one counts: the kernel's own fields stand before those that a program
supplied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sigma.pyeval.logs.audit_syscalls import ARCHITECTURES, SYSCALLS
from sigma.pyeval.logs.audit_types import type_name
from sigma.pyeval.logs.audit_values import (
    decode_free_string,
    decode_keys,
    decode_saddr,
    decode_string,
    decode_title,
)

ENRICHED_SEPARATOR = "\x1d"
NO_RECORD = "no audit record: it does not begin with type=... msg=audit(seconds.milliseconds:serial)"

_Decoder = Callable[[str], Any]

_HEADER = re.compile(
    r"\s*(?:node=(\S+) )?type=(\S+) (?:msg=)?audit\(([0-9]{1,12})\.([0-9]{3}):([0-9]{1,20})\):? *", re.ASCII
)
_ENRICHED = r"(?:(?:OLD-)?(?:A|E|S|FS|O|OA|I)?[UG]ID|ID|ARCH|SADDR)"
_QUOTED = r"""\"[^\"]*\"|'[^']*'|\(null\)"""
# An AppArmor label holds a blank: subj=/usr/bin/man (enforce).
_MODE = r"(?: \((?:enforce|complain|kill|unconfined|mixed|prompt)\))?"
_NAME = r"""(?<![^\s(,{\"'])[A-Za-z][\w\-\[\]]*"""
_PAIR = re.compile(rf"({_NAME})=({_QUOTED}|\S*{_MODE})", re.ASCII)
# The same where 0x1d got lost: key=(null)ARCH=x86_64, res=1UID="root".
_GLUED_PAIR = re.compile(
    rf"""({_NAME}|(?<=[0-9a-z?)]){_ENRICHED})=({_QUOTED}|(?:(?!{_ENRICHED}=\"|ARCH=|SADDR=)\S)*)""",
    re.ASCII,
)
_AVC = re.compile(r"avc:\s+(granted|denied)\s+\{ ?([^}]*?) ?\} for\s+", re.ASCII)
_CHUNK = re.compile(r"(a[0-9]{1,7})\[[0-9]{1,7}\]")
_ARGUMENT = re.compile(r"a[0-9]{1,7}(?:\[[0-9]{1,7}\])?")

# Types whose body is pairs and nothing else, with the fields of text in them; no other value there is ever
# quoted.
_PLAIN_TYPES: Mapping[str, tuple[tuple[str, _Decoder], ...]] = {
    "SYSCALL": (("comm", decode_string), ("exe", decode_string), ("key", decode_keys)),
    "EXECVE": (),
    "PATH": (("name", decode_string),),
    "CWD": (("cwd", decode_string),),
    "PROCTITLE": (("proctitle", decode_title),),
    "SOCKADDR": (),
    "BPRM_FCAPS": (),
    "EOE": (),
}
_REPEATING_TYPES = frozenset({"PATH", "CWD", "PROCTITLE", "SOCKADDR", "BPRM_FCAPS", "EOE"})
_REPEATED_BODIES = 4_096  # texts whose fields are kept
_REPEATED_LENGTH = 1_024  # characters: a longer text is not kept

_FREE_FIELDS = """
acct path name file watch dir vm device cgroup grp new_group root_dir profile info operation sw
invalid_context old-disk new-disk old-fs new-fs old-net new-net old-rng new-rng old-chardev new-chardev
"""
_ENCODED_FIELDS: Mapping[str, _Decoder] = {
    **dict.fromkeys(("comm", "ocomm", "exe", "cwd", "cmd"), decode_string),
    **dict.fromkeys(_FREE_FIELDS.split(), decode_free_string),
    "key": decode_keys,
    "proctitle": decode_title,
}
_TTY_FIELDS: Mapping[str, _Decoder] = {**_ENCODED_FIELDS, "data": decode_string}
_PATH_FIELDS: Mapping[str, _Decoder] = {**_ENCODED_FIELDS, "name": decode_string}


class AuditRecord(NamedTuple):
    """One record and what it shares with the other records of its event.

    Attributes:
        node: The ``node=`` that auditd put before the record, or ``None``.
        time: Microseconds since 1970, as text.
        serial: The event's number, unique together with node and time.
        event: The record's fields, ``type`` first; values are text, ``None`` or (``key``) a list of texts.
    """

    node: str | None
    time: str
    serial: str
    event: dict[str, Any]


def parse_audit_line(raw: bytes) -> AuditRecord | None:
    """Return the record on one line of an audit log, or ``None`` where the line is none."""
    return parse_audit_text(raw.decode("utf-8", "backslashreplace"))


def parse_audit_text(text: str) -> AuditRecord | None:
    """Return the record in *text*, which begins with ``type=`` or ``node=``, or ``None`` where it is none."""
    header = _HEADER.match(text)
    if header is None:
        return None
    node, written_type, seconds, milliseconds, serial = header.groups()
    record_type = written_type if written_type in _PLAIN_TYPES else type_name(written_type)
    time = f"{seconds}{milliseconds}000"
    return AuditRecord(node, time, serial, audit_event(record_type, text[header.end() :], time, serial, node))


def audit_event(
    record_type: str, body: str, time: str, serial: str, node: str | None = None
) -> dict[str, Any]:
    """Return the event of one record.

    Args:
        record_type: Its name (``SYSCALL``).
        body: Its text behind the header: ``arch=c000003e syscall=59 ...``.
        time: Microseconds since 1970, as text.
        serial: The number of the event that it belongs to.
        node: The machine that it came from, where the log says so.
    """
    event: dict[str, Any] = {"type": record_type} if node is None else {"type": record_type, "node": node}
    if record_type in _REPEATING_TYPES and len(body) <= _REPEATED_LENGTH:
        event.update(_repeated_fields(record_type, body))
    else:
        event.update(parse_fields(record_type, body))
    event["type"] = record_type  # a message that holds "type=" does not change what the record is
    event["_SOURCE_REALTIME_TIMESTAMP"] = time
    event["_AUDIT_ID"] = serial
    return event


def parse_fields(record_type: str, body: str) -> dict[str, Any]:
    """Return the decoded fields of one record's text, see the module for what is added and left out."""
    body, separator, enriched = body.strip(" \t\r\n").partition(ENRICHED_SEPARATOR)
    pair = _PAIR if separator or not _may_be_glued(record_type, body) else _GLUED_PAIR
    fields = _split_plain(record_type, body) if pair is _PAIR and record_type in _PLAIN_TYPES else None
    if fields is None:
        fields = _scan(record_type, body, pair)
    if enriched:
        for name, value in _enriched_fields(enriched).items():
            fields.setdefault(name, value)
    add_derived_fields(record_type, fields)
    return fields


def add_derived_fields(record_type: str, fields: dict[str, Any]) -> None:
    """Add what follows from numbers in *fields*: ``SYSCALL`` and ``ARCH``, the parts of a socket address."""
    if record_type == "SYSCALL" or "syscall" in fields:
        _add_call_names(fields)
    elif record_type == "SOCKADDR" and isinstance(fields.get("saddr"), str):
        for name, value in decode_saddr(fields["saddr"]).items():
            fields.setdefault(name, value)


_repeated_fields = lru_cache(_REPEATED_BODIES)(
    parse_fields
)  # what it returns is never changed: audit_event copies it


def _may_be_glued(record_type: str, body: str) -> bool:
    """Return whether names that auditd resolved may stand in *body* although nothing separates them."""
    if record_type in {"SYSCALL", "SECCOMP"}:
        return "ARCH=" in body
    return "SADDR=" in body if record_type == "SOCKADDR" else 'ID="' in body


def _split_plain(record_type: str, body: str) -> dict[str, Any] | None:
    """Return the fields of a body of pairs by splitting alone, or ``None`` where it must be scanned.

    Splitting is three times as fast, and right wherever no value holds a blank or an equals sign.
    """
    parts = body.replace(" ", "=").split("=")
    if len(parts) != 2 * body.count(" ") + 2 or "=(null) " in body:
        return None
    fields: dict[str, Any] = dict(zip(parts[::2], parts[1::2], strict=True))
    if record_type == "EXECVE":
        return _decode_arguments(fields)
    for name, decode in _PLAIN_TYPES[record_type]:
        if name in fields:
            fields[name] = decode(fields[name])
    return fields


def _enriched_fields(text: str) -> dict[str, str]:
    """Return the names that auditd resolved: ``ARCH=x86_64 SYSCALL=openat AUID="root"``."""
    return {name: value.strip("\"'") for name, value in _PAIR.findall(text) if value != "{"}


def _scan(record_type: str, body: str, pair: re.Pattern[str]) -> dict[str, Any]:
    """Return the fields of any body, whatever stands between them."""
    text = _open_message(body)
    fields: dict[str, Any] = {}
    avc = _AVC.search(text)
    if avc is not None:
        fields["seresult"], fields["seperms"] = avc.groups()
        text = text[: avc.start()] + text[avc.end() :]
    for name, value in pair.findall(text):
        fields.setdefault(name, value)
    if record_type == "EXECVE":
        return _decode_arguments(fields)
    decoders = _decoders(record_type)
    for name, value in fields.items():
        decode = decoders.get(name)
        fields[name] = decode(value) if decode else _plain_value(value)
    if record_type not in _PLAIN_TYPES:
        words = " ".join(pair.sub(" ", text).split()).strip(" :,;()'\"")
        if any(c.isalnum() for c in words):
            fields.setdefault("msg", words)
    return fields


def _decoders(record_type: str) -> Mapping[str, _Decoder]:
    if record_type in {"TTY", "USER_TTY"}:
        return _TTY_FIELDS
    return _PATH_FIELDS if record_type == "PATH" else _ENCODED_FIELDS


def _open_message(body: str) -> str:
    """Return *body* with the quotes of ``msg='...'`` taken away; a quote may occur in the message itself."""
    start = body.find("msg='")
    if start < 0:
        return body
    end = body.rfind("'", start + 5)
    if end < 0:
        end = len(body)
    return f"{body[:start]} {body[start + 5 : end]} {body[end + 1 :]}"


def _plain_value(value: str) -> str | None:
    if value == "(null)":
        return None
    if value[:1] in {'"', "'"}:
        return value.strip(value[0])
    if value[-1:] in {",", ")"} and "(" not in value:  # hostname=?, and res=success) of old programs' prose
        return value.rstrip(",)")
    return value


def _decode_arguments(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an EXECVE record's fields, its arguments decoded and the pieces of long ones put together."""
    pieces: dict[str, list[str]] = {}
    for name, value in fields.items():
        if value[:1] == '"':
            fields[name] = value[1:-1] if value[-1:] == '"' else value[1:]
        elif name != "argc" and _ARGUMENT.fullmatch(name):
            fields[name] = decode_string(value)
        if name[-1:] == "]" and (chunk := _CHUNK.fullmatch(name)) is not None:
            pieces.setdefault(chunk[1], []).append(fields[name] or "")
    for name, texts in pieces.items():
        fields.setdefault(name, "".join(texts))
    return fields


def _add_call_names(fields: dict[str, Any]) -> None:
    arch = fields.get("arch")
    if arch in ARCHITECTURES:
        fields.setdefault("ARCH", ARCHITECTURES[arch])
        name = SYSCALLS[arch].get(fields.get("syscall", "")) if arch in SYSCALLS else None
        if name is not None:
            fields.setdefault("SYSCALL", name)

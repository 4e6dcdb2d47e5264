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
from typing import Any

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
_AVC = re.compile(r"avc:\s+(granted|denied)\s+\{ ?([^}]{0,512}?) ?\} for\s+", re.ASCII)
_AVC_TYPES = frozenset({"AVC", "USER_AVC", "SELINUX_ERR", "USER_SELINUX_ERR"})
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


def parse_audit_line(raw: bytes) -> dict[str, Any] | None:
    """Return the event of the record on one line of an audit log, or ``None`` where the line is no record."""
    return parse_audit_text(raw.decode("utf-8", "backslashreplace"))


def parse_audit_text(text: str) -> dict[str, Any] | None:
    """Return the event of the record in *text*, or ``None`` where *text* is no record.

    Returns:
        The fields, ``type`` first; values are text, ``None`` or (``key``) a list of texts. Records that have
        ``node`` (where present), ``_SOURCE_REALTIME_TIMESTAMP`` and ``_AUDIT_ID`` in common are one event's.
    """
    header = _HEADER.match(text)
    if header is None:
        return None
    node, record_type, seconds, milliseconds, serial = header.groups()
    if record_type not in _PLAIN_TYPES:
        record_type = type_name(record_type)
    return audit_event(record_type, text[header.end() :], f"{seconds}{milliseconds}000", serial, node)


def audit_event(record_type: str, body: str, time: str, serial: str, node: str | None = None) -> dict[str, Any]:
    """Return the event of one record.

    Args:
        record_type: Its name (``SYSCALL``).
        body: Its text behind the header: ``arch=c000003e syscall=59 ...``.
        time: Microseconds since 1970, as text.
        serial: The number of the event that it belongs to.
        node: The machine that it came from, where the log says so.
    """
    if record_type in _REPEATING_TYPES and len(body) <= _REPEATED_LENGTH:
        event = _repeated_fields(record_type, body).copy()
    else:
        event = parse_fields(record_type, body)
    if node is not None:
        event["node"] = node
    event["_SOURCE_REALTIME_TIMESTAMP"] = time
    event["_AUDIT_ID"] = serial
    return event


def parse_fields(record_type: str, body: str) -> dict[str, Any]:
    """Return ``type`` and the decoded fields of one record's text, see the module for what is changed."""
    body, separator, enriched = body.strip(" \t\r\n").partition(ENRICHED_SEPARATOR)
    pair = _PAIR if separator or not _may_be_glued(record_type, body) else _GLUED_PAIR
    fields = _split_plain(record_type, body) if pair is _PAIR and record_type in _PLAIN_TYPES else None
    if fields is None:
        fields = _scan(record_type, body, pair)
    if enriched:
        short = len(enriched) <= _REPEATED_LENGTH
        for name, value in (_repeated_names if short else _enriched_names)(enriched):
            fields.setdefault(name, value)
    add_derived_fields(record_type, fields)
    return fields


def _enriched_names(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields that auditd adds: ``ARCH=x86_64 SYSCALL=openat AUID="root"``."""
    # SADDR={ saddr_fam=inet laddr=192.0.2.1 lport=80 } only brackets other fields.
    return tuple((name, value.strip("\"'")) for name, value in _PAIR.findall(text) if value != "{")


_repeated_names = lru_cache(_REPEATED_BODIES)(_enriched_names)


@lru_cache(_REPEATED_BODIES)
def _repeated_fields(record_type: str, body: str) -> dict[str, Any]:
    """Return what ``parse_fields`` does; to be copied, not changed."""
    return parse_fields(record_type, body)


def add_derived_fields(record_type: str, fields: dict[str, Any]) -> None:
    """Add what follows from numbers in *fields*: ``SYSCALL`` and ``ARCH``, the parts of a socket address."""
    if record_type == "SYSCALL" or "syscall" in fields:
        _add_call_names(fields)
    elif record_type == "SOCKADDR" and isinstance(fields.get("saddr"), str):
        for name, value in decode_saddr(fields["saddr"]).items():
            fields.setdefault(name, value)


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
    fields: dict[str, Any] = {"type": record_type}
    each = iter(parts)
    fields.update(zip(each, each, strict=True))
    fields["type"] = record_type  # whatever the text says
    if record_type == "EXECVE":
        return _decode_arguments(fields)
    for name, decode in _PLAIN_TYPES[record_type]:
        if name in fields:
            fields[name] = decode(fields[name])
    return fields


def _scan(record_type: str, body: str, pair: re.Pattern[str]) -> dict[str, Any]:
    """Return the fields of any body, whatever stands between them."""
    text = _open_message(body)
    fields: dict[str, Any] = {"type": record_type}
    avc = _AVC.search(text) if record_type in _AVC_TYPES else None
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

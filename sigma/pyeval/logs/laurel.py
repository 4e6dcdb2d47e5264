"""Reads the JSON lines of LAUREL: one object is one audit event, its records put together already.

``{"ID": "1700000000.123:456", "SYSCALL": {...}, "EXECVE": {"ARGV": [...]}, "PATH": [{...}, ...]}``: the
records are taken apart again and get the names and values that auditd's log has, so that rules for either
log match both. LAUREL writes numbers as JSON numbers, hexadecimal ones as ``"0x..."``, octal ones as
``"0o..."``, bytes outside of printable ASCII, ``%`` and ``+`` as ``%XX`` (json-format.md of LAUREL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from sigma.pyeval.logs.audit_events import AUDITD, AuditEvents, EventRecords
from sigma.pyeval.logs.audit_records import add_derived_fields
from sigma.pyeval.logs.audit_values import decode_text
from sigma.pyeval.logs.records import Parser, Problem, Record

MAX_EVENT_RECORDS = 4_096
"""Records of one event that are read."""

_ID = re.compile(r"([0-9]{1,12})\.([0-9]{3}):([0-9]{1,20})")
_RECORD_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")
_NO_RECORDS = frozenset({"ID", "NODE", "PARENT_INFO"})


class LaurelParser(Parser):
    """Parser of LAUREL's log.

    Args:
        failed_executions: Also give a process_creation event for each execution that failed.
        user_names: User id -> name, for logs without ENRICHED names.
    """

    def __init__(self, *, failed_executions: bool = False, user_names: Mapping[int, str] | None = None) -> None:
        self._events = AuditEvents(failed_executions=failed_executions, user_names=user_names)

    def feed(self, line: int, raw: bytes) -> list[Record | Problem]:
        """Return the records of the event on *line* and its joined events, or a problem."""
        if not raw.strip():
            return []
        try:
            source = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            return [Problem.at(line, f"no JSON: {error}", raw)]
        identity = _ID.fullmatch(source["ID"]) if _is_text(source, "ID") else None
        if identity is None:
            return [Problem.at(line, 'no LAUREL event: it has no "ID" of the form seconds.milliseconds:serial', raw)]
        seconds, milliseconds, serial = identity.groups()
        stamp = {"_SOURCE_REALTIME_TIMESTAMP": f"{seconds}{milliseconds}000", "_AUDIT_ID": serial}
        if _is_text(source, "NODE"):
            stamp["node"] = source["NODE"]
        records = [{**record, **stamp} for record in _records(source)]
        out: list[Record | Problem] = []
        if len(records) > MAX_EVENT_RECORDS:
            reason = f"audit event {serial} has over {MAX_EVENT_RECORDS} records; the rest is not read"
            out.append(Problem.at(line, reason, raw))
            records = records[:MAX_EVENT_RECORDS]
        self._remember_parent(source, stamp.get("node"))
        out.extend(Record(record, line, AUDITD, serial) for record in records)
        if records:
            out.extend(self._events.join(EventRecords(records), line))
        return out

    def flush(self) -> list[Record | Problem]:
        """Return nothing: no event is held back."""
        return []

    def _remember_parent(self, source: Mapping[str, Any], node: str | None) -> None:
        """Take up what LAUREL itself found out of the parent process."""
        syscall = source.get("SYSCALL")
        if not isinstance(syscall, dict) or syscall.get("ppid") is None:
            return
        for parent in (source.get("PARENT_INFO"), syscall.get("PPID")):
            if isinstance(parent, dict) and isinstance(parent.get("exe"), str):
                arguments = parent.get("ARGV")
                cmdline = _joined(arguments) if isinstance(arguments, list) else None
                self._events.remember(node, str(syscall["ppid"]), _text(parent["exe"]), cmdline)
                return


def _is_text(source: Any, name: str) -> bool:
    return isinstance(source, dict) and isinstance(source.get(name), str)


def _records(source: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of an event, under the names and with the values of auditd's log."""
    for name, content in source.items():
        if name in _NO_RECORDS or _RECORD_TYPE.fullmatch(name) is None:
            continue
        for record in content if isinstance(content, list) else [content]:
            if isinstance(record, dict):
                fields = _fields(name, record)
                add_derived_fields(name, fields)
                yield {"type": name, **fields} | {"type": name}


def _fields(record_type: str, record: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in record.items():
        if name == "ARGV" and isinstance(value, list):
            if record_type == "PROCTITLE":
                fields["proctitle"] = _joined(value)
            else:
                fields.update({f"a{number}": _text(word) for number, word in enumerate(value)})
        elif name == "ARGV_STR" and isinstance(value, str):
            fields["proctitle" if record_type == "PROCTITLE" else "cmdline"] = _text(value)
        elif name == "SADDR" and isinstance(value, dict):
            fields.update({part: _text(inner) for part, inner in value.items()})
        elif name == "key" and isinstance(value, list):
            fields[name] = [_text(part) for part in value]
        elif not isinstance(value, dict):
            fields[name] = _text(value)
    return fields


def _joined(words: list[Any]) -> str:
    return " ".join(_text(word) or "" for word in words)


def _text(value: Any) -> str | None:
    """Return a value as auditd's log has it: 59 -> "59", "0xc000003e" -> "c000003e", "0o755" -> "0755"."""
    if value is None:
        return None
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    if value.startswith("0x"):
        return value[2:]
    if value.startswith("0o"):
        return "0" + value[2:]
    return decode_text(unquote_to_bytes(value)) if "%" in value else value

r"""Reads the audit events of AUOMS, Microsoft's auditd plug-in, in Azure's Syslog JSON: an event a line.

``{"SyslogMessage": "type=AUOMS_EXECVE audit(1700000000.123:456): ... cmdline=\"bash -i\" ..."}``: AUOMS has
put the records of the event together, with names in the place of numbers. They are taken apart again and get
the names and values that auditd's log has, so that rules for either log match both. The bare message is read
as well.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from sigma.pyeval.logs.audit_events import AUDITD, AuditEvents, EventRecords
from sigma.pyeval.logs.audit_records import add_derived_fields
from sigma.pyeval.logs.audit_syscalls import ARCHITECTURES
from sigma.pyeval.logs.audit_values import decode_keys, decode_string
from sigma.pyeval.logs.records import Parser, Problem, Record

MAX_SPLIT_COMMAND_LINE = 65_536
"""Characters of a command line that are split into arguments; a longer one stays as it is."""

_HEADER = re.compile(r"\s*type=(\S+) audit\(([0-9]{1,12})\.([0-9]{3}):([0-9]{1,20})\): *", re.ASCII)
_FIELD = re.compile(r'(?<![\w\-])([A-Za-z][\w\-]*)=(\[(?:"(?:[^"\\]|\\.)*"(?:, ?)?)*\]|"[^"]*"(?=$| )|[^ ]*)', re.ASCII)
_UNQUOTED_TEXTS = frozenset({"cmdline", "proctitle"})  # they may hold anything, and stand before "redactors="
_NEXT_FIELD = " redactors="
_ARCH_NUMBERS = {name: number for number, name in ARCHITECTURES.items()}
_ENRICHED_NAMES = {
    "audit_user": "AUID", "user": "UID", "effective_user": "EUID", "set_user": "SUID", "group": "GID",
    "effective_group": "EGID", "set_group": "SGID", "filesystem_user": "FSUID", "filesystem_group": "FSGID",
}  # fmt: skip
_PATH_FIELDS = frozenset({
    "name", "inode", "dev", "mode", "o_user", "ouid", "owner_group", "ogid", "rdev", "nametype",
    "cap_fp", "cap_fi", "cap_fe", "cap_fver", "cap_frootid",
})  # fmt: skip
_OTHER_RECORDS = frozenset({"cwd", "argc", "cmdline", "proctitle", "saddr", "saddr_r", "arch", "syscall", "syscall_r"})


class AuomsParser(Parser):
    """Parser of AUOMS events, as JSON lines or as bare messages.

    Args:
        failed_executions: Also give a process_creation event for each execution that failed.
    """

    def __init__(self, *, failed_executions: bool = False) -> None:
        self._events = AuditEvents(failed_executions=failed_executions)

    def feed(self, line: int, raw: bytes) -> list[Record | Problem]:
        """Return the records of the event on *line* and its joined events, or a problem."""
        if not raw.strip():
            return []
        try:
            message = _message(raw)
        except orjson.JSONDecodeError as error:
            return [Problem.at(line, f"no JSON: {error}", raw)]
        header = _HEADER.match(message)
        if header is None:
            reason = "no AUOMS event: its message does not begin with type=... audit(seconds.milliseconds:serial)"
            return [Problem.at(line, reason, raw)]
        event_type, seconds, milliseconds, serial = header.groups()
        fields = _fields(message[header.end() :])
        stamp = {"_SOURCE_REALTIME_TIMESTAMP": f"{seconds}{milliseconds}000", "_AUDIT_ID": serial}
        if fields.get("node"):
            stamp["node"] = fields.pop("node")
        records = [{**record, **stamp} for record in _records(event_type, fields)]
        out: list[Record | Problem] = [Record(record, line, AUDITD, serial) for record in records]
        if records:
            out.extend(self._events.join(EventRecords(records), line))
        return out

    def flush(self) -> list[Record | Problem]:
        """Return nothing: no event is held back."""
        return []


def _message(raw: bytes) -> str:
    """Return the audit message in *raw*, empty where it has none.

    Raises:
        orjson.JSONDecodeError: *raw* is neither JSON nor a message.
    """
    if raw.lstrip().startswith(b"type="):
        return raw.decode("utf-8", "backslashreplace")
    source = orjson.loads(raw)
    message = source.get("SyslogMessage") if isinstance(source, dict) else None
    return message if isinstance(message, str) else ""


def _fields(text: str) -> dict[str, str]:
    """Return the fields of an AUOMS message, as written; of two with one name the first."""
    fields: dict[str, str] = {}
    position = 0
    while (field := _FIELD.search(text, position)) is not None:
        name, value = field.groups()
        position = field.end()
        if name in _UNQUOTED_TEXTS:
            position = max(text.rfind(_NEXT_FIELD), field.start(2))
            if position == field.start(2):
                position = len(text)
            value = text[field.start(2) : position]
        if len(value) > 1 and value[0] == '"' == value[-1]:
            value = value[1:-1]
        fields.setdefault(name, value)
    return fields


def _records(event_type: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the records of an event, under the names and with the values of auditd's log."""
    if "syscall" not in fields:
        return [{**_syscall(fields), "type": event_type.removeprefix("AUOMS_")}]
    records: list[dict[str, Any]] = [{"type": "SYSCALL", **_syscall(fields)}]
    if "cmdline" in fields:
        records.append(_execve(fields["cmdline"], fields.get("argc", "")))
    address = fields.get("saddr_r", fields.get("saddr", ""))
    if address:
        records.append({"type": "SOCKADDR", "saddr": address})
    if "cwd" in fields:
        records.append({"type": "CWD", "cwd": decode_string(fields["cwd"])})
    records.extend(_paths(fields))
    if "proctitle" in fields:
        records.append({"type": "PROCTITLE", "proctitle": fields["proctitle"]})
    for record in records:
        add_derived_fields(record["type"], record)
    return records


def _syscall(fields: Mapping[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if "syscall" in fields:
        arch = fields.get("arch", "")
        record["arch"] = _ARCH_NUMBERS.get(arch, arch)
        record["syscall"] = fields.get("syscall_r", "")
        record["SYSCALL"] = fields["syscall"]
    for name, value in fields.items():
        if name == "key":
            record["key"] = decode_keys(fields.get("key_r", value))
        elif name not in _OTHER_RECORDS and name not in _PATH_FIELDS and not name.startswith(("path_", "key_r")):
            record[_ENRICHED_NAMES.get(name, name)] = value
    if record.get("ses") == "-1":
        record["ses"] = "4294967295"
    return record


def _execve(cmdline: str, argc: str) -> dict[str, Any]:
    """Return the EXECVE record behind a command line.

    AUOMS quotes arguments as a shell would; where taking the quotes away gives as many arguments as there
    were, these are they.
    """
    record: dict[str, Any] = {"type": "EXECVE", "argc": argc, "cmdline": cmdline}
    if len(cmdline) > MAX_SPLIT_COMMAND_LINE:
        return record
    try:
        arguments = shlex.split(cmdline)
    except ValueError:  # an unbalanced quote: no shell quoting
        return record
    if str(len(arguments)) == argc:
        del record["cmdline"]
        record.update({f"a{number}": text for number, text in enumerate(arguments)})
    return record


def _paths(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    columns = {name: _texts(fields.get(f"path_{name}", "")) for name in ("name", "nametype", "mode", "ouid", "ogid")}
    records = []
    for item in range(len(columns["name"])):
        values = {name: column[item] for name, column in columns.items() if item < len(column) and column[item]}
        records.append({"type": "PATH", "item": str(item), **values})
    return records


def _texts(array: str) -> list[str]:
    """Return the texts of a JSON array, none where *array* is not one."""
    try:
        values = orjson.loads(array)
    except orjson.JSONDecodeError:
        return []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []

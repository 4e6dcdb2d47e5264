"""The systemd journal: lines of ``journalctl -o json`` to events with the journal's own field names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.audit_lines import audit_line_of_entry
from sigma.pyeval.logs.json_values import JsonError, parse_json
from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.services import linux_logsource, message_fields
from sigma.pyeval.logs.sysmon_linux import sysmon_record
from sigma.pyeval.logs.text import decode

Entry = dict[str, Any]

_NOT_SCALAR = frozenset({list, type(None)})


class JournaldParser(Parser):
    """Lines of ``journalctl -o json`` (one object a line) to records; ``Parser``.

    Values stay as journald gives them: numbers are text; an array of numbers is a field's bytes and becomes
    text; a field that occurs several times is a list; ``null`` (a field that journalctl left out for its
    size, see ``--all`` in journalctl(1)) stays ``null`` and is also a problem, since rules cannot see its
    value.

    Args:
        audit: A parser of auditd lines, which then gets the entries of ``_TRANSPORT=audit`` as such lines.
    """

    def __init__(self, audit: Parser | None = None) -> None:
        self._audit = audit

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        if not raw.strip():
            return ()
        try:
            entry = parse_json(raw)
        except JsonError as error:
            return (Problem.at(line, str(error), raw),)
        if not isinstance(entry, dict):
            return (Problem.at(line, "not a journal entry: the line is no JSON object", raw),)
        too_large = _decode_values(entry)
        records = entry_records(line, entry, self._audit)
        if too_large:
            reason = f"left out by journalctl for its size: {', '.join(too_large)}; read the journal with --all"
            return (*records, Problem.at(line, reason, raw))
        return records

    def flush(self) -> Iterable[Record | Problem]:
        """Return what the audit parser still holds; the journal itself keeps nothing back."""
        return self._audit.flush() if self._audit is not None else ()

    def held_from(self) -> int | None:
        """Return what the audit parser says."""
        return self._audit.held_from() if self._audit is not None else None


def entry_records(line: int, entry: Entry, audit: Parser | None = None) -> Iterable[Record | Problem]:
    """Return the records of a decoded journal *entry*, which becomes the event.

    The log source is ``product: linux`` and the service of SYSLOG_IDENTIFIER, else _COMM, else _SYSTEMD_UNIT.
    What sudo and PAM say in MESSAGE is added under names that the entry does not have. Sysmon's events become
    Sysmon records.
    """
    if audit is not None and entry.get("_TRANSPORT") == "audit" and (text := audit_line_of_entry(entry)) is not None:
        return audit.feed(line, text)
    message = entry.get("MESSAGE")
    identifier, process = _text(entry, "SYSLOG_IDENTIFIER"), _text(entry, "_COMM")
    problem = None
    if isinstance(message, str):
        if "<Event>" in message:
            found = sysmon_record(line, message)
            if isinstance(found, Record):
                return (found,)
            problem = found
        for name, value in message_fields(identifier or process or "", message).items():
            entry.setdefault(name, value)
    record = Record(entry, line, linux_logsource(identifier, process, _text(entry, "_SYSTEMD_UNIT")))
    return (record,) if problem is None else (record, problem)


def _decode_values(entry: Entry) -> list[str]:
    """Turn byte arrays into text, in place; return the names of fields that are ``null``."""
    if _NOT_SCALAR.isdisjoint(map(type, entry.values())):
        return []
    for name, value in entry.items():
        if type(value) is list:
            entry[name] = _decode_array(value)
    return [name for name, value in entry.items() if value is None]


def _decode_array(values: list[Any]) -> Any:
    if _is_bytes(values):
        return decode(bytes(values))
    return [decode(bytes(value)) if isinstance(value, list) and _is_bytes(value) else value for value in values]


def _is_bytes(values: list[Any]) -> bool:
    return bool(values) and all(type(value) is int and 0 <= value <= 255 for value in values)


def _text(entry: Entry, name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) else None

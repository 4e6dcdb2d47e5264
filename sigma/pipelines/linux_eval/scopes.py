"""Scopes: the expression that says which events a log source is for at all.

A scope is Python source: ``and``, ``or``, ``not``, parentheses and calls of matchers with literal arguments.
An ``or`` at its top stands in parentheses, so that ``scope and (expression)`` means what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sigma.pyeval.literals import literal

from .fields import FieldTable
from .services import SERVICES, Service

# The kernel keeps 15 characters of a process's name, see proc(5), /proc/pid/comm.
COMM_LENGTH = 15

# By which an access-log event and a network event are known.
ACCESS_LOG_FIELDS = ("cs-method", "cs-uri-stem", "cs-uri-query", "c-uri", "sc-status")
PEER_FIELDS = ("DestinationIp", "DestinationHostname")
# Log source that is no service -> fields one of which its events have; ``None``: every event is in its scope.
_KNOWN_BY: Mapping[str, tuple[str, ...] | None] = {
    "process_creation": ("Image", "CommandLine"),
    "file_event": ("TargetFilename",),
    "network_connection": PEER_FIELDS,
    "auditd": ("type",),
    "syslog": ("MESSAGE",),
    "webserver": ACCESS_LOG_FIELDS,
    "linux": None,
}


def emit_scope(log_source: str, table: FieldTable, *, journald_processes: bool = False) -> str | None:
    """Return the scope of a log source, or ``None`` where every event is in it.

    Args:
        log_source: Name of a log source, see ``log_sources``.
        table: The fields of any event, since a scope tells one kind from the others; it reads the names that
            they are mapped to.
        journald_processes: Whether a journald line counts as an event of the process that wrote it.

    Raises:
        KeyError: There is no such log source.
    """
    if log_source in SERVICES:
        return _emit_service_scope(table, SERVICES[log_source])
    fields = _KNOWN_BY[log_source]
    if fields is None:
        return None
    scope = _emit_exists_any(table, fields)
    if log_source == "process_creation":
        others = ["type", "TargetFilename", *PEER_FIELDS]
        excluded = others if journald_processes else ["MESSAGE", *others]
        return f"{scope} and not {_emit_exists_any(table, excluded)}"
    return scope


def _emit_service_scope(table: FieldTable, service: Service) -> str:
    identifiers = table.mapping["SYSLOG_IDENTIFIER"]
    line = _emit_exists_any(table, ["MESSAGE"])
    processes = dict.fromkeys(program[:COMM_LENGTH] for program in service.programs if "(" not in program)
    comm = _any_of(_emit_equals(table.mapping["_COMM"], tuple(processes)))
    terms = [
        *_emit_equals(identifiers, service.programs),
        *_emit_startswith(identifiers, service.prefixes),
        f"{line} and {comm}",  # an event of the process itself has its name too, and is no log line
        *_emit_equals(table.mapping["SYSLOG_FACILITY"], service.facilities),
        *_emit_startswith(table.mapping["MESSAGE"], service.messages),
    ]
    if service.access_log:
        terms.append(_emit_exists_any(table, ACCESS_LOG_FIELDS))
    if service.own_file:
        writer = _emit_exists_any(table, ["SYSLOG_IDENTIFIER", "_COMM"])
        terms.append(f"{line} and not {writer}")
    return _any_of(terms)


def _emit_exists_any(table: FieldTable, fields: Iterable[str]) -> str:
    names = dict.fromkeys(name for field in fields for name in table.mapping[field])
    return _any_of(f"exists(event, {literal(name)})" for name in names)


def _emit_equals(names: Iterable[str], values: tuple[str, ...]) -> list[str]:
    if not values:
        return []
    if len(values) == 1:
        return [f"equals(event, {literal(name)}, {literal(values[0])})" for name in names]
    return [f"equals_any(event, {literal(name)}, {literal(values)})" for name in names]


def _emit_startswith(names: Iterable[str], values: tuple[str, ...]) -> list[str]:
    return [f"startswith(event, {literal(name)}, {literal(value)})" for name in names for value in values]


def _any_of(terms: Iterable[str]) -> str:
    listed = list(terms)
    return listed[0] if len(listed) == 1 else f"({' or '.join(listed)})"

"""Scopes: the expression that says which events a log source is for at all.

A scope is Python source: ``and``, ``or``, ``not``, parentheses and calls of matchers with literal arguments.
An ``or`` at its top stands in parentheses, so that ``scope and (expression)`` means what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sigma.pyeval.literals import literal

from .fields import FieldTable
from .services import Service

# The kernel keeps 15 characters of a process's name, see proc(5), /proc/pid/comm.
COMM_LENGTH = 15

# By which an access-log event and a network event are known.
ACCESS_LOG_FIELDS = ("cs-method", "cs-uri-stem", "cs-uri-query", "c-uri", "sc-status")
PEER_FIELDS = ("DestinationIp", "DestinationHostname")


@dataclass(frozen=True)
class Kind:
    """How to know the events of one kind; all fields are named as rules name them.

    Attributes:
        has: Fields one of which it has; none where only what it says counts.
        lacks: Fields none of which it has, unless it says its kind.
        says: Fields that name a kind, with the values for this one. An event that has the first of them is
            believed: it is of this kind if each of them that it has has one of the values.
    """

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    says: tuple[tuple[str, tuple[str | int, ...]], ...] = ()


def emit_scope(kind: Kind, table: FieldTable) -> str:
    """Return the scope of a kind of events.

    Args:
        kind: How to know them.
        table: The fields of any event, since a scope tells one kind from the others; it reads the names that
            they are mapped to.
    """
    terms = [_emit_exists_any(table, kind.has)] if kind.has else []
    lacks = [f"not {_emit_exists_any(table, kind.lacks)}"] if kind.lacks else []
    if not kind.says:
        return " and ".join([*terms, *lacks])
    said = [_any_of(_emit_equals(table.mapping[field], values)) for field, values in kind.says]
    silent = [f"not {_emit_exists_any(table, [field])}" for field, _ in kind.says]
    believed = [said[0], *(f"({term} or {absent})" for term, absent in zip(said[1:], silent[1:], strict=True))]
    alternatives = [" and ".join(believed)]
    if kind.has:
        alternatives.append(" and ".join([silent[0], *lacks]))
    return " and ".join([*terms, _any_of(alternatives)])


def emit_service_scope(service: Service, table: FieldTable, lacks: tuple[str, ...] = ()) -> str:
    """Return the scope of a service's log lines.

    Args:
        service: How to know them.
        table: As for ``emit_scope``.
        lacks: Fields that no log line has, where the name of a program alone doesn't make a line.
    """
    scope = _any_of(_service_terms(service, table))
    return f"{scope} and not {_emit_exists_any(table, lacks)}" if lacks else scope


def _service_terms(service: Service, table: FieldTable) -> list[str]:
    identifiers = table.mapping["SYSLOG_IDENTIFIER"]
    line = _emit_exists_any(table, ["MESSAGE"])
    comms = [name for name in table.mapping["_COMM"] if name not in identifiers]
    processes = dict.fromkeys(program[:COMM_LENGTH] for program in service.programs if "(" not in program)
    terms = [
        *_emit_equals(identifiers, service.programs),
        *_emit_startswith(identifiers, service.prefixes),
        # An event of the process itself has its name too, and is no log line.
        *(f"{line} and {term}" for term in _emit_equals(comms, tuple(processes))),
        *_emit_equals(table.mapping["SYSLOG_FACILITY"], service.facilities),
        *_emit_startswith(table.mapping["MESSAGE"], service.messages),
    ]
    if service.access_log:
        terms.append(_emit_exists_any(table, ACCESS_LOG_FIELDS))
    if service.own_file:
        writer = _emit_exists_any(table, ["SYSLOG_IDENTIFIER", "_COMM"])
        terms.append(f"{line} and not {writer}")
    return terms


def _emit_exists_any(table: FieldTable, fields: Iterable[str]) -> str:
    names = dict.fromkeys(name for field in fields for name in table.mapping[field])
    return _any_of(f"exists(event, {literal(name)})" for name in names)


def _emit_equals(names: Iterable[str], values: Sequence[str | int]) -> list[str]:
    if not values:
        return []
    if len(values) == 1:
        return [f"equals(event, {literal(name)}, {literal(values[0])})" for name in names]
    return [f"equals_any(event, {literal(name)}, {literal(tuple(values))})" for name in names]


def _emit_startswith(names: Iterable[str], values: tuple[str, ...]) -> list[str]:
    return [f"startswith(event, {literal(name)}, {literal(value)})" for name in names for value in values]


def _any_of(terms: Iterable[str]) -> str:
    listed = list(terms)
    return listed[0] if len(listed) == 1 else f"({' or '.join(listed)})"

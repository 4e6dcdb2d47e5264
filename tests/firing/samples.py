"""Reads the data files: for each rule the raw lines that fire it, and the same lines with one detail changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .access_writer import access_line
from .audit_writer import AuditLog, Process

FOLDER = Path(__file__).parent
FORMATS = {
    "process_creation": "auditd",
    "file_event": "auditd",
    "network_connection": "auditd",
    "auditd": "auditd",
    "builtin": "syslog",
    "webserver": "access",
}
"""Data file -> log format of its entries, unless an entry names another one."""

SEPARATOR_SYMBOL = "\u241d"
"""Stands in raw lines for the character 0x1d, which auditd writes before the names that it adds."""

Detail = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """Raw log lines for one rule.

    Attributes:
        rule_id: The rule's UUID.
        format: Name of the log format, as ``create_parser`` knows it.
        options: The parser's options.
        fires: Lines of which one event matches the rule.
        near_miss: Lines of which none does.
        written_out: The lines stand in the data file as they are; else a writer made them.
        note: What a reader should know about the rule.
    """

    rule_id: str
    format: str
    options: Mapping[str, Any]
    fires: tuple[bytes, ...]
    near_miss: tuple[bytes, ...]
    written_out: bool
    note: str | None


def load_samples(name: str) -> list[Sample]:
    """Return the samples of the data file *name*."""
    entries = yaml.load((FOLDER / f"{name}.yml").read_bytes(), Loader=yaml.CSafeLoader)
    return [_sample(entry, FORMATS[name]) for entry in entries]


def _sample(entry: Mapping[str, Any], usual_format: str) -> Sample:
    fires: Detail = entry["fires"]
    return Sample(
        entry["id"],
        entry.get("format", usual_format),
        entry.get("options", {}),
        _lines(fires),
        _lines(_changed(fires, entry["near_miss"])),
        isinstance(fires, str),
        entry.get("note"),
    )


def _changed(fires: Detail, near_miss: Mapping[str, Any]) -> Detail:
    """Return *fires* with the change: texts replaced in raw lines, or keys replaced in a description."""
    if not isinstance(fires, str):
        return {**fires, **near_miss}
    for old, new in near_miss.items():
        if old not in fires:
            raise ValueError(f"{old!r} is to be replaced, but does not occur")
        fires = fires.replace(old, new)
    return fires


def _lines(detail: Detail) -> tuple[bytes, ...]:
    if isinstance(detail, str):
        text = detail.replace(SEPARATOR_SYMBOL, "\x1d").split("\n")
    elif "request" in detail:
        text = [access_line(**detail)]
    else:
        text = _audit_lines(**detail)
    return tuple(line.encode() for line in text)


def _audit_lines(
    *,
    parent: Mapping[str, str] | None = None,
    writes: str | None = None,
    appends: str | None = None,
    connects: str | None = None,
    **process: str,
) -> list[str]:
    """Return the records of a parent's execution, the process's own, and of the file or connection."""
    log, actor = AuditLog(), Process(**process)
    pid = log.execute(actor) if parent is None else log.execute(actor, log.execute(Process(**parent)))
    if writes is not None:
        log.write_file(actor, pid, writes)
    if appends is not None:
        log.append_to_file(actor, pid, appends)
    if connects is not None:
        log.connect(actor, pid, connects)
    return log.lines

"""Comma-separated values (RFC 4180) that a spreadsheet shows and never calculates."""

from __future__ import annotations

import csv
import io
from typing import Any, BinaryIO, Final

from sigma.pyeval.attack import parse_attack
from sigma.pyeval.entities import parse_entities
from sigma.pyeval.event_time import event_time
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import json_line

COLUMNS: Final = (
    "time", "level", "rule", "rule_id", "status", "tactics", "techniques", "category", "product", "service",
    "host", "user", "image", "command_line", "message", "path", "line", "serial", "author", "license", "event",
)  # fmt: skip
"""The columns; ``event`` is the whole event as JSON."""

# What makes a spreadsheet read a cell as a formula, or move the beginning of one into view.
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CsvWriter:
    """Writes a line of column names, then a row a finding; every cell is quoted, UTF-8, lines end with CR LF.

    A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab, CR or LF (or the full-width forms of these signs) gets
    an apostrophe in front: spreadsheets then show it as text. Holds nothing.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._row(COLUMNS)

    def write(self, finding: Finding) -> None:
        """Write the finding's row."""
        self._row([_cell(value) for value in _values(finding)])

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def _row(self, cells: list[str] | tuple[str, ...]) -> None:
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL).writerow(cells)
        self._stream.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _values(finding: Finding) -> tuple[Any, ...]:
    rule, event = finding.match.rule, finding.match.event
    attack = parse_attack(rule.tags)
    entities = parse_entities(event)
    moment = event_time(event)
    logsource = finding.logsource
    return (
        moment and moment.isoformat(), rule.level, rule.title, rule.id, rule.status,
        " ".join(attack.tactics), " ".join(attack.techniques),
        logsource.category, logsource.product, logsource.service,
        entities.host, entities.user.name, entities.process.executable, entities.process.command_line, entities.message,
        finding.path, finding.line, finding.serial, rule.author, rule.license, json_line(event).decode(),
    )  # fmt: skip


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA_BEGINNINGS) else text

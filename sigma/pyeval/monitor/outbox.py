"""Alerts that wait for sinks, and what correlation rules have taken in; all within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import orjson

from sigma.pyeval.output import json_line

from .settled import Outgoing, Pending


def keep(database: sqlite3.Connection, one: Outgoing) -> None:
    """Keep an alert for each of its sinks; without any it is history at once."""
    row = database.execute(
        "INSERT INTO alerts (body, waiting, id) VALUES (?, ?, ?)",
        (json_line(one.alert), len(one.sinks), one.alert["id"]),
    )
    database.executemany(
        "INSERT INTO pending (sink, due, number) VALUES (?, ?, ?)",
        [(sink, one.due.get(sink, 0.0), row.lastrowid) for sink in one.sinks],
    )


def pending(database: sqlite3.Connection, sink: str, most: int, by: float) -> list[Pending]:
    """Return up to *most* alerts that are due for *sink* by a time (epoch), the first due first."""
    rows = database.execute(
        "SELECT number, body, due FROM pending JOIN alerts USING (number) WHERE sink = ? AND due <= ?"
        " ORDER BY due, number LIMIT ?",
        (sink, by, most),
    )
    return [Pending(number, orjson.loads(body), due) for number, body, due in rows]


def delivered(database: sqlite3.Connection, sink: str, numbers: Iterable[int]) -> None:
    """Forget that these alerts wait for *sink*."""
    for number in numbers:
        which = (sink, number)
        found = database.execute("DELETE FROM pending WHERE sink = ? AND due = 0 AND number = ?", which).rowcount
        if not found:
            found = database.execute("DELETE FROM pending WHERE sink = ? AND due > 0 AND number = ?", which).rowcount
        if found:
            database.execute("UPDATE alerts SET waiting = waiting - 1 WHERE number = ?", (number,))

"""The newest alerts, kept after their delivery, and who acknowledged them; all within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from .batches import Json
from .settled import Hits

_MOST_IN_A_ROUND = 1_000


class Kept(NamedTuple):
    """An alert of the history.

    Attributes:
        number: Grows with time; unique in the store.
        alert: What it says, as it was delivered.
        acknowledged: When somebody acknowledged it, in seconds since the epoch; ``None`` while nobody has.
        by: Who did, as they named themselves.
    """

    number: int
    alert: Mapping[str, Json]
    acknowledged: float | None
    by: str | None


def kept(database: sqlite3.Connection, most: int, before: int | None, after: int | None) -> list[Kept]:
    """Return up to *most* alerts with numbers below *before* and above *after*, the newest first."""
    rows = database.execute(
        "SELECT number, body, at, by FROM alerts LEFT JOIN acknowledgements USING (number)"
        " WHERE number < ? AND number > ? ORDER BY number DESC LIMIT ?",
        (2**63 - 1 if before is None else before, -1 if after is None else after, most),
    )
    return [Kept(number, orjson.loads(body), at, by) for number, body, at, by in rows]


def numbers(database: sqlite3.Connection, first: int) -> set[int]:
    """Return the numbers, from *first* on, of the alerts that are kept."""
    return {number for (number,) in database.execute("SELECT number FROM alerts WHERE number >= ?", (first,))}


def exception_hits(database: sqlite3.Connection) -> dict[str, Hits]:
    """Return what each exception has excepted."""
    rows = database.execute("SELECT name, hits, last FROM exception_hits")
    return {name: Hits(count, last) for name, count, last in rows}


def kept_with_id(database: sqlite3.Connection, alert_id: str) -> Kept | None:
    """Return the newest alert with this id."""
    row = database.execute(
        "SELECT number, body, at, by FROM alerts LEFT JOIN acknowledgements USING (number)"
        " WHERE id = ? ORDER BY number DESC LIMIT 1",
        (alert_id,),
    ).fetchone()
    return None if row is None else Kept(row[0], orjson.loads(row[1]), row[2], row[3])


def acknowledge(database: sqlite3.Connection, ids: Iterable[str], by: str, at: float) -> list[str]:
    """Acknowledge the alerts with these ids and call their escalations off; return the ids of those that were not yet."""
    done = []
    for alert_id in dict.fromkeys(ids):
        numbers = [row[0] for row in database.execute("SELECT number FROM alerts WHERE id = ?", (alert_id,))]
        new = 0
        for number in numbers:
            new += database.execute(
                "INSERT OR IGNORE INTO acknowledgements (number, at, by) VALUES (?, ?, ?)", (number, at, by)
            ).rowcount
            gone = database.execute("DELETE FROM pending WHERE number = ? AND due > 0", (number,)).rowcount
            if gone:
                database.execute("UPDATE alerts SET waiting = waiting - ? WHERE number = ?", (gone, number))
        if new:
            done.append(alert_id)
    return done


def trim(database: sqlite3.Connection, most: int) -> None:
    """Forget delivered alerts that are not among the *most* newest ones."""
    database.execute(
        "DELETE FROM alerts INDEXED BY alerts_delivered"
        " WHERE waiting = 0 AND number <= (SELECT max(number) FROM alerts) - ?",
        (most,),
    )


def forget_oldest(database: sqlite3.Connection, wanted: int) -> int:
    """Forget the oldest delivered alerts, of *wanted* bytes or more together; return how many."""
    numbers: list[tuple[int]] = []
    rows: Sequence[tuple[int, int]] = database.execute(
        "SELECT number, length(body) FROM alerts INDEXED BY alerts_delivered WHERE waiting = 0 ORDER BY number LIMIT ?",
        (_MOST_IN_A_ROUND,),
    ).fetchall()
    for number, size in rows:
        if wanted <= 0:
            break
        wanted -= size
        numbers.append((number,))
    database.executemany("DELETE FROM alerts WHERE number = ?", numbers)
    return len(numbers)

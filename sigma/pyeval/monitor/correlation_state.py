"""What correlation rules remember, in the store: a state, and what was observed since; within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

_PREFIX = "observed "

MOST_IDS: Final = 100_000
"""Ids kept of events from sources without checkpoints, which may give them once more."""


class Observed(NamedTuple):
    """What correlation rules take from one event.

    Attributes:
        id: The same when the event is read again; unlike any alert's.
        observation: JSON, for ``Correlation`` to take in once more after a restart.
    """

    id: str
    observation: bytes

    @classmethod
    def of(cls, contribution_id: str, observation: bytes) -> Observed:
        """Return the observation whose contributing event has this id."""
        return cls(_PREFIX + contribution_id, observation)


class KeptState(NamedTuple):
    """The last state, ``None`` where there is none, and what was observed since, in order."""

    state: bytes | None
    observed: Sequence[bytes]


def kept(database: sqlite3.Connection) -> KeptState:
    """Return what is kept."""
    row = database.execute("SELECT state FROM correlation_state").fetchone()
    observed = [body for (body,) in database.execute("SELECT observation FROM observed ORDER BY number")]
    return KeptState(None if row is None else row[0], observed)


def keep(database: sqlite3.Connection, state: bytes) -> None:
    """Keep *state*, in which all is that was observed."""
    database.execute("DELETE FROM observed")
    database.execute("DELETE FROM correlation_state")  # makes room for the new one
    database.execute("INSERT INTO correlation_state VALUES (1, ?)", (state,))


def note(database: sqlite3.Connection, one: Observed, source: str | None) -> None:
    """Keep what was observed; with *source* also its id, as that source may give the event once more at any time."""
    database.execute("INSERT INTO observed (observation) VALUES (?)", (one.observation,))
    if source is not None and one.id:
        row = database.execute("INSERT OR IGNORE INTO observed_ids (source, id) VALUES (?, ?)", (source, one.id))
        if row.lastrowid:
            database.execute("DELETE FROM observed_ids WHERE number <= ?", (row.lastrowid - MOST_IDS,))


def unseen(
    database: sqlite3.Connection, source: str, stream: str | None, observed: Sequence[Observed]
) -> list[Observed]:
    """Return those of *observed* that are not known, each once; without a *stream* by the ids that ``note`` kept."""
    observed = list({one.id: one for one in observed}.values())
    if stream is None:
        query = "SELECT 1 FROM observed_ids WHERE source = ? AND id = ?"
        return [one for one in observed if not database.execute(query, (source, one.id)).fetchone()]
    return [
        one
        for one in observed
        if not database.execute(
            "SELECT 1 FROM known WHERE source = ? AND stream = ? AND id = ?", (source, stream, one.id)
        ).fetchone()
    ]

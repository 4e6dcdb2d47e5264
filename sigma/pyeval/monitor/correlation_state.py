"""What correlation rules remember, in the store: a state, and what was observed since; within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

_PREFIX = "observed "


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
    database.execute("INSERT OR REPLACE INTO correlation_state VALUES (1, ?)", (state,))
    database.execute("DELETE FROM observed")


def note(database: sqlite3.Connection, one: Observed) -> None:
    """Keep what was observed."""
    database.execute("INSERT INTO observed (observation) VALUES (?)", (one.observation,))


def unseen(database: sqlite3.Connection, source: str, stream: str, observed: Sequence[Observed]) -> list[Observed]:
    """Return those of *observed* that are not known."""
    return [
        one
        for one in observed
        if not database.execute(
            "SELECT 1 FROM known WHERE source = ? AND stream = ? AND id = ?", (source, stream, one.id)
        ).fetchone()
    ]

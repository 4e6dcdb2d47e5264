"""The windows of suppression: how many alerts of a key have passed and how many have not; all within the caller's transaction.

They are rows of the store and nothing else, so that they are undone with a batch and there again after a crash.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

MOST_WINDOWS: Final = 50_000
"""Windows kept at once; beyond, those that end first are given up and their next alerts pass."""

ROW_BYTES: Final = 256
"""About what a window takes in the store, its index included."""

GRACE_SECONDS: Final = 60.0
"""So long after its end a window waits for an alert that tells what was suppressed in it; then it is reported by itself."""

_EVICTED_AT_ONCE = 100  # the hundredth part


class Ended(NamedTuple):
    """A window that no later alert will tell of.

    Attributes:
        rule: The rule's id, or its title where it has none.
        suppressed: How many alerts did not pass.
        began, ends: The window, in seconds since the epoch.
        evicted: Whether it was given up for room before its end.
    """

    rule: str
    suppressed: int
    began: float
    ends: float
    evicted: bool


class Claim(NamedTuple):
    """What an alert needs to pass: a place in a window.

    Attributes:
        entry: Tells the entry of the configuration, with all that it says.
        key: Tells rule and key.
        rule: How a report names the rule.
        seconds: How long a window is.
        most: How many alerts pass in one.
        at: When the alert was found, in seconds since the epoch.
    """

    entry: str
    key: bytes
    rule: str
    seconds: float
    most: int
    at: float


class Windows:
    """The table of windows.

    Args:
        database: The store's.
        most: How many are kept.
    """

    def __init__(self, database: sqlite3.Connection, most: int) -> None:
        self._database = database
        self._most = most
        self.recount()

    def recount(self) -> None:
        """Count the rows anew, after a transaction was undone."""
        self.count: int = self._database.execute("SELECT count(*) FROM windows").fetchone()[0]

    def admit(self, claim: Claim) -> int | None:
        """Return how many alerts were suppressed since the last that passed if this one passes, ``None`` if it does not.

        A window begins with an alert that finds none, or one that has ended. A clock that was set back ends it as well:
        it is better to alert once too often.
        """
        entry, key, rule, seconds, most, now = claim
        row = self._database.execute(
            "SELECT began, ends, passed, suppressed FROM windows WHERE entry = ? AND key = ?", (entry, key)
        ).fetchone()
        if row is None:
            self._database.execute(
                "INSERT INTO windows (entry, key, began, ends, passed, suppressed, rule) VALUES (?, ?, ?, ?, 1, 0, ?)",
                (entry, key, now, now + seconds, rule),
            )
            self.count += 1
            return 0
        began, ends, passed, suppressed = row
        before: int | None = 0
        if not began <= now < ends:
            began, ends, passed, suppressed, before = now, now + seconds, 1, 0, suppressed
        elif passed < most:
            passed += 1
        else:
            suppressed, before = suppressed + 1, None
        self._database.execute(
            "UPDATE windows SET began = ?, ends = ?, passed = ?, suppressed = ? WHERE entry = ? AND key = ?",
            (began, ends, passed, suppressed, entry, key),
        )
        return before

    def make_room(self, now: float) -> list[Ended]:
        """Give up the windows that end first, while there are too many; return those that were not over."""
        if self.count <= self._most:
            return []
        surplus = self.count - self._most + self._most // _EVICTED_AT_ONCE
        return [one for one in self._remove("ORDER BY ends LIMIT ?", (surplus,), now) if one.evicted or one.suppressed]

    def any_over(self, now: float) -> bool:
        """Return whether ``sweep`` would remove any."""
        found = self._database.execute("SELECT 1 FROM windows WHERE ends <= ? LIMIT 1", (now - GRACE_SECONDS,))
        return found.fetchone() is not None

    def sweep(self, now: float) -> list[Ended]:
        """Remove windows that ended ``GRACE_SECONDS`` ago; return those with suppressed alerts, which nothing told of."""
        over = self._remove("WHERE ends <= ?", (now - GRACE_SECONDS,), now)
        return [one for one in over if one.suppressed]

    def _remove(self, which: str, values: tuple[float, ...], now: float) -> list[Ended]:
        rows = self._database.execute(
            f"SELECT entry, key, rule, suppressed, began, ends FROM windows {which}",  # noqa: S608 - constant texts
            values,
        ).fetchall()
        self._database.executemany("DELETE FROM windows WHERE entry = ? AND key = ?", [row[:2] for row in rows])
        self.count -= len(rows)
        return [Ended(rule, suppressed, began, ends, ends > now) for _, _, rule, suppressed, began, ends in rows]

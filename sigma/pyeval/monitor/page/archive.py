"""What the page lists of each kept alert, in memory: enough to filter and count by; the events stay in the store."""

from __future__ import annotations

import asyncio
import secrets
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sigma.pyeval.output import printable

from ..journal import LOGGER
from ..sinks.alert_text import LONGEST_LINE, headline_of, part
from ..store import Kept, Store

MOST_LISTED: Final = 50_000
"""So many of the newest kept alerts are listed; about 1 kB of memory each."""

MOST_CHANGES: Final = 5_000
"""So many acknowledgements are remembered for pages that are open; one that missed more loads its list anew."""

COMPARE_SECONDS: Final = 5.0
"""How often it is looked which of the listed alerts the store still has."""

CHUNK: Final = 100
"""Alerts read from the store with one call: a call keeps the store's thread from other work."""

UNTITLED: Final = "untitled rule"
_LONGEST_NAME: Final = 300


@dataclass(slots=True)
class Entry:
    """One kept alert, as lists show it.

    Attributes:
        number: Its place in the store; grows with time.
        id: The alert's.
        level: Of its rule; ``none`` where it has none.
        rule: The rule's id, or its title where it has none.
        title: The rule's.
        host: Of the event; empty where it does not tell.
        source: The source's name.
        detected, event_time: RFC 3339; ``event_time`` is ``None`` where the event does not tell.
        tactics, techniques: Of ATT&CK.
        line: The beginning of what one would look at first in the event.
        length: Of the whole of it, in characters.
        suppressed: How many like it were held back before it.
        acknowledged: Seconds since the epoch, or ``None``.
        by: Who did.
    """

    number: int
    id: str
    level: str
    rule: str
    title: str
    host: str
    source: str
    detected: str
    event_time: str | None
    tactics: tuple[str, ...]
    techniques: tuple[str, ...]
    line: str
    length: int
    suppressed: int
    acknowledged: float | None
    by: str | None


class Acknowledged(NamedTuple):
    """That an alert was acknowledged while the service runs: its place among these changes, and the alert."""

    revision: int
    entry: Entry


class Archive:
    """The newest kept alerts, and what was acknowledged since the service started.

    Args:
        store: Where the alerts lie. All acknowledgements go through ``acknowledge``.
        clock: Tells seconds.

    Attributes:
        entries: The oldest first.
        instance: Differs after each start of the service: numbers of changes begin anew then.
        revision: The number of the last change.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.entries: deque[Entry] = deque()
        self.instance = secrets.token_hex(8)
        self.revision = 0
        self._store = store
        self._changes: deque[Acknowledged] = deque(maxlen=MOST_CHANGES)
        self._refreshing = asyncio.Lock()
        self._clock = clock
        self._compared = clock()

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 without any."""
        return self.entries[-1].number if self.entries else 0

    async def refresh(self) -> None:
        """Take in what is new in the store, and let go what it no longer has."""
        async with self._refreshing:
            newest, before, fresh = self.newest, None, []
            while True:
                kept = await self._store.history(CHUNK, before=before, after=newest)
                fresh += [entry_of(one) for one in kept]
                if len(kept) < CHUNK or len(fresh) >= MOST_LISTED:
                    break
                before = kept[-1].number
            self.entries.extend(reversed(fresh))
            while len(self.entries) > MOST_LISTED:
                self.entries.popleft()
            if self.entries and self._clock() - self._compared >= COMPARE_SECONDS:
                self._compared = self._clock()
                left = await self._store.numbers(self.entries[0].number)
                if len(left) < len(self.entries):
                    self.entries = deque(entry for entry in self.entries if entry.number in left)

    def before(self, number: int | None) -> Sequence[Entry]:
        """Return the entries older than *number*, or all, the newest first."""
        entries = list(self.entries)
        end = len(entries) if number is None else bisect_left(entries, number, key=lambda entry: entry.number)
        return entries[:end][::-1]

    def after(self, number: int) -> Sequence[Entry]:
        """Return the entries newer than *number*, the newest first."""
        found = []
        for entry in reversed(self.entries):
            if entry.number <= number:
                break
            found.append(entry)
        return found

    def changes(self, revision: int) -> Sequence[Entry] | None:
        """Return what was acknowledged after *revision*, or ``None`` where that is no longer known."""
        if revision > self.revision or (self._changes and revision < self._changes[0].revision - 1):
            return None
        return [change.entry for change in self._changes if change.revision > revision]

    async def acknowledge(self, ids: Sequence[str], by: str, at: float) -> int:
        """Acknowledge alerts for *by* at *at* (seconds since the epoch); return how many were not yet."""
        done: set[str] = set()
        for start in range(0, len(ids), CHUNK):
            done.update(await self._store.acknowledge(ids[start : start + CHUNK], by, at))
        for entry in self.entries:
            if entry.id in done and entry.acknowledged is None:
                entry.acknowledged, entry.by = at, by
                self.revision += 1
                self._changes.append(Acknowledged(self.revision, entry))
        if done:
            LOGGER.info("alerts acknowledged by %s: %d", printable(by), len(done))
        return len(done)


def entry_of(kept: Kept) -> Entry:
    """Return what lists show of an alert; any part of it may be missing."""
    alert = kept.alert
    rule, attack = part(alert, "rule"), part(alert, "attack")
    title = str(rule.get("title") or UNTITLED)
    line = headline_of(alert)
    suppressed = alert.get("suppressed")
    return Entry(
        number=kept.number,
        id=str(alert.get("id")),
        level=str(rule.get("level") or "none"),
        rule=str(rule.get("id") or title)[:_LONGEST_NAME],
        title=title[:_LONGEST_NAME],
        host=str(alert.get("host") or ""),
        source=str(part(alert, "source").get("name") or ""),
        detected=str(alert.get("detected") or ""),
        event_time=alert.get("event_time"),
        tactics=tuple(map(str, attack.get("tactics") or ())),
        techniques=tuple(map(str, attack.get("techniques") or ())),
        line=line[:LONGEST_LINE],
        length=len(line),
        suppressed=suppressed if isinstance(suppressed, int) else 0,
        acknowledged=kept.acknowledged,
        by=kept.by,
    )

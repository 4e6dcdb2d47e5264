"""Finding alerts: by what lists show at once, by words in their events piece by piece, within a bounded time a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..store import Kept, Store
from .archive import CHUNK, Archive, Entry
from .filters import Filter, has_words

SECONDS: Final = 1.0
"""How long one call searches events; the next goes on where it ended."""


class Found(NamedTuple):
    """What one call found.

    Attributes:
        entries: The newest first.
        next: Where to go on, as ``before``; ``None`` at the end.
        matching: How many there are in all, with those before; ``None`` where words are searched, or newer ones asked for.
    """

    entries: Sequence[Entry]
    next: int | None
    matching: int | None


async def find_older(archive: Archive, store: Store, wanted: Filter, before: int | None, most: int) -> Found:
    """Return up to *most* alerts older than *before* that *wanted* admits."""
    candidates = [entry for entry in archive.before(before) if wanted.admits(entry)]
    words = wanted.wanted()
    if not words:
        shown = candidates[:most]
        is_rest = len(candidates) > most
        return Found(shown, shown[-1].number if is_rest else None, len(candidates))
    deadline = time.monotonic() + SECONDS
    found: list[Entry] = []
    numbers = {entry.number: entry for entry in candidates}
    place = candidates[0].number + 1 if candidates else None
    last = candidates[-1].number if candidates else 0
    while place is not None and len(found) < most and time.monotonic() < deadline:
        kept, place = await _read(store, place, last)
        for one in await asyncio.to_thread(_with_words, kept, frozenset(numbers), words):
            if len(found) == most:
                place = found[-1].number
                break
            found.append(numbers[one])
    return Found(found, place, None)


async def find_newer(
    archive: Archive, store: Store, wanted: Filter, after: int, most: int
) -> tuple[Sequence[Entry], bool]:
    """Return up to *most* of the newest alerts behind *after* that *wanted* admits, and whether there may be more."""
    candidates = [entry for entry in archive.after(after) if wanted.admits(entry)]
    shown, words = candidates[:most], wanted.wanted()
    if words and shown:
        numbers = {entry.number: entry for entry in shown}
        kept = await store.history(most, before=shown[0].number + 1, after=shown[-1].number - 1)
        shown = [numbers[one] for one in await asyncio.to_thread(_with_words, kept, frozenset(numbers), words)]
    return shown, len(candidates) > most


async def find_all_ids(archive: Archive, store: Store, wanted: Filter, newest: int) -> list[str]:
    """Return the ids of all alerts up to the number *newest* that *wanted* admits."""
    ids: dict[str, None] = {}
    before: int | None = newest + 1
    while before is not None:
        found = await find_older(archive, store, wanted, before, CHUNK)
        ids.update(dict.fromkeys(entry.id for entry in found.entries))
        before = found.next
    return list(ids)


async def _read(store: Store, before: int, last: int) -> tuple[Sequence[Kept], int | None]:
    """Return the next alerts older than *before*, and where to go on; ``None`` behind the one numbered *last*."""
    kept = await store.history(CHUNK // 2, before=before, after=last - 1)
    return kept, kept[-1].number if len(kept) == CHUNK // 2 and kept[-1].number > last else None


def _with_words(kept: Sequence[Kept], numbers: frozenset[int], words: tuple[str, ...]) -> list[int]:
    return [one.number for one in kept if one.number in numbers and has_words(one.alert, words)]

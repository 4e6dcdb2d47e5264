"""What the listed alerts are together: by level, rule, host, and tactic and technique of ATT&CK."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from sigma.pyeval.attack import TACTICS, tactic_title, tactic_url, technique_url

from .archive import Archive, Entry

MOST_ROWS: Final = 500
"""So many rules and hosts are told, those with the most alerts; the others are counted."""

NO_TACTIC: Final = ""


class Counts:
    """Counts of the archive's entries, made anew only when these change.

    Args:
        archive: Where the entries are.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._state: tuple[int, ...] | None = None
        self._told: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        """Return the counts as JSON; docs/page.md describes them."""
        archive = self._archive
        oldest = archive.entries[0].number if archive.entries else 0
        state = (oldest, archive.newest, len(archive.entries), archive.revision)
        if state != self._state:
            self._told, self._state = _told(list(archive.entries)), state
        return self._told


def _told(entries: list[Entry]) -> dict[str, Any]:
    levels = Counter(entry.level for entry in entries)
    open_levels = Counter(entry.level for entry in entries if entry.acknowledged is None)
    hosts = Counter(entry.host for entry in entries if entry.host)
    rules = _rules(entries)
    return {
        "alerts": len(entries),
        "unacknowledged": open_levels.total(),
        "levels": {level: {"alerts": count, "unacknowledged": open_levels[level]} for level, count in levels.items()},
        "rules": rules[:MOST_ROWS],
        "rules_left_out": max(0, len(rules) - MOST_ROWS),
        "hosts": [{"host": host, "alerts": count} for host, count in hosts.most_common(MOST_ROWS)],
        "hosts_left_out": max(0, len(hosts) - MOST_ROWS),
        "attack": _attack(entries),
    }


def _rules(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    hosts: dict[str, set[str]] = {}
    for entry in entries:
        row = rows.setdefault(entry.rule, {"rule": entry.rule, "alerts": 0, "unacknowledged": 0, "suppressed": 0})
        row["alerts"] += 1
        row["unacknowledged"] += entry.acknowledged is None
        row["suppressed"] += entry.suppressed
        row |= {"title": entry.title, "level": entry.level, "last": entry.detected}
        hosts.setdefault(entry.rule, set()).add(entry.host)
    for key, row in rows.items():
        row["hosts"] = len(hosts[key] - {""})
    return sorted(rows.values(), key=lambda row: (-row["alerts"], row["title"]))


def _attack(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return tactics in the matrix' order with their techniques; an alert counts for each that its rule's tags name."""
    cells: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for entry in entries:
        for tactic in entry.tactics or ((NO_TACTIC,) if entry.techniques else ()):
            totals[tactic] += 1
            cells.setdefault(tactic, Counter()).update(entry.techniques)
    known = [tactic for tactic in TACTICS if tactic in cells]
    others = sorted(cells.keys() - TACTICS.keys() - {NO_TACTIC})
    return [
        {
            "tactic": tactic,
            "title": tactic_title(tactic) or "No tactic",
            "url": tactic_url(tactic),
            "alerts": totals[tactic],
            "techniques": [
                {"technique": name, "url": technique_url(name), "alerts": count}
                for name, count in sorted(cells[tactic].items(), key=lambda cell: (-cell[1], cell[0]))
            ],
        }
        for tactic in [*known, *others, *([NO_TACTIC] if NO_TACTIC in cells else [])]
    ]

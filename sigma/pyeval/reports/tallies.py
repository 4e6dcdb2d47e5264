"""Counts of findings in bounded memory: by level, rule, host, technique and time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sigma.pyeval.attack import TACTICS, parse_attack
from sigma.pyeval.entities import parse_host
from sigma.pyeval.event_time import event_time
from sigma.pyeval.findings import Finding
from sigma.pyeval.restrictiveness import LEVELS
from sigma.pyeval.rules import Rule

LEVELS_DOWN: Final = (*reversed(LEVELS), "none")
"""The levels, the most severe first; ``none`` is a rule without level."""

MOST_HOSTS: Final = 10_000
"""So many hosts are counted one by one; those that come later are counted together."""

MOST_BUCKETS: Final = 120
"""So many pieces the time is cut into at most."""

# Widths of a bucket in seconds, each a multiple of the one before, so that buckets merge without remainder.
_WIDTHS = (1, 10, 60, 600, 3600, 21_600, 86_400, 604_800, 6_048_000, 60_480_000, 604_800_000, 6_048_000_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeHistogram:
    """Counts by time and level; the buckets grow wider as the time spanned grows longer.

    Attributes:
        width: Seconds that a bucket spans now.
        buckets: Counts of levels by the bucket's number, counted from 1970 in units of *width*.
    """

    def __init__(self) -> None:
        self.width = _WIDTHS[0]
        self.buckets: dict[int, Counter[str]] = {}
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, moment: datetime, level: str) -> None:
        """Count one finding."""
        self.first = moment if self.first is None else min(self.first, moment)
        self.last = moment if self.last is None else max(self.last, moment)
        number = int((moment - _EPOCH).total_seconds() // self.width)
        if number in self.buckets:
            self.buckets[number][level] += 1
            return
        self.buckets[number] = Counter({level: 1})
        while max(self.buckets) - min(self.buckets) >= MOST_BUCKETS:
            self._widen()

    def _widen(self) -> None:
        wider = _WIDTHS[_WIDTHS.index(self.width) + 1]
        merged: dict[int, Counter[str]] = {}
        for number, counts in self.buckets.items():
            merged.setdefault(number * self.width // wider, Counter()).update(counts)
        self.width, self.buckets = wider, merged

    def rows(self) -> list[tuple[datetime, Counter[str]]]:
        """Return every bucket from the first to the last, empty ones too: its begin in UTC and its counts."""
        if not self.buckets:
            return []
        numbers = range(min(self.buckets), max(self.buckets) + 1)
        return [
            (datetime.fromtimestamp(number * self.width, UTC), self.buckets.get(number, Counter()))
            for number in numbers
        ]


@dataclass(slots=True)
class RuleTally:
    """The matches of one rule: how many, and when the first and the last were."""

    rule: Rule
    matches: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(slots=True)
class Tallies:
    """What a report counts over all findings; as large as the rules that matched, and bounded for hosts and times."""

    total: int = 0
    without_time: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    rules: dict[Rule, RuleTally] = field(default_factory=dict)
    hosts: dict[str, Counter[str]] = field(default_factory=dict)
    other_hosts: int = 0
    without_host: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    matrix: dict[str, Counter[str]] = field(default_factory=dict)
    """Matches by technique and tactic; ``""`` where the tags name no technique, or no tactic."""
    times: TimeHistogram = field(default_factory=TimeHistogram)

    def add(self, finding: Finding) -> datetime | None:
        """Count a finding; return its event's time."""
        rule = finding.match.rule
        level = level_of(rule)
        moment = event_time(finding.match.event)
        self.total += 1
        self.levels[level] += 1
        tally = self.rules.get(rule) or self.rules.setdefault(rule, RuleTally(rule))
        tally.matches += 1
        if moment is None:
            self.without_time += 1
        else:
            self.times.add(moment, level)
            tally.first = moment if tally.first is None else min(tally.first, moment)
            tally.last = moment if tally.last is None else max(tally.last, moment)
        self._add_host(parse_host(finding.match.event), level)
        if finding.path in self.paths or len(self.paths) < MOST_HOSTS:
            self.paths[finding.path] += 1
        attack = parse_attack(rule.tags)
        for technique in attack.techniques or (("",) if attack.tactics else ()):
            for tactic in attack.tactics or ("",):
                self.matrix.setdefault(technique, Counter())[tactic] += 1
        return moment

    def _add_host(self, host: str | None, level: str) -> None:
        if host is None:
            self.without_host += 1
        elif host in self.hosts or len(self.hosts) < MOST_HOSTS:
            self.hosts.setdefault(host, Counter())[level] += 1
        else:
            self.other_hosts += 1

    def rules_down(self) -> list[RuleTally]:
        """Return the rules, the most severe first, then those with the most matches."""
        return sorted(self.rules.values(), key=lambda row: (rank(row.rule), -row.matches, row.rule.title))

    def tactics(self) -> list[str]:
        """Return the tactics that matched in ATT&CK's order, unknown ones and ``""`` last."""
        order = {tactic: number for number, tactic in enumerate(TACTICS)}
        found = {tactic for counts in self.matrix.values() for tactic in counts}
        return sorted(found, key=lambda tactic: (order.get(tactic, len(order) + (tactic == "")), tactic))


def level_of(rule: Rule) -> str:
    """Return the rule's level, ``none`` where it has none of Sigma's."""
    return rule.level if rule.level in LEVELS else "none"


def rank(rule: Rule) -> int:
    """Return 0 for the most severe level, more for those below."""
    return LEVELS_DOWN.index(level_of(rule))

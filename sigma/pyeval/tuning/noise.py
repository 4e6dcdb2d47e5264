"""Which rules match most over a corpus, on which hosts and with which values; counted in bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sigma.pyeval.entities import parse_host
from sigma.pyeval.events import plain_event
from sigma.pyeval.field_report import event_names
from sigma.pyeval.marks import located_values
from sigma.pyeval.matchers.values import text_of
from sigma.pyeval.rules import LogSource, Rule

MOST_ROWS: Final = 2_000
"""So many matches of a rule are kept as rows of short values; the first ones."""

MOST_ROWS_OF_ALL: Final = 50_000
"""So many rows are kept of all rules together."""

MOST_HOSTS: Final = 1_000
"""So many hosts are counted one by one for a rule."""

MOST_FIELDS: Final = 60
LONGEST_VALUE: Final = 200
"""So many fields of an event, and values of so many characters, are looked at."""

BACKGROUND_ROWS: Final = 2_000
"""So many events are kept to tell what is usual in the logs; of more, every second, every fourth and so on."""

Row = dict[str, str]
"""Values of one event by field: one short text each."""

# Process ids, times, sessions, hashes: what another day has not, though it may be the same all over one log; and counts
# and flags, which say little of what happened.
_PASSING = re.compile(r"[-+]?\d+(\.\d+)?|0[xX][0-9a-fA-F]+|[0-9a-fA-F-]{32,}|\d{4}-\d\d-\d\d.*|.", re.DOTALL)
_NUMBERS_THAT_STAY = re.compile(r".*(uid|userid|port|eventid)", re.IGNORECASE)


@dataclass(slots=True)
class RuleNoise:
    """The matches of one rule: their number, by host, and the first ones as rows."""

    rule: Rule
    matches: int = 0
    hosts: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)

    def values(self, most: int) -> list[tuple[str, str, int]]:
        """Return the most frequent (field, value, number of rows), at least two rows each."""
        counts = Counter((name, text) for row in self.rows for name, text in row.items())
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(*pair, count) for pair, count in ordered if count > 1][:most]


class NoiseCounter:
    """Takes events with the rules that match them.

    Attributes:
        events: Events taken.
        matches: Matches taken.
        rules: What is known of each rule that matched.
    """

    def __init__(self) -> None:
        self.events = 0
        self.matches = 0
        self.rules: dict[int, RuleNoise] = {}
        self._rows = 0
        self._background: list[tuple[LogSource | None, frozenset[int], Row]] = []
        self._every = 1

    def add(self, event: Mapping[str, Any], rules: list[Rule], logsource: LogSource | None) -> None:
        """Take one event, the rules that match it, and its log source."""
        self.events += 1
        is_sample = self.events % self._every == 0
        if not rules and not is_sample:
            return
        plain = plain_event(event)
        row = event_row(plain) if is_sample or self._rows < MOST_ROWS_OF_ALL else {}
        if is_sample:
            self._background.append((logsource, frozenset(map(id, rules)), row))
            if len(self._background) >= 2 * BACKGROUND_ROWS:
                self._background = self._background[1::2]
                self._every *= 2
        for rule in rules:
            self._count(rule, row, parse_host(plain))

    def _count(self, rule: Rule, row: Row, host: str | None) -> None:
        noise = self.rules.setdefault(id(rule), RuleNoise(rule))
        noise.matches += 1
        self.matches += 1
        if host is not None and (host in noise.hosts or len(noise.hosts) < MOST_HOSTS):
            noise.hosts[host] += 1
        if row and len(noise.rows) < MOST_ROWS and self._rows < MOST_ROWS_OF_ALL:
            noise.rows.append(row)
            self._rows += 1

    def top(self, most: int) -> list[RuleNoise]:
        """Return the rules with the most matches."""
        return sorted(self.rules.values(), key=lambda noise: (-noise.matches, noise.rule.title))[:most]

    def background(self, rule: Rule) -> list[Row]:
        """Return rows of events that the rule is for and does not match: what is usual in these logs."""
        return [
            row
            for logsource, matched, row in self._background
            if id(rule) not in matched and (logsource is None or not rule.logsource.conflicts(logsource))
        ]


def event_row(event: Mapping[str, Any]) -> Row:
    """Return the fields of a plain event that have just one value, a short one that may come again another day.

    Numbers, times, hashes and single characters do not count, but for user ids, ports and event ids.
    """
    row: Row = {}
    for name in event_names(event, MOST_FIELDS):
        values = [text_of(value) for _, value in located_values(event, name)]
        text = values[0] if len(values) == 1 else None
        if text and len(text) <= LONGEST_VALUE and (_NUMBERS_THAT_STAY.fullmatch(name) or not _PASSING.fullmatch(text)):
            row[name] = text
    return row

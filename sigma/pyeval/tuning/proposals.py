"""A Sigma filter for a noisy rule: the narrowest that covers the most of its matches and keeps its positive cases."""

from __future__ import annotations

import math
import re
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sigma.pyeval.items import items_of, parse_items
from sigma.pyeval.rules import Rule

from .noise import Row, RuleNoise

MOST_CONDITIONS: Final = 4
"""So many fields a filter asks at most."""

MOST_TRIED: Final = 12
"""So many filters are tried for one rule."""

MOST_BEGINNINGS: Final = 60
"""So many values, the most frequent ones, a filter may begin with."""

LEAST_SHARE: Final = 0.1
"""The part of a rule's matches that a filter has to remove to be worth proposing."""

USUAL: Final = 0.5
"""A value that this part of other events has too tells nothing apart."""

LEAST_ALIKE: Final = 20
"""So many other events of the same kind are needed to tell what is usual among them."""

_Pair = tuple[str, str]  # field and value
_NAMESPACE = uuid.UUID("6b0c2f6e-0d3c-5c63-9a5f-6a1f6a4e2d11")

Admits = Callable[[Rule, str], bool]
"""Whether a filter for a rule may ask a field."""

Keeps = Callable[[Rule, str], bool]
"""Whether the rule, narrowed by a filter in YAML, loads and still matches all of its positive cases."""


@dataclass(frozen=True)
class Proposal:
    """A filter.

    Attributes:
        rule: The rule that it narrows.
        selection: Value by field: what an event has to have, all of it, to be filtered out.
        covered: Matches among the rule's rows that it removes.
        text: The filter as YAML.
    """

    rule: Rule
    selection: Mapping[str, str]
    covered: int
    text: str


def propose(noise: RuleNoise, background: Sequence[Row], admits: Admits, keeps: Keeps) -> Proposal | None:
    """Return the best filter that keeps all positive cases; ``None`` where there is none.

    A filter begins with a value that many matches share and takes in further values that all these matches share, those first
    that are least usual in other events of the same kind. The best is the one with the highest product of matches covered and
    what its values tell: one more each, and one more for each time that half as many other events have it. So a wide one,
    which perhaps switches the rule off, loses against one that is narrow. Values that the rule itself asks for by equality,
    and those of half of all other events, tell nothing apart and are left out.
    """
    asked = {
        item.call.field for item in items_of(parse_items(noise.rule).whole) if item.call.matcher.startswith("equals")
    }
    others = _of_the_same_kind(background, noise.rows, asked)
    usual = Counter(pair for row in others for pair in row.items())

    def share(pair: _Pair) -> float:
        return usual[pair] / len(others) if others else 0.0

    def is_usable(pair: _Pair) -> bool:
        return pair[0] not in asked and share(pair) < USUAL and admits(noise.rule, pair[0])

    def worth(covered: int, pairs: Sequence[_Pair]) -> float:
        return covered * sum(1 + math.log2((len(others) + 1) / (usual[pair] + 1)) for pair in pairs)

    found: dict[frozenset[_Pair], tuple[int, list[_Pair]]] = {}
    for rows in _covered(noise, is_usable):
        common = set(rows[0].items()).intersection(*(row.items() for row in rows[1:]))
        usable = sorted(filter(is_usable, common), key=lambda pair: (share(pair), -len(pair[1]), pair))
        found.setdefault(frozenset(usable[:MOST_CONDITIONS]), (len(rows), usable[:MOST_CONDITIONS]))
    best = sorted(found.values(), key=lambda one: -worth(*one))
    for covered, pairs in best[:MOST_TRIED]:
        text = filter_text(noise.rule, dict(pairs))
        if keeps(noise.rule, text):
            return Proposal(noise.rule, dict(pairs), covered, text)
    return None


def _of_the_same_kind(background: Sequence[Row], rows: Sequence[Row], asked: Collection[str | None]) -> Sequence[Row]:
    """Return the other events that have in the fields *asked* what one of *rows* has; all, where these are too few to tell.

    What is usual in all records of a log says little of what is usual in those of the type that a rule asks for.
    """
    names = sorted(name for name in asked if name is not None)
    kinds = {tuple(map(row.get, names)) for row in rows}
    alike = [row for row in background if tuple(map(row.get, names)) in kinds]
    return alike if len(alike) >= LEAST_ALIKE else background


def _covered(noise: RuleNoise, is_usable: Callable[[_Pair], bool]) -> Iterator[list[Row]]:
    """Yield the rows that share a value, the most first; at least two, and ``LEAST_SHARE`` of all."""
    least = max(2, LEAST_SHARE * len(noise.rows))
    for name, text, count in noise.values(MOST_BEGINNINGS):
        if count >= least and is_usable((name, text)):
            yield [row for row in noise.rows if row.get(name) == text]


def filter_text(rule: Rule, selection: Mapping[str, str]) -> str:
    """Return a Sigma filter as YAML: *rule* no longer matches what has all values of *selection*, compared as whole texts."""
    import yaml

    name = f"{rule.id} " + " ".join(f"{field}={value}" for field, value in selection.items())
    document: dict[str, Any] = {
        "title": f"Noise of {rule.title}"[:256],
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "description": "Proposed by sigma-pyeval noise; to be read before it is used.",
        "logsource": rule.logsource.as_dict(),
        "filter": {
            "rules": [rule.id],
            "selection": {field: _escaped(value) for field, value in selection.items()},
            "condition": "not selection",
        },
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=1_000)
    return text


def _escaped(value: str) -> str:
    """Return Sigma's writing of a literal text: wildcards and backslashes are escaped."""
    return re.sub(r"([\\*?])", r"\\\1", value)

"""Rules that share an id: a copied folder, or an updated set beside the old one. All of them run; that is told."""

from __future__ import annotations

from collections.abc import Iterable

from .output import counted
from .rules import Rule
from .selection import Note

MOST_TOLD = 5
"""Ids that are told one by one: a copied folder repeats thousands."""
_MOST_NAMED = 3


def repeated_ids(rules: Iterable[Rule]) -> list[Note]:
    """Return, of the ids that several of *rules* have, what is odd: which rules, and what comes of it."""
    by_id: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.id:
            by_id.setdefault(rule.id.lower(), []).append(rule)
    repeated = [same for same in by_id.values() if len(same) > 1]
    told = [_told(same) for same in repeated[:MOST_TOLD]]
    if len(repeated) > MOST_TOLD:
        told.append(f"{counted(len(repeated) - MOST_TOLD, 'other id')} in several rules as well")
    return [("paths", text) for text in told]


def _told(rules: list[Rule]) -> str:
    named = [f"{rule.title!r} ({rule.path or 'rule text'})" for rule in rules[:_MOST_NAMED]]
    others = [f"{len(rules) - len(named)} more"] if len(rules) > len(named) else []
    copies = "copies of one rule" if len({rule.source_hash for rule in rules}) == 1 else "which differ"
    listed = ", ".join(named + others)
    silent = any(not rule.generate for rule in rules)
    comes = "they count as one for correlations, and give no matches of their own" if silent else "each of them runs"
    return f"{len(rules)} rules have the id {rules[0].id}, {copies}: {listed}; {comes}, exclude all but one"

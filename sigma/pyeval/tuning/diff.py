"""Two versions of a rule set compared: which rules came, went, moved, or mean something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sigma.pyeval.codegen import rule_record
from sigma.pyeval.errors import RuleError
from sigma.pyeval.findings import Finding
from sigma.pyeval.rules import CorrelationRule, Match, Rule
from sigma.pyeval.ruleset import Ruleset

from .canonical import canonical, canonical_correlation

EXAMPLES: Final = 5
"""So many places of gained and lost matches are named a rule."""

_NO_METADATA = ("source_hash", "logsource", "generate")


@dataclass(frozen=True)
class ChangedRule:
    """A rule of both versions.

    Attributes:
        old, new: Both versions.
        meaning: What changed of what it matches: ``expression``, ``logsource``, ``generate`` (whether its matches are matches of
            their own, or serve only correlations); empty where nothing did.
        metadata: Names of its other members that changed, as ``level``.
        moved: Its file before and after, relative to what was loaded, or ``None``.
    """

    old: Rule
    new: Rule
    meaning: tuple[str, ...]
    metadata: tuple[str, ...]
    moved: tuple[str, str] | None


@dataclass(frozen=True)
class RuleDiff:
    """What differs between two versions; rules that are the same in all these respects are only counted.

    Attributes:
        added, removed: Rules of one version only.
        refused: Of the rules in *removed*, by their key: why the new version of it could not be loaded.
        changed: Rules that mean something else.
        metadata: Rules of which only other members changed.
        moved: Rules in another file; they may be among the changed ones too.
        unchanged: Number of rules that are the same.
    """

    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    refused: Mapping[str, RuleError]
    changed: tuple[ChangedRule, ...]
    metadata: tuple[ChangedRule, ...]
    moved: tuple[ChangedRule, ...]
    unchanged: int


def compare_rules(old: Ruleset, new: Ruleset, old_root: Path, new_root: Path) -> RuleDiff:
    """Return what differs, correlation rules included; rules are the same rule by their id, without one by their title."""
    before, after = keyed(old.all_rules), keyed(new.all_rules)
    both = [
        _compared(rule, after[key], _place(rule, old_root), _place(after[key], new_root))
        for key, rule in before.items()
        if key in after
    ]
    removed = {key: rule for key, rule in before.items() if key not in after}
    refused = {key: error for error in new.errors for key in (error.id or error.title or "",) if key in removed}
    changed = tuple(one for one in both if one.meaning)
    metadata = tuple(one for one in both if one.metadata and not one.meaning)
    moved = tuple(one for one in both if one.moved)
    same = sum(not one.meaning and not one.metadata and not one.moved for one in both)
    added = tuple(rule for key, rule in after.items() if key not in before)
    return RuleDiff(added, tuple(removed.values()), refused, changed, metadata, moved, same)


def keyed(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return rules by what makes them the same in another version; of several alike the later ones are numbered."""
    seen: Counter[str] = Counter()
    found: dict[str, Rule] = {}
    for rule in rules:
        key = rule.id or rule.title
        seen[key] += 1
        found[key if seen[key] == 1 else f"{key} ({seen[key]})"] = rule
    return found


def _compared(old: Rule, new: Rule, old_place: str | None, new_place: str | None) -> ChangedRule:
    meaning = []
    if old.expression != new.expression and _canonical(old) != _canonical(new):
        meaning.append("expression")
    meaning += [name for name in ("logsource", "generate") if getattr(old, name) != getattr(new, name)]
    before, after = rule_record(old), rule_record(new)
    keys = [key for key in {**before, **after} if key not in _NO_METADATA and before.get(key) != after.get(key)]
    moved = (
        (old_place, new_place) if old_place is not None and new_place is not None and old_place != new_place else None
    )
    return ChangedRule(old, new, tuple(meaning), tuple(keys), moved)


def _canonical(rule: Rule) -> object:
    return (canonical_correlation if isinstance(rule, CorrelationRule) else canonical)(rule.expression)


def _place(rule: Rule, root: Path) -> str | None:
    if rule.path is None:
        return None
    path = Path(rule.path)
    return path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else path.name


@dataclass
class MatchChange:
    """Matches of one rule that came and went."""

    rule: Rule
    gained: int = 0
    lost: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


class MatchDiff:
    """Takes the matches of both versions event by event; holds one row a rule whose matches changed.

    Attributes:
        events: Events taken.
        kept: Matches of both versions.
        rows: Changed matches by the rule's key.
    """

    def __init__(self, old: Ruleset, new: Ruleset) -> None:
        self._old = {id(rule): key for key, rule in keyed(old.all_rules).items()}
        self._new = {id(rule): key for key, rule in keyed(new.all_rules).items()}
        self.events = 0
        self.kept = 0
        self.rows: dict[str, MatchChange] = {}

    def add(self, old: Sequence[Match], new: Sequence[Match], path: str, line: int) -> None:
        """Take the matches of one event, and its place."""
        self.events += 1
        before = {self._old[id(match.rule)]: match.rule for match in old}
        after = {self._new[id(match.rule)]: match.rule for match in new}
        self.kept += len(before.keys() & after.keys())
        for key, rule in (before | after).items():
            if (key in before) is not (key in after):
                self._count(key, rule, key in after, path, line)

    def add_correlated(self, old: Iterable[Finding], new: Iterable[Finding]) -> None:
        """Take what correlation rules found over all logs; the same is what the same event raised."""
        before, after = (
            {(keys[id(one.match.rule)], one.path, one.line): one.match.rule for one in found}
            for keys, found in ((self._old, old), (self._new, new))
        )
        self.kept += len(before.keys() & after.keys())
        for place, rule in (before | after).items():
            if (place in before) is not (place in after):
                key, path, line = place
                self._count(key, rule, place in after, path, line)

    def _count(self, key: str, rule: Rule, is_gained: bool, path: str, line: int) -> None:
        row = self.rows.setdefault(key, MatchChange(rule))
        row.gained += is_gained
        row.lost += not is_gained
        if len(row.examples) < EXAMPLES:
            row.examples.append({"path": path, "line": line, "change": "gained" if is_gained else "lost"})

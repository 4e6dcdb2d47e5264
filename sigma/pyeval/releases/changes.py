"""What an update changes: rules that come and go, those that now mean something else, those that can no longer be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sigma.pyeval.errors import RuleError
from sigma.pyeval.rules import Rule
from sigma.pyeval.ruleset import Ruleset

KINDS: Final[Mapping[str, str]] = {
    "added": "new",
    "removed": "gone",
    "detection": "changed in what they find",
    "metadata": "changed in what they say of themselves only",
    "unusable": "no longer usable",
    "usable": "usable now",
}
"""Kinds of change, in the order of the report, and how people are told."""


_Keyed = Mapping[str, tuple[Rule, str]]


class Changed(NamedTuple):
    """A rule that is told of; *reason* says why it cannot be used, for the kind ``unusable``.

    *old_level* is that of its old version, where both versions can be used, else the same as *level*.
    """

    id: str | None
    title: str
    level: str | None
    path: str
    reason: str = ""
    old_level: str | None = None


@dataclass(frozen=True)
class Changes:
    """The rules of each kind of change, and how many there are now; see ``KINDS``."""

    added: tuple[Changed, ...]
    removed: tuple[Changed, ...]
    detection: tuple[Changed, ...]
    metadata: tuple[Changed, ...]
    unusable: tuple[Changed, ...]
    usable: tuple[Changed, ...]
    rules: int
    errors: int

    def __bool__(self) -> bool:
        return any(getattr(self, kind) for kind in KINDS)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        lists = {kind: [one._asdict() for one in getattr(self, kind)] for kind in KINDS}
        counts = {kind: len(lists[kind]) for kind in KINDS}
        return {"counts": {**counts, "rules": self.rules, "errors": self.errors}, **lists}


def compare(old: Ruleset, old_folder: Path, new: Ruleset, new_folder: Path) -> Changes:
    """Return what is different, correlation rules included; a rule is known again by its id, one without by its path and title.

    A rule that came to serve only correlations, or serves them no longer only, finds something else.
    """
    before, after = dict(_by_key(old.all_rules, old_folder)), dict(_by_key(new.all_rules, new_folder))
    refused_before, refused = dict(_errors(old.errors, old_folder)), dict(_errors(new.errors, new_folder))
    both = [key for key in after if key in before]
    detection = [key for key in both if _finds(after[key][0]) != _finds(before[key][0])]
    metadata = [
        key for key in both if key not in set(detection) and after[key][0].source_hash != before[key][0].source_hash
    ]
    broken = {error.path for error in refused.values() if error.id is None}  # whose rules cannot be told any more
    return Changes(
        added=_told(after[key] for key in after if key not in before and key not in refused_before),
        removed=_told(
            before[key] for key in before if key not in after and key not in refused and before[key][1] not in broken
        ),
        detection=_both(before, after, detection),
        metadata=_both(before, after, metadata),
        unusable=tuple(error for key, error in refused.items() if key not in refused_before),
        usable=_told(after[key] for key in after if key in refused_before),
        rules=len(new.all_rules),
        errors=len(new.errors),
    )


def _finds(rule: Rule) -> tuple[str, bool]:
    return rule.expression, rule.generate


def _told(rules: Iterable[tuple[Rule, str]]) -> tuple[Changed, ...]:
    return tuple(Changed(rule.id, rule.title, rule.level, path, "", rule.level) for rule, path in rules)


def _both(before: _Keyed, after: _Keyed, keys: Sequence[str]) -> tuple[Changed, ...]:
    told = _told(after[key] for key in keys)
    return tuple(one._replace(old_level=before[key][0].level) for one, key in zip(told, keys, strict=True))


def _by_key(rules: Iterable[Rule], folder: Path) -> Iterator[tuple[str, tuple[Rule, str]]]:
    for rule in rules:
        path = _below(rule.path, folder)
        yield rule.id or f"{path}: {rule.title}", (rule, path)


def _errors(errors: Iterable[RuleError], folder: Path) -> Iterator[tuple[str, Changed]]:
    for error in errors:
        path = _below(error.path, folder)
        key = error.id or (f"{path}: {error.title}" if error.title else path)
        yield key, Changed(error.id, error.title or "", None, path, error.reason)


def _below(path: str | None, folder: Path) -> str:
    return (
        Path(path).relative_to(folder).as_posix()
        if path is not None and Path(path).is_relative_to(folder)
        else path or ""
    )

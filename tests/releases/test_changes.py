"""What an update changes: rules and correlation rules, by what they find and by what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.releases.changes import KINDS, Changes, compare

from ..conftest import rule_yaml

MEMBER = rule_yaml("sel: {A: x}\ncondition: sel", title="Member", extra="name: member\n")
CORRELATION = """title: Often
id: 22222222-2222-4222-8222-222222222222
level: low
correlation:
    type: event_count
    rules: [member]
    group-by: [U]
    timespan: 5m
    condition: {gte: 3}
"""


def changes(tmp_path: Path, old: str, new: str) -> Changes:
    """Return what differs between two folders of one file each."""
    for name, text in (("old", old), ("new", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.yml").write_text(text)
    (before, old_folder), (after, new_folder) = (
        (load_rules(tmp_path / name, on_error="collect"), tmp_path / name) for name in ("old", "new")
    )
    return compare(before, old_folder, after, new_folder)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (CORRELATION, CORRELATION, {}),
        (CORRELATION, CORRELATION.replace("gte: 3", "gte: 9"), {"detection": ["Often"]}),
        (CORRELATION, CORRELATION.replace("low", "high"), {"metadata": ["Often"]}),
        (CORRELATION, "", {"removed": ["Often"], "detection": ["Member"]}),
        ("", CORRELATION, {"added": ["Often"], "detection": ["Member"]}),
    ],
)
def test_correlation_rules_are_among_them(tmp_path: Path, old: str, new: str, found: dict[str, list[str]]) -> None:
    """A member that serves only a correlation raises no matches of its own, so finds something else."""
    told = changes(tmp_path, *(f"{MEMBER}---\n{text}" if text else MEMBER for text in (old, new)))
    assert {kind: [one.title for one in getattr(told, kind)] for kind in KINDS if getattr(told, kind)} == found
    assert told.rules == (2 if new else 1)


def test_levels_of_both_versions(tmp_path: Path) -> None:
    """Of a rule that both have; a new one has only its own."""
    new = rule_yaml("sel: {A: y}\ncondition: sel", title="New", extra="level: medium\n")
    old = f"{MEMBER}---\n{CORRELATION}"
    told = changes(tmp_path, old, f"{old.replace('level: low', 'level: high')}---\n{new}")
    assert [(one.old_level, one.level) for one in (*told.metadata, *told.added)] == [
        ("low", "high"),
        ("medium", "medium"),
    ]

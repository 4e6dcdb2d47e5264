"""The selections of rules by level, status and threat-hunting tag."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval import Restrictiveness, load_rules, parse_rules

from .conftest import rule_yaml

ROWS = [
    # level, status, tags, the selections that keep the rule
    ("low", "test", [], "permissive"),
    ("medium", "experimental", [], "permissive balanced"),
    ("medium", "test", [], "permissive balanced restrictive"),
    ("high", "stable", [], "permissive balanced restrictive ultra"),
    ("critical", "experimental", [], "permissive balanced"),
    ("critical", "deprecated", [], "permissive"),
    ("high", "test", ["detection.threat-hunting"], "permissive"),
    (None, None, [], "permissive balanced restrictive ultra"),
    ("low", None, [], "permissive"),
]


@pytest.mark.parametrize(("level", "status", "tags", "kept_by"), ROWS)
def test_selection(level: str | None, status: str | None, tags: list[str], kept_by: str) -> None:
    """Level and status each exclude; what a rule does not state never does."""
    kept = [member.name.lower() for member in Restrictiveness if member.admits(level, status, tags)]
    assert kept == kept_by.split()


def test_by_name_in_any_case() -> None:
    """A name is as good as the member; an unknown one is refused with the known ones."""
    text = rule_yaml("sel: {A: x}\ncondition: sel", extra="level: low\n")
    assert len(parse_rules(text, restrictiveness="Permissive")) == 1
    assert len(parse_rules(text, restrictiveness=Restrictiveness.ULTRA)) == 0
    with pytest.raises(ValueError, match="'utlra' is unknown; it is one of permissive, balanced, restrictive, ultra"):
        parse_rules(text, restrictiveness="utlra")


@pytest.mark.no_cover  # conversion is covered by other tests; tracing it is slow
@pytest.mark.parametrize(("name", "count"), [("ultra", 1717)])
def test_counts_over_the_corpus(shared: Path, name: str, count: int) -> None:
    """The documented counts, before the rules with placeholders are left out."""
    folders = sorted(path for path in (shared / "sigmahq").iterdir() if path.is_dir())
    ruleset = load_rules(*folders, restrictiveness=name, on_error="collect")
    assert len(ruleset.rules) + len(ruleset.errors) == count

"""docs/support.md: every construct is found where it is, is exercised by this project's own tables, and stands in the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from .backend.test_backend import CONDITIONS, FILES, ITEMS, KEYWORDS
from .conftest import ROOT, rule_yaml
from .support import NAMES, SECTIONS, constructs, count_rules, sigmahq_files, support_page

PAGE = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")
TABLES = [
    *(rule_yaml(row.detection) for row in (*ITEMS, *KEYWORDS, *CONDITIONS)),
    *(row.text for row in FILES.values()),
]


def test_every_construct_has_a_case_in_the_tables() -> None:
    """What the page lists as supported is held by rows with a match and a non-match each."""
    assert all(row.match and row.no_match for row in (*ITEMS, *KEYWORDS, *CONDITIONS, *FILES.values()))
    exercised = frozenset().union(*map(constructs, TABLES))
    assert [name for name in NAMES if name not in exercised] == []
    assert len(NAMES) == len(set(NAMES))


def test_no_construct_is_in_every_rule() -> None:
    """A test that finds its construct anywhere would say nothing."""
    for name in NAMES:
        assert any(name not in constructs(text) for text in TABLES), name


ROWS = [
    ("sel: {A: x}\ncondition: sel", "Values: text"),
    ("sel: {A: 5}\ncondition: sel", "Values: whole number"),
    ("sel: {A: true}\ncondition: sel", "Values: boolean"),
    ("sel: {A: 'a*'}\ncondition: sel", "Values: text; Values: wildcard for any text"),
    (r"sel: {A: 'a\*'}" + "\ncondition: sel", "Values: escaped wildcard; Values: text"),
    (
        r"sel: {A: 'a\\*'}" + "\ncondition: sel",
        "Values: escaped backslash; Values: text; Values: wildcard for any text",
    ),
    (r"sel: {A: 'C:\x'}" + "\ncondition: sel", "Values: backslash as itself; Values: text"),
    ("sel: {A: '*'}\ncondition: sel", "Values: any value at all; Values: text"),
    ("sel: {A|exists: true}\ncondition: sel", "Modifiers: exists"),
    ("sel: {A|re|i: 'a*?'}\ncondition: sel", "Regular expressions: re; Regular expressions: re with i, ignorecase"),
    ("sel: {A|cidr: '::1'}\ncondition: sel", "Networks and numbers: cidr, IPv6; Values: text"),
    (
        "sel: {A|hour|lt: 5}\ncondition: sel",
        "Parts of a date: hour; Parts of a date: part of a date, lt; Values: whole number",
    ),
    ("sel: {A|fieldref|endswith: B}\ncondition: sel", "Other fields: fieldref, endswith; Values: text"),
    ("sel: [evil]\ncondition: sel", "Keywords: keyword, anywhere in any value"),
    ("sel: [a]\ncondition: 1 of them", "Conditions: 1 of them; Keywords: keyword, anywhere in any value"),
    ("sel_1: [a]\ncondition: all of sel_*", "Conditions: all of a pattern; Keywords: keyword, anywhere in any value"),
]


@pytest.mark.parametrize(("detection", "names"), ROWS)
def test_constructs_of_a_rule(detection: str, names: str) -> None:
    assert "; ".join(sorted(constructs(rule_yaml(detection)))) == names


def test_the_page_lists_the_constructs() -> None:
    """It was written from the constructs as they are now; the figures are those of the run that wrote it."""
    rows = [line for line in support_page({}, {}, None).splitlines() if line.endswith(" | ? | 0 | 0 |")]
    assert len(rows) == len(NAMES)
    written = [line.rsplit(" | ", 3)[0] for line in PAGE.splitlines()]
    assert [row for row in rows if row.rsplit(" | ", 3)[0] not in written] == []
    assert sum(line.count(" | ") == 4 and not line.startswith("| construct") for line in PAGE.splitlines()) == len(rows)
    assert [section for section in SECTIONS if f"## {section}" not in PAGE] == []


def test_the_page_counts_published_rules(sigmahq: Path) -> None:
    counts = count_rules(sigmahq_files(sigmahq))
    assert counts["rules"] == 3780
    for section, found in SECTIONS.items():
        for construct in found:
            count = counts[f"{section}: {construct.name}"]
            assert f"| {construct.name} | {construct.written} | {count:,} |" in PAGE

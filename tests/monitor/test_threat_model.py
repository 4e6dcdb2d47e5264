"""Each claim of the threat model names a test, and the tests are there."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = (ROOT / "docs" / "threat-model.md").read_text()


@lru_cache
def found_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def claims() -> list[tuple[str, list[str]]]:
    """Return claim and named tests of each row of the tables that are held by tests."""
    rows = []
    for table in MODEL.split("| claim | held by |\n|---|---|\n")[1:]:
        for line in table.splitlines():
            if not line.startswith("|"):
                break
            claim, tests = line.strip("|").split("|")
            rows.append((claim.strip(), re.findall(r"`(\w+)`", tests)))
    return rows


def test_each_claim_is_held_by_tests_that_are_there() -> None:
    there = found_tests()
    assert len(claims()) > 40
    assert [claim for claim, tests in claims() if not tests] == []
    assert [(claim, name) for claim, tests in claims() for name in tests if name not in there] == []


def test_a_test_that_is_gone_would_be_noticed() -> None:
    assert "test_that_nobody_has_written" not in found_tests()
    assert "test_each_claim_is_held_by_tests_that_are_there" in found_tests()

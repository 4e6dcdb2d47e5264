"""Reasons why rules cannot be loaded, as people read many of them in a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.errors import RuleError, errors_in_brief, in_brief

from .cli.running import run
from .conftest import rule_yaml

LINUX, FIELDS = "; supported: product linux", "; supported fields: Image, User"


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ([], []),
        (["a", "a"], ["a", "a"]),
        ([f"a{LINUX}", f"b{LINUX}", "c"], [f"a{LINUX}", "b", "c"]),
        ([f"a{LINUX}", f"b{FIELDS}", f"c{LINUX}", f"d{FIELDS}"], [f"a{LINUX}", f"b{FIELDS}", "c", "d"]),
        (["a; supported", "b; supportive"], ["a; supported", "b; supportive"]),
    ],
)
def test_what_is_supported_instead_is_said_once(reasons: list[str], told: list[str]) -> None:
    """Each reason is told, and each list."""
    assert list(in_brief(reasons)) == told
    errors = [RuleError(reason, "do this", title=str(number)) for number, reason in enumerate(reasons)]
    assert [error.reason for error in errors_in_brief(errors)] == told
    assert [(error.title, error.remedy) for error in errors_in_brief(errors)] == [(e.title, e.remedy) for e in errors]


def test_every_rule_is_named_and_only_the_first_with_what_is_supported(tmp_path: Path) -> None:
    """The ruleset's own errors keep all of it."""
    for number in range(3):
        (tmp_path / f"{number}.yml").write_text(
            rule_yaml("sel: {A: b}\ncondition: sel", title=f"Rule {number}", logsource="{product: windows}")
        )
    (tmp_path / "usable.yml").write_text(
        rule_yaml("sel: {CommandLine: b}\ncondition: sel", logsource="{product: linux, category: process_creation}")
    )
    result = run("compile", "-p", "linux_eval", "-f", "default", tmp_path)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert len([line for line in warnings if "is not supported" in line and "'Rule " in line]) == 3
    assert [number for number, line in enumerate(warnings) if "supported: product linux" in line] == [0]
    assert max(map(len, warnings[1:])) < 300
    errors = load_rules(tmp_path, pipeline="linux_eval", on_error="collect").errors
    assert len([error for error in errors if "supported: product linux" in error.reason]) == 3

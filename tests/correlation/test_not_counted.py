"""Matches that a correlation rule does not count, for want of a field: counted by rule and field, and told by scan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..cli.running import run
from ..conftest import ROOT
from .rules import correlation, member, ruleset, text_of

ALIASES = {"who": {"a": "user", "b": "account"}}
ADDED: dict[str, Any] = {"condition": {"field": "n", "gte": 3}}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str, bool]]]] = [
    ("all there", {"group_by": ["g"]}, {"is": "a", "g": "x"}, []),
    ("no rule matches", {"group_by": ["g"]}, {"is": "c"}, []),
    ("no group", {"group_by": ["g"]}, {"is": "a"}, [("a", "g", True)]),
    ("null", {"group_by": ["g"]}, {"is": "a", "g": None}, [("a", "g", True)]),
    ("the first of two fields", {"group_by": ["g", "h", "i"]}, {"is": "a", "g": "x"}, [("a", "h", True)]),
    ("an alias", {"group_by": ["who"], "aliases": ALIASES}, {"is": "b", "user": "x"}, [("b", "account", True)]),
    ("two rules", {"group_by": ["g"]}, {"is": ["a", "b"]}, [("a", "g", True), ("b", "g", True)]),
    ("no number", {"kind": "value_sum", **ADDED}, {"is": "a", "n": "many"}, [("a", "n", False)]),
    ("a number", {"kind": "value_sum", **ADDED}, {"is": "a", "n": "7"}, []),
    ("nothing to sum", {"kind": "value_sum", **ADDED}, {"is": "a"}, [("a", "n", False)]),
    ("nothing to count", {"kind": "value_count", **ADDED}, {"is": "a"}, [("a", "n", False)]),
    ("of two fields", {"kind": "value_count", "condition": {"field": ["m", "n"], "gte": 2}}, {"is": "a", "m": 1}, [("a", "n", False)]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "event", "lacking"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_lacking(said: dict[str, Any], event: dict[str, Any], lacking: list[tuple[str, str, bool]]) -> None:
    loaded = ruleset(member("a"), member("b"), correlation(rules=["a", "b"], **({"condition": {"gte": 3}} | said)))
    correlator = loaded.correlator()
    for time in range(3):
        correlator.process(event, time)
    found = correlator.not_counted()
    assert [(one.member, one.field, one.groups) for one in found] == lacking
    assert {one.number for one in found} <= {3}
    assert all(one.rule is loaded.correlations[0] for one in found)


def test_a_correlation_of_a_correlation() -> None:
    """A group's text is no number: what the outer rule is asked to sum is not there."""
    inner = correlation("event_count", "a", "Inner", name="inner", group_by=["n"], condition={"gte": 1})
    outer = correlation("value_sum", ["inner"], "Outer", condition={"field": "n", "gte": 1})
    correlator = ruleset(member("a"), inner, outer).correlator()
    assert correlator.process({"is": "a", "n": "many"}, 0) == []
    assert [(one.rule.title, one.member, one.field, one.groups) for one in correlator.not_counted()] == [
        ("Outer", "inner", "n", False)
    ]
    assert len(correlator.process({"is": "a", "n": 5}, 1)) == 1
    assert [one.number for one in correlator.not_counted()] == [1]


@given(st.lists(st.fixed_dictionaries({"is": st.sampled_from("ab")}, optional={"g": st.sampled_from(["x", None, ""])})))
def test_each_match_is_counted_or_not(events: list[dict[str, Any]]) -> None:
    """None is both, none is neither."""
    counting = correlation("event_count", ["a", "b"], group_by=["g"], condition={"gte": 1})
    correlator = ruleset(member("a"), member("b"), counting).correlator()
    raised = sum(len(correlator.process(event, time)) for time, event in enumerate(events))
    assert raised + sum(one.number for one in correlator.not_counted()) == len(events)


RULES = [
    member("a", title="Crontab edited"),
    correlation("event_count", "a", "Crontabs edited by one user", group_by=["_USER"], condition={"gte": 2}),
]


def scanned(tmp_path: Path, *arguments: str, rules: list[dict[str, Any]] = RULES, **fields: Any) -> str:
    (tmp_path / "rules.yml").write_text(text_of(*rules))
    (tmp_path / "log.jsonl").write_text((json.dumps({"is": "a", **fields}) + "\n") * 2)
    result = run("scan", "-r", tmp_path / "rules.yml", tmp_path / "log.jsonl", *arguments)
    assert result.exit_code == 0
    return result.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_scan_says_what_is_not_counted(tmp_path: Path, jobs: str) -> None:
    """As docs/correlations.md shows; nothing where the field is there."""
    told = scanned(tmp_path, "--jobs", jobs).splitlines()
    shown = (ROOT / "docs" / "correlations.md").read_text()
    assert re.sub(r"in [0-9.]+ s", "in 0.0 s", "\n".join(told[-2:])) in shown
    told = scanned(tmp_path, "--jobs", jobs, _USER="x").splitlines()
    assert not any("not counted" in one for one in told)
    assert "2 rules (1 only serves correlations): 1 match" in told[-1]


def test_a_rule_that_speaks_for_itself_serves_not_only(tmp_path: Path) -> None:
    assert "2 rules: 2 matches" in scanned(
        tmp_path, rules=[RULES[0], {**RULES[1], "correlation": {**RULES[1]["correlation"], "generate": True}}]
    )


def test_no_more_lines_than_can_be_read(tmp_path: Path) -> None:
    many = [
        correlation("event_count", "a", f"By f{number}", group_by=[f"f{number}"], condition={"gte": 2})
        for number in range(12)
    ]
    told = [line for line in scanned(tmp_path, rules=[RULES[0], *many]).splitlines() if "not counted" in line]
    assert len(told) == 11
    assert told[0].endswith("2 matches of 'Crontab edited' had no f0, by which 'By f0' groups: not counted")
    assert told[-1] == "warning: correlation: 4 other matches not counted either, for want of other fields"

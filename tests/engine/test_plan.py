"""A plan survives being written down, and is told apart from what is none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings

from sigma.pyeval import LogSource, Rule, Ruleset
from sigma.pyeval.engine import plan as plan_module
from sigma.pyeval.engine.plan import PlanError, dump, load, plan_rules

from .strategies import events, rule_lists

RULES = (
    Rule(
        "1",
        "one",
        "endswith(event, 'A', 'x.exe') and not contains(event, 'B', 'y')",
        tags=("t.1",),
        path="a.yml",
    ),
    Rule(
        None,
        "two",
        "keyword(event, 'abc') or regex(event, 'A', '(?i)ab+c', '')",
        logsource=LogSource("c", "p", "s"),
    ),
    Rule(
        "3",
        "\ud800 three",
        "is_null(event, 'A') and equals_field(event, 'B', 'C')",
        scope="exists(event, 'B')",
    ),
)
EVENTS = ({}, {"A": "X.EXE"}, {"A": "x.exe", "B": "y"}, {"other": ["ABC"]}, {"B": 1, "C": "1"}, {"A": "aBBc"})


def test_kept_plans_match_alike() -> None:
    kept = load(dump(plan_rules(RULES)))
    assert kept.rules == RULES
    ruleset = Ruleset(RULES, plan=kept)
    for event in EVENTS:
        assert ruleset.match(event) == ruleset.scan(event)
    assert [len(ruleset.match(event)) for event in EVENTS] == [0, 1, 0, 1, 1, 1]


@given(rule_lists(), events)
@settings(max_examples=40, deadline=None)
def test_any_plan_can_be_kept(rules: list[Rule], event: dict[str, object]) -> None:
    kept = load(dump(plan_rules(rules)))
    ruleset = Ruleset(kept.rules, plan=kept)
    assert ruleset.match(event) == Ruleset(rules).scan(event)


def test_what_is_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dump(plan_rules(RULES))
    for damaged in (b"", data[:10], data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1]), b"x" + data):
        with pytest.raises(PlanError):
            load(damaged)
    monkeypatch.setattr(plan_module, "SEMANTICS_VERSION", -1)
    with pytest.raises(PlanError, match="another version"):
        load(data)


def test_a_plan_of_other_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="other rules"):
        Ruleset(RULES[:1], plan=plan_rules(RULES))


def test_no_rules() -> None:
    ruleset = Ruleset(())
    assert ruleset.match({"A": "x"}) == []
    assert load(dump(plan_rules(()))).rules == ()


def test_the_plan_depends_on_the_rules_alone() -> None:
    code = (
        "import hashlib, sys; from sigma.pyeval import Rule; from sigma.pyeval.engine.plan import plan_rules\n"
        "plan = plan_rules([Rule('1', 'x', \"contains_any(event, 'A', ('ab', 'cd', 'ef')) or equals(event, 'B', 'gh')\")])\n"
        "print(plan.predicates, plan.needed, [code.co_code for code in plan.rule_functions])"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                       capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1

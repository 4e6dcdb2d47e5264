"""``match`` equals ``scan``: on random rules and events, in any order, with memos of any size."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule, Ruleset

from .strategies import events, rule_lists


def check(ruleset: Ruleset, event: Any, logsource: LogSource | None = None) -> None:
    expected = [match.rule.id for match in ruleset.scan(event, logsource)]
    found = [match.rule.id for match in ruleset.match(event, logsource)]
    assert found == expected, [rule.expression for rule in ruleset.rules]


@given(rule_lists(), st.lists(events, min_size=1, max_size=6))
@settings(max_examples=400, deadline=None)
def test_match_equals_scan(rules: list[Rule], some: list[dict[str, Any]]) -> None:
    ruleset = Ruleset(rules)
    for event in [*some, *reversed(some)]:  # the second time from memory
        check(ruleset, event)
    assert ruleset.statistics().full_scans == 0  # nothing in these events is foreign

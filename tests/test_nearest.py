"""The events nearest to matching: their order, and that distance says what explanations say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule
from sigma.pyeval.explain import explain_rule
from sigma.pyeval.nearest import NearestEvents, distance

from .engine.strategies import events, expressions

RULE = Rule(
    "1",
    "T",
    "contains(event, 'A', 'x') and contains(event, 'B', 'y') and not exists(event, 'C')",
    logsource=LogSource(product="linux"),
)
WINDOWS = LogSource(product="windows")
ROWS: list[tuple[dict[str, Any], LogSource | None, int]] = [
    ({}, None, 2),
    ({"A": "x", "B": "y"}, WINDOWS, 0),
    ({"A": "x"}, None, 1),
    ({"A": "x", "B": "y", "C": 1}, None, 1),
    ({"A": "x", "B": "y"}, None, 0),
    ({"C": 1}, None, 3),
]


@pytest.mark.parametrize("most", [1, 2, 3, 6, 9])
def test_the_nearest_come_first_and_of_equals_the_earlier(most: int) -> None:
    """A match is nearest of all, an event of another log source farthest."""
    nearest: NearestEvents[int] = NearestEvents(RULE, most)
    matched = [nearest.add(event, source, place) for place, (event, source, _) in enumerate(ROWS)]
    assert matched == [False, False, False, False, True, False]
    found = nearest.explanations()
    assert [place for _, place in found] == [4, 2, 3, 0, 5, 1][:most]
    assert found[0][0].matched
    for explanation, place in found:
        assert len(explanation.changes or ()) == ROWS[place][2]


@given(expressions, st.lists(events, max_size=4))
def test_distance_is_what_explanations_say(expression: str, some: list[dict[str, Any]]) -> None:
    """For any rule and event."""
    rule = Rule("1", "T", expression)
    for event in some:
        explanation = explain_rule(rule, event)
        far = distance(rule, event)
        assert (far == (False, False, 0)) is explanation.matched
        assert far.items == len(explanation.changes or ())
        assert far.is_out_of_reach is (explanation.changes is None)

"""Which alerts a sink wants, by level, tags, rules and hosts."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.monitor.settings import SinkSettings
from sigma.pyeval.monitor.sinks.selection import selects

RULE_ID = "5d7e1c7a-0000-4000-8000-00000000abcd"
FULL: dict[str, Any] = {
    "rule": {"id": RULE_ID, "level": "high", "tags": ["attack.execution", "attack.t1059.004"]},
    "host": "web-1.example.org",
}
BARE: dict[str, Any] = {"rule": {"title": "no id, level or tag"}, "host": None}

# Settings, and whether they select FULL.
CASES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"min_level": "informational"}, True),
    ({"min_level": "high"}, True),
    ({"min_level": "critical"}, False),
    ({"tags": ["attack.t1059.004"]}, True),
    ({"tags": ["attack.t1059"]}, False),
    ({"tags": ["attack.t1059*"]}, True),
    ({"tags": ["ATTACK.T1059.00?"]}, True),
    ({"tags": ["cve.*", "attack.execution"]}, True),
    ({"tags": ["cve.*"]}, False),
    ({"rules": [RULE_ID]}, True),
    ({"rules": [RULE_ID.upper()]}, True),
    ({"rules": [RULE_ID[:8] + "*"]}, False),
    ({"rules": ["5d7e1c7a-0000-4000-8000-00000000abce"]}, False),
    ({"hosts": ["web-1.example.org"]}, True),
    ({"hosts": ["WEB-*"]}, True),
    ({"hosts": ["web"]}, False),
    ({"hosts": ["db-*", "*.example.org"]}, True),
    ({"min_level": "high", "tags": ["attack.*"], "rules": [RULE_ID], "hosts": ["web*"]}, True),
    ({"min_level": "high", "tags": ["attack.*"], "rules": [RULE_ID], "hosts": ["db*"]}, False),
    ({"min_level": "critical", "tags": ["attack.*"], "rules": [RULE_ID], "hosts": ["web*"]}, False),
]


@pytest.mark.parametrize(("settings", "selected"), CASES, ids=str)
def test_all_filters_that_are_set_have_to_agree(settings: dict[str, Any], selected: bool) -> None:
    """Of one filter's values one is enough; of several filters each."""
    assert selects(SinkSettings(**settings), FULL) is selected


@pytest.mark.parametrize("level", ["informational", "low", "medium", "high", "critical"])
def test_levels_are_in_order(level: str) -> None:
    """A level passes from itself downwards."""
    levels = ["informational", "low", "medium", "high", "critical"]
    alert = {"rule": {"level": level}, "host": None}
    passed = [least for least in levels if selects(SinkSettings(min_level=least), alert)]  # type: ignore[arg-type]
    assert passed == levels[: levels.index(level) + 1]


@pytest.mark.parametrize("settings", [{"min_level": "informational"}, {"tags": ["*"]}, {"rules": ["None"]}, {"hosts": ["*"]}], ids=str)  # fmt: skip
def test_what_an_alert_does_not_say_passes_no_filter(settings: dict[str, Any]) -> None:
    """Not even one that lets everything through; without filters it passes."""
    assert not selects(SinkSettings(**settings), BARE)
    assert selects(SinkSettings(), BARE)

"""The Navigator layer: required properties of layer format 4.5, scores, comments, tactics."""

from __future__ import annotations

import io
import json
from typing import Any

from sigma.pyeval.reports.navigator import NavigatorLayer
from sigma.pyeval.rules import Match, Rule

from .samples import FINDINGS, HOSTILE, LOGIN, SHELL, WEB, hostile_finding

# Properties of the layer, its versions and its techniques in the specification of layer format 4.5.
LAYER = {
    "versions", "name", "description", "domain", "customDataURL", "filters", "sorting", "layout", "hideDisabled", "techniques", "gradient",
    "legendItems", "showTacticRowBackground", "tacticRowBackground", "selectTechniquesAcrossTactics", "selectSubtechniquesWithParent",
    "selectVisibleTechniques", "metadata", "links",
}  # fmt: skip
TECHNIQUE = {"techniqueID", "tactic", "comment", "enabled", "score", "color", "metadata", "links", "showSubtechniques"}
LAYOUT = {
    "layout",
    "showID",
    "showName",
    "showAggregateScores",
    "countUnscored",
    "aggregateFunction",
    "expandedSubtechniques",
}


def layer(*findings: Any) -> dict[str, Any]:
    """Return the layer of findings, read back."""
    stream = io.BytesIO()
    writer = NavigatorLayer(stream)
    for finding in findings:
        writer.write(finding)
    writer.close()
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def tagged(*tags: str, title: str = "x") -> Any:
    """Return a finding of a rule with these tags."""
    return SHELL._replace(match=Match(Rule(None, title, "exists(event, 'x')", tags=tags), {}))


def test_a_layer_has_only_what_the_format_has() -> None:
    """Names of properties, the required ones, and an increasing gradient; also without any technique."""
    for found in (layer(*FINDINGS), layer()):
        assert set(found) <= LAYER
        assert found["name"]
        assert found["domain"] == "enterprise-attack"
        assert found["versions"]["layer"] == "4.5"
        assert set(found["layout"]) <= LAYOUT
        assert found["gradient"]["maxValue"] > found["gradient"]["minValue"]
        assert all({"techniqueID"} <= set(row) <= TECHNIQUE for row in found["techniques"])
    assert layer()["techniques"] == []


def test_scores_are_matches_and_comments_name_the_rules() -> None:
    """Each technique once, with the number of its matches over all rules."""
    found = layer(SHELL, SHELL, LOGIN, WEB, tagged("attack.execution", "attack.t1059.004", title="Other"))
    assert found["techniques"] == [
        {
            "techniqueID": "T1059.004", "score": 3,
            "comment": "1 × Other\n2 × Shell Opens A Network Device File (high)",
        },
        {"techniqueID": "T1078", "score": 1, "comment": "1 × Root Logs In With A Password (medium)"},
    ]  # fmt: skip
    assert found["gradient"]["maxValue"] == 3


def test_no_tactic_is_named() -> None:
    """A technique under a tactic that the Navigator's ATT&CK does not have it under would not be shown at all."""
    for tags in (("attack.stealth", "attack.t1059"), ("attack.execution", "attack.t1059"), ("attack.t1059",)):
        [row] = layer(tagged(*tags))["techniques"]
        assert row == {"techniqueID": "T1059", "score": 1, "comment": "1 × x"}


def test_hostile_titles_stay_text() -> None:
    """Comments hold no control characters and are of bounded length."""
    for text in HOSTILE:
        finding = hostile_finding(text)
        [row] = layer(tagged("attack.t1059", title=finding.match.rule.title * 3000))["techniques"]
        assert len(row["comment"]) <= 2000
        assert row["comment"].isprintable()

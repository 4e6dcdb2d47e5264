"""A layer for the ATT&CK Navigator (layer format 4.5): each technique scored with the number of its matches."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, BinaryIO, Final

from sigma.pyeval.attack import parse_attack
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import printable
from sigma.pyeval.rules import Rule

LAYER_VERSION: Final = "4.5"
# The first Navigator that reads the layer format above (its specification, "Version object").
_NAVIGATOR_VERSION = "4.9.0"
_LONGEST_COMMENT = 2000
OF_MATCHES: Final = "Techniques of the Sigma rules that matched; a score is a number of matches."


class NavigatorLayer:
    """Counts the matches of each technique and writes the layer when it is closed.

    ``score`` is the number of matches, ``comment`` names the rules with theirs. ``tactic`` is never given: the Navigator then
    shows the technique under each of its tactics, but shows nothing at all for one that its version of ATT&CK does not
    have under the tactic named (its issue 118). Holds one counter a technique and rule.

    Args:
        stream: Where to.
        name: The layer's name.
        description: What it shows, and what a score is.
    """

    def __init__(self, stream: BinaryIO, name: str = "Sigma matches", description: str = OF_MATCHES) -> None:
        self._stream = stream
        self._name = name
        self._description = description
        self._techniques: dict[str, Counter[str]] = {}

    def write(self, finding: Finding) -> None:
        """Count the finding."""
        self.count(finding.match.rule)

    def count(self, rule: Rule) -> None:
        """Count one for each technique of a rule."""
        for technique in parse_attack(rule.tags).techniques:
            self._techniques.setdefault(technique, Counter())[_label(rule)] += 1

    def close(self) -> None:
        """Write the layer."""
        techniques = [_row(id_, rules) for id_, rules in sorted(self._techniques.items())]
        layer = {
            "name": self._name,
            "versions": {"navigator": _NAVIGATOR_VERSION, "layer": LAYER_VERSION},
            "domain": "enterprise-attack",
            "description": self._description,
            "sorting": 3,
            "layout": {
                "layout": "side",
                "showID": True,
                "showName": True,
                "showAggregateScores": True,
                "aggregateFunction": "sum",
                "expandedSubtechniques": "annotated",
            },
            "techniques": techniques,
            "gradient": {
                "colors": ["#fff3d6", "#f0a35e", "#b3261e"],
                "minValue": 0,
                "maxValue": max((row["score"] for row in techniques), default=1),
            },
        }
        self._stream.write(json.dumps(layer, indent=2).encode("ascii") + b"\n")
        self._stream.flush()


def _label(rule: Rule) -> str:
    return printable(rule.title) if rule.level is None else f"{printable(rule.title)} ({rule.level})"


def _row(id_: str, rules: Counter[str]) -> dict[str, Any]:
    comment = "\n".join(f"{number} × {title}" for title, number in sorted(rules.items()))
    return {"techniqueID": id_, "score": rules.total(), "comment": comment[:_LONGEST_COMMENT]}

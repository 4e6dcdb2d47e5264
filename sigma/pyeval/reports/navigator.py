"""A layer for the ATT&CK Navigator (layer format 4.5): each technique scored with the number of its matches."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from sigma.pyeval.attack import RETIRED_TACTICS, TACTICS, parse_attack
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import printable
from sigma.pyeval.rules import Rule

LAYER_VERSION: Final = "4.5"
# The first Navigator that reads the layer format above (its specification, "Version object").
_NAVIGATOR_VERSION = "4.9.0"
_LONGEST_COMMENT = 2000
OF_MATCHES: Final = "Techniques of the Sigma rules that matched; a score is a number of matches."


@dataclass(slots=True)
class _Technique:
    """What is known of a technique: matches by rule title, and the single tactics of these rules."""

    rules: Counter[str] = field(default_factory=Counter)
    tactics: set[str | None] = field(default_factory=set)


class NavigatorLayer:
    """Counts the matches of each technique and writes the layer when it is closed.

    ``score`` is the number of matches, ``comment`` names the rules with theirs. ``tactic`` is given where every rule
    of the technique names the same one tactic and the matrix still has it; otherwise the Navigator shows the
    technique under each of its tactics. Holds one counter a technique and rule.

    Args:
        stream: Where to.
        name: The layer's name.
        description: What it shows, and what a score is.
    """

    def __init__(self, stream: BinaryIO, name: str = "Sigma matches", description: str = OF_MATCHES) -> None:
        self._stream = stream
        self._name = name
        self._description = description
        self._techniques: dict[str, _Technique] = {}

    def write(self, finding: Finding) -> None:
        """Count the finding."""
        self.count(finding.match.rule)

    def count(self, rule: Rule) -> None:
        """Count one for each technique of a rule."""
        attack = parse_attack(rule.tags)
        for technique in attack.techniques:
            counted = self._techniques.setdefault(technique, _Technique())
            counted.rules[_label(rule)] += 1
            counted.tactics.add(attack.tactics[0] if len(attack.tactics) == 1 else None)

    def close(self) -> None:
        """Write the layer."""
        techniques = [_row(id_, counted) for id_, counted in sorted(self._techniques.items())]
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


def _row(id_: str, counted: _Technique) -> dict[str, Any]:
    comment = "\n".join(f"{number} × {title}" for title, number in sorted(counted.rules.items()))
    row: dict[str, Any] = {"techniqueID": id_, "score": counted.rules.total(), "comment": comment[:_LONGEST_COMMENT]}
    [*tactics] = counted.tactics
    if len(tactics) == 1 and tactics[0] in TACTICS and tactics[0] not in RETIRED_TACTICS:
        row["tactic"] = tactics[0]
    return row

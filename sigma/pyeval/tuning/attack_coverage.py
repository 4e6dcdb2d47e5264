"""Which techniques of ATT&CK a rule set is about, as its tags say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sigma.pyeval.attack import TACTICS, parse_attack
from sigma.pyeval.rules import Rule

NO_TACTIC = ""


@dataclass
class AttackCoverage:
    """Rules by tactic and technique.

    Attributes:
        rules: Number of rules.
        matrix: By tactic (``NO_TACTIC`` where a rule's tags name none): number of rules by technique. A rule counts once in
            each pair of a tactic and a technique that its tags name: Sigma's tags don't say which belongs to which.
        techniques: Number of rules by technique, each rule once.
        untagged: Rules whose tags name no technique.
    """

    rules: int = 0
    matrix: dict[str, Counter[str]] = field(default_factory=dict)
    techniques: Counter[str] = field(default_factory=Counter)
    untagged: list[Rule] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """Count a rule."""
        self.rules += 1
        attack = parse_attack(rule.tags)
        if not attack.techniques:
            self.untagged.append(rule)
        self.techniques.update(attack.techniques)
        for tactic in attack.tactics or (NO_TACTIC,):
            if attack.techniques:
                self.matrix.setdefault(tactic, Counter()).update(attack.techniques)

    def tactics(self) -> list[str]:
        """Return the tactics of the matrix in ATT&CK's order, unknown ones and ``NO_TACTIC`` last."""
        order = {tactic: number for number, tactic in enumerate(TACTICS)}
        return sorted(self.matrix, key=lambda tactic: (order.get(tactic, len(order) + (tactic == NO_TACTIC)), tactic))


def attack_coverage(rules: Iterable[Rule]) -> AttackCoverage:
    """Return what *rules* are about."""
    coverage = AttackCoverage()
    for rule in rules:
        coverage.add(rule)
    return coverage

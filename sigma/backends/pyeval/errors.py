"""Refusals: what a rule asks for that cannot be expressed, named so that its author can act."""

from __future__ import annotations

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError
from sigma.rule import SigmaRule


class Unsupported(SigmaFeatureNotSupportedByBackendError):
    """Something in a rule has no equivalent expression.

    Attributes:
        finding: What was found, with the field where there is one.
        remedy: What the rule's author or user can do about it.
    """

    def __init__(self, finding: str, remedy: str, field: str | None = None) -> None:
        self.finding = f"field {field!r}: {finding}" if field is not None else finding
        self.remedy = remedy
        super().__init__(f"{self.finding}; {remedy}")


class RuleRefused(SigmaFeatureNotSupportedByBackendError):
    """A rule cannot be converted; says which one, what was found, and the remedy, on one line."""

    def __init__(self, rule: SigmaRule | SigmaCorrelationRule, finding: str, remedy: str) -> None:
        name = f"rule {rule.title!r}" + (f" ({rule.id})" if rule.id else "")
        self.finding = finding.removeprefix(f"{name}: ")  # pipelines name the rule themselves
        self.remedy = remedy
        text = f"{name}: {self.finding}; {remedy}" if remedy else f"{name}: {self.finding}"
        super().__init__(" ".join(text.split()), source=rule.source)

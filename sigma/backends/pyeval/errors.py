"""Refusals: what a rule asks for that cannot be expressed, named so that its author can act."""

from __future__ import annotations

import re

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaFeatureNotSupportedByBackendError
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


def message_of(error: BaseException) -> str:
    """Return an error's own words, without the location that SigmaError appends."""
    return re.sub(r"\s+", " ", str(error.args[0] if error.args else type(error).__name__)).strip()


def refusal(rule: SigmaRule | SigmaCorrelationRule, error: SigmaError) -> RuleRefused:
    """Return what went wrong with *rule* as its refusal."""
    if isinstance(error, RuleRefused):
        return error
    if isinstance(error, Unsupported):
        return RuleRefused(rule, error.finding, error.remedy)
    return RuleRefused(rule, message_of(error), "")

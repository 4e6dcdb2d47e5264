"""What can go wrong with rules, as data and as exceptions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleError:
    """Why one rule, or one file, could not be loaded.

    Attributes:
        reason: What was found, on one line; names the field, identifier or key where there is one.
        remedy: What to do about it; empty where nothing general can be said.
        title: The rule's title, where it could be read.
        id: The rule's id, where it could be read.
        path: The file, where there is one.
        unsupported: Whether the rule is well-formed and a pipeline refused it: for its log source or a field, as a rule for
            Windows is refused where logs are those of Linux.
    """

    reason: str
    remedy: str = ""
    title: str | None = None
    id: str | None = None
    path: str | None = None
    unsupported: bool = False

    def __str__(self) -> str:
        place = self.path or "rule text"
        rule = f" (rule {self.title!r})" if self.title else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{rule}: {self.reason}{remedy}"


class RuleLoadError(ValueError):
    """A rule could not be loaded; ``error`` holds what is known about it."""

    def __init__(self, error: RuleError) -> None:
        self.error = error
        super().__init__(str(error))


class UnknownRuleError(LookupError):
    """No rule, or more than one, has the id or title asked for."""

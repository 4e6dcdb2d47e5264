"""What can go wrong with rules, as data and as exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

_SUPPORTED: Final = "; supported"  # what pipelines refuse ends in a list of what they serve


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


def finding_of(reason: str) -> str:
    """Return a reason without what would be supported instead, which is long and often the same."""
    return reason.partition(_SUPPORTED)[0]


def in_brief(reasons: Iterable[str]) -> Iterator[str]:
    """Yield reasons for people who read them in a row: what would be supported instead is said where it is new."""
    said: set[str] = set()
    for reason in reasons:
        finding = finding_of(reason)
        supported = reason[len(finding) :]
        yield finding if supported in said else reason
        said.add(supported)


def errors_in_brief(errors: Iterable[RuleError]) -> Iterator[RuleError]:
    """Yield *errors* with their reasons ``in_brief``."""
    listed = list(errors)
    for error, reason in zip(listed, in_brief(error.reason for error in listed), strict=True):
        yield replace(error, reason=reason)


class RuleLoadError(ValueError):
    """A rule could not be loaded; ``error`` holds what is known about it."""

    def __init__(self, error: RuleError) -> None:
        self.error = error
        super().__init__(str(error))


class UnknownRuleError(LookupError):
    """No rule, or more than one, has the id or title asked for."""

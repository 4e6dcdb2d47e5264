"""What the configuration says of exceptions and of suppression."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ..settings import Duration, Name, Selection, Settings

EVERY_RULE: Final = "*"

HOST: Final = "host"
"""As a field of ``key``: the alert's host, whatever the event calls it."""


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("write a date, as 2027-01-31")


class ExceptionSettings(Settings):
    """Matches that are known to be harmless and raise no alert."""

    name: Name
    """Unique among the exceptions; hits are counted under it."""

    owner: str = Field(min_length=1, max_length=200)
    """Who answers for it: a person or a team."""

    reason: str = Field(min_length=1, max_length=2_000)
    """Why these matches are harmless."""

    expires: Annotated[date, BeforeValidator(_date)] | None = None
    """The last day (UTC) on which it holds; it always holds without one."""

    rules: tuple[str, ...] = ()
    """Only matches of the rules with these ids; ``"*"`` alone for every rule."""

    tags: tuple[str, ...] = ()
    """Only matches of rules with one of these tags; ``*`` stands for anything."""

    titles: tuple[str, ...] = ()
    """Only matches of rules with one of these titles; ``*`` stands for anything."""

    match: dict[str, Any] | Annotated[list[dict[str, Any]], Field(min_length=1)]
    """What the event must hold, as a Sigma detection: all of ``field|modifiers: values``; of a list of such maps, any one."""

    @field_validator("match")
    @classmethod
    def _says_something(cls, value: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
        if not all(value if isinstance(value, list) else [value]):
            raise ValueError("empty, which would except every match; leave rules out with rules.exclude instead")
        return value

    @model_validator(mode="after")
    def _names_rules(self) -> Self:
        if not (self.rules or self.tags or self.titles):
            raise ValueError('says for no rule; give rules, tags or titles, or rules: ["*"] for every rule')
        if EVERY_RULE in self.rules and (len(self.rules) > 1 or self.tags or self.titles):
            raise ValueError('rules: ["*"] means every rule; give it alone, or take it out')
        return self


class SuppressSettings(Selection):
    """How often alerts of a rule are repeated that have the same key."""

    key: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Fields of the event whose values are told apart; ``host`` is the alert's host. Without any, the rule alone."""

    window: Duration
    """How long after the first alert (``10m``) others with the same key are suppressed."""

    most: int = Field(default=1, ge=1, le=1_000_000)
    """So many alerts of a key pass in one window."""

"""Rules held against events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from .errors import RuleError
from .events import holds
from .expression import Predicate, compile_expression
from .matchers.regexes import UNDECIDED
from .rules import LogSource, Match, Rule


class Ruleset:
    """An immutable set of rules, and the errors of those that could not be loaded.

    Attributes:
        rules: The rules in loading order.
        errors: What could not be loaded, and why.

    Args:
        unsafe_regex: Whether expressions may search for regular expressions without a bound; only for trusted rules.
    """

    def __init__(self, rules: Iterable[Rule], errors: Iterable[RuleError] = (), *, unsafe_regex: bool = False) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.errors: tuple[RuleError, ...] = tuple(errors)
        self._unsafe_regex = unsafe_regex

    def __len__(self) -> int:
        return len(self.rules)

    def __repr__(self) -> str:
        return f"<Ruleset of {len(self.rules)} rules, {len(self.errors)} errors>"

    def match(self, event: Mapping[str, Any], logsource: LogSource | None = None) -> list[Match]:
        """Return the matches of *event*, in rule order; never raises, whatever the event holds.

        With *logsource*, rules whose log source conflicts with it are left out; unknown parts never exclude a rule.
        """
        return self.scan(event, logsource)

    def scan(self, event: Mapping[str, Any], logsource: LogSource | None = None) -> list[Match]:
        """Return what ``match`` returns, by evaluating every rule in turn: the slow, obvious path."""
        return [
            Match(rule, event)
            for rule, predicate in zip(self.rules, self._predicates, strict=True)
            if (logsource is None or not rule.logsource.conflicts(logsource)) and holds(predicate, event)
        ]

    @cached_property
    def _predicates(self) -> tuple[Predicate, ...]:
        return tuple(
            compile_expression(rule.expression, f"rule {rule.id}: {rule.title}", unsafe_regex=self._unsafe_regex)
            for rule in self.rules
        )

    @property
    def undecided(self) -> dict[str, int]:
        """For each regular expression of bounded search: in how many longer values it was not found within the bound.

        Counted since the process began, for all rule sets in it.
        """
        return dict(UNDECIDED)

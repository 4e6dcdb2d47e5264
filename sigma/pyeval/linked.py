"""What a linked module runs on: its table of rules, evaluated by the installed runtime."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .correlation.correlator import Correlator
from .correlation.program import run_correlating
from .matchers import SEMANTICS_VERSION
from .rules import CorrelationRule, LogSource, Match, Rule
from .ruleset import Ruleset
from .standalone import run


class LinkedRules:
    """The rules of a linked module; the matcher is built when first used.

    Args:
        module: The linked module's name, for messages.
        semantics_version: The semantics that the module was generated for.
        rows: (record, expression, scope) for each rule.
        correlations: (key, record, call) for each correlation rule.

    Raises:
        ImportError: The installed runtime has other semantics than the module was generated for.
    """

    def __init__(
        self,
        module: str,
        semantics_version: int,
        rows: Sequence[tuple[dict[str, Any], str, str | None]],
        correlations: Sequence[tuple[str, dict[str, Any], str]] = (),
    ) -> None:
        if semantics_version != SEMANTICS_VERSION:
            raise ImportError(
                f"{module} was generated for semantics {semantics_version}, the installed sigma.pyeval has "
                f"{SEMANTICS_VERSION}; generate the module anew"
            )
        self._rows = tuple(rows)
        self._correlations = tuple(correlations)
        self.records = tuple(record for record, _, _ in self._rows) + tuple(record for _, record, _ in correlations)

    @cached_property
    def ruleset(self) -> Ruleset:
        """The rules as a Ruleset; whoever runs the module trusts its source, as with any module."""
        return Ruleset(
            (Rule(expression=expression, scope=scope, **_fields(record)) for record, expression, scope in self._rows),
            correlations=(
                CorrelationRule(expression=call, **_fields(record)) for _, record, call in self._correlations
            ),
            unsafe_regex=True,
        )

    @cached_property
    def _record_of(self) -> dict[int, dict[str, Any]]:
        rules = (*self.ruleset.rules, *self.ruleset.correlations)
        return {id(rule): record for rule, record in zip(rules, self.records, strict=True)}

    def match(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the records of the rules that match *event*, in rule order."""
        return [self._record_of[id(match.rule)] for match in self.ruleset.match(event)]

    def correlator(self, **options: Any) -> Correlator:
        """Return what holds the correlation rules against a stream of events; see ``Ruleset.correlator``."""
        return self.ruleset.correlator(**options)

    def main(self) -> int:
        """Read JSON lines from standard input, write one JSON object per match; return the exit code."""
        if not self._correlations:
            return run(self.match, sys.argv[1:])
        return run_correlating(self._match_all, self.correlator, sys.argv[1:], self._record)

    def _match_all(self, event: Mapping[str, Any]) -> list[Match]:
        return self.ruleset.match(event, members=True)

    def _record(self, rule: Rule) -> dict[str, Any]:
        return self._record_of[id(rule)]


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return a rule's record as the arguments that make it, but for its expression."""
    known: dict[str, Any] = dict(record)
    for key in ("tags", "references", "falsepositives", "fields"):
        known[key] = tuple(known.get(key, ()))
    known["logsource"] = LogSource(**known.get("logsource", {}))
    return {"id": None, **known}

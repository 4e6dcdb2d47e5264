"""What a linked module runs on: its table of rules, evaluated by the installed runtime."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .matchers import SEMANTICS_VERSION
from .rules import LogSource, Rule
from .ruleset import Ruleset
from .standalone import run


class LinkedRules:
    """The rules of a linked module; the matcher is built when first used.

    Args:
        module: The linked module's name, for messages.
        semantics_version: The semantics that the module was generated for.
        rows: (record, expression, scope) for each rule.

    Raises:
        ImportError: The installed runtime has other semantics than the module was generated for.
    """

    def __init__(
        self, module: str, semantics_version: int, rows: Sequence[tuple[dict[str, Any], str, str | None]]
    ) -> None:
        if semantics_version != SEMANTICS_VERSION:
            raise ImportError(
                f"{module} was generated for semantics {semantics_version}, the installed sigma.pyeval has "
                f"{SEMANTICS_VERSION}; generate the module anew"
            )
        self._rows = tuple(rows)
        self.records = tuple(record for record, _, _ in self._rows)

    @cached_property
    def ruleset(self) -> Ruleset:
        """The rules as a Ruleset; whoever runs the module trusts its source, as with any module."""
        rules = (_rule(record, expression, scope) for record, expression, scope in self._rows)
        return Ruleset(rules, unsafe_regex=True)

    @cached_property
    def _record_of(self) -> dict[int, dict[str, Any]]:
        return {id(rule): record for rule, record in zip(self.ruleset.rules, self.records, strict=True)}

    def match(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the records of the rules that match *event*, in rule order."""
        return [self._record_of[id(match.rule)] for match in self.ruleset.match(event)]

    def main(self) -> int:
        """Read JSON lines from standard input, write one JSON object per match; return the exit code."""
        return run(self.match, sys.argv[1:])


def _rule(record: dict[str, Any], expression: str, scope: str | None) -> Rule:
    known: dict[str, Any] = dict(record)
    for key in ("tags", "references", "falsepositives", "fields"):
        known[key] = tuple(known.get(key, ()))
    known["logsource"] = LogSource(**known.get("logsource", {}))
    return Rule(expression=expression, scope=scope, **{"id": None, **known})

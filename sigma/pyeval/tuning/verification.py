"""Proposed filters put to the test: rules are loaded with them as they will be, and hold or lose their positive cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sigma.pyeval.conditions import fields_read
from sigma.pyeval.loading import parse_rules
from sigma.pyeval.rules import LogSource, Rule
from sigma.pyeval.testing.running import run_case
from sigma.pyeval.testing.suite import RuleCase, Suite


@dataclass
class Verifier:
    """Tries filters on single rules.

    Args:
        loading: Keyword arguments of ``parse_rules``: pipeline and placeholders.
        suite: Cases, of which the positive ones count.
    """

    loading: Mapping[str, Any]
    suite: Suite
    _admitted: dict[tuple[LogSource, str], bool] = field(default_factory=dict)
    _sources: dict[str, str | None] = field(default_factory=dict)
    _positive: dict[int, list[RuleCase]] = field(default_factory=dict)

    def admits(self, rule: Rule, name: str) -> bool:
        """Return whether a filter for *rule* may ask the event's field *name*: the pipeline knows it, and leaves it as it is."""
        key = (rule.logsource, name)
        if key not in self._admitted:
            self._admitted[key] = "|" not in name and self._reads(rule.logsource, name)
        return self._admitted[key]

    def _reads(self, logsource: LogSource, name: str) -> bool:
        import yaml

        probe = {
            "title": "probe",
            "logsource": logsource.as_dict(),
            "detection": {"sel": {name: "x"}, "condition": "sel"},
        }
        ruleset = parse_rules(yaml.safe_dump(probe), on_error="collect", **self.loading)
        return any(name in (fields_read(rule.expression, unsafe_regex=True) or ()) for rule in ruleset.rules)

    def positive_cases(self, rule: Rule) -> list[RuleCase]:
        """Return the cases that *rule*, or a correlation rule that builds on it, must match, and does before it is narrowed."""
        if id(rule) not in self._positive:
            cases = self._cases.get(id(rule), ())
            self._positive[id(rule)] = [one for one in cases if run_case(one).status == "passed"]
        return self._positive[id(rule)]

    @cached_property
    def _cases(self) -> dict[int, list[RuleCase]]:
        found: dict[int, list[RuleCase]] = {}
        for one in self.suite.cases:
            if one.case.must_match:
                for rule in one.rules:
                    found.setdefault(id(rule), []).append(one)
        return found

    def keeps(self, rule: Rule, text: str) -> bool:
        """Return whether *rule* loads with the filter in *text*, is narrowed by it, and keeps its positive cases."""
        source = self._source(rule)
        if source is None:
            return False
        narrowed = self._named(parse_rules(f"{source}\n---\n{text}", on_error="collect", **self.loading).rules, rule)
        if narrowed is None or narrowed.expression == rule.expression:
            return False
        return all(
            run_case(one.with_rules({rule.id: narrowed})).status == "passed" for one in self.positive_cases(rule)
        )

    def lost_cases(self, rules: Sequence[Rule], by_id: Mapping[str | None, Rule]) -> list[RuleCase]:
        """Return the positive cases of *rules* that the rules of the same ids in *by_id* no longer match."""
        return [
            one
            for rule in rules
            for one in self.positive_cases(rule)
            if rule.id not in by_id or run_case(one.with_rules(by_id)).status != "passed"
        ]

    def _source(self, rule: Rule) -> str | None:
        if rule.path is None:
            return None
        if rule.path not in self._sources:
            try:
                self._sources[rule.path] = Path(rule.path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                self._sources[rule.path] = None  # it was loaded a moment ago; nothing is proposed for it
        return self._sources[rule.path]

    @staticmethod
    def _named(rules: Sequence[Rule], rule: Rule) -> Rule | None:
        return next((one for one in rules if one.id == rule.id), None)

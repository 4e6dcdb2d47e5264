"""Every form of a rule, the matcher and an independent reading of the rule give the same verdict on any event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, example, given, note, settings

from sigma.pyeval import compile_expression, parse_rules
from sigma.pyeval.codegen import emit_linked, emit_standalone

from .conftest import Exercises, rule_yaml, thorough
from .reference import Reference
from .strategies import Case, cases, show
from .vocabulary import PLACEHOLDERS

Match = Callable[[dict[str, Any]], list[dict[str, Any]]]


def execute(text: str) -> Match:
    """Return the ``match`` of a module's text, run in a namespace of its own."""
    namespace: dict[str, Any] = {"__name__": "rules_under_test"}
    exec(compile(text, "<module>", "exec"), namespace)
    match: Match = namespace["match"]
    return match


def verdicts(case: Case) -> list[dict[str, bool]]:
    """Return for each event what each form of the rule says."""
    ruleset = parse_rules(case.rule, placeholders=PLACEHOLDERS)
    (rule,) = ruleset.rules
    note(f"rule:\n{case.rule}\nexpression: {rule.expression}")
    predicate = compile_expression(rule.expression)
    standalone = execute(emit_standalone(ruleset.rules))
    linked = execute(emit_linked(ruleset.rules))
    reference = Reference(case.rule, PLACEHOLDERS)
    return [
        {
            "reference": reference.matches(event),
            "expression": predicate(event),
            "scan": bool(ruleset.scan(event)),
            "match": bool(ruleset.match(event)),
            "standalone": bool(standalone(event)),
            "linked": bool(linked(event)),
        }
        for event in case.events
    ]


def case(detection: str, *events: dict[str, Any]) -> Case:
    return Case(rule_yaml(detection), events)


@pytest.mark.no_cover
@thorough
@given(case=cases())
# What the property has once found.
@example(case=case("sel:\n    A|cased|expand: '%one%'\ncondition: sel", {"A": "k"}, {"A": "K"}))
@example(case=case("sel:\n    '|expand|endswith': '%one%'\ncondition: sel", {"A": "xk"}, {"A": "kx"}))
@example(case=case("sel:\n    A|cased|windash: '-K'\ncondition: sel", {"A": "/k"}, {"A": "/K"}))
@example(case=case("sel:\n    A|fieldref: 'B\\*'\ncondition: sel", {"A": "k", "B*": "K"}, {"A": "k", "Bx": "k"}))
@example(case=case("sel:\n    A|re: 10\ncondition: sel", {"A": "x10"}, {"A": 10}, {"A": "1"}))
def test_all_forms_agree_with_the_reference(case: Case, exercises: Exercises) -> None:
    for event, verdict in zip(case.events, verdicts(case), strict=True):
        assert len(set(verdict.values())) == 1, f"{verdict}\nevent: {show(event)}\nrule:\n{case.rule}"
    exercises(case.rule)


def test_many_of_the_drawn_events_match() -> None:
    """The property would say little if its events had nothing to do with its rules."""
    found: list[bool] = []

    @settings(max_examples=100, derandomize=True, phases=[Phase.generate], database=None)
    @given(case=cases())
    def collect(case: Case) -> None:
        reference = Reference(case.rule, PLACEHOLDERS)
        found.extend(map(reference.matches, case.events))

    collect()
    assert 0.25 < sum(found) / len(found) < 0.75

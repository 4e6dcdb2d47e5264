"""Rules at the edges: values of odd types, deep conditions, very long lists. They convert, or are refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from sigma.collection import SigmaCollection

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import compile_expression, parse_rules
from sigma.pyeval.codegen import emit_standalone

from .conftest import rule_yaml
from .emitted import convert, rule

ODD_VALUES = (
    ".inf",
    "-.inf",
    ".nan",
    "null",
    "true",
    "2020-01-01",
    "12:30:45",
    "017",
    "1.5",
    "''",
    "{}",
    "[]",
    "[{b: 1}]",
    "!!binary YQ==",
)
ODD_KEYS = (
    "a",
    "''",
    "a|re",
    "'|re'",
    "a|contains",
    "a|cidr",
    "a|exists",
    "a|gt",
    "a|hour",
    "a|expand",
    "'|gt'",
    "'|exists'",
    "a|fieldref",
)


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_values_convert_or_are_refused_with_a_reason(key: str, value: str) -> None:
    for detection in (f"{key}: {value}", f"{key}: [x, {value}]", f"{key}: {value}\n    b: 1"):
        ruleset = parse_rules(rule_yaml(f"sel:\n    {detection}\ncondition: sel"), on_error="collect")
        assert len(ruleset.rules) + len(ruleset.errors) == 1
        assert all(error.reason for error in ruleset.errors)
        for event in ({}, {"a": None}, {"a": "x"}, {"a": 1.5}):
            ruleset.match(event)


def test_a_rule_converts_again_to_the_same() -> None:
    """What is corrected in a rule is corrected from what was written, each time."""
    written = {
        "a|windash": "-x",
        "b|re|contains": "y",
        "|cased|startswith": "z",
        "c|fieldref": "d",
        "e|base64offset": "f",
    }
    collection = SigmaCollection.from_dicts([rule(written)])
    first = PyEvalBackend().convert(collection, "json")
    assert PyEvalBackend().convert(collection, "json") == first


def nested(depth: int, kind: str) -> str:
    """Return a condition of *depth* groups within each other."""
    return {
        "groups": "(" * depth + "sel" + ")" * depth,
        "negations": "not (" * depth + "sel" + ")" * depth,
        "alternating": "sel and (other or (" * (depth // 2) + "sel" + "))" * (depth // 2),
        "bare negations": "not " * depth + "sel",
    }[kind]


@pytest.mark.parametrize("kind", ["groups", "negations", "alternating", "bare negations"])
@pytest.mark.parametrize("depth", [20, 300, 5000])
def test_deep_conditions_convert_or_are_refused(kind: str, depth: int) -> None:
    text = (
        "title: Deep\nlogsource:\n    product: linux\ndetection:\n    sel:\n        a: 1\n    other:\n        b: 2\n"
        f"    condition: {nested(depth, kind)}\n"
    )
    ruleset = parse_rules(text, on_error="collect")
    if ruleset.errors:
        assert depth > 20
        assert "deep" in ruleset.errors[0].reason
        return
    assert bool(ruleset.match({"a": 1})) is True
    assert bool(ruleset.match({"b": 1})) is False
    compile(emit_standalone(ruleset.rules), "<module>", "exec")


MANY = 10_000
LISTS_OF_MANY: list[Any] = [
    {"field": [f"value{number}" for number in range(MANY)]},
    {"field|contains": [f"value{number}." for number in range(MANY)]},
    {"field|contains|all": ["value", *(f"{number:x}"[0] for number in range(MANY))]},
    {"field|re": [f"^value{number}$" for number in range(MANY)]},
    {"field": [f"v*{number}?" for number in range(MANY)]},
    {"field": list(range(MANY))},
    [f"value{number}" for number in range(MANY)],
    [{f"field{number}": number} for number in range(MANY)],
]


@pytest.mark.parametrize("detection", LISTS_OF_MANY, ids=lambda found: str(found)[:28])
def test_long_lists_convert(detection: Any) -> None:
    (expression,) = convert(rule(detection), "default")
    predicate = compile_expression(expression)
    last = {
        "field": ["value9999", "value9999.", "v99999x", 9999, "value0123456789abcdef"],
        "field9999": 9999,
    }
    assert predicate(last)
    assert not predicate({"field": "other", "field0": 1})


def test_many_detections_convert() -> None:
    found = rule() | {
        "detection": {f"sel{number}": {"field": f"v{number}"} for number in range(MANY)} | {"condition": "1 of sel*"}
    }
    (expression,) = convert(found, "default")
    assert compile_expression(expression)({"field": f"v{MANY - 1}"})

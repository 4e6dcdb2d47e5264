"""Keywords are found in any value at any depth, wherever it was seen before."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval import Rule, Ruleset

RULES = (
    "keyword(event, 'Alpha')",
    "keyword_all(event, ('beta', 'gamma'))",
    "keyword(event, 'delta') and not keyword(event, 'epsilon')",
    "keyword_wildcard(event, 'zeta*eta')",
    "keyword_regex(event, 'th[e]ta', 'i')",
    "contains(event, 'A', 'iota') and keyword(event, 'kappa')",
    "equals(event, 'A', 'lambda') and not keyword(event, 'mu-')",
)
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"A": "alpha"}, ["0"]),
    ({"other": "xALPHAx"}, ["0"]),
    ({"alpha": 1}, []),
    ({"other": ["x", {"y": "alpha"}]}, ["0"]),
    ({"A": ["x", "alpha"]}, ["0"]),
    ({"A": {"b": "alpha"}}, ["0"]),
    ({"A": "beta", "other": "gamma"}, ["1"]),
    ({"A": "beta", "B": "x"}, []),
    ({"A": "be", "B": "ta", "C": "gamma"}, []),
    ({"x": "delta"}, ["2"]),
    ({"x": "delta", "A": "epsilon"}, []),
    ({"x": "a zeta and eta"}, ["3"]),
    ({"x": "zeta", "y": "eta"}, []),
    ({"x": "THETA"}, ["4"]),
    ({"x": "THETA \u0130"}, ["4"]),
    ({"A": "iota", "x": "kappa"}, ["5"]),
    ({"A": "iota kappa"}, ["5"]),
    ({"A": "lambda"}, ["6"]),
    ({"A": "lambda", "B": "mu-"}, []),
    ({"x": "\ud800 alpha"}, ["0"]),
    ({"x": b"alpha", "A": True, "B": 1.5}, ["0"]),
]


@pytest.mark.parametrize("known", [False, True])
def test_keywords(known: bool) -> None:
    ruleset = Ruleset(Rule(str(number), one, one) for number, one in enumerate(RULES))
    for event, expected in CASES:
        fresh = ruleset if known else Ruleset(ruleset.rules)
        for _ in range(2):
            assert [match.rule.id for match in fresh.match(event)] == expected, event


@pytest.mark.parametrize(
    ("keyword", "event"), [("10", {"A": 4103}), ("tru", {"A": True}), (".5", {"A": 1.5}), ("x", {"A": "x"})]
)
def test_keywords_in_numbers_and_short_ones(keyword: str, event: dict[str, Any]) -> None:
    for field in ("A", "B"):
        ruleset = Ruleset([Rule("1", "x", f"keyword(event, '{keyword}')"), Rule("2", "y", f"exists(event, '{field}')")])
        assert ruleset.match(event) == ruleset.scan(event) != []
        assert ruleset.match({"A": "-"}) == ruleset.scan({"A": "-"})


def test_one_search_an_event() -> None:
    """Where nothing is found, nothing is looked at."""
    ruleset = Ruleset([Rule(str(number), "x", f"keyword_all(event, ('needle{number}', 'x'))") for number in range(500)])
    for number in range(10):
        assert ruleset.match({"A": f"text {number}", "B": number}) == []
    assert ruleset.statistics().keyword_looks == 0
    assert len(ruleset.match({"A": "x needle7"})) == 1
    assert ruleset.statistics().keyword_looks == 1

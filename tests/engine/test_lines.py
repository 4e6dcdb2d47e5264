"""JSON lines: a result for each event, a problem for each line that is none, in order."""

from __future__ import annotations

from sigma.pyeval import Rule, Ruleset
from sigma.pyeval.engine.lines import Problem
from sigma.pyeval.rules import LogSource

RULES = Ruleset(
    [
        Rule("1", "x", "contains(event, 'A', 'x')"),
        Rule("2", "windows", "exists(event, 'A')", logsource=LogSource("process_creation", "windows")),
    ]
)


def test_lines() -> None:
    lines = b'{"A": "x"}\n\n{"A": 1}\r\n  \n[1]\nnull\n{"A": \n{"A": "\xff"}\n{"A": "xx"}'
    results = list(RULES.match_lines(lines))
    found = [(one[0], [match.rule.id for match in one[1]]) for one in results if not isinstance(one, Problem)]
    assert found == [(1, ["1", "2"]), (3, ["2"]), (9, ["1", "2"])]
    problems = [one for one in results if isinstance(one, Problem)]
    assert [one.line for one in problems] == [5, 6, 7, 8]
    assert problems[0].reason == "a JSON object is needed, not list"
    assert problems[2].reason.startswith("not JSON: ")


def test_routed_lines() -> None:
    (result,) = RULES.match_lines(b'{"A": "x", "type": "PATH", "name": "x"}', route=True)
    assert not isinstance(result, Problem)
    assert [match.rule.id for match in result[1]] == ["1"]


def test_nothing() -> None:
    assert list(RULES.match_lines(b"")) == []
    assert list(RULES.match_lines(b"\n\n")) == []


def test_many() -> None:
    assert [len(matches) for matches in RULES.match_many([{"A": "x"}, {}, {"A": ""}])] == [2, 0, 1]

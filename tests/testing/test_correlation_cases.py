"""Cases of correlation rules: sequences and logs, what they cover, why they fail; the verdict is the correlator's."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from sigma.pyeval import Rule, Ruleset
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.testing.cases import Case, EventSequence, Log, TimedEvent
from sigma.pyeval.testing.item_coverage import ItemCoverage
from sigma.pyeval.testing.running import Result, run_case
from sigma.pyeval.testing.suite import RuleCase, collect_cases

from ..correlation import oracle
from ..correlation.rules import correlation, member, rows, ruleset
from ..correlation.test_oracle import rule_sets, streams
from ..test_explain_correlation import loaded

RULES = ruleset(member("a"), member("b"), correlation(rules=["a"], condition={"gte": 3}, group_by=["user"]))
EVE = {"user": "eve"}


def run(
    subject: Any,
    *,
    must_match: bool = True,
    rules: Ruleset = RULES,
    rule: str = "Found",
    coverage: ItemCoverage | None = None,
) -> Result:
    case = Case("case", Path("x.test.yml"), "match[0]", must_match, subject)
    return run_case(RuleCase(rules.find_rule(rule), case, rules), coverage.add if coverage else None)


def sequence(*events: tuple[float, dict[str, Any]], count: int | None = None) -> EventSequence:
    return EventSequence(tuple(TimedEvent(event, datetime.fromtimestamp(time, UTC)) for time, event in events), count)


@pytest.mark.parametrize(
    ("subject", "must_match", "message"),
    [
        (sequence(*rows("aaa", **EVE)), True, ""),
        (sequence(*rows("aaa", **EVE)), False, "must not match, but raises 1 match"),
        (sequence(*rows("aa", **EVE)), False, ""),
        (sequence(*rows("aa", **EVE)), True, "must match, but does not"),
        (sequence(*rows("aba", **EVE)), True, "must match, but does not"),
        (sequence(*rows("aaa", step=6, **EVE)), True, "must match, but does not"),
        (sequence(*rows("aaaa", **EVE), count=2), True, ""),
        (sequence(*rows("aaaaa", **EVE), count=2), True, "raises 3 matches, 2 must be raised"),
        (sequence(*rows("aa", **EVE), count=2), True, "raises 0 matches, 2 must be raised"),
        (sequence(*rows("aaaa", **EVE)), False, "must not match, but raises 2 matches"),
        (EventSequence((TimedEvent({"is": "a", "user": 1}),) * 3), True, ""),
        ({"is": "a", "user": 1}, False, ""),
        ({"is": "a", "user": 1}, True, "must match, but does not"),
    ],
)
def test_sequences(subject: Any, must_match: bool, message: str) -> None:
    """Whether they raise a match, or how many; events without any time happen together."""
    result = run(subject, must_match=must_match)
    assert (result.status, result.message) == ("failed" if message else "passed", message)
    assert (result.explanation is not None) == bool(message)
    assert result.events == (len(subject.events) if isinstance(subject, EventSequence) else 1)


@given(rule_sets(), streams())
def test_the_verdict_is_that_of_a_fresh_correlator(
    rules: list[oracle.Rule], stream: list[tuple[int, Any, Any]]
) -> None:
    """For every type; rules that raise nothing by themselves take part."""
    ruleset = loaded(rules)
    events = [(time, {"is": sorted(members), **event}) for time, members, event in stream]
    correlator = ruleset.correlator(lateness=math.inf)
    for time, event in events:
        correlator.process(event, time)
    raised = [match.rule.id for match in correlator.finish()]
    for rule in ruleset.correlations:
        wanted = raised.count(rule.id)
        assert (run(sequence(*events), rules=ruleset, rule=str(rule.id)).status == "passed") is bool(wanted)
        assert (
            run(sequence(*events), rules=ruleset, rule=str(rule.id), must_match=False).status == "passed"
        ) is not wanted
        if wanted:
            assert run(sequence(*events, count=wanted), rules=ruleset, rule=str(rule.id)).status == "passed"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    times = (0, 30, 2, 1, 3)  # as scan does, in order of time
    lines = [{"is": "a", "user": "eve", "timestamp": f"2099-01-01T00:00:{time:02}Z"} for time in times]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("options", "must_match", "status", "message"),
    [
        ({}, True, "passed", ""),
        ({}, False, "failed", ": must not match, but raises 2 matches"),
        ({"count": 2}, True, "passed", ""),
        ({"count": 1}, True, "failed", ": raises 2 matches, 1 must be raised"),
        ({"lines": (1, 3, 4)}, True, "passed", ""),
        ({"lines": (1, 2, 3)}, True, "failed", ": must match, but does not"),
        ({"lines": (1, 2, 3)}, False, "passed", ""),
        ({"lines": (1, 9)}, True, "error", ": no event begins on line 9"),
        ({"at_least": 2}, True, "passed", ""),
        ({"at_least": 3}, True, "failed", ": raises 2 matches, at least 3 must be raised"),
    ],
)
def test_logs(log: Path, options: dict[str, Any], must_match: bool, status: str, message: str) -> None:
    """All events of a log, or those of some lines; times that are still to come are believed, on whatever day this runs."""
    result = run(Log(log, **options), must_match=must_match)
    assert (result.status, result.message) == (status, message and f"{log}{message}")
    if status == "failed":
        assert isinstance(result.explanation, CorrelationExplanation)
        assert result.explanation.events[0].source["line"] == 1
        assert result.explanation.events[0].time == 4070908800 * 10**6
        assert not result.explanation.events[0].by_arrival


def test_what_a_failure_tells() -> None:
    """Which rules matched which event, the groups seen, and what they came to."""
    result = run(sequence(*rows("aba", **EVE), (3, {"is": "a", "user": "ann"}), (4, {"is": "a", "User": "eve"})))
    text = " ".join(str(result.explanation).split())
    assert "user=eve comes to 2, asked is events ≥ 3" in text
    assert "user=ann: 1" in text
    assert "3 1970-01-01T00:00:02Z A; user=eve" in text
    assert "nothing in user that could be used; the nearest name is User" in text


def test_log_sources_leave_rules_out(tmp_path: Path) -> None:
    """As in scan; what is not held against a rule covers nothing."""
    windows = ruleset(
        member("a", logsource={"product": "windows"}, detection={"sel": {"a0": "x"}, "condition": "sel"}),
        correlation(condition={"gte": 1}),
    )
    linux = ruleset(member("a", detection={"sel": {"a0": "x"}, "condition": "sel"}), correlation(condition={"gte": 1}))
    audit = tmp_path / "audit.log"
    audit.write_text('type=EXECVE msg=audit(1700000000.100:7): argc=1 a0="x"\n')
    coverage = ItemCoverage()
    assert run(Log(audit), rules=windows, coverage=coverage).status == "failed"
    assert coverage.report(windows.rules)[0].events == 0
    assert run(Log(audit), rules=linux, coverage=coverage).status == "passed"
    assert coverage.report(linux.rules)[0].events > 0


def test_coverage_counts_the_rules_that_a_correlation_builds_on() -> None:
    """Their items are held against the events of its cases; other rules are not."""
    coverage = ItemCoverage()
    run(sequence(*rows("aab", **EVE)), coverage=coverage)
    a, b = coverage.report(RULES.rules)
    assert (a.events, a.share, b.events, b.share) == (3, 1, 0, 0)


def test_another_rule_in_the_place_of_one() -> None:
    """What a filter would do to a correlation's cases: of the rule itself, of one that it builds on, of neither."""
    members = [Rule(name, name.upper(), f"equals(event, 'is', {name!r})") for name in "ab"]
    rules = Ruleset(members, correlations=RULES.correlations)
    case = RuleCase(rules.correlations[0], Case("c", Path("x"), "match[0]", True, sequence(*rows("aaa", **EVE))), rules)
    never = "exists(event, 'never')"
    assert [run_case(one).status for one in (
        case, case.with_rules({"a": Rule("a", "A", never)}), case.with_rules({"b": Rule("b", "B", never)}),
    )] == ["passed", "failed", "passed"]  # fmt: skip
    both = {
        name: Rule(name, name.upper(), f"equals(event, 'is', {name!r}) and exists(event, 'never')") for name in "ab"
    }
    assert run_case(case.with_rules(both)).status == "failed"
    plain = RuleCase(members[0], Case("c", Path("x"), "match[0]", True, {"is": "a"}))
    assert plain.with_rules({"b": Rule("b", "B", never)}) is plain
    assert run_case(plain.with_rules({"a": Rule("a", "A", never)})).status == "failed"


def test_regression_tests_of_a_correlation_rule(tmp_path: Path) -> None:
    """SigmaHQ's layout asks of it what it asks of others: at least so many matches."""
    from sigma.pyeval import load_rules

    from ..correlation.rules import text_of

    rule_id = "11111111-1111-4111-8111-111111111111"
    rule = correlation(condition={"gte": 2}, id=rule_id) | {"regression_tests_path": "data/info.yml"}
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yml").write_text(text_of(member("a"), rule))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/log.json").write_text('{"is": "a"}\n' * 3)
    for count, status in ((2, "passed"), (3, "failed")):
        test = {"name": "t", "type": "json", "path": "data/log.json", "match_count": count}
        info = {"rule_metadata": [{"id": rule_id}], "regression_tests_info": [test]}
        (tmp_path / "data/info.yml").write_text(json.dumps(info))
        suite = collect_cases(load_rules(tmp_path / "rules"), [tmp_path / "rules"])
        assert [run_case(one).status for one in suite.cases] == [status]

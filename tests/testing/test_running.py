"""Cases that pass, fail and cannot be run; items that cases never turned."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval import LogSource, Rule
from sigma.pyeval.rules import CorrelationRule
from sigma.pyeval.testing.cases import Case, EventSequence, Log, TimedEvent
from sigma.pyeval.testing.item_coverage import ItemCoverage
from sigma.pyeval.testing.running import Result, run_case
from sigma.pyeval.testing.suite import RuleCase

RULE = Rule("1", "Test", "contains(event, 'A', 'x') and not exists(event, 'B')")
LINES = '{"A": "x"}\n{"A": "y"}\n{"A": "xx"}\n{"A": "x", "B": 1}\n'


def run(subject: Any, *, must_match: bool = True, rule: Rule = RULE, coverage: ItemCoverage | None = None) -> Result:
    case = Case("case", Path("x.test.yml"), "match[0]", must_match, subject)
    return run_case(RuleCase(rule, case), coverage.add if coverage else None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize(
    ("event", "must_match", "message"),
    [
        ({"A": "x"}, True, ""),
        ({"A": "y"}, False, ""),
        ({"A": "y"}, True, "must match, but does not"),
        ({"A": "x"}, False, "must not match, but does"),
    ],
)
def test_events(event: dict[str, Any], must_match: bool, message: str) -> None:
    """An event by itself, with an explanation where it fails."""
    result = run(event, must_match=must_match)
    assert (result.status, result.message) == ("failed" if message else "passed", message)
    assert (result.explanation is not None) == bool(message)
    assert result.events == 1


@pytest.mark.parametrize(
    ("options", "must_match", "status", "message"),
    [
        ({}, True, "passed", ""),
        ({}, False, "failed", ":1: must not match, but does"),
        ({"lines": (1, 3)}, True, "passed", ""),
        ({"lines": (1, 2)}, True, "failed", ":2: must match, but does not"),
        ({"lines": (2, 4)}, False, "passed", ""),
        ({"lines": (2, 3)}, False, "failed", ":3: must not match, but does"),
        ({"lines": (9,)}, True, "error", ": no event begins on line 9"),
        ({"count": 2}, True, "passed", ""),
        ({"count": 1}, True, "failed", ": 2 of 4 events match, 1 must"),
        ({"count": 3}, True, "failed", ": 2 of 4 events match, 3 must"),
        ({"at_least": 2}, True, "passed", ""),
        ({"at_least": 3}, True, "failed", ": 2 of 4 events match, at least 3 must"),
        ({"input_format": "journald", "options": {"x": 1}}, True, "error", ""),
    ],
)
def test_logs(log: Path, options: dict[str, Any], must_match: bool, status: str, message: str) -> None:
    """All events of a log, some of them, a number of them."""
    result = run(Log(log, **options), must_match=must_match)
    assert result.status == status
    assert result.message.endswith(message)
    if status == "failed" and "events match, 1" not in message:
        assert result.explanation is not None


def test_the_event_nearest_to_matching_is_explained(log: Path) -> None:
    """The one that the fewest items keep away."""
    rule = Rule("1", "T", "contains(event, 'A', 'y') and exists(event, 'C')")
    explanation = run(Log(log), rule=rule).explanation
    assert explanation is not None
    assert explanation.items[0].found[0]["value"] == "y"


def test_cases_that_do_not_go_with_their_rule() -> None:
    """A correlation rule without the others, a sequence for a plain rule."""
    with pytest.raises(TypeError, match="needs the rules that it builds on"):
        run({}, rule=CorrelationRule("1", "T", "event_count(rules=('a',), timespan=9, condition=('gte', 2))"))
    with pytest.raises(TypeError, match="needs a correlation rule"):
        run(EventSequence((TimedEvent({}),)))


def test_rules_that_serve_only_correlations_are_tested_by_themselves(log: Path) -> None:
    """They raise no matches of their own, and are right or wrong all the same."""
    rule = Rule("1", "Test", RULE.expression, generate=False)
    for subject in ({"A": "x"}, Log(log, lines=(1,))):
        assert run(subject, rule=rule).status == "passed"
        assert run(subject, rule=rule, must_match=False).status == "failed"
    for subject in ({"A": "y"}, Log(log, lines=(2,))):
        assert run(subject, rule=rule).status == "failed"
        assert run(subject, rule=rule, must_match=False).status == "passed"


@pytest.mark.parametrize("must_match", [True, False])
def test_memory_does_not_grow_with_the_log(log: Path, must_match: bool) -> None:
    """A log that a rule must not match may be a month's."""
    with log.open("w") as stream:
        stream.writelines(f'{{"A": "{number}", "C": "{"-" * 400}"}}\n' for number in range(20_000))
    run({"A": "y"})  # what is made once
    tracemalloc.start()
    result = run(Log(log), must_match=must_match)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result.status, result.events) == ("failed" if must_match else "passed", 20_000)
    assert peak < 6_000_000


@pytest.mark.parametrize("text", ["", "\n", "{}\nnonsense\n"])
def test_logs_that_say_nothing_are_errors(log: Path, text: str) -> None:
    """A case that could not fail is none."""
    log.write_text(text)
    for must_match in (True, False):
        assert run(Log(log, input_format="jsonl"), must_match=must_match).status == "error"
    log.unlink()
    assert run(Log(log), must_match=False).status == "error"


def test_records_are_routed_as_scan_does(log: Path) -> None:
    """A record of another log source is no match, and covers nothing."""
    rule = Rule("1", "T", RULE.expression, logsource=LogSource(product="windows"))
    coverage = ItemCoverage()
    log.write_text(
        '{"A": "x", "type": "EXECVE", "_AUDIT_ID": "7"}\n' + "type=EXECVE msg=audit(1700000000.1:7): argc=1 a0=x\n" * 3
    )
    audit = log.with_name("audit.log")
    audit.write_text('type=EXECVE msg=audit(1700000000.100:7): argc=1 a0="x"\n')
    rule = Rule("1", "T", "exists(event, 'a0')", logsource=LogSource(product="windows"))
    assert run(Log(audit), rule=rule, coverage=coverage).status == "failed"
    [found] = coverage.report([rule])
    assert found.events == 0
    assert run(Log(audit), rule=Rule("1", "T", "exists(event, 'a0')")).status == "passed"


def test_items_never_true_or_never_false(log: Path) -> None:
    """Over all cases of a rule; the scope does not count."""
    rule = Rule("1", "T", f"exists(event, 'A') and {RULE.expression}", scope="exists(event, 'A')")
    coverage = ItemCoverage()
    [none] = coverage.report([rule])
    assert (none.events, none.items, none.share, len(none.uncovered)) == (0, 2, 0, 2)
    run({"A": "x"}, rule=rule, coverage=coverage)
    [one] = coverage.report([rule])
    assert [(u.item.number, u.never_true, u.never_false) for u in one.uncovered] == [(2, False, True), (3, True, False)]
    assert one.share == 0.5
    run(Log(log), rule=rule, coverage=coverage)
    [all_seen] = coverage.report([rule])
    assert (all_seen.events, all_seen.share, all_seen.uncovered) == (5, 1, ())

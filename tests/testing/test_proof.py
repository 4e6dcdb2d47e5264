"""Cases whose events could not match whatever the rule says: what they have, what the rule reads, and the nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import Rule, Ruleset
from sigma.pyeval.testing.proof import proves_nothing
from sigma.pyeval.testing.suite import collect_cases

SCOPE = "(equals(event, 'who', 'sshd') or exists(event, 'comm'))"
CONDITION = "contains(event, '_CMDLINE', 'x') and not exists(event, 'B')"
CASES: list[tuple[str, str, str | None, dict[str, Any], str]] = [
    ("names from before the pipeline", CONDITION, None, {"Image": "a", "CommandLine": "x"},
     "the rule's condition reads _CMDLINE, B, the event has Image, CommandLine (CommandLine: the rule reads _CMDLINE)"),
    ("nothing at all", CONDITION, None, {}, "the rule's condition reads _CMDLINE, B, the event is empty"),
    ("a field of it", CONDITION, None, {"_CMDLINE": "y"}, ""),
    ("a field of it that is null", CONDITION, None, {"_CMDLINE": None}, ""),
    ("the field of a filter", CONDITION, None, {"B": 1}, ""),
    ("a field within another", "contains(event, 'a.b', 'x')", None, {"a": {"b": "y"}}, ""),
    ("another within it", "contains(event, 'a.b', 'x')", None, {"a": {"c": "y"}}, "the rule's condition reads a.b, the event has a.c"),
    ("keywords read everything", "keyword(event, 'x') and equals(event, 'A', 1)", None, {"C": "y"}, ""),
    ("the rule matches, which fails the case", "not exists(event, 'A')", None, {"C": "y"}, ""),
    ("two fields compared", "equals_field(event, 'A', 'B')", None, {"B": "y"}, ""),
    ("in scope, with a field", CONDITION, SCOPE, {"who": "sshd", "_CMDLINE": "y"}, ""),
    ("out of scope by what it says", CONDITION, SCOPE, {"who": "cron", "_CMDLINE": "x"}, ""),
    ("out of scope, and the condition false", CONDITION, SCOPE, {"_CMDLINE": "y"}, ""),
    ("out of scope for want of its fields alone", CONDITION, SCOPE, {"_CMDLINE": "x"},
     "only the rule's scope keeps it from matching, which reads who, comm, the event has _CMDLINE"),
    ("many fields", " or ".join(f"equals(event, 'f{n}', 1)" for n in range(14)), None, {"C": 1},
     "reads f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11 and 2 more, the event has C"),
]  # fmt: skip


def rule(condition: str, scope: str | None = None) -> Rule:
    return Rule("1", "Test", f"{scope} and {condition}" if scope else condition, scope=scope)


@pytest.mark.parametrize(
    ("condition", "scope", "event", "told"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_told(condition: str, scope: str | None, event: dict[str, Any], told: str) -> None:
    reason = proves_nothing(rule(condition, scope), event)
    assert told in reason
    assert bool(told) == bool(reason)
    assert reason.endswith("; write fields as the pipeline names them") == bool(told)


@given(
    st.dictionaries(st.sampled_from(["_CMDLINE", "B", "who", "other"]), st.sampled_from(["x", "y", "sshd", None])),
    st.sampled_from([None, SCOPE]),
)
def test_only_events_without_what_is_read_prove_nothing(event: dict[str, Any], scope: str | None) -> None:
    """None that matches, and none that has a field of the condition and one of the scope."""
    one = rule(CONDITION, scope)
    if proves_nothing(one, event):
        assert not Ruleset([one]).match(event)
        assert not event.keys() & {"_CMDLINE", "B"} or (scope and "who" not in event)


def test_only_events_by_themselves_are_mistakes(tmp_path: Path) -> None:
    """Under match they fail by themselves, and logs hold what they hold."""
    (tmp_path / "log.jsonl").write_text('{"Image": "a"}\n')
    (tmp_path / "a.test.yml").write_text(
        "rule: Test\nmatch: [{event: {Image: a}}]\n"
        "no_match: [{event: {Image: a}}, {log: log.jsonl}, {event: {_CMDLINE: y}}]\n"
    )
    suite = collect_cases(Ruleset([rule(CONDITION)]), [tmp_path])
    assert [one.case.place for one in suite.cases] == ["match[0]", "no_match[1]", "no_match[2]"]
    assert [(one.path.name, one.place) for one in suite.mistakes] == [("a.test.yml", "no_match[0].event")]

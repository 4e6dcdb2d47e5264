"""Fields asked for against fields that occur: what counts as which, and that memory stays bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import field_report
from sigma.pyeval.field_report import FieldCounter, FieldReport, nearest_name
from sigma.pyeval.matchers.values import lookup
from sigma.pyeval.rules import CorrelationRule, LogSource, Rule

PROCESS = LogSource("process_creation", "linux")
FILE = LogSource("file_event", "linux")


def rule(expression: str, logsource: LogSource = PROCESS, scope: str | None = None) -> Rule:
    """Return a rule of this expression, behind its scope."""
    whole = expression if scope is None else f"{scope} and {expression}"
    return Rule(id=None, title="Test", expression=whole, logsource=logsource, scope=scope)


def report(rules: list[Rule], *events: dict[str, Any]) -> FieldReport:
    """Return the report of *rules* on *events*."""
    counter = FieldCounter(rules)
    for event in events:
        counter.add(event)
    return counter.report()


def missing(found: FieldReport) -> list[str]:
    return [field.name for field in found.missing]


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("contains(event, 'a', 'x')", ["a"]),
        ("equals_any(event, 'a', ('b', 'c')) and not exists(event, 'd')", ["a", "d"]),
        ("equals_field(event, 'a', 'b')", ["a", "b"]),
        ("time_part(event, 'a', 'hour', '==', 3)", ["a"]),
        ("keyword(event, 'a')", []),
        ("regex(event, 'a', 'b') or (is_null(event, 'c') and gt(event, 'd', 1))", ["a", "c", "d"]),
    ],
)
def test_fields_are_the_arguments_of_matchers_that_name_one(expression: str, asked: list[str]) -> None:
    assert missing(report([rule(expression)])) == asked


def test_rules_and_log_sources_are_counted() -> None:
    rules = [
        rule("contains(event, 'a', 'x') or contains(event, 'a', 'y')"),
        rule("contains(event, 'a', 'x')", FILE),
        rule("contains(event, 'b', 'x')", FILE),
        rule("keyword(event, 'x')", FILE),
    ]
    found = report(rules, {"c": 1})
    assert [(field.name, field.rules, dict(field.logsources)) for field in found.missing] == [
        ("a", 2, {PROCESS: 1, FILE: 1}),
        ("b", 1, {FILE: 1}),
    ]
    assert (found.asked, found.keyword_rules, found.events, dict(found.unread)) == (2, 1, 1, {"c": 1})


def correlation(call: str) -> Rule:
    return CorrelationRule(id=None, title="Correlation", expression=call)


def test_correlation_rules_ask_for_what_they_group_by_and_reckon_with() -> None:
    """Of events of the rules that they correlate, aliases by their fields; of other correlations' matches they ask nothing."""
    rules = [
        Rule("a", "A", "exists(event, 'x')", logsource=PROCESS),
        Rule("b", "B", "exists(event, 'x')", logsource=FILE),
        Rule("c", "C", "exists(event, 'x')", logsource=FILE),
        correlation("temporal(rules=('a', 'b'), group_by=('host', 'who'), aliases=(('who', (('a', 'user'), ('b', 'owner'))),), timespan=9, condition=('gte', 2))"),
        CorrelationRule("inner", "I", "value_sum(rules=('a',), group_by=('host',), timespan=9, condition=('gte', 2), fields=('bytes',))"),
        correlation("event_count(rules=('inner', 'c'), group_by=('host', 'user'), timespan=9, condition=('gte', 2))"),
    ]  # fmt: skip
    found = report(rules, {"x": 1, "usr": 1})
    assert [(field.name, field.rules, dict(field.logsources), field.nearest) for field in found.missing] == [
        ("host", 3, {PROCESS: 2, FILE: 2}, None),
        ("user", 2, {PROCESS: 1, FILE: 1}, "usr"),
        ("bytes", 1, {PROCESS: 1}, None),
        ("owner", 1, {FILE: 1}, None),
    ]
    found = report(rules, {"x": 1, "host": 1, "user": 1, "bytes": 1, "owner": 1, "who": 1})
    assert (found.missing, found.asked, dict(found.unread)) == ((), 5, {"who": 1})


def test_a_scope_reads_fields_and_asks_for_none() -> None:
    found = report([rule("contains(event, 'a', 'x')", scope="not exists(event, 'm')")], {"a": 1, "n": 1})
    assert (missing(found), list(found.unread)) == ([], ["n"])
    found = report([rule("contains(event, 'a', 'x')", scope="not exists(event, 'm')")], {"m": 1})
    assert (missing(found), list(found.unread)) == (["a"], [])
    found = report([rule("exists(event, 'm')", scope="exists(event, 'm')")])
    assert missing(found) == ["m"], "the rule itself asks for it too"


@pytest.mark.parametrize(
    ("field", "event", "occurs"),
    [
        ("a.b", {"a": {"b": 1}}, True),
        ("a.b", {"a.b": 1}, True),
        ("a.b", {"a": [{"c": 1}, {"b": 1}]}, True),
        ("a.b.c", {"a.b": {"c": 1}}, False),
        ("a.b.c", {"a": {"b.c": 1}}, False),
        ("a", {"a": {"b": 1}}, True),
        ("a", {"a": None}, True),
        ("a", {"a": []}, True),
        ("a", {"A": 1}, False),
        ("a.1", {"a": ["x", "y"]}, True),
        ("a.1", {"a": ["x"]}, False),
        ("a.1.b", {"a": [{}, {"b": 1}]}, True),
    ],
)
def test_a_field_occurs_where_the_matchers_find_it(field: str, event: dict[str, Any], occurs: bool) -> None:
    assert missing(report([rule(f"exists(event, {field!r})")], event)) == ([] if occurs else [field])
    assert (lookup(event, field) is not None) is occurs


KEYS = st.sampled_from(["a", "b", "1", "a.b", "b.1"])
VALUES = st.recursive(st.sampled_from([1, "x", None]), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))
FIELDS = st.lists(st.sampled_from(["a", "b", "1"]), min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(KEYS, VALUES), FIELDS)
def test_what_has_a_value_occurs_and_what_is_unread_can_be_found(event: dict[str, Any], field: str) -> None:
    found = report([rule(f"exists(event, {field!r})")], event)
    if lookup(event, field):
        assert missing(found) == []
    if lookup(event, field) is None:
        assert missing(found) == [field]
    assert [name for name in found.unread if "[" not in name and lookup(event, name) is None] == []


@pytest.mark.parametrize(
    ("field", "names", "nearest"),
    [
        ("CommandLine", ["process.command_line", "message"], "process.command_line"),
        ("CommandLine", ["COMMAND", "_CMDLINE"], "_CMDLINE"),
        ("TargetFilename", ["_TARGET_FILE", "file.path"], "_TARGET_FILE"),
        ("destination.ip", ["DestinationIp", "SourceIp"], "DestinationIp"),
        ("ParentImage", ["Image", "ParentImages"], "ParentImages"),
        ("Image", ["_EXE", "MESSAGE"], None),
        ("Image", [], None),
        ("...", ["a"], None),
    ],
)
def test_the_nearest_name(field: str, names: list[str], nearest: str | None) -> None:
    assert nearest_name(field, names) == nearest


def test_names_are_bounded_and_what_rules_ask_for_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_report, "MAX_NAMES", 10)
    counter = FieldCounter([rule("exists(event, 'asked') and exists(event, 'never')")])
    for number in range(100):
        counter.add({f"name{number}": 1, "x" * 5000: 1})
    counter.add({"asked": 1})
    found = counter.report()
    assert missing(found) == ["never"]
    assert len(found.unread) == 10
    assert max(map(len, found.unread)) == field_report.MAX_NAME_CHARACTERS + 3
    assert not found.complete
    assert report([], {"a": 1}).complete


def test_deep_events_are_looked_into_only_so_far_but_deep_fields_are_found() -> None:
    event: dict[str, Any] = {"x": 1}
    for _ in range(200):
        event = {"a": event}
    deep = ".".join(["a"] * 200)
    found = report([rule(f"exists(event, '{deep}.x') and exists(event, '{deep}.y')")], event)
    assert missing(found) == [f"{deep}.y"]
    assert list(found.unread) == [".".join(["a"] * field_report.MAX_DEPTH)]


def test_the_json_form() -> None:
    assert report([rule("contains(event, 'CommandLine', 'x')")], {"_CMDLINE": "x"}).as_dict() == {
        "events": 1,
        "asked": 1,
        "keyword_rules": 0,
        "missing": [
            {
                "field": "CommandLine",
                "rules": 1,
                "nearest": "_CMDLINE",
                "logsources": [{"logsource": PROCESS.as_dict(), "rules": 1}],
            }
        ],
        "unread": [{"field": "_CMDLINE", "events": 1}],
        "complete": True,
    }

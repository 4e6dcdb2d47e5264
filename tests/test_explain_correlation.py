"""Correlation rules explained: the correlator's own verdict, what groups came to, why events do not count."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given

from sigma.pyeval import LogSource, Rule, Ruleset, load_rules
from sigma.pyeval.correlation import watching
from sigma.pyeval.correlation.calls import CorrelationError
from sigma.pyeval.correlation.source import emit_correlation
from sigma.pyeval.errors import UnknownRuleError
from sigma.pyeval.explain_correlation import (
    MOST_EVENTS,
    MOST_GROUPS,
    MOST_MATCHES,
    CorrelationExplainer,
)
from sigma.pyeval.explained_correlation import CorrelationExplanation
from sigma.pyeval.output import json_line
from sigma.pyeval.rules import CorrelationRule

from .conftest import ROOT
from .correlation import oracle
from .correlation.rules import correlation, member, rows, ruleset
from .correlation.test_oracle import BASE, call_of, rule_sets, streams


def loaded(rules: list[oracle.Rule]) -> Ruleset:
    """Return rules that match what ``is`` lists, and the oracle's rules about them."""
    members = [Rule(name, name.upper(), f"equals(event, 'is', {name!r})") for name in BASE]
    correlations = [CorrelationRule(rule.key, rule.key, emit_correlation(call_of(rule))) for rule in rules]
    return Ruleset(members, correlations=correlations)


def explain(loaded: Ruleset, *events: tuple[float, dict[str, Any]], rule: str = "Found") -> CorrelationExplanation:
    found = loaded.explain([event for _, event in events], rule, timestamps=[time for time, _ in events])
    assert isinstance(found, CorrelationExplanation)
    return found


def written(explanation: CorrelationExplanation) -> str:
    """Return the explanation's text, after writing it in every form."""
    json.loads(json_line(explanation.as_dict()))
    ElementTree.fromstring(explanation._repr_html_())
    return " ".join(str(explanation).split())


@given(rule_sets(), streams())
def test_the_verdict_is_that_of_the_correlator(rules: list[oracle.Rule], stream: list[tuple[int, Any, Any]]) -> None:
    """For every type, in any order of arrival: the same matches with the same ids; and all forms can be written."""
    ruleset = loaded(rules)
    events = [{"is": sorted(members), **event} for _, members, event in stream]
    times = [time for time, _, _ in stream]
    correlator = ruleset.correlator(lateness=math.inf)
    raised = [match for event, time in zip(events, times, strict=True) for match in correlator.process(event, time)]
    raised += correlator.finish()
    for rule in ruleset.correlations:
        found = ruleset.explain(events, rule, timestamps=times)
        assert isinstance(found, CorrelationExplanation)
        wanted = [match.id for match in raised if match.rule == rule]
        assert found.matched is bool(wanted)
        assert found.raised == len(wanted)
        assert sorted(match.id for match in found.matches) == sorted(wanted) or len(wanted) > MOST_MATCHES
        for one in found.correlations:
            assert all(group.holds == (group.raised > 0) for group in one.groups)
            assert sum(group.raised for group in one.groups) == one.raised or one.more
        written(found)


@given(rule_sets(), streams())
def test_groups_come_to_what_the_definition_says(rules: list[oracle.Rule], stream: list[tuple[int, Any, Any]]) -> None:
    """Of all windows of a group, the one nearest to the threshold."""
    rule = rules[0]
    if oracle.extended(rule):
        return
    ruleset = loaded([rule])
    events = [{"is": sorted(members), **event} for _, members, event in stream]
    found = ruleset.explain(events, rule.key, timestamps=[time for time, _, _ in stream])
    assert isinstance(found, CorrelationExplanation)
    groups: dict[Any, list[oracle.Seen]] = {}
    in_order = sorted(oracle.in_time(stream, math.inf), key=lambda row: row[:2])
    for seen in sorted(oracle.events_of(rule, in_order), key=lambda one: (one.time, one.place)):
        groups.setdefault(seen.group, []).append(seen)
    expected = {}
    for group, members in groups.items():
        make = (
            oracle.sliding_windows
            if not oracle.closes(rule)
            else lambda *given: oracle.closed_windows(given[0], given[1], 0, given[2])
        )
        measures = [
            (oracle.holds(rule, window), oracle.exact(rule, window)) for _, _, window, _, _ in make(rule, 0, members)
        ]
        threshold = Fraction(rule.condition[1])
        expected[group] = min(
            (not holds, -abs(value - threshold) if holds else abs(value - threshold)) for holds, value in measures
        )
    reached = found.correlations[0].groups
    assert {
        tuple(oracle.typed(one.group[name]) for name in rule.group_by): one.nearness for one in reached
    } == expected  # fmt: skip
    assert [one.nearness for one in reached] == sorted(expected.values())


FAILED = (member("a"), correlation(group_by=["user"], condition={"gte": 3}))


def test_what_each_group_came_to() -> None:
    """The greatest count, the nearest group first; a rule that no event matches with its nearest event."""
    events = [(0, {"is": "a", "user": "eve"}), (1, {"is": "a", "user": "ann"}), (2, {"is": "a", "user": "eve"}), (40, {"is": "a", "user": "eve"})]  # fmt: skip
    found = explain(ruleset(*FAILED), *events)
    assert [(one.group, one.value, one.count, one.holds, one.end_time) for one in found.correlations[0].groups] == [
        ({"user": "eve"}, 2, 2, False, 2_000_000),
        ({"user": "ann"}, 1, 1, False, 1_000_000),
    ]
    text = written(found)
    assert "Found: no match: user=eve comes to 2, asked is events ≥ 3" in text
    assert "asks: events ≥ 3 within 10s, by user" in text
    assert "A: matches 4 events" in text
    assert "2 1970-01-01T00:00:01Z A; user=ann" in text
    found = explain(ruleset(*FAILED), *events[:3], (3, {"is": "a", "user": "eve"}), (4, {"is": "a", "user": "eve"}))
    assert (found.matched, found.raised, found.correlations[0].groups[0].value) == (True, 2, 4)
    assert written(found).startswith("Found: matches, 2 times")
    again = explain(
        ruleset(*FAILED), *rows("aa", user="eve"), (30, {"is": "a", "user": "eve"}), (31, {"is": "a", "user": "eve"})
    )
    assert [one.end_time for one in again.correlations[0].groups] == [1_000_000], (
        "of two that are equally near the first"
    )
    nothing = explain(ruleset(*FAILED), (0, {"is": "x"}), (1, {"are": "a"}), (2, {"is": "b"}))
    assert "no match: no event matches A" in written(nothing)
    assert "A: no event matches, the nearest is event 1" in written(nothing)
    assert [(one.event, one.matched) for one in nothing.members] == [(1, 0)]
    assert "there are no events" in written(explain(ruleset(*FAILED)))


def test_one_event() -> None:
    """Each rule with its tree, the group and the time, what is asked."""
    both = ruleset(member("a"), member("b"), correlation("temporal", ["a", "b"], group_by=["user"]))
    found = both.explain({"is": "a", "user": "eve", "timestamp": "2026-11-20T10:00:00Z"}, "Found")
    assert isinstance(found, CorrelationExplanation)
    assert [(one.rule.title, one.explanation.matched) for one in found.members if one.explanation] == [
        ("A", True),
        ("B", False),
    ]
    text = written(found)
    assert "no match: no event matches B; user=eve comes to 1 (A), asked is rules (A, B) ≥ 2" in text
    assert "is = «a»" in text
    assert "1 2026-11-20T10:00:00Z A; user=eve" in text
    assert "(on arrival)" in written(both.explain({"is": "a", "user": "eve"}, "Found"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "event", "field", "nearest"),
    [
        ({"group_by": ["user"]}, {"User": "eve"}, "user", "User"),
        ({"group_by": ["user"]}, {"user": None}, "user", None),
        ({"group_by": ["who"], "aliases": {"who": {"a": "source.user"}}}, {"user": "x"}, "source.user", "user"),
        ({"kind": "value_count", "condition": {"field": "host", "gte": 2}}, {}, "host", None),
        ({"kind": "value_sum", "condition": {"field": "bytes", "gte": 2}}, {"bytes": "many"}, "bytes", None),
    ],
)
def test_events_that_lack_a_field_do_not_count(
    more: dict[str, Any], event: dict[str, Any], field: str, nearest: str | None
) -> None:
    """The field is named, and the nearest name that the event has."""
    rules = ruleset(member("a"), correlation(**({"condition": {"gte": 1}} | more)))
    found = explain(rules, (0, {"is": "a", **event}), (1, {"is": "a", **event}))
    [left_out] = found.events[0].left_out
    assert (left_out.missing.field, left_out.missing.nearest) == (field, nearest)
    assert found.events[0].counted == ()
    assert f"events that match lack {field}" in written(found)


VALUES = [
    ({"kind": "value_count", "condition": {"field": "v", "gte": 3}}, [1, 2, 2], 2, "different values of v ≥ 3"),
    ({"kind": "value_sum", "condition": {"field": "v", "gt": 10}}, [1, 2.5, 4], 7.5, "sum of v > 10"),
    ({"kind": "value_avg", "condition": {"field": "v", "gte": 3}}, [1, 2, 4], 7 / 3, "avg of v ≥ 3"),
    ({"kind": "value_median", "condition": {"field": "v", "gte": 3}}, [1, 2, 2], 2, "median of v ≥ 3"),
    ({"kind": "value_percentile", "condition": {"field": "v", "gte": 9, "percentile": 90}}, [1, 2, 4], 4, "percentile 90 of v ≥ 9"),
    ({"condition": {"eq": 2}}, [1, 2, 3], 3, "events = 2"),
    ({"condition": {"neq": 3}}, [1, 2, 3], 3, "events ≠ 3"),
    ({"condition": {"lt": 3}}, [1, 2, 3], 3, "events < 3"),
    ({"condition": {"lte": 2}, "timespan": "2h"}, [1, 2, 3], 3, "events ≤ 2 within 2h"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "values", "value", "words"), VALUES)
def test_values_and_conditions_in_words(more: dict[str, Any], values: list[Any], value: Any, words: str) -> None:
    """What a group comes to is what the correlator compares."""
    found = explain(
        ruleset(member("a"), correlation(**more)), *((n, {"is": "a", "v": v}) for n, v in enumerate(values))
    )
    assert not found.matched
    assert [one.value for one in found.correlations[0].groups] == [value]
    assert words in written(found)
    assert "all events comes to" in written(found)


def test_conditions_over_rules() -> None:
    """Which rules were seen, and in which order they had to come."""
    rules = ruleset(
        member("a"),
        member("b"),
        member("c"),
        correlation("temporal_ordered", [], condition="a and (b or not c)", timespan="30s"),
    )
    found = explain(rules, (0, {"is": "b"}), (1, {"is": "c"}), (40, {"is": "c"}))
    assert [one.seen for one in found.correlations[0].groups] == [("b", "c")]
    assert "all events comes to B and C, asked is A and (B or not C), in their order" in written(found)
    assert explain(rules, (0, {"is": "a"}), (1, {"is": "b"})).matched


def test_correlations_of_correlations() -> None:
    """What the inner one came to is told too, though it raises nothing itself; and it can be explained by itself."""
    rules = ruleset(
        member("a"), member("b"), correlation(title="Inner", name="inner", condition={"gte": 3}),
        correlation("temporal_ordered", ["inner", "b"], title="Outer"),
    )  # fmt: skip
    found = explain(rules, *rows("aab"), rule="Outer")
    assert [(one.rule.title, one.raised) for one in found.correlations] == [("Outer", 0), ("Inner", 0)]
    assert "Inner: all events comes to 2, asked is events ≥ 3" in written(found)
    assert explain(rules, *rows("aaab"), rule="Outer").matched
    inner = explain(rules, *rows("aaab"), rule="Inner")
    assert (inner.raised, len(inner.correlations), [one.rule.title for one in inner.members]) == (1, 1, ["A"])
    assert inner.rule == rules.find_rule("Inner")


def test_the_order_is_that_of_time() -> None:
    """As scan puts events in order: listed late is not late."""
    rules = ruleset(*FAILED)
    events = [(8, {"is": "a", "user": 1}), (0, {"is": "a", "user": 1}), (4, {"is": "a", "user": 1})]
    assert explain(rules, *events).matched
    assert [one.time for one in explain(rules, *events).events] == [8_000_000, 0, 4_000_000]


@pytest.mark.parametrize(("source", "shown"), [({"path": "x", "line": 7}, "x:7"), ("<b>", "<b>"), (7, "7"), (None, "")])
def test_where_an_event_was_read(source: Any, shown: str) -> None:
    """As the caller tells, for people and machines."""
    rules = ruleset(*FAILED)
    explainer = CorrelationExplainer(rules, rules.correlations[0])
    explainer.add({"is": "a", "user": 1}, 0, source=source)
    found = explainer.explanation()
    assert found.events[0].source == source
    assert " ".join(f"1 {shown} 1970-01-01T00:00:00Z A; user=1".split()) in written(found)


def test_log_sources_leave_rules_out() -> None:
    """As ``match`` does."""
    rules = ruleset(*FAILED)
    events = [{"is": "a", "user": 1}] * 3
    assert rules.explain(events, "Found").matched
    assert rules.explain(events, "Found", LogSource(category="test")).matched
    other = rules.explain(events, "Found", LogSource(category="other"))
    assert not other.matched
    assert "the event is of other" in written(other)  # type: ignore[arg-type]


def test_what_is_shown_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, groups and matches; those nearest to the condition stay."""
    monkeypatch.setattr(watching, "MOST_GROUPS", 30)
    events = [(0, {"is": "a", "user": n, "x": "y" * 100_000}) for n in range(500)] + [(1, {"is": "a", "user": 7})] * 40
    found = explain(ruleset(*FAILED), *events)
    [rule] = found.correlations
    assert (len(found.events), found.more) == (MOST_EVENTS, 540 - MOST_EVENTS)
    assert (len(found.matches), found.raised) == (MOST_MATCHES, 39)
    assert (len(rule.groups), rule.groups[0].group) == (MOST_GROUPS, {"user": 7})
    assert rule.more >= 500 - MOST_GROUPS
    assert len(json_line(found.as_dict())) < 60_000
    assert f"and {540 - MOST_EVENTS} events more" in written(found)
    assert f"and {rule.more} groups more" in written(found)


def test_hostile_text_stays_text() -> None:
    """Titles, fields and values of rules and events, in terminals and notebooks."""
    evil = "<script>alert(1)</script>\x1b[31m[bold]\u202e\n"
    rules = ruleset(
        member("a", title=f"T {evil}"), correlation(title=f"C {evil}", group_by=[evil], condition={"gte": 3})
    )
    for events in ([(0, {"is": "a", evil: evil})] * 2, [(0, {"is": "a", evil + "x": evil})] * 2):
        found = explain(rules, *events, rule=rules.correlations[0].title)
        for text in (str(found), found._repr_html_()):
            assert not {"\x1b", "\u202e"} & set(text)
        assert "<script>" not in found._repr_html_()
        assert "[bold]" in written(found)


def test_foreign_objects() -> None:
    """What is no event matches nothing, and says so."""

    class Loud:
        def __str__(self) -> str:
            raise RuntimeError("loud")

    rules = ruleset(*FAILED)
    for event in (None, 7, Loud(), {"is": Loud()}, {"is": "a", "user": Loud()}):
        assert not rules.explain(event, "Found").matched  # type: ignore[arg-type]
        written(rules.explain(event, "Found"))  # type: ignore[arg-type]


def test_wrong_usage() -> None:
    """Rules from elsewhere, and times that do not fit."""
    rules, others = ruleset(*FAILED), ruleset(*FAILED[:1], correlation(title="Other", condition={"gte": 2}))
    with pytest.raises(UnknownRuleError, match="'Other' is not among these rules"):
        rules.explain({}, others.correlations[0])
    with pytest.raises(UnknownRuleError, match="did you mean 'Found'"):
        rules.explain({}, "Fond")
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        rules.explain([{}, {}], "Found", timestamps=[1])
    with pytest.raises(TypeError, match="timestamps are for correlation rules, which 'A' is not"):
        rules.explain({}, "A", timestamps=[1])
    with pytest.raises(CorrelationError, match="which is not there"):
        Ruleset([], correlations=rules.correlations).explain({}, "Found")


def test_the_examples() -> None:
    """A password guessed, and almost."""
    rules = load_rules(ROOT / "examples/rules", pipeline="linux_eval")
    failed = {"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "Failed password for root from 203.0.113.7", "_HOSTNAME": "web-1"}
    login = failed | {"MESSAGE": "Accepted password for root from 203.0.113.7"}
    found = rules.explain([failed] * 5 + [login], "SSH Password Guessed", timestamps=[*range(0, 20, 4), 30])
    assert found.matched
    assert not rules.explain([failed] * 4 + [login], "SSH Password Guessed").matched

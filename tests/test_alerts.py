"""Alerts: their shape is that of the schema, their ids come again, what is redacted shows nowhere, and nothing makes them fail."""

from __future__ import annotations

import copy
import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import compile_expression, load_rules
from sigma.pyeval.alerts import LONGEST_HOST, make_alert, rfc3339
from sigma.pyeval.excerpts import LONGEST_EXCERPT, MOST_VALUES
from sigma.pyeval.logs.records import Record
from sigma.pyeval.matchers.values import lookup
from sigma.pyeval.output import json_line
from sigma.pyeval.redaction import REDACTED, Redaction
from sigma.pyeval.rules import LogSource, Match, Rule
from sigma.pyeval.scanning import Scan

from .conftest import ROOT

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SOURCE: dict[str, str | int] = {"name": "logs", "type": "file", "path": "/var/log/a.log", "offset": 4711}
RULE = Rule(
    id="11111111-1111-4111-8111-111111111111",
    title="Network Device File",
    expression="contains_any(event, 'cmd', ('/dev/tcp/', '/dev/udp/', '/dev/null')) and not exists(event, 'ok')",
    level="high",
    status="test",
    tags=("attack.execution", "attack.t1059.004", "cve.2026-1"),
    logsource=LogSource("process_creation", "linux"),
    references=("https://example.org",),
    source_hash="ab" * 32,
)
EVENT: dict[str, Any] = {"cmd": "cat </dev/tcp/192.0.2.1/9 >/dev/null", "_HOSTNAME": "web-1", "timestamp": "2026-11-20T18:00:00+01:00"}  # fmt: skip


@cache
def schema() -> jsonschema.Draft202012Validator:
    """Return the validator of docs/alert.schema.json."""
    text = (ROOT / "docs" / "alert.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def alert_of(
    event: dict[str, Any],
    rule: Rule | str = RULE,
    source: dict[str, str | int] = SOURCE,
    serial: str | None = None,
    now: datetime = NOW,
    redact: tuple[str, ...] = (),
    reader: str | None = None,
) -> dict[str, Any]:
    """Return the alert of one event, which is valid, as it is after a way over JSON, and left the event alone."""
    rule = Rule(None, "Some rule", rule) if isinstance(rule, str) else rule
    record = Record(event, 1, LogSource(service="auditd"), serial)
    alert = make_alert(Match(rule, event), record, source, now, Redaction(redact), reader)
    schema().validate(alert)
    assert orjson.loads(orjson.dumps(alert)) == json.loads(json_line(alert)) == alert
    return alert


def found(alert: dict[str, Any]) -> list[tuple[list[Any], Any, list[str]]]:
    """Return what matched: path, value, and the text of each span."""
    return [
        (one["path"], one["value"], [one["value"][a:b] for a, b in one["spans"]])
        for call in alert["matched"]
        for one in call["found"]
    ]


# The shape


def test_an_alert_says_what_happened_where_and_why() -> None:
    """Every member of the shape, once."""
    assert alert_of(EVENT, serial="77") == {
        "schema_version": 1,
        "id": alert_of(EVENT)["id"],
        "rule": {
            "id": RULE.id,
            "title": RULE.title,
            "level": "high",
            "status": "test",
            "tags": ["attack.execution", "attack.t1059.004", "cve.2026-1"],
            "logsource": {"category": "process_creation", "product": "linux"},
            "references": ["https://example.org"],
            "source_hash": "ab" * 32,
        },
        "attack": {"tactics": ["execution"], "techniques": ["T1059.004"], "groups": [], "software": []},
        "event": EVENT,
        "event_time": "2026-11-20T17:00:00.000000Z",
        "detected": "2026-11-21T12:00:00.000000Z",
        "host": "web-1",
        "logsource": {"category": "process_creation", "product": "linux", "service": "auditd"},
        "source": {"name": "logs", "type": "file", "path": "/var/log/a.log", "offset": 4711, "serial": "77"},
        "matched": [
            {
                "matcher": "contains_any",
                "field": "cmd",
                "values": ["/dev/tcp/", "/dev/null"],
                "found": [{"path": ["cmd"], "value": EVENT["cmd"], "spans": [[5, 14], [27, 36]]}],
            }
        ],
    }


@pytest.mark.parametrize("log", ["access.log", "audit.log", "auth.log", "journal.json"])
def test_alerts_of_the_example_logs_fit_the_schema(log: str) -> None:
    """All formats and rules of the repository; every span lies in its value, every path leads to it."""
    scan = Scan(load_rules(ROOT / "examples" / "rules", pipeline="linux_eval"), lambda path, problem: None)
    findings = list(scan.log(str(ROOT / "examples" / "logs" / log)))
    assert findings
    for finding in findings:
        record = Record(dict(finding.match.event), finding.line, finding.logsource, finding.serial)
        alert = make_alert(finding.match, record, SOURCE, NOW, Redaction())
        schema().validate(alert)
        assert alert["event_time"] is not None
        assert alert["matched"]
        for path, value, texts in found(alert):
            inner: Any = alert["event"]
            for part in path:
                inner = inner[part]
            assert str(inner) == value
            assert all(texts)


def test_every_property_of_the_schema_is_described() -> None:
    """It is the documentation for those who read alerts."""

    def properties(part: Any) -> list[tuple[str, dict[str, Any]]]:
        if isinstance(part, list):
            return [row for member in part for row in properties(member)]
        if not isinstance(part, dict):
            return []
        own = list(part.get("properties", {}).items()) if isinstance(part.get("properties"), dict) else []
        return own + [row for member in part.values() for row in properties(member)]

    rows = properties(schema().schema)
    assert len(rows) > 30
    assert [name for name, row in rows if not ("description" in row or "const" in row)] == []


# Rule's tags, and what the alert says of ATT&CK.
ATTACK: list[tuple[list[str], dict[str, list[str]]]] = [
    ([], {}),
    (["attack.execution", "attack.t1059.004"], {"tactics": ["execution"], "techniques": ["T1059.004"]}),
    (["attack.initial_access", "attack.initial-access"], {"tactics": ["initial-access"]}),
    (["attack.ta0006"], {"tactics": ["credential-access"]}),
    (["attack.T1003", "ATTACK.G0007", "attack.s0154"], {"techniques": ["T1003"], "groups": ["G0007"], "software": ["S0154"]}),
    (["attack.t10591", "attack.ds0009", "attack.c0001", "attack.", "cve.2021-44228", "detection.t1059"], {}),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "expected"), ATTACK, ids=str)
def test_attack_is_read_from_the_tags(tags: list[str], expected: dict[str, list[str]]) -> None:
    """Tactics by their names, techniques, groups and software by their ids, nothing else."""
    rule = Rule(None, "t", "contains(event, 'a', 'x')", tags=tuple(tags))
    nothing: dict[str, list[str]] = {"tactics": [], "techniques": [], "groups": [], "software": []}
    assert alert_of({"a": "x"}, rule)["attack"] == nothing | expected


def test_times_without_a_year_are_near_their_detection() -> None:
    """The year of a syslog line is that of the detection."""
    event = {"a": "x", "SYSLOG_TIMESTAMP": "Nov 20 18:00:00"}
    for year in (2020, 2026):
        now = datetime(year, 11, 21, tzinfo=UTC)
        assert alert_of(event, "exists(event, 'a')", now=now)["event_time"] == f"{year}-11-20T18:00:00.000000Z"


def test_times_beyond_the_calendar_are_none() -> None:
    """The first hours of the year 1 in the east are no time in UTC."""
    for text in ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"):
        assert alert_of({"timestamp": text}, "exists(event, 'timestamp')")["event_time"] is None
    assert rfc3339(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00.000000Z"


# What matched


def test_of_a_long_value_the_surroundings_of_the_match_are_shown() -> None:
    """At most 500 characters; spans count within them."""
    text = "a" * 5_000 + "/dev/tcp/" + "b" * 5_000
    [call] = alert_of({"cmd": text})["matched"]
    [one] = call["found"]
    assert len(one["value"]) == LONGEST_EXCERPT
    [[start, end]] = one["spans"]
    assert one["value"][start:end] == "/dev/tcp/"
    assert text[one["offset"] :].startswith(one["value"])
    [call] = alert_of({"cmd": text}, "exists(event, 'cmd')")["matched"]
    assert call["found"] == [{"path": ["cmd"], "value": "a" * LONGEST_EXCERPT, "offset": 0, "spans": []}]
    whole = alert_of({"cmd": "/dev/tcp/" * 1_000}, "startswith(event, 'cmd', '/dev') and regex(event, 'cmd', '^.*$')")
    assert [one["spans"] for call in whole["matched"] for one in call["found"]] == [[[0, 4]], [[0, LONGEST_EXCERPT]]]


def test_what_matched_is_bounded() -> None:
    """A thousand values, patterns and occurrences."""
    values = [f"value {number}" for number in range(1_000)]
    assert len(alert_of({"a": values}, "keyword(event, 'value')")["matched"][0]["found"]) == MOST_VALUES
    [call] = alert_of({"a": values}, f"equals_any(event, 'a', {tuple(values)!r})")["matched"]
    assert (len(call["values"]), len(call["found"])) == (MOST_VALUES, MOST_VALUES)
    [call] = alert_of({"a": "xy" * 200}, "contains(event, 'a', 'x')")["matched"]
    assert len(call["found"][0]["spans"]) == MOST_VALUES


@pytest.mark.parametrize(
    ("expression", "event", "expected"),
    [
        ("exists(event, 'a')", {"a": None}, [(["a"], None, [])]),
        ("exists(event, 'a')", {"a": {"b": 1}}, [(["a"], None, [])]),
        ("is_null(event, 'a')", {}, []),
        ("gt(event, 'a', 5)", {"a": 7}, [(["a"], "7", ["7"])]),
        ("keyword(event, 'x')", {"a": {"b": ["-", "x"]}, "c": "xx"}, [(["a", "b", 1], "x", ["x"]), (["c"], "xx", ["xx"])]),
        ("equals_field(event, 'a', 'b')", {"a": "x", "b": "x"}, [(["a"], "x", ["x"]), (["b"], "x", ["x"])]),
    ],
    ids=str,
)  # fmt: skip
def test_what_matched(expression: str, event: dict[str, Any], expected: list[Any]) -> None:
    """Values of every type, at any depth."""
    assert found(alert_of(event, expression)) == expected


def test_what_is_remembered_of_an_expression_is_of_the_same_values() -> None:
    """1, true and "1", missing and null, nested and literal are told apart, in any order of events."""
    expression = "exists(event, 'a.b') or not contains(event, 'c', 'z')"
    events: list[dict[str, Any]] = [
        {"a.b": "x"}, {"a.b": "y"}, {"a": {"b": "x"}}, {"a.b": 1}, {"a.b": True}, {"a.b": "1"}, {"a.b": 1.0}, {},
        {"a.b": None}, {"a": "x"}, {"a.b": ["x"]}, {"a.b": "x", "a": {"b": "y"}}, {"a.b": "x" * 2_000}, {"a.b": "x", "d": 1},
    ]  # fmt: skip
    expected = [
        [(["a.b"], "x", [])], [(["a.b"], "y", [])], [(["a", "b"], "x", [])], [(["a.b"], "1", [])], [(["a.b"], "true", [])],
        [(["a.b"], "1", [])], [(["a.b"], "1.0", [])], [], [(["a.b"], None, [])], [], [(["a.b", 0], "x", [])], [(["a.b"], "x", [])],
        [(["a.b"], "x" * LONGEST_EXCERPT, [])], [(["a.b"], "x", [])],
    ]  # fmt: skip
    for _ in range(2):
        assert [found(alert_of(event, expression)) for event in events] == expected
        events.reverse()
        expected.reverse()


# Ids


def test_the_id_is_that_of_the_record_and_the_rule() -> None:
    """The same when the record is read again, whenever, whatever is hidden by then and in whatever order its keys come."""
    same = {
        alert_of(EVENT)["id"],
        alert_of(dict(reversed(EVENT.items())))["id"],
        alert_of(EVENT, now=NOW + timedelta(days=1))["id"],
        alert_of(EVENT, redact=("cmd",))["id"],
        alert_of(EVENT, source=dict(reversed(SOURCE.items())))["id"],
        alert_of(EVENT, source={**SOURCE, "type": "kafka"})["id"],
        alert_of(EVENT, Rule(RULE.id, "another title", RULE.expression))["id"],
    }
    assert same == {"4a12bf9843f067733592f16783b6b50d"}


@pytest.mark.parametrize(
    "more",
    [
        {"source": {**SOURCE, "name": "other"}},
        {"source": {**SOURCE, "offset": 4712}},
        {"source": {**SOURCE, "offset": "4711"}},
        {"source": {**SOURCE, "path": "/var/log/b.log"}},
        {"event": {**EVENT, "new": 1}},
        {"event": {**EVENT, "new": "1"}},
        {"event": {**EVENT, "new": None}},
        {"event": {**EVENT, "new": 2**70}},
        {"event": {**EVENT, "new": "\ud800"}},
        {"rule": Rule("2", RULE.title, RULE.expression)},
        {"rule": Rule(None, RULE.title, RULE.expression, source_hash="1")},
        {"rule": Rule(None, RULE.title, RULE.expression, source_hash="2")},
        {"rule": Rule(None, "other", RULE.expression, source_hash="1")},
    ],
    ids=str,
)
def test_another_place_event_or_rule_has_another_id(more: dict[str, Any]) -> None:
    """Each by itself."""
    ids = _IDS.setdefault("all", {})
    one = alert_of(**({"event": EVENT} | more))["id"]
    assert one != alert_of(EVENT)["id"]
    assert ids.setdefault(one, more) is more
    assert alert_of(**copy.deepcopy({"event": EVENT} | more))["id"] == one


_IDS: dict[str, dict[str, Any]] = {}


# What no event may do


def nested(levels: int, kind: str) -> Any:
    """Return lists or mappings within each other."""
    value: Any = "x"
    for _ in range(levels):
        value = [value] if kind == "list" else {"k": value}
    return value


HOSTILE: list[dict[str, Any]] = [
    {"a": "x\ud800"},
    {"a": "x", "\udcff": "\ud800", "b": ["\udfff"]},
    {"a": "x", "b": 10**70, "c": -(10**70), "d": 2**64 - 1, "e": -(2**63)},
    {"a": "x", "b": 10**6000},
    {"a": "x", "b": nested(250, "list")},
    {"a": "x", "b": nested(252, "dict")},
    {"a": "x", "b": nested(254, "list")},
    {"a": "x", "b": nested(900, "dict")},
    {"a": "x", "b": nested(5_000, "list")},
    {"a": "x", "b": math.nan, "c": math.inf, "d": -0.0},
    {"a": "x", "": {"": ""}, "a.b": 1, "*": 2},
    {"a": "x" * 1_000_000},
    {"a": "x", "_HOSTNAME": "h" * 10_000, "timestamp": "9" * 5_000},
    {"a": "x", "_HOSTNAME": ["", "-", {"x": 1}], "timestamp": {}, "UtcTime": 1e300, "ts": -1e18},
]  # fmt: skip


@pytest.mark.parametrize("event", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("redact", [(), ("b.k.k", "b.0.0", "*.*", "c")], ids=str)
def test_no_event_makes_an_alert_fail(event: dict[str, Any], redact: tuple[str, ...]) -> None:
    """Every alert is JSON that all readers take, and its id comes again."""
    record = Record(event, 1, LogSource())
    ids = set()
    for expression in ("contains(event, 'a', 'x')", "keyword(event, 'x')"):
        match = Match(Rule("1", "t", expression), event)
        alert = make_alert(match, record, SOURCE, NOW, Redaction(redact))
        text = orjson.dumps(alert)
        read = orjson.loads(text)
        schema().validate({**read, "event": {}})
        assert orjson.dumps(read) == text
        assert alert["host"] is None or len(alert["host"]) <= LONGEST_HOST
        ids.add(alert["id"])
    assert len(ids) == 1


def test_what_json_cannot_hold_becomes_text() -> None:
    """Lone surrogates as the parsers write them, large integers as their digits, what lies too deep as a remark."""
    event = {"a": "x\udcff\ud800", "n": 2**70, "d": nested(300, "list")}
    alert = alert_of(event, "contains(event, 'a', 'x')", source={**SOURCE, "path": "/tmp/\udce4"})
    assert alert["event"]["a"] == r"x\xff\ud800"
    assert alert["event"]["n"] == "1180591620717411303424"
    assert "[nested too deep]" in str(alert["event"]["d"])
    assert alert["source"]["path"] == r"/tmp/\xe4"
    assert alert["matched"][0]["found"][0]["value"] == r"x\xff\ud800"
    assert json.loads(json_line(alert)) == alert


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["a", "b", "a.b", "a.0", "0", "a.b.a", "*", "a.*", "*.b", "a.*.b"])
EVENTS = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "0"]),
    st.recursive(
        st.sampled_from(["secret-x", "secret-y", 7, None]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab0"), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(st.dictionaries(st.text(st.characters(), max_size=3), JSON, max_size=4), st.lists(FIELDS, max_size=3))
def test_any_event_makes_a_valid_alert(event: dict[str, Any], redact: list[str]) -> None:
    """Random JSON, lone surrogates and large numbers included."""
    before = repr(event)
    rule = Rule("1", "t", "not keyword(event, 'no such text') and is_null(event, 'no such field')")
    alert = make_alert(Match(rule, event), Record(event, 1, LogSource()), SOURCE, NOW, Redaction(redact))
    assert repr(event) == before
    schema().validate(orjson.loads(orjson.dumps(alert)))


# Redaction

# Fields, an event, and what the alert shows of it.
REDACTIONS: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (("a",), {"a": "s", "b": "t"}, {"a": REDACTED, "b": "t"}),
    (("a",), {"a": None, "b": 1}, {"a": REDACTED, "b": 1}),
    (("a",), {"a": {"b": "s"}, "ab": "t"}, {"a": REDACTED, "ab": "t"}),
    (("a",), {"a": ["s", "s"]}, {"a": REDACTED}),
    (("A",), {"a": "t"}, {"a": "t"}),
    (("a.b",), {"a.b": "s", "a": {"b": "s", "c": "t"}}, {"a.b": REDACTED, "a": {"b": REDACTED, "c": "t"}}),
    (("a.b",), {"a": [{"b": "s"}, {"c": "t"}, [{"b": "s"}]]}, {"a": [{"b": REDACTED}, {"c": "t"}, [{"b": REDACTED}]]}),
    (("a.1",), {"a": ["t", "s"]}, {"a": ["t", REDACTED]}),
    (("a.b.c",), {"a": {"b": "t"}}, {"a": {"b": "t"}}),
    (("a.*",), {"a": {"b": "s", "c": {"d": "s"}}, "b": "t"}, {"a": {"b": REDACTED, "c": REDACTED}, "b": "t"}),
    (("a.*.m",), {"a": {"b": {"m": "s", "n": "t"}, "c": "t"}}, {"a": {"b": {"m": REDACTED, "n": "t"}, "c": "t"}}),
    (("*.m",), {"a": {"m": "s"}, "b": [{"m": "s"}], "m": "t"}, {"a": {"m": REDACTED}, "b": [{"m": REDACTED}], "m": "t"}),
    (("*",), {"a": "s", "b": {"c": "s"}}, {"a": REDACTED, "b": REDACTED}),
    (("a", "a.b", "a.*"), {"a": {"b": "s"}, "c": "t"}, {"a": REDACTED, "c": "t"}),
    (("a.b", "a"), {"a": {"b": "s"}, "c": "t"}, {"a": REDACTED, "c": "t"}),
    (("x",), {"a": "t"}, {"a": "t"}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "event", "expected"), REDACTIONS, ids=str)
def test_fields_are_redacted_as_they_are_looked_up(
    fields: tuple[str, ...], event: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The literal key and the dotted path, through lists; the event itself stays as it is."""
    before = copy.deepcopy(event)
    alert = alert_of(event, "not exists(event, 'no such field')", redact=fields)
    assert alert["event"] == expected
    assert event == before


# Expression, event, what is redacted, and what the alert shows of what matched: values, then found.
HIDDEN: list[tuple[str, dict[str, Any], tuple[str, ...], list[Any], list[Any]]] = [
    ("contains(event, 'a', 's')", {"a": "as"}, ("a",), [REDACTED], [[["a"], REDACTED, []]]),
    ("contains(event, 'a', 's')", {"a": "as"}, ("b",), ["s"], [[["a"], "as", [[1, 2]]]]),
    ("contains(event, 'a', 's')", {"a": "as"}, ("a.b",), ["s"], [[["a"], "as", [[1, 2]]]]),
    ("equals_any(event, 'a', ('s', 't'))", {"a": "s"}, ("a",), [REDACTED], [[["a"], REDACTED, []]]),
    ("exists(event, 'a')", {"a": "s"}, ("a",), [], [[["a"], REDACTED, []]]),
    ("contains(event, 'a.b', 's')", {"a": {"b": "s"}}, ("a",), [REDACTED], [[["a", "b"], REDACTED, []]]),
    ("keyword(event, 's')", {"a": "s", "b": "s"}, ("a",), [REDACTED], [[["a"], REDACTED, []], [["b"], "s", [[0, 1]]]]),
    ("keyword(event, 's')", {"a": "s", "b": "t"}, ("b",), ["s"], [[["a"], "s", [[0, 1]]]]),
    ("equals_field(event, 'a', 'b')", {"a": "s", "b": "s"}, ("b",), [REDACTED], [[["a"], "s", [[0, 1]]], [["b"], REDACTED, []]]),
    ("is_null(event, 'a')", {"a": None}, ("a",), [], [[["a"], REDACTED, []]]),
    ("is_null(event, 'a')", {}, ("a",), [], []),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "event", "redact", "values", "shown"), HIDDEN, ids=str)
def test_what_matched_does_not_tell_a_redacted_value(
    expression: str, event: dict[str, Any], redact: tuple[str, ...], values: list[Any], shown: list[Any]
) -> None:
    """Neither by its text nor by the rule's pattern; also where the same was shown before."""
    alert_of(event, expression)
    [call] = alert_of(event, expression, redact=redact)["matched"]
    assert call["values"] == values
    assert [[one["path"], one["value"], one["spans"]] for one in call["found"]] == shown


def test_a_field_that_the_rule_does_not_ask_changes_nothing() -> None:
    """A redacted one beside those that matched, also where the one is part of the other's name."""
    rule = "contains(event, 'a.b', 's')"
    for event in ({"a.b": "s", "c": "t"}, {"a": {"b": "s"}, "c": "t"}):
        assert alert_of(event, rule, redact=("c",))["matched"] == alert_of(event, rule)["matched"]
    assert alert_of({"a.b": "s", "a": {"b": "t"}}, rule, redact=("a",))["matched"][0]["values"] == ["s"]
    assert alert_of({"a.b": "s"}, rule, redact=("a.b",))["matched"][0]["values"] == [REDACTED]


def test_a_pattern_is_hidden_though_its_redacted_value_is_not_named() -> None:
    """The redacted one is the last of more than an alert names."""
    event = {f"f{number:04}": "s" for number in range(500)} | {"z": "s"}
    [call] = alert_of(event, "keyword(event, 's')", redact=("z",))["matched"]
    assert call["values"] == [REDACTED]


def test_host_and_time_are_redacted_with_their_fields() -> None:
    """They would tell the value."""
    alert = alert_of(EVENT, redact=("_HOSTNAME", "timestamp"))
    assert (alert["host"], alert["event_time"]) == (REDACTED, None)


@given(EVENTS, st.lists(FIELDS, min_size=1, max_size=3), st.sampled_from(["keyword(event, 'secret')", "contains(event, 'a', 'secret')", "contains(event, 'a.b', 'secret')"]))  # fmt: skip
def test_no_redacted_value_is_anywhere_in_an_alert(event: dict[str, Any], redact: list[str], expression: str) -> None:
    """Everything that a lookup of the field finds is gone, and what matched says the same as the event shown."""
    rule = Rule("1", "t", expression)
    if not compile_expression(expression)(event):
        return
    alert = make_alert(Match(rule, event), Record(event, 1, LogSource()), SOURCE, NOW, Redaction(redact))
    for field in redact:
        if "*" not in field:
            assert set(map(str, lookup(alert["event"], field) or [])) <= {REDACTED}
    for path, value, _ in found(alert):
        inner: Any = alert["event"]
        for part in path:
            inner = inner if inner == REDACTED else inner[part]
        assert inner == value
    if "secret" not in str(alert["event"]):
        assert not re.search("secret-", str(alert["matched"]))


@pytest.mark.parametrize("field", ["", ".", "a.", ".a", "a..b"])
def test_what_is_no_field_is_refused(field: str) -> None:
    """At the start of the service, not with the first alert."""
    with pytest.raises(ValueError, match="no field"):
        Redaction([field])


@pytest.mark.parametrize(
    ("event", "redact", "host"),
    [
        ({}, (), "here"),
        ({"_HOSTNAME": "-"}, (), "here"),
        ({"_HOSTNAME": "web-1"}, (), "web-1"),
        ({"host": "web-1"}, (), None),
        ({"_HOSTNAME": "web-1"}, ("_HOSTNAME",), REDACTED),
        ({"host": {"name": "web-1"}}, ("host",), REDACTED),
        ({"host": {"name": "web-1", "ip": "10.0.0.1"}}, ("host.name",), REDACTED),
    ],
)
def test_the_host_of_a_local_log_that_names_none_is_the_reader(
    event: dict[str, Any], redact: tuple[str, ...], host: str | None
) -> None:
    """A host that is hidden is not replaced by another one, nor is what may be one; the alert's id stays what it is."""
    event = {"Image": "/bin/x", **event}
    alert = alert_of(event, redact=redact, reader="here")
    assert alert["host"] == host
    assert alert["id"] == alert_of(event)["id"]

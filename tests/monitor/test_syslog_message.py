"""Alerts as syslog messages: what stands where, nothing that steers, nothing longer than allowed, CEF that reads back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.excerpts import found_value
from sigma.pyeval.logs.cef import CefParser
from sigma.pyeval.logs.records import Record
from sigma.pyeval.logs.syslog import parse_syslog
from sigma.pyeval.monitor.history import Kept
from sigma.pyeval.monitor.page.archive import entry_of
from sigma.pyeval.monitor.sinks.alert_text import ascii_json, json_message, shortened, text_message
from sigma.pyeval.monitor.sinks.cef import cef_message
from sigma.pyeval.monitor.sinks.syslog_message import BYTE_ORDER_MARK, SyslogMessages


def found(value: str | None, *path: str | int) -> dict[str, Any]:
    return {"path": list(path), "value": value, "spans": []}


ALERT: dict[str, Any] = {
    "schema_version": 1,
    "id": "5f3a9b",
    "rule": {
        "id": "8f4a2c1e-0000-4000-8000-000000000001",
        "title": "Suspicious curl",
        "level": "high",
        "status": "test",
        "tags": ["attack.execution", "attack.t1059.004"],
        "description": "Downloads",
        "references": ["https://example.org/a"],
    },
    "attack": {"tactics": ["execution"], "techniques": ["T1059.004", "T1105"], "groups": [], "software": []},
    "event": {"Image": "/usr/bin/curl", "CommandLine": 'curl "http://x]" | sh\n\x1b[31m'},
    "event_time": "2026-11-22T02:00:00.5Z",
    "detected": "2026-11-22T02:00:01.123456Z",
    "host": "web1",
    "logsource": {"product": "linux"},
    "source": {"name": "auth", "type": "file", "path": "/var/log/auth.log", "offset": 17},
    "matched": [
        {
            "matcher": "contains",
            "field": "CommandLine",
            "values": ["curl"],
            "found": [{"path": ["CommandLine"], "value": 'curl "http://x]" | sh\n\x1b[31m', "spans": [[0, 4]]}],
        },
        {"matcher": "endswith", "field": "Image", "values": ["/curl"], "found": [found("/usr/bin/curl", "Image")] * 2},
        {
            "matcher": "keyword",
            "field": None,
            "values": ["sh"],
            "found": [found("sh", "a", 0), found("sh"), found(None, "b")],
        },
    ],
}
LEAST: dict[str, Any] = {"id": "1", "rule": {"title": "t"}}
HOSTILE = 'a"b]c\\d\n<0>1 - - - - - evil\r\0\x1b[2J\x7f\x85\u2028\u202e\ud800ü|=]'


def messages(body: Any = "json", size: int = 8_192) -> SyslogMessages:
    return SyslogMessages("local0", "mon 1", "sigma-pyeval", 32_473, body, size)


def hostile_alert() -> dict[str, Any]:
    return {
        **ALERT,
        "id": HOSTILE,
        "host": HOSTILE,
        "rule": {**ALERT["rule"], "id": HOSTILE, "title": HOSTILE, "level": HOSTILE, "tags": [HOSTILE]},
        "attack": {"techniques": [HOSTILE]},
        "event": {HOSTILE: HOSTILE},
        "detected": HOSTILE,
        "event_time": HOSTILE,
        "source": {"name": HOSTILE},
        "matched": [{"field": HOSTILE, "found": [found(HOSTILE, HOSTILE), found(HOSTILE)]}],
    }


def no_control(text: bytes) -> bool:
    return re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", text.decode()) is None


def test_a_message_reads_back() -> None:
    message = messages().message(ALERT)
    assert re.match(rb"<131>1 2026-11-22T02:00:01.123456Z mon_1 sigma-pyeval \d+ ALERT \[sigma@32473 id=", message)
    event = parse_syslog(message)
    assert (event["SYSLOG_FACILITY"], event["PRIORITY"]) == ("16", "3")
    assert event["SYSLOG_STRUCTURED_DATA"] == {
        "sigma@32473": {
            "id": "5f3a9b",
            "rule": "8f4a2c1e-0000-4000-8000-000000000001",
            "level": "high",
            "title": "Suspicious curl",
            "techniques": "T1059.004,T1105",
            "source": "auth",
        }
    }
    assert json.loads(event["MESSAGE"]) == ALERT


@pytest.mark.parametrize(
    ("level", "priority"),
    [("critical", 130), ("high", 131), ("medium", 132), ("low", 133), ("informational", 134), (None, 132), ("x", 132)],
)
def test_the_level_is_the_severity(level: str | None, priority: int) -> None:
    assert messages().message({**LEAST, "rule": {"level": level}}).startswith(b"<%d>1 " % priority)


@pytest.mark.parametrize("body", ["json", "text", "cef"])
@pytest.mark.parametrize("alert", [LEAST, {}, {**LEAST, "host": None, "matched": None, "attack": None, "event": None}])
def test_an_alert_without_the_rest_is_a_message(body: str, alert: dict[str, Any]) -> None:
    event = parse_syslog(messages(body).message(alert))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["SYSLOG_TIMESTAMP"])
    assert event["MESSAGE"]


@pytest.mark.parametrize("body", ["json", "text", "cef"])
def test_nothing_in_an_alert_steers_or_makes_another_message(body: str) -> None:
    message = messages(body).message(hostile_alert())
    assert no_control(message)
    event = parse_syslog(message)
    assert event["SYSLOG_IDENTIFIER"] == "sigma-pyeval"
    data = event["SYSLOG_STRUCTURED_DATA"]["sigma@32473"]
    assert data["title"].startswith('a"b]c\\d\\n<0>1 - - - - - evil')
    assert set(data) == {"id", "rule", "level", "title", "techniques", "source"}


def test_text_beyond_ascii_has_the_mark_and_json_needs_none() -> None:
    alert = {**LEAST, "rule": {"title": "Verdächtig"}}
    assert messages("text").message(alert).endswith(b"] " + BYTE_ORDER_MARK + "unknown level: Verdächtig".encode())
    assert BYTE_ORDER_MARK not in messages("json").message(alert)
    assert BYTE_ORDER_MARK not in messages("text").message(LEAST)


def test_text_says_it_in_one_line() -> None:
    assert text_message(ALERT, 1_000) == (
        r'high: Suspicious curl on web1: curl "http://x]" | sh\n\x1b[31m (Image=/usr/bin/curl, a.0=sh, keyword=sh, b=null)'
    )
    many = [{"field": "A", "found": [found(f"{number}" + "x" * 1_000, "A") for number in range(100)]}]
    assert len(text_message({**ALERT, "matched": many}, 100_000)) < 520
    assert len(text_message({**ALERT, "matched": many, "event": {}}, 100_000)) < 520
    assert len(text_message({**ALERT, "event": {"CommandLine": "x" * 1_000}}, 100_000)) < 520
    assert text_message(ALERT, 30) == "high: Suspicious curl on we..."


RAW = "Nov 20 18:40:10 web1 sshd[811]: Accepted password for root"
LONG = "sh -c " + "x" * 600


def matched(*paths: str, field: str | None = None, event: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"matcher": "m", "field": field, "found": [found_value([path], event, [(0, 1)]) for path in paths]}]


@pytest.mark.parametrize(
    ("event", "field", "paths", "told"),
    [
        pytest.param(
            {"type": "EXECVE", "a0": "chmod", "a1": "600", "a2": "/root/.ssh/authorized_keys"}, "a0", ["type", "a0"],
            "chmod 600 /root/.ssh/authorized_keys (type=EXECVE, a0=chmod)", id="the words of an audit record",
        ),
        pytest.param(
            {"SYSLOG_RAW": RAW, "MESSAGE": "Accepted password for root"}, None, ["SYSLOG_RAW", "MESSAGE"],
            "Accepted password for root", id="a text is told once",
        ),
        pytest.param(
            {"type": "EXECVE", "a0": "init", "_AUDIT_ID": "160", "_SOURCE_REALTIME_TIMESTAMP": 1771086004439000},
            None, ["_SOURCE_REALTIME_TIMESTAMP", "_AUDIT_ID"], "init", id="no times and serials that a keyword hit",
        ),
        pytest.param({"date": "monday"}, "date", ["date"], "date=monday", id="a field that a rule names is told"),
        pytest.param({"SYSLOG_RAW": RAW}, None, ["SYSLOG_RAW"], f"SYSLOG_RAW={RAW}", id="where there is nothing else"),
        pytest.param(
            {"_CMDLINE": LONG, "_EXE": "/bin/sh"}, None, ["_CMDLINE", "_EXE"], f"{LONG[:237]}... (_EXE=/bin/sh)",
            id="no part of a long line twice",
        ),
    ],
)  # fmt: skip
def test_text_says_what_happened_and_what_matched_beside_it(
    event: dict[str, Any], field: str | None, paths: list[str], told: str
) -> None:
    """The line is the one that the page lists; raw texts, times and serials are left out."""
    alert = {**ALERT, "event": event, "matched": matched(*paths, field=field, event=event)}
    assert text_message(alert, 1_000) == f"high: Suspicious curl on web1: {told}"
    shown = entry_of(Kept(1, alert, None, None)).line
    assert told.startswith(shown[:200])


def test_json_that_has_no_room_says_what_is_left_out() -> None:
    big = {**ALERT, "event": {"A": "x" * 10_000}}
    cut = json.loads(json_message(big, 2_000))
    assert cut == {**{name: value for name, value in ALERT.items() if name != "event"}, "left_out": ["event"]}
    big["matched"] = [{"found": [found("x" * 10_000)]}]
    cut = json.loads(json_message(big, 2_000))
    assert cut["left_out"] == ["event", "matched"]
    assert cut["host"] == "web1"
    big["rule"] = {**ALERT["rule"], "description": "x" * 10_000}
    assert json.loads(json_message(big, 2_000)) == {
        "id": "5f3a9b",
        "rule": {"id": ALERT["rule"]["id"], "title": "Suspicious curl", "level": "high"},
        "left_out": ["everything but id and rule"],
    }


@given(
    st.recursive(
        st.none() | st.text() | st.floats() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_visible_ascii(value: Any) -> None:
    text = ascii_json(value)
    assert text.isascii()
    assert text.isprintable()
    if "NaN" not in text:
        assert json.loads(text) == value


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=150)


@pytest.mark.parametrize("body", ["json", "text", "cef"])
@given(TEXTS, TEXTS, st.text('\\"]\x00ü\U0001f600', min_size=100, max_size=120))
def test_no_message_is_longer_than_allowed(body: str, one: str, other: str, bad: str) -> None:
    for title in (one, bad):
        alert = {
            **ALERT,
            "id": bad,
            "rule": {"id": bad, "title": title, "level": bad, "tags": [other] * 20, "description": bad * 20},
            "attack": {"techniques": [bad]},
            "host": other,
            "source": {"name": bad},
            "event": {one: other * 20},
        }
        written = SyslogMessages("local7", "h" * 255, "a" * 48, 4_294_967_295, body, 2_048).message(alert)  # type: ignore[arg-type]
        assert len(written) <= 2_048
        assert no_control(written)
        if body == "json":
            json.loads(written[written.rindex(b'] {"') + 2 :])


@pytest.mark.parametrize(("text", "size", "cut"), [("abc", 3, "abc"), ("abcdef", 5, "ab..."), ("aüüü", 6, "aü...")])
def test_text_is_cut_between_characters(text: str, size: int, cut: str) -> None:
    assert shortened(text, size) == cut


def cef_fields(text: str) -> dict[str, Any]:
    (record,) = CefParser().feed(1, text.encode())
    assert isinstance(record, Record)
    return record.event


def test_cef_reads_back() -> None:
    fields = cef_fields(messages("cef").message(ALERT).decode())
    assert fields["DeviceVendor"] == "pySigma"
    assert fields["DeviceProduct"] == "sigma-pyeval"
    assert fields["DeviceEventClassID"] == ALERT["rule"]["id"]
    assert fields["Name"] == "Suspicious curl"
    assert fields["Severity"] == "8"
    assert fields["externalId"] == "5f3a9b"
    assert (fields["start"], fields["rt"]) == ("1795312800500", "1795312801123")
    assert fields["dvchost"] == "web1"
    assert fields["techniques"] == "T1059.004,T1105"
    assert fields["source"] == "auth"
    assert fields["tags"] == "attack.execution,attack.t1059.004"
    assert (
        fields["msg"] == 'CommandLine=curl "http://x]" | sh\n\\x1b[31m, Image=/usr/bin/curl, a.0=sh, keyword=sh, b=null'
    )
    assert json.loads(fields["event"]) == ALERT["event"]
    assert "leftOut" not in fields


def test_cef_names_what_has_no_room() -> None:
    big = {**ALERT, "event": {"A": "x" * 10_000}, "matched": [{"field": "A", "found": [found("y" * 10_000, "A")]}] * 2}
    text = cef_message({**big, "rule": {**ALERT["rule"], "tags": ["x" * 2_000]}}, 1_500)
    fields = cef_fields(text)
    assert fields["leftOut"] == "tags,event"
    assert fields["techniques"] == "T1059.004,T1105"
    assert len(fields["msg"]) < 420


VISIBLE = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\r|=\\ü"), max_size=60).map(
    str.strip
)


@given(VISIBLE, VISIBLE, VISIBLE)
def test_cef_escapes_are_those_of_the_parser(title: str, host: str, value: str) -> None:
    title = title.replace("\n", " ").replace("\r", " ").strip()
    alert = {
        "id": "1",
        "rule": {"id": "2", "title": title},
        "host": host,
        "matched": [{"field": "A", "found": [found(value, "A")]}],
    }
    fields = cef_fields(cef_message(alert, 8_000))
    assert fields["Name"] == title
    assert fields.get("dvchost", "") == host
    assert fields["msg"] == f"A={value}".strip()

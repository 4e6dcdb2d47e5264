"""Sysmon for Linux."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import SHARED, check_invariants, damaged, events, feed_all, needs_shared_data, problems

from sigma.pipelines.linux_eval.fields import FIELD_TABLES
from sigma.pyeval.logs import sysmon_linux
from sigma.pyeval.logs.records import Record
from sigma.pyeval.logs.sysmon_linux import EventXmlError, SysmonXmlParser, parse_event_xml
from sigma.pyeval.rules import LogSource

SYSTEM = (
    '<System><Provider Name="Linux-Sysmon" Guid="{1}"/><EventID>1</EventID><Version>5</Version>'
    '<TimeCreated SystemTime="2024-01-02T03:04:05Z"/><Correlation/><Execution ProcessID="7" ThreadID="7"/>'
    '<Channel>Linux-Sysmon/Operational</Channel><Security UserId="0"/></System>'
)
EVENT = (
    f'<Event>{SYSTEM}<EventData><Data Name="Image">/bin/sh</Data>'
    '<Data Name="CommandLine">sh -c &quot;id &amp;&amp; ls&quot;</Data>'
    '<Data Name="User">root</Data></EventData></Event>'
)
FLAT = {
    "Provider_Name": "Linux-Sysmon",
    "Provider_Guid": "{1}",
    "EventID": 1,
    "Version": "5",
    "TimeCreated": "2024-01-02T03:04:05Z",
    "Execution_ProcessID": "7",
    "Execution_ThreadID": "7",
    "Channel": "Linux-Sysmon/Operational",
    "Security_UserID": "0",
    "Image": "/bin/sh",
    "CommandLine": 'sh -c "id && ls"',
    "User": "root",
}
WITH_SCHEMA_NAMES = {**FLAT, "_EXE": "/bin/sh", "_CMDLINE": 'sh -c "id && ls"', "_USER": "root"}
LINES = EVENT.replace("><", ">\n  <").encode().split(b"\n")


def test_an_event_on_one_line_on_many_and_behind_a_syslog_header() -> None:
    one = EVENT.encode()
    header = b"<14>Jan  1 00:00:00 box sysmon: "
    found = feed_all(SysmonXmlParser(), header + one, b"", *LINES, one + one)
    assert events(found) == [WITH_SCHEMA_NAMES] * 4
    assert [item.line for item in found] == [1, 3, 3 + len(LINES), 3 + len(LINES)]


@pytest.mark.parametrize(
    ("number", "category"),
    [(1, "process_creation"), (3, "network_connection"), (11, "file_event"), (23, "file_delete"), (99, None)],
)
def test_log_source_by_event_id(number: int, category: str | None) -> None:
    text = EVENT.replace("<EventID>1<", f"<EventID>{number}<")
    (record,) = feed_all(SysmonXmlParser(), text.encode())
    assert isinstance(record, Record)
    assert record.logsource == LogSource(category, "linux", "sysmon")


@pytest.mark.parametrize(
    ("number", "data", "added"),
    [
        (
            1,
            {"Image": "/bin/id", "ParentImage": "-", "ParentProcessId": "7", "LogonId": "33", "Other": "x"},
            {"_EXE": "/bin/id", "_PPID": "7", "_UID": "33"},
        ),
        (
            3,
            {"Image": "/bin/nc", "DestinationIp": "192.0.2.1", "DestinationHostname": "-", "Initiated": "true"},
            {"_EXE": "/bin/nc", "_DESTINATION_IP": "192.0.2.1", "_INITIATED": "true"},
        ),
        (11, {"Image": "/bin/tee", "TargetFilename": "/a"}, {"_EXE": "/bin/tee", "_TARGET_FILE": "/a"}),
        (23, {"Image": "/bin/rm", "TargetFilename": "/a"}, {}),
        (5, {"Image": "/bin/id"}, {}),
    ],
)
def test_names_of_the_linux_event_schema_stand_beside(number: int, data: dict[str, str], added: dict[str, str]) -> None:
    """Only for the kinds of events that the schema has, and not for what Sysmon did not know."""
    items = "".join(f'<Data Name="{name}">{value}</Data>' for name, value in data.items())
    system = f"<System><EventID>{number}</EventID><Computer>box</Computer></System>"
    (event,) = events(feed_all(SysmonXmlParser(), f"<Event>{system}<EventData>{items}</EventData></Event>".encode()))
    assert event == {"EventID": number, "Computer": "box", "_HOSTNAME": "box", **data, **added}


def test_the_schema_names_are_those_of_the_pipeline() -> None:
    for category, names in sysmon_linux._SCHEMA_NAMES.items():
        mapping = FIELD_TABLES[category].mapping
        assert {name: mapping[name] for name in names} == {name: (target,) for name, target in names.items()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'<!DOCTYPE Event [<!ENTITY a "b">]>{EVENT}', "a document type is declared; entities are not read"),
        (EVENT.replace("root", "&a;"), "not well-formed XML: undefined entity"),
        (EVENT.replace("</Data>", "</data>"), "not well-formed XML: mismatched tag"),
        (EVENT.replace("</System>", "</System"), "not well-formed XML: "),
        ("<Event><System/></Event>", "no Event element with a System/EventID"),
        ("<Other/>", "the element is 'Other', not Event"),
        ("<Event>" + "<a>" * 50 + "</a>" * 50 + "</Event>", "elements nested deeper than 16"),
        (EVENT + "<x/>", "not well-formed XML: junk after document element"),
        ("", "not well-formed XML: no element found"),
    ],
)
def test_hostile_and_broken_xml(text: str, reason: str) -> None:
    with pytest.raises(EventXmlError, match=f"^{reason}"):
        parse_event_xml(text)


def test_entities_are_never_expanded() -> None:
    bomb = (
        '<!DOCTYPE e [<!ENTITY a "'
        + "x" * 100
        + '">'
        + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
        + "]>"
    )
    with pytest.raises(EventXmlError, match="document type"):
        parse_event_xml(bomb + EVENT.replace("root", "&k;"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a\x01b", "a\\x01b"),
        ("a&#1;&#x1B;b", "a\\x01\\x1bb"),
        ("a&#10;b&#x9;c", "a\nb\tc"),
        ("&lt;Event&gt;", "<Event>"),
        ("ä\ufffe", "ä\\xfffe"),
        ("", ""),
        (" blank ", " blank "),
    ],
)
def test_values(written: str, value: str) -> None:
    assert parse_event_xml(EVENT.replace(">root<", f">{written}<"))["User"] == value


def test_data_without_a_name_is_a_list() -> None:
    assert parse_event_xml(EVENT.replace(' Name="User"', ""))["Data"] == ["root"]


def test_events_cut_off_are_reported_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysmon_linux, "MAX_EVENT_BYTES", 2000)
    found = feed_all(
        SysmonXmlParser(), *LINES[:5], *LINES, b"no event", b"<Event>" + b"x" * 3000, b"<Event>", *LINES[1:-1]
    )
    assert events(found) == [WITH_SCHEMA_NAMES]
    first_after = 6 + len(LINES)
    assert problems(found) == [
        (1, "the next event begins before this one ends"),
        (first_after, "no <Event> on this line"),
        (first_after + 1, "event longer than 2000 bytes"),
        (first_after + 2, "the log ends within this event"),
    ]


NAMES = st.sampled_from(["Image", "CommandLine", "User", "a b", "x&y"])
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.sampled_from(["a&b", "a<b", 'q"', "\t\n", " ", "]]>"]),
)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=4), st.sampled_from(["", " ", "\n\t"]))
def test_what_is_written_is_read_and_both_readers_agree(data: list[tuple[str, str]], between: str) -> None:
    inner = between.join(f"<Data Name={quoteattr(name)}>{escape(text)}</Data>" for name, text in data)
    text = f"<Event>{between}{SYSTEM}{between}<EventData>{inner}{between}</EventData></Event>"
    event = parse_event_xml(text)
    assert event["EventID"] == 1
    clean = sysmon_linux._as_xml(text)
    plain = sysmon_linux._parse_plain(clean)
    assert plain is None or plain == sysmon_linux._parse_any(clean)
    for name, value in dict(data).items():
        if value.isprintable():
            assert event[name] == value


def _outcome(text: str) -> Any:
    try:
        return sysmon_linux._parse_any(text)
    except EventXmlError:
        return None


@given(damaged(EVENT.replace("&quot;", "'").replace("&amp;", "+").encode()))
def test_the_fast_reader_accepts_nothing_that_expat_refuses(lines: list[bytes]) -> None:
    for line in lines:
        text = sysmon_linux._as_xml(line.decode("utf-8", "backslashreplace"))
        plain = sysmon_linux._parse_plain(text)
        assert plain is None or plain == _outcome(text)


@given(damaged(EVENT.encode(), *LINES, b"Jan  1 00:00:00 box sysmon: <Event>"))
def test_no_line_breaks_the_parser(lines: list[bytes]) -> None:
    check_invariants(SysmonXmlParser(), lines)


@needs_shared_data
def test_events_published_by_others() -> None:
    files = sorted((SHARED / "data/linux/sysmon_linux").glob("*.xml"))
    assert files
    for path in files:
        found = feed_all(SysmonXmlParser(), *path.read_bytes().split(b"\n"))
        parsed = SHARED / "data/linux/parsed" / f"sysmon_linux__{path.name}.jsonl"
        wanted = [json.loads(line)["event"] for line in parsed.read_text().splitlines()]
        assert problems(found) == []
        assert len(found) == len(wanted)
        assert all(event.items() >= want.items() for event, want in zip(events(found), wanted, strict=True))

"""Journal entries as JSON and in the export format."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import Lines, check_invariants, damaged, events, feed_all, problems, the_event

from sigma.pyeval.logs import journald_export
from sigma.pyeval.logs.journald import JournaldParser
from sigma.pyeval.logs.journald_export import JournalExportParser
from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.rules import LogSource

SSHD = {
    "__CURSOR": "s=1",
    "_COMM": "sshd",
    "SYSLOG_IDENTIFIER": "sshd",
    "MESSAGE": "Failed password",
    "PRIORITY": "6",
}
SUDO = {
    "SYSLOG_IDENTIFIER": "sudo",
    "MESSAGE": "ann : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
    "TTY": "own",
}


@pytest.mark.parametrize(
    ("entry", "event"),
    [
        (SSHD, SSHD),
        ({"MESSAGE": [104, 105, 27, 228]}, {"MESSAGE": "hi\x1b\\xe4"}),
        ({"MESSAGE": "x", "CAP": ["a", "b"]}, {"MESSAGE": "x", "CAP": ["a", "b"]}),
        ({"CAP": ["a", [98, 1]]}, {"CAP": ["a", "b\x01"]}),
        ({"CAP": [300, 2]}, {"CAP": [300, 2]}),  # no bytes
        ({"CAP": []}, {"CAP": []}),
        (SUDO, {**SUDO, "SUDO_USER": "ann", "PWD": "/", "USER": "root", "COMMAND": "/bin/id"}),
    ],
)
def test_values_of_an_entry(entry: dict[str, Any], event: dict[str, Any]) -> None:
    assert the_event(JournaldParser(), orjson.dumps(entry)) == event


def test_a_field_left_out_for_its_size_stays_null_and_is_reported() -> None:
    found = feed_all(JournaldParser(), b'{"MESSAGE": null, "_COMM": "sshd", "X": null}')
    assert events(found) == [{"MESSAGE": None, "_COMM": "sshd", "X": None}]
    assert problems(found) == [(1, "left out by journalctl for its size: MESSAGE, X; read the journal with --all")]


@pytest.mark.parametrize(
    ("entry", "service"),
    [
        (SSHD, "sshd"),
        ({"_COMM": "crond", "MESSAGE": "x"}, "cron"),
        ({"SYSLOG_IDENTIFIER": "python3", "_COMM": "python3", "_SYSTEMD_UNIT": "vsftpd.service"}, "vsftpd"),
        ({"SYSLOG_IDENTIFIER": "kernel", "_TRANSPORT": "kernel"}, "syslog"),
        ({"SYSLOG_IDENTIFIER": ["a", "b"], "MESSAGE": "x"}, None),
        ({"MESSAGE": "x"}, None),
    ],
)
def test_log_source(entry: dict[str, Any], service: str | None) -> None:
    (record,) = feed_all(JournaldParser(), orjson.dumps(entry))
    assert isinstance(record, Record)
    assert record.logsource == LogSource(product="linux", service=service)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"MESSAGE": "cut', "not JSON: "),
        (b"[1]", "not a journal entry: the line is no JSON object"),
        (b"-- Logs begin at Mon --", "not JSON: "),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_lines_that_are_no_entries(line: bytes, reason: str) -> None:
    ((number, found),) = problems(feed_all(JournaldParser(), line))
    assert number == 1
    assert found.startswith(reason)


AUDIT = {
    "_TRANSPORT": "audit",
    "_AUDIT_TYPE_NAME": "CWD",
    "_AUDIT_ID": "3",
    "_SOURCE_REALTIME_TIMESTAMP": "1002000",
    "MESSAGE": 'CWD cwd="/"',
}


def test_audit_entries_go_to_the_audit_parser_or_stay_entries() -> None:
    audit = Lines()
    broken = {**AUDIT, "_AUDIT_ID": "x"}
    lines = [orjson.dumps(entry) for entry in (AUDIT, broken, SSHD)]
    assert events(feed_all(JournaldParser(audit), *lines)) == [broken, SSHD]
    assert audit.lines == [b'type=CWD msg=audit(1.002:3): cwd="/"', b"end"]
    assert events(feed_all(JournaldParser(), lines[0])) == [AUDIT]


def export(entry: dict[str, str | list[str]], *, counted: bool = False) -> bytes:
    """Return *entry* as systemd writes it."""
    out = b""
    for name, values in entry.items():
        for value in values if isinstance(values, list) else [values]:
            raw = value.encode()
            if counted or b"\n" in raw or not value.isprintable():
                out += name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
            else:
                out += name.encode() + b"=" + raw + b"\n"
    return out + b"\n"


def read_export(data: bytes, parser: JournalExportParser | None = None) -> list[Record | Problem]:
    lines = data.removesuffix(b"\n").split(b"\n")
    return feed_all(parser or JournalExportParser(), *lines)


ENTRIES = st.dictionaries(
    st.from_regex(r"_{0,2}[A-Z][A-Z0-9_]{0,10}", fullmatch=True),
    st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.just("x" * 10 + "\n" * 3)),
    min_size=1,
    max_size=5,
)


@given(st.lists(ENTRIES, min_size=1, max_size=4), st.booleans())
def test_export_and_json_give_the_same_events(entries: list[dict[str, str]], counted: bool) -> None:
    data = b"".join(export(entry, counted=counted) for entry in entries)
    json_lines = [orjson.dumps(entry) for entry in entries]
    assert events(read_export(data)) == events(feed_all(JournaldParser(), *json_lines))
    assert problems(read_export(data)) == []


def test_positions_repeated_fields_and_the_last_entry_without_an_empty_line() -> None:
    data = export({"MESSAGE": "a\nb", "X": ["1", "2"]}) + b"MESSAGE=last"
    found = [item for item in read_export(data) if isinstance(item, Record)]
    assert [(record.line, record.event) for record in found] == [
        (1, {"MESSAGE": "a\nb", "X": ["1", "2"]}),
        (7, {"MESSAGE": "last"}),
    ]


def test_what_does_not_fit_the_export_format() -> None:
    wrong_length = b"MESSAGE\n" + (2).to_bytes(8, "little") + b"abc\n"
    found = read_export(b"A=1\n%%%\n" + wrong_length + b"B=2\n\nC\n" + (99).to_bytes(8, "little") + b"x\n")
    assert events(found) == [{"A": "1", "MESSAGE": "ab", "B": "2"}]
    assert [reason for _, reason in problems(found)] == [
        "no field of a journal entry",
        "the field is longer than its length says",
        "the log ends within this field",
    ]


def test_a_large_field_is_cut_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald_export, "MAX_FIELD_BYTES", 10)
    found = read_export(export({"MESSAGE": "0123456789\n" * 5, "X": "1"}))
    assert events(found) == [{"MESSAGE": "0123456789", "X": "1"}]
    assert problems(found) == [(1, "field cut at 10 bytes of 55")]


@given(damaged(*(orjson.dumps(entry) for entry in (SSHD, SUDO, AUDIT, {"MESSAGE": [1, 2], "X": None}))))
def test_no_line_breaks_the_json_parser(lines: list[bytes]) -> None:
    check_invariants(JournaldParser(), lines)


@given(damaged(b"__CURSOR=s=1", b"MESSAGE", b"\x03\0\0\0\0\0\0\0abc", b"", b"MESSAGE=sudo"))
def test_no_line_breaks_the_export_parser(lines: list[bytes]) -> None:
    check_invariants(JournalExportParser(), lines)


SYSMON = (
    '<Event><System><Provider Name="Linux-Sysmon"/><EventID>1</EventID></System>'
    '<EventData><Data Name="Image">/bin/id</Data></EventData></Event>'
)


def test_a_sysmon_event_in_the_journal_is_one() -> None:
    """Where its XML cannot be read, the entry remains, beside a problem."""
    entry = {"SYSLOG_IDENTIFIER": "sysmon", "MESSAGE": SYSMON}
    [event] = events(feed_all(JournaldParser(), orjson.dumps(entry)))
    assert (event["Image"], "MESSAGE" in event) == ("/bin/id", False)
    entry["MESSAGE"] = SYSMON.replace("</Event>", "")
    found = feed_all(JournaldParser(), orjson.dumps(entry))
    assert [item.event["SYSLOG_IDENTIFIER"] for item in found if isinstance(item, Record)] == ["sysmon"]
    assert len(problems(found)) == 1

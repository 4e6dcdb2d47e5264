"""Formats for whatever else there is: regular expressions, logfmt, CEF, error logs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import check_invariants, damaged, events, feed_all, problems, the_event

from sigma.pyeval.logs.apache_error import ErrorLogParser
from sigma.pyeval.logs.cef import CefParser
from sigma.pyeval.logs.logfmt import LogfmtParser
from sigma.pyeval.logs.records import Record
from sigma.pyeval.logs.regex import RegexError, RegexParser
from sigma.pyeval.rules import LogSource

LOGSOURCE = LogSource(product="x")


def test_named_groups_become_fields() -> None:
    parser = RegexParser(r"(?P<user>\w+) (?:from (?P<ip>\S+)|(?P<local>local))", LOGSOURCE)
    found = feed_all(parser, b"ann from 192.0.2.7 and more", b"ann local", b"", b"something", b"x" * 70_000)
    assert events(found) == [{"user": "ann", "ip": "192.0.2.7"}, {"user": "ann", "local": "local"}]
    assert [record.logsource for record in found if isinstance(record, Record)] == [LOGSOURCE] * 2
    assert problems(found) == [
        (4, "the pattern does not match this line"),
        (5, "line longer than 65536 characters"),
    ]


@pytest.mark.parametrize(
    ("pattern", "reason"), [("(", "not a regular expression: "), (r"(\w+)", "the pattern has no named group")]
)
def test_patterns_that_cannot_be_used(pattern: str, reason: str) -> None:
    with pytest.raises(RegexError, match=f"^{reason}"):
        RegexParser(pattern)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"level=info msg=ok", {"level": "info", "msg": "ok"}),
        (b'a="b c" d="e \\"f\\" \\u00e4" g=', {"a": "b c", "d": 'e "f" ä', "g": ""}),
        (b"debug a=b=c url=http://x/?y=z", {"debug": True, "a": "b=c", "url": "http://x/?y=z"}),
        (b"a=1 a=2 a=3", {"a": ["1", "2", "3"]}),
        (b'a="\\x41" b=\xff', {"a": "\\x41", "b": "\\xff"}),
    ],
)
def test_logfmt(line: bytes, fields: dict[str, Any]) -> None:
    assert the_event(LogfmtParser(), line) == fields


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"only words here", "no key=value pair on this line"),
        (b'a=1 "quoted"', "no key=value pair at character 4"),
        (b'a="cut', "no key=value pair at character 1"),
    ],
)
def test_no_logfmt(line: bytes, reason: str) -> None:
    assert problems(feed_all(LogfmtParser(), line, b"a=1")) == [(1, reason)]


CEF = rb"CEF:0|Ven\|dor|Prod|1.0|100|A na\\me|10|src=192.0.2.7 msg=a \= b and c=\nd "
CEF += b"cs1=Block all cs1Label=Rule act= "
CEF_FIELDS = {
    "CEFVersion": "0",
    "DeviceVendor": "Ven|dor",
    "DeviceProduct": "Prod",
    "DeviceVersion": "1.0",
    "DeviceEventClassID": "100",
    "Name": "A na\\me",
    "Severity": "10",
    "src": "192.0.2.7",
    "msg": "a = b and",
    "c": "\nd",
    "cs1": "Block all",
    "cs1Label": "Rule",
    "Rule": "Block all",
    "act": "",
}


@pytest.mark.parametrize("header", [b"", b"Jan  1 00:00:00 box ", b"<13>Jan  1 00:00:00 box app: "])
def test_cef(header: bytes) -> None:
    assert the_event(CefParser(), header + CEF) == CEF_FIELDS


@pytest.mark.parametrize(
    ("extension", "fields"),
    [(b"", {}), (b"just text", {"Extension": "just text"}), (b"x a=1", {"Extension": "x", "a": "1"})],
)
def test_cef_extensions_that_are_no_pairs(extension: bytes, fields: dict[str, str]) -> None:
    event = the_event(CefParser(), b"CEF:0|a|b|c|d|e|5|" + extension)
    assert {name: event[name] for name in list(event)[7:]} == fields


@pytest.mark.parametrize("line", [b"text", b"CEF:0|a|b|c|d|e", b"LEEF:1.0|a|b|c|d|"])
def test_no_cef(line: bytes) -> None:
    assert problems(feed_all(CefParser(), line)) == [(1, "no CEF header with its seven fields")]


@pytest.mark.parametrize(
    ("line", "service", "fields"),
    [
        (
            b"[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.7] File does not exist: /x",
            "apache",
            {"time": "Sun Dec 04 04:47:44 2005", "level": "error", "c-ip": "192.0.2.7"},
        ),
        (
            b"[Sun Dec 04 04:47:44.123456 2005] [core:notice] [pid 77:tid 88] AH00052: child exit signal",
            "apache",
            {"time": "Sun Dec 04 04:47:44.123456 2005", "module": "core", "level": "notice", "s-pid": "77"},
        ),
        (
            b"2024/01/02 03:04:05 [alert] 7#8: worker process 9 exited on signal 6 (core dumped)",
            "nginx",
            {"time": "2024/01/02 03:04:05", "level": "alert", "s-pid": "7"},
        ),
    ],
)
def test_error_logs(line: bytes, service: str, fields: dict[str, str]) -> None:
    (record,) = feed_all(ErrorLogParser(), line)
    assert isinstance(record, Record)
    assert record.event == {"MESSAGE": line.decode(), **fields}
    assert record.logsource == LogSource(service=service)


def test_no_error_log() -> None:
    line = b'192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5'
    assert problems(feed_all(ErrorLogParser(), line)) == [(1, "a line of an access log, not of an error log")]


@pytest.mark.parametrize(
    ("before", "service"),
    [
        ([], None),
        ([b"[Sun Dec 04 04:47:44 2005] [error] x"], "apache"),
        ([b"2024/01/02 03:04:05 [alert] 7#8: x"], "nginx"),
    ],
)
def test_what_was_written_to_the_standard_error_of_a_server(before: list[bytes], service: str | None) -> None:
    """A failed assertion or a CGI program writes no header; the line belongs to the server before it."""
    line = b"httpd: pool.c:12: alloc: Assertion `n > 0' failed."
    *_, record = feed_all(ErrorLogParser(), *before, line)
    assert record == Record({"MESSAGE": line.decode()}, len(before) + 1, LogSource(service=service))


@given(
    damaged(
        CEF,
        b'a="b c" d=e f',
        b"[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.7] x",
        b"2024/01/02 03:04:05 [a] 7#8: x",
    )
)
def test_no_line_breaks_a_parser(lines: list[bytes]) -> None:
    for parser in (CefParser(), LogfmtParser(), ErrorLogParser(), RegexParser(r"(?P<a>\w+)=(?P<b>.*)")):
        check_invariants(parser, lines)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.from_regex(r"[!#-~]{1,8}", fullmatch=True),
        min_size=1,
    )
)
def test_logfmt_reads_back(pairs: dict[str, str]) -> None:
    line = " ".join(f"{key}={value}" for key, value in pairs.items())
    assert the_event(LogfmtParser(), line.encode()) == pairs

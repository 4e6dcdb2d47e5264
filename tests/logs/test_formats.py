"""Telling formats apart by content, and making parsers by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import SHARED, events, feed_all, needs_shared_data

from sigma.pyeval.logs.formats import FORMATS, FormatError, create_parser, detect_format

SYSLOG = b"Feb  5 17:32:18 box sshd[1]: Failed password"
ACCESS = b'192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5'
AUDITD = b'type=CWD msg=audit(1.002:3): cwd="/"'
JSONL = b'{"a": 1}'


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([SYSLOG], "syslog"),
        ([b"<13>text"], "syslog"),
        ([b"<13>1 - - - - - - text"], "syslog"),
        ([b"2023-01-02T03:04:05+01:00 box app[1]: x"], "syslog"),
        ([b"# comment", b"", SYSLOG, b"\tcontinued", SYSLOG], "syslog"),
        ([SYSLOG.replace(b"Failed", b"<Event>")], "syslog"),
        ([ACCESS], "access"),
        ([b'"' + ACCESS + b'"'], "access"),
        ([b"www.example:443 " + ACCESS], "access"),
        ([b"[Sun Dec 04 04:47:44 2005] [error] x"], "apache-error"),
        ([b"2024/01/02 03:04:05 [error] 7#7: x"], "apache-error"),
        ([b"Sun Dec  4 04:47:44 2005 -> /srv/a: OK"], "syslog"),
        ([b'Sun Dec 14 04:47:44 2005 [pid 2] [ann] FTP response: Client "192.0.2.7", "230 x"'], "syslog"),
        ([AUDITD], "auditd"),
        ([b"node=box " + AUDITD], "auditd"),
        ([b'{"SyslogMessage": "type=AUOMS_EXECVE audit(1.002:3): x"}'], "auoms"),
        ([b'{"ID": "1615114232.375:15558", "SYSCALL": {}}'], "laurel"),
        ([b'{"__CURSOR": "s=1", "MESSAGE": "x"}'], "journald"),
        (
            [b"__CURSOR=s=1", b"__REALTIME_TIMESTAMP=1", b"MESSAGE", b"\x03\0\0", b"X=1", b"Y=1"],
            "journald-export",
        ),
        ([JSONL, b'{"b": 2}'], "jsonl"),
        ([b"\xef\xbb\xbf" + JSONL], "jsonl"),
        ([b"{", b'  "a": 1,', b'  "b": 2', b"}"], "jsonl"),
        ([b"[", b'  {"a": 1},', b'  {"b": 2}', b"]"], "jsonl"),
        ([b'[{"a": 1}]'], "jsonl"),
        ([b"<Event>", b"<System>", b"<EventID>1</EventID>", b"x", b"x", b"x"], "sysmon"),
        ([b"CEF:0|a|b|c|d|e|5|x=y"], "cef"),
        ([SYSLOG + b" CEF:0|a|b|c|d|e|5|x=y"], "cef"),
        ([b'level=info msg="a b" x=1'], "logfmt"),
        ([b"ElfFile\0\0\0"], "evtx"),
    ],
)
def test_content_tells_the_format(lines: list[bytes], name: str) -> None:
    detection = detect_format(lines)
    assert detection.format == name, detection.reason


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no lines to tell the format from"),
        ([b"", b"  "], "no lines to tell the format from"),
        ([b"some text", b"more"], "none of the first 2 lines is of a known format; name it"),
        (
            [SYSLOG, SYSLOG, ACCESS, SYSLOG],
            "the first 4 lines are mixed: syslog (3 lines, first 1), access (1 lines, first 3); "
            "name the format, or separate them",
        ),
        (
            [SYSLOG] + [b"text"] * 9,
            "only 1 of the first 10 lines are recognised: syslog (1 lines, first 1); name it",
        ),
        ([b"\xff\xfea\0b\0"], "UTF-16 text; convert it to UTF-8"),
        ([b"a\0b\0c\0d\0e\0"], "UTF-16 text; convert it to UTF-8"),
        ([b"\x1f\x8bxxxx"], "gzip-compressed data; decompress it first"),
    ],
)
def test_mixed_and_unknown_content_has_a_reason(lines: list[bytes], reason: str) -> None:
    detection = detect_format(lines)
    assert (detection.format, detection.reason) == (None, reason)


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([SYSLOG, ACCESS, AUDITD, JSONL])), max_size=10))
def test_any_content_is_answered(lines: list[bytes]) -> None:
    detection = detect_format(lines)
    assert detection.format is None or detection.format == "evtx" or detection.format in FORMATS
    assert detection.reason


@pytest.mark.parametrize(
    ("name", "options", "line", "expected"),
    [
        ("jsonl", {"path": "log"}, b'{"log": {"a": 1}}', {"a": 1}),
        ("cloudtrail", {}, b'{"Records": [{"a": 1}]}', {"a": 1}),
        ("access", {"log_format": "%h"}, b"192.0.2.7", {"c-ip": "192.0.2.7"}),
        ("regex", {"pattern": "(?P<x>.*)"}, b"text", {"x": "text"}),
        ("logfmt", {}, b"a=1", {"a": "1"}),
    ],
)
def test_parsers_by_name(name: str, options: dict[str, Any], line: bytes, expected: dict[str, Any]) -> None:
    assert events(feed_all(create_parser(name, **options), line)) == [expected]


def test_audit_records_in_other_logs_are_joined() -> None:
    line = b"Feb  5 17:32:18 box audispd: " + AUDITD
    for name in ("syslog", "journald", "journald-export"):
        create_parser(name)
    assert any(event.get("type") == "CWD" for event in events(feed_all(create_parser("syslog"), line)))


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("jsnol", {}, "unknown log format 'jsnol'; did you mean 'jsonl'"),
        ("???", {}, "unknown log format '???'; there are access, "),
        ("jsonl", {"colour": 1}, "the format 'jsonl' has no option 'colour'"),
        ("regex", {}, "the format 'regex' needs the option 'pattern'"),
    ],
)
def test_names_and_options_that_do_not_exist(name: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(FormatError, match=reason.replace("?", r"\?").replace("***", "")):
        create_parser(name, **options)


FOLDERS = {
    "syslog": "syslog/**/*.log",
    "journald": "journald/*",
    "sysmon": "sysmon_linux/*",
    "auditd": "auditd/*.log",
}


@needs_shared_data
@pytest.mark.parametrize("name", FOLDERS)
def test_logs_of_others_are_told_apart(name: str) -> None:
    paths = sorted((SHARED / "data/linux").glob(FOLDERS[name]))
    assert paths
    for path in paths:
        with path.open("rb") as file:
            detection = detect_format(file.read(200_000).split(b"\n"))
        assert detection.format == name, f"{path.name}: {detection.reason}"

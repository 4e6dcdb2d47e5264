"""Syslog lines: what is read out of each, and what stays."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import Lines, check_invariants, damaged, events, feed_all, problems, the_event

from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.logs.syslog import SyslogParser, parse_syslog
from sigma.pyeval.rules import LogSource

RFC3164 = b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8"
RFC5424 = (
    b"<165>1 2003-10-11T22:14:15.003Z host.example evntslog 88 ID47 "
    b'[a@1 iut="3" src="App\\"li\\]ca\\\\tion"][b@2 x="1" x="2"] \xef\xbb\xbfAn event'
)
SUDO = b"Dec 30 19:36:11 box sudo: ann : TTY=pts/2 ; PWD=/home/ann ; USER=#-1 ; COMMAND=/bin/bash"
PAM = b"Nov 11 22:46:29 box su(pam_unix)[14]: session opened for user news by (uid=0)"


def case(line: bytes, message: str, **fields: Any) -> Any:
    return pytest.param(line, {"MESSAGE": message, **fields}, id=line[:40].decode("ascii", "replace"))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        case(
            RFC3164,
            "'su root' failed for lonvick on /dev/pts/8",
            SYSLOG_FACILITY="4",
            PRIORITY="2",
            SYSLOG_TIMESTAMP="Oct 11 22:14:15",
            _HOSTNAME="mymachine",
            SYSLOG_IDENTIFIER="su",
        ),
        case(
            RFC5424,
            "An event",
            SYSLOG_FACILITY="20",
            PRIORITY="5",
            SYSLOG_TIMESTAMP="2003-10-11T22:14:15.003Z",
            _HOSTNAME="host.example",
            SYSLOG_IDENTIFIER="evntslog",
            SYSLOG_PID="88",
            SYSLOG_MSGID="ID47",
            SYSLOG_STRUCTURED_DATA={"a@1": {"iut": "3", "src": 'App"li]ca\\tion'}, "b@2": {"x": ["1", "2"]}},
        ),
        case(b"<0>1 - - - - - -", "", SYSLOG_FACILITY="0", PRIORITY="0"),
        case(b"<13>1 - - app - - - text", "text", SYSLOG_FACILITY="1", PRIORITY="5", SYSLOG_IDENTIFIER="app"),
        case(
            b"<13>1 - - app - - [broken text",
            "[broken text",
            SYSLOG_FACILITY="1",
            PRIORITY="5",
            SYSLOG_IDENTIFIER="app",
        ),
        case(
            b"2023-01-02T03:04:05.123456+01:00 box sshd[7]: hello",
            "hello",
            SYSLOG_TIMESTAMP="2023-01-02T03:04:05.123456+01:00",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="sshd",
            SYSLOG_PID="7",
        ),
        case(
            b"Mon 2023-01-02 03:04:05 CET box sshd[7]: hello",
            "hello",
            SYSLOG_TIMESTAMP="Mon 2023-01-02 03:04:05 CET",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="sshd",
            SYSLOG_PID="7",
        ),
        case(
            b"Feb  5 2024 17:32:18 box app: hello",
            "hello",
            SYSLOG_TIMESTAMP="Feb  5 2024 17:32:18",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="app",
        ),
        case(  # no host
            b"Feb  5 17:32:18 su[12]: hi: there",
            "hi: there",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            SYSLOG_IDENTIFIER="su",
            SYSLOG_PID="12",
        ),
        case(
            b"Feb  5 17:32:18 fe80::1 postfix/smtpd[1]: x",
            "x",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="fe80::1",
            SYSLOG_IDENTIFIER="postfix/smtpd",
            SYSLOG_PID="1",
        ),
        case(
            b"Feb  5 17:32:18 2001:db8:: rsyslogd-2039: x",
            "x",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="2001:db8::",
            SYSLOG_IDENTIFIER="rsyslogd-2039",
        ),
        case(
            b"Feb  5 17:32:18 box org.gnome.Shell.desktop[1]: x",
            "x",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="org.gnome.Shell.desktop",
            SYSLOG_PID="1",
        ),
        case(
            b"Feb  5 17:32:18 mac com.apple.xpc.launchd[1] (com.apple.x): Service exited",
            "Service exited",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="mac",
            SYSLOG_IDENTIFIER="com.apple.xpc.launchd",
            SYSLOG_PID="1",
        ),
        case(
            b"Feb  5 17:32:18 box last message repeated 3 times",
            "last message repeated 3 times",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="box",
        ),
        case(
            b"Jan  8 18:23:07 box kernel: [  470.247608] x: y",
            "[  470.247608] x: y",
            SYSLOG_TIMESTAMP="Jan  8 18:23:07",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="kernel",
        ),
        case(b"kernel: device eth0 up", "device eth0 up", SYSLOG_IDENTIFIER="kernel"),
        case(b"[   12.345678] device eth0 up", "[   12.345678] device eth0 up", SYSLOG_IDENTIFIER="kernel"),
        case(b"<13>app: x", "x", SYSLOG_FACILITY="1", PRIORITY="5", SYSLOG_IDENTIFIER="app"),
        case(b"<999>app: x", "x", SYSLOG_IDENTIFIER="app"),
        case(b"\tcontinued: text", "\tcontinued: text"),
        case(b"Note: text", "Note: text"),
        case(
            b"Feb  5 17:32:18 box app: b\xe4r\r",
            "b\\xe4r",
            SYSLOG_TIMESTAMP="Feb  5 17:32:18",
            _HOSTNAME="box",
            SYSLOG_IDENTIFIER="app",
        ),
        case(b"\xef\xbb\xbf<13>app: x", "x", SYSLOG_FACILITY="1", PRIORITY="5", SYSLOG_IDENTIFIER="app"),
    ],
)
def test_fields_of_a_line(line: bytes, fields: dict[str, Any]) -> None:
    event = parse_syslog(line)
    raw = event.pop("SYSLOG_RAW")
    assert event == fields
    assert raw == line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r").decode("utf-8", "backslashreplace")


def test_sudo_and_pam_are_taken_apart() -> None:
    assert (
        the_event(SyslogParser(), SUDO).items() >= {"SUDO_USER": "ann", "USER": "#-1", "COMMAND": "/bin/bash"}.items()
    )
    pam = the_event(SyslogParser(), PAM)
    assert pam.items() >= {"SYSLOG_IDENTIFIER": "su", "PAM_MODULE": "pam_unix", "user": "news"}.items()


@pytest.mark.parametrize(
    ("line", "service"),
    [
        (b"Feb  5 17:32:18 box sshd(pam_unix)[1]: x", "sshd"),
        (b"Feb  5 17:32:18 box CRON[1]: x", "cron"),
        (b"Feb  5 17:32:18 box named[1]: x", "syslog"),
        (b"Feb  5 17:32:18 box last message repeated 3 times", None),
        (b"no header", None),
    ],
)
def test_log_source(line: bytes, service: str | None) -> None:
    (record,) = feed_all(SyslogParser(), line)
    assert isinstance(record, Record)
    assert record.logsource == LogSource(product="linux", service=service)


def test_blank_lines_are_no_events_and_binary_ones_are_problems_that_stay_searchable() -> None:
    found = feed_all(SyslogParser(), b"", b"  \t", b"\0\0", b"\x01\x02 wget evil", b"\0\0Feb  5 17:32:18 box app: x")
    assert problems(found) == [(4, "no syslog header, and control characters in the text")]
    assert [event["MESSAGE"] for event in events(found)] == ["\x01\x02 wget evil", "x"]


def test_sysmon_events_become_sysmon_records_and_broken_ones_stay_text() -> None:
    head = b"Feb  5 17:32:18 box sysmon: "
    event = (
        b'<Event><System><Provider Name="Linux-Sysmon"/><EventID>1</EventID></System>'
        b'<EventData><Data Name="Image">/bin/id</Data></EventData></Event>'
    )
    whole, cut = feed_all(SyslogParser(), head + event), feed_all(SyslogParser(), head + event[:-8])
    assert isinstance(whole[0], Record)
    assert whole[0].logsource == LogSource("process_creation", "linux", "sysmon")
    assert whole[0].event["Image"] == "/bin/id"
    assert [type(item) for item in cut] == [Problem, Record]


def test_audit_records_go_to_the_audit_parser() -> None:
    audit = Lines()
    found = feed_all(
        SyslogParser(audit),
        b'Feb  5 17:32:18 box audispd: node=a type=CWD msg=audit(1.002:3): cwd="/"',
        b"Feb  5 17:32:18 box kernel: [    1.000000] audit: type=1400 audit(1.002:4): apparmor=x",
        b"Feb  5 17:32:18 box app: type=CWD",
    )
    assert audit.lines == [
        b'node=a type=CWD msg=audit(1.002:3): cwd="/"',
        b"type=1400 msg=audit(1.002:4): apparmor=x",
        b"end",
    ]
    assert [event["MESSAGE"] for event in events(found)] == ["type=CWD"]


@given(damaged(RFC3164, RFC5424, SUDO, PAM, b"2023-01-02T03:04:05Z h a[1]: x", b"kernel: x"))
def test_no_line_breaks_the_parser_or_is_lost(lines: list[bytes]) -> None:
    check_invariants(SyslogParser(), lines)
    found = feed_all(SyslogParser(), *lines)
    kept = {record.line for record in found if isinstance(record, Record)}
    assert kept == {number for number, line in enumerate(lines, 1) if line.strip(b"\0\r\n\t ")}


@given(st.binary(max_size=60), st.sampled_from([b"", b"<34>", b"Oct 11 22:14:15 h su: ", b"<3>1 - h a - - - "]))
def test_a_keyword_found_in_the_line_is_found_in_the_event(text: bytes, head: bytes) -> None:
    line = head + text
    raw = parse_syslog(line)["SYSLOG_RAW"]
    assert raw == line.removeprefix(b"\xef\xbb\xbf").strip(b"\0\r").decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    "line",
    [
        b"<1>1 - h a - - " + b'[a b="' * 10_000,
        b"<1>1 - h a - - [a" + b' b="1"' * 10_000,
        b"Feb  5 17:32:18 " + b"a[" * 30_000,
        b"Feb  5 17:32:18 " + b" " * 60_000,
        b"Feb  5 17:32:18 h sudo: a : " + b" ; USER=" * 8_000,
    ],
)
def test_hostile_lines_take_no_time(line: bytes) -> None:
    start = time.process_time()
    parse_syslog(line)
    assert time.process_time() - start < 0.5

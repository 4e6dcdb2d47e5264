"""The writers write what the kernel and Apache write, so that a parser gets back what went in."""

from __future__ import annotations

import shlex
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.formats import create_parser
from sigma.pyeval.logs.records import Record

from .access_writer import access_line, escaped
from .audit_writer import AuditLog, Process, untrusted

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("ls", '"ls"'),
        ("", '""'),
        ("a\\b='$`", '"a\\b=\'$`"'),
        ("a b", "612062"),  # a blank
        ('"', "22"),
        ("ä", "C3A4"),
        ("sh\0-c", "7368002D63"),
    ],
)
def test_the_kernel_quotes_or_encodes(text: str, written: str) -> None:
    assert untrusted(text) == written


@pytest.mark.parametrize(
    ("text", "written"), [("a b'", "a b'"), ('"\\', '\\"\\\\'), ("\t\x01\x7f", "\\t\\x01\\x7f"), ("ä", "\\xc3\\xa4")]
)
def test_apache_escapes(text: str, written: str) -> None:
    assert escaped(text) == written


def test_a_connection_has_the_peer_as_the_kernel_writes_it() -> None:
    log = AuditLog()
    log.connect(Process("nc"), 7, "203.0.113.4:443")
    assert "saddr=020001BBCB0071040000000000000000\x1d" in log.lines[1]
    log.connect(Process("nc"), 7, "[2001:db8::4]:443")
    assert "saddr=0A0001BB0000000020010DB800000000000000000000000400000000\x1d" in log.lines[4]


@given(st.lists(WORDS, min_size=1, max_size=5).filter(lambda arguments: arguments[0] != ""))
def test_a_command_line_comes_back(arguments: list[str]) -> None:
    log, parser = AuditLog(), create_parser("auditd")
    log.execute(Process(shlex.join(arguments), exe="/usr/bin/prog", user="root"))
    found = [item for number, line in enumerate(log.lines, 1) for item in parser.feed(number, line.encode())]
    assert all(isinstance(item, Record) for item in found)
    (event,) = [item.event for item in found if isinstance(item, Record) and item.logsource.category]
    assert (event["_EXE"], event["_CMDLINE"], event["_USER"]) == ("/usr/bin/prog", " ".join(arguments), "root")


@given(WORDS, WORDS)
def test_a_request_comes_back(query: str, agent: str) -> None:
    line = access_line(f"GET /a?{quote(query)}", agent=f"x{agent}").encode()
    (record,) = create_parser("access").feed(1, line)
    assert isinstance(record, Record)
    assert (record.event["c-uri"], record.event["cs-user-agent"]) == (f"/a?{quote(query)}", f"x{agent}")

"""Entities of an event: one meaning under many names, and nothing that is not what it claims to be."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.entities import base_name, excerpt, parse_entities, parse_ip
from sigma.pyeval.rules import Match, Rule

CASES: list[tuple[dict[str, Any], str, object]] = [
    ({"_HOSTNAME": "web-1"}, "host", "web-1"),
    ({"Computer": "dc1"}, "host", "dc1"),
    ({"host": {"name": "x"}}, "host", "x"),
    ({"Hostname": "dc1"}, "host", "dc1"),
    ({"host": "what.a.client.asked.for"}, "host", None),
    ({"_HOSTNAME": "-"}, "host", None),
    ({"Image": r"C:\Windows\cmd.exe"}, "process.name", "cmd.exe"),
    ({"Image": r"C:\Windows\cmd.exe"}, "process.executable", r"C:\Windows\cmd.exe"),
    ({"exe": "/bin/sh", "comm": "sh2"}, "process.name", "sh2"),
    ({"_PID": "12"}, "process.pid", 12),
    ({"_PID": "x", "pid": 13}, "process.pid", 13),
    ({"_PID": True}, "process.pid", None),
    ({"_PID": -1}, "process.pid", None),
    ({"_PPID": 2**40}, "parent.pid", None),
    ({"ParentImage": "/bin/a"}, "parent.name", "a"),
    ({"acct": "root"}, "user.name", "root"),
    ({"User": "(null)", "acct": "x"}, "user.name", "x"),
    ({"type": "PATH", "name": "/etc/passwd"}, "file_path", "/etc/passwd"),
    ({"type": "SYSCALL", "name": "/etc/passwd"}, "file_path", None),
    ({"c-ip": "192.0.2.1"}, "source.ip", "192.0.2.1"),
    ({"c-ip": "client.example.org"}, "source.ip", None),
    ({"c-ip": "client.example.org"}, "source.domain", "client.example.org"),
    ({"_DESTINATION_IP": "2001:DB8::1"}, "destination.ip", "2001:db8::1"),
    ({"_DESTINATION_PORT": "65536"}, "destination.port", None),
    ({"Initiated": "True"}, "outbound", True),
    ({"_INITIATED": False}, "outbound", False),
    ({"_INITIATED": "maybe"}, "outbound", None),
    ({"cs-version": "HTTP/2"}, "request.version", "2"),
    ({"sc-status": "200"}, "request.status", 200),
    ({"PRIORITY": "8"}, "priority", None),
    ({}, "message", None),
]


@pytest.mark.parametrize(("event", "attribute", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_entities(event: dict[str, Any], attribute: str, expected: object) -> None:
    """Event, attribute, value."""
    found: object = parse_entities(event)
    for name in attribute.split("."):
        found = getattr(found, name)
    assert found == expected


def test_names_and_addresses() -> None:
    """Paths of both worlds; only addresses are addresses."""
    assert [base_name(path) for path in ("/a/b", "b", r"C:\a\b", "/a/", "", None)] == ["b", "b", "b", None, None, None]
    assert [parse_ip(text) for text in ("192.0.2.1", "::1", "192.0.2.1:80", "fe80::1%eth0", "1" * 99, "", None)] == [
        "192.0.2.1", "::1", None, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "event", "expected"),
    [
        ((), {"_CMDLINE": "ls", "MESSAGE": "m"}, "ls"),
        (("MESSAGE",), {"_CMDLINE": "ls", "MESSAGE": "m"}, "m"),
        (("a.b",), {"a": {"b": "deep"}, "MESSAGE": "m"}, "deep"),
        (("missing", "_PID"), {"_PID": 5, "MESSAGE": ""}, '{"_PID":5,"MESSAGE":""}'),
        ((), {"MESSAGE": "x" * 500}, "x" * 120),
        ((), {}, "{}"),
    ],
)
def test_the_excerpt_is_what_a_person_looks_at_first(
    fields: tuple[str, ...], event: dict[str, Any], expected: str
) -> None:
    """The rule's own fields, the command line, the message; the event as JSON where there is none."""
    assert excerpt(Match(Rule(None, "x", "exists(event, 'x')", fields=fields), event)) == expected

"""Audit records found in other logs, as auditd's own lines."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.logs.audit_lines import audit_line_of_entry, audit_line_of_text

ENTRY = {
    "_TRANSPORT": "audit",
    "_AUDIT_TYPE": "1300",
    "_AUDIT_TYPE_NAME": "SYSCALL",
    "_AUDIT_ID": "456",
    "_SOURCE_REALTIME_TIMESTAMP": "1700000000123000",
    "MESSAGE": 'SYSCALL arch=c000003e syscall=59 comm="id"',
}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ('type=CWD msg=audit(1.002:3): cwd="/"', b'type=CWD msg=audit(1.002:3): cwd="/"'),
        ("node=a type=EOE msg=audit(1.002:3):", b"node=a type=EOE msg=audit(1.002:3):"),
        ("audit: type=1400 audit(1.002:3): apparmor=x", b"type=1400 msg=audit(1.002:3): apparmor=x"),
        ("[  1.000000] audit: type=1130 audit(1.0:3): pid=1", b"type=1130 msg=audit(1.0:3): pid=1"),
        ("type=CWD cwd=/", None),
        ("the audit: type=1400 audit(1.002:3): x", None),
    ],
)
def test_lines_in_syslog_messages(message: str, line: bytes | None) -> None:
    assert audit_line_of_text(message) == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, b'type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e syscall=59 comm="id"'),
        ({"MESSAGE": "arch=c000003e"}, b"type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e"),
        ({"_AUDIT_ID": None}, None),
        ({"_AUDIT_ID": "x"}, None),
        ({"MESSAGE": None}, None),
        ({"_SOURCE_REALTIME_TIMESTAMP": "9" * 30}, None),
    ],
)
def test_lines_of_journal_entries(change: dict[str, Any], line: bytes | None) -> None:
    assert audit_line_of_entry({**ENTRY, **change}) == line

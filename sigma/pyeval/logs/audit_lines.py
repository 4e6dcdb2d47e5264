"""Audit records that travel in other logs, rewritten as the lines that auditd itself writes.

An auditd parser that is handed to the syslog or journald parser then reads them as any other audit line::

    type=EXECVE msg=audit(1700000000.123:456): argc=2 a0="ls" a1="-l"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_AUDISPD = re.compile(r"(?:node=\S{1,255} )?type=\S{1,64} msg=audit\(\d{1,12}\.\d{1,9}:\d{1,20}\):")
_KERNEL = re.compile(
    r"(?:\[ *\d{1,12}\.\d{6}\] )?(?:audit: )?type=(\d{1,5}) (audit\(\d{1,12}\.\d{1,9}:\d{1,20}\): ?)(.*)",
    re.DOTALL,
)


def audit_line_of_text(message: str) -> bytes | None:
    """Return the auditd line in a syslog *message*, or ``None``.

    Read are audispd's form (the auditd line as it is) and the kernel's (``audit: type=1400 audit(...):
    ...``), whose types are numbers, and stay so.
    """
    if _AUDISPD.match(message):
        return message.encode("utf-8", "backslashreplace")
    if found := _KERNEL.match(message):
        return f"type={found[1]} msg={found[2]}{found[3]}".encode("utf-8", "backslashreplace")
    return None


def audit_line_of_entry(entry: Mapping[str, Any]) -> bytes | None:
    """Return the auditd line of a journal *entry* with ``_TRANSPORT=audit``, or ``None`` where it holds none.

    journald keeps the record's text in MESSAGE behind the type's name, the serial in ``_AUDIT_ID`` and the
    time in ``_SOURCE_REALTIME_TIMESTAMP`` (microseconds). The ``_AUDIT_FIELD_*`` it also sets are a part of
    the same text and not needed.
    """
    name, serial = entry.get("_AUDIT_TYPE_NAME"), entry.get("_AUDIT_ID")
    message, time = (
        entry.get("MESSAGE"),
        entry.get("_SOURCE_REALTIME_TIMESTAMP", entry.get("__REALTIME_TIMESTAMP")),
    )
    if not (isinstance(name, str) and isinstance(message, str) and _is_number(serial) and _is_number(time)):
        return None
    seconds, microseconds = divmod(int(time), 1_000_000)
    text = message.removeprefix(name).removeprefix(" ")
    line = f"type={name} msg=audit({seconds}.{microseconds // 1000:03d}:{serial}): {text}"
    return line.encode("utf-8", "backslashreplace")


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20

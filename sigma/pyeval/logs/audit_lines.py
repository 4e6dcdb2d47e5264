"""Audit records that travel in other logs, rewritten as the lines that auditd itself writes.

An auditd parser that is handed to the syslog or journald parser then reads them as any other audit line::

    type=EXECVE msg=audit(1700000000.123:456): argc=2 a0="ls" a1="-l"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_USER_TYPES = (  # libaudit.h, from 1100 on
    *("USER_AUTH", "USER_ACCT", "USER_MGMT", "CRED_ACQ", "CRED_DISP", "USER_START", "USER_END", "USER_AVC"),
    *(
        "USER_CHAUTHTOK",
        "USER_ERR",
        "CRED_REFR",
        "USYS_CONFIG",
        "USER_LOGIN",
        "USER_LOGOUT",
        "ADD_USER",
        "DEL_USER",
    ),
    *(
        "ADD_GROUP",
        "DEL_GROUP",
        "DAC_CHECK",
        "CHGRP_ID",
        "TEST",
        "TRUSTED_APP",
        "USER_SELINUX_ERR",
        "USER_CMD",
    ),
    *(
        "USER_TTY",
        "CHUSER_ID",
        "GRP_AUTH",
        "SYSTEM_BOOT",
        "SYSTEM_SHUTDOWN",
        "SYSTEM_RUNLEVEL",
        "SERVICE_START",
    ),
    "SERVICE_STOP",
)
_KERNEL_TYPES = {  # linux/audit.h
    1300: "SYSCALL",
    1302: "PATH",
    1303: "IPC",
    1304: "SOCKETCALL",
    1305: "CONFIG_CHANGE",
    1306: "SOCKADDR",
    1307: "CWD",
    1309: "EXECVE",
    1317: "FD_PAIR",
    1318: "OBJ_PID",
    1319: "TTY",
    1320: "EOE",
    1321: "BPRM_FCAPS",
    1322: "CAPSET",
    1323: "MMAP",
    1324: "NETFILTER_PKT",
    1325: "NETFILTER_CFG",
    1326: "SECCOMP",
    1327: "PROCTITLE",
    1330: "KERN_MODULE",
    1334: "BPF",
    1400: "AVC",
    1700: "ANOM_PROMISCUOUS",
    1701: "ANOM_ABEND",
    1702: "ANOM_LINK",
}
_TYPE_NAMES = {str(number): name for number, name in enumerate(_USER_TYPES, 1100)}
_TYPE_NAMES |= {str(number): name for number, name in _KERNEL_TYPES.items()}

_AUDISPD = re.compile(r"(?:node=\S{1,255} )?type=\S{1,64} msg=audit\(\d{1,12}\.\d{1,9}:\d{1,20}\):")
_KERNEL = re.compile(
    r"(?:\[ *\d{1,12}\.\d{6}\] )?(?:audit: )?type=(\d{1,5}) (audit\(\d{1,12}\.\d{1,9}:\d{1,20}\): ?)(.*)",
    re.DOTALL,
)


def audit_line_of_text(message: str) -> bytes | None:
    """Return the auditd line in a syslog *message*, or ``None``.

    Read are audispd's form (the auditd line as it is) and the kernel's (``audit: type=1400 audit(...):
    ...``); a type without a name here becomes ``UNKNOWN[1999]``, as auditd writes it.
    """
    if _AUDISPD.match(message):
        return message.encode("utf-8", "backslashreplace")
    if found := _KERNEL.match(message):
        name = _TYPE_NAMES.get(found[1], f"UNKNOWN[{found[1]}]")
        return f"type={name} msg={found[2]}{found[3]}".encode("utf-8", "backslashreplace")
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

"""Writes the records that auditd (log_format=ENRICHED) would for an execution, a file or a connection.

Forms are those of kernel/auditsc.c (records of a system call), kernel/audit.c (what is quoted, what is written in
hexadecimal) and auditd's enrichment (names behind the character 0x1d).
"""

from __future__ import annotations

import ipaddress
import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

USERS = {"root": 0, "www-data": 33, "ann": 1000}
TITLE_BYTES = 128  # MAX_PROCTITLE_AUDIT_LEN
COMM_CHARACTERS = 15
_O_WRONLY_CREAT_TRUNC = "241"
_O_WRONLY_APPEND = "401"
_AT_FDCWD = "ffffff9c"
# Run as root whoever starts them: /etc/passwd's tools, and what gives root away.
_SET_USER_ID = frozenset({"sudo", "su", "doas", "pkexec", "passwd", "chage", "mount", "at"})
_IDS = ("auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid")
_EFFECTIVE = frozenset({"euid", "suid", "fsuid"})
_ROOT_FILE = 'ouid=0 ogid=0 rdev=00:00 nametype={kind} cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID="root" OGID="root"'


@dataclass(frozen=True, slots=True)
class Process:
    """What a process is: ``run`` is its command line as one would type it, ``exe`` the file that runs.

    ``file`` is what was executed, where that is a link to ``exe`` (``/bin/sh`` to ``/usr/bin/dash``).
    """

    run: str
    exe: str = ""
    cwd: str = "/home/ann"
    user: str = "ann"

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.run)

    @property
    def file(self) -> str:
        first = self.arguments[0]
        return first if first.startswith("/") else f"/usr/bin/{first}"

    @property
    def program(self) -> str:
        return self.exe or self.file

    @property
    def effective_user(self) -> str:
        return "root" if posixpath.basename(self.program) in _SET_USER_ID else self.user


@dataclass(slots=True)
class AuditLog:
    """Lines of an audit.log, event by event; times and serials go up."""

    lines: list[str] = field(default_factory=list)
    _serials: Iterator[int] = field(default_factory=lambda: count(4711))
    _pids: Iterator[int] = field(default_factory=lambda: count(20411, 3))

    def execute(self, process: Process, parent: int = 1873) -> int:
        """Add the records of a successful execve(); return the process's id."""
        pid = next(self._pids)
        arguments = " ".join(f"a{number}={untrusted(text)}" for number, text in enumerate(process.arguments))
        self._event(
            process, "execve", 59, ("55d5e4c8a2f0", "55d5e4c8a2a0", "55d5e4c9f000", "8"), 0, 2, pid, parent,
            f"EXECVE argc={len(process.arguments)} {arguments}",
            f"CWD cwd={untrusted(process.cwd)}",
            _path(0, process.file, "NORMAL", "0100755" if process.effective_user == process.user else "0104755"),
            _path(1, "/lib64/ld-linux-x86-64.so.2", "NORMAL", "0100755"),
        )  # fmt: skip
        return pid

    def write_file(self, process: Process, pid: int, name: str) -> None:
        """Add the records of an openat() that creates *name*, absolute or in the working directory."""
        directory = name[: name.rindex("/") + 1] if "/" in name else process.cwd
        self._event(
            process, "openat", 257, (_AT_FDCWD, "55b0c1d2e3f0", _O_WRONLY_CREAT_TRUNC, "1b6"), 3, 2, pid, 1873,
            f"CWD cwd={untrusted(process.cwd)}",
            _path(0, directory, "PARENT", "040755"),
            _path(1, name, "CREATE", "0100644"),
        )  # fmt: skip

    def append_to_file(self, process: Process, pid: int, name: str) -> None:
        """Add the records of an openat() of a file that exists, to write to its end."""
        self._event(
            process, "openat", 257, (_AT_FDCWD, "55b0c1d2e3f0", _O_WRONLY_APPEND, "0"), 3, 1, pid, 1873,
            f"CWD cwd={untrusted(process.cwd)}",
            _path(0, name, "NORMAL", "0100644"),
        )  # fmt: skip

    def connect(self, process: Process, pid: int, peer: str) -> None:
        """Add the records of a connect() to *peer*, ``192.0.2.7:443`` or ``[2001:db8::7]:443``."""
        host, _, port = peer.rpartition(":")
        address = ipaddress.ip_address(host.strip("[]"))
        family, after = (2, bytes(8)) if address.version == 4 else (10, bytes(4))
        flow = b"" if address.version == 4 else bytes(4)
        saddr = family.to_bytes(2, "little") + int(port).to_bytes(2, "big") + flow + address.packed + after
        name = "inet" if family == 2 else "inet6"
        self._event(
            process, "connect", 42, ("3", "7ffd0c1b2a30", f"{len(saddr):x}", "0"), 0, 0, pid, 1873,
            f"SOCKADDR saddr={saddr.hex().upper()}\x1dSADDR={{ saddr_fam={name} laddr={address} lport={port} }}",
        )  # fmt: skip

    def _event(
        self, process: Process, call: str, number: int, registers: tuple[str, ...], code: int, items: int,
        pid: int, parent: int, *records: str,
    ) -> None:  # fmt: skip
        serial = next(self._serials)
        stamp = f"msg=audit({1_700_000_000 + serial - 4711}.{serial % 1000:03}:{serial}):"
        users = {name: process.effective_user if name in _EFFECTIVE else process.user for name in _IDS}
        ids = " ".join(f"{name}={USERS[user]}" for name, user in users.items())
        names = " ".join(f'{name.upper()}="{user}"' for name, user in users.items())
        comm = posixpath.basename(process.file)[:COMM_CHARACTERS]
        values = " ".join(f"a{position}={value}" for position, value in enumerate(registers))
        title = "\0".join(process.arguments).encode()[:TITLE_BYTES].decode("utf-8", "ignore")
        for record in (
            f"SYSCALL arch=c000003e syscall={number} success=yes exit={code} {values} items={items} "
            f"ppid={parent} pid={pid} {ids} tty=pts0 ses=3 comm={untrusted(comm)} "
            f"exe={untrusted(process.program)} subj=unconfined key=(null)\x1dARCH=x86_64 SYSCALL={call} {names}",
            *records,
            f"PROCTITLE proctitle={untrusted(title)}",
        ):
            record_type, _, body = record.partition(" ")
            self.lines.append(f"type={record_type} {stamp} {body}")


def untrusted(text: str) -> str:
    """Return *text* as the kernel writes a string that it does not trust (``audit_log_n_untrustedstring``)."""
    data = text.encode()
    if any(byte < 0x21 or byte > 0x7E or byte == 0x22 for byte in data):
        return data.hex().upper()
    return f'"{text}"'


def _path(item: int, name: str, kind: str, mode: str) -> str:
    return f"PATH item={item} name={untrusted(name)} inode={393218 + item} dev=fd:00 mode={mode} " + _ROOT_FILE.format(
        kind=kind
    )

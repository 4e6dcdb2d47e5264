"""The records of one audit event become events of processes, files and connections.

Field names are those of the Linux event schema (docs/auditd.md): ``_EXE``, ``_CMDLINE``, ``_TARGET_FILE``,
``_DESTINATION_IP`` ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sigma.pyeval.logs.audit_files import written_files
from sigma.pyeval.logs.audit_processes import ProcessTable
from sigma.pyeval.logs.records import Record
from sigma.pyeval.rules import LogSource

AUDITD = LogSource(product="linux", service="auditd")
PROCESS_CREATION = LogSource(category="process_creation", product="linux")
FILE_EVENT = LogSource(category="file_event", product="linux")
NETWORK_CONNECTION = LogSource(category="network_connection", product="linux")

EXECUTING = frozenset({"execve", "execveat"})
_FORKING = frozenset({"clone", "clone3", "fork", "vfork"})
_EINPROGRESS = "-115"  # connect() of a socket that does not wait: the attempt goes on
_SOCKETCALL_CONNECT = "3"  # SYS_CONNECT of linux/net.h, in the first register of i386's socketcall()

_COMMON_FIELDS = (
    ("_COMM", "comm"),
    ("_PID", "pid"),
    ("_PPID", "ppid"),
    ("_UID", "uid"),
    ("_GID", "gid"),
    ("_AUDIT_LOGINUID", "auid"),
    ("_AUDIT_SESSION", "ses"),
    ("_AUDIT_KEY", "key"),
)
_ARGUMENT = re.compile(r"a([0-9]{1,7})(?:\[([0-9]{1,7})\])?")

_ARGUMENT_NAMES = tuple(f"a{number}" for number in range(256))

Event = Mapping[str, Any]


class EventRecords:
    """The records of one event, by what they say.

    Attributes:
        syscall: The SYSCALL record, or ``None`` where it is lost.
        execves: The EXECVE records (several where the arguments are long).
        paths: The PATH records.
        cwd: The working directory.
        title: The process title (at most 128 bytes of the command line, as the process shows it).
        address: The SOCKADDR record.
        openat2: The OPENAT2 record.
    """

    __slots__ = ("address", "cwd", "execves", "first", "openat2", "paths", "syscall", "title")

    def __init__(self, records: Sequence[Event]) -> None:
        """Sort *records*, of which there is at least one."""
        self.first = records[0]
        self.syscall: Event | None = None
        self.execves: list[Event] = []
        self.paths: list[Event] = []
        self.cwd: str | None = None
        self.title: str | None = None
        self.address: Event | None = None
        self.openat2: Event | None = None
        for record in records:
            record_type = record["type"]
            if record_type == "PATH":
                self.paths.append(record)
            elif record_type == "SYSCALL":
                self.syscall = self.syscall or record
            elif record_type == "CWD":
                self.cwd = record.get("cwd")
            elif record_type == "PROCTITLE":
                self.title = record.get("proctitle")
            elif record_type == "EXECVE":
                self.execves.append(record)
            elif record_type == "SOCKADDR":
                self.address = record
            elif record_type == "OPENAT2":
                self.openat2 = record

    def is_whole(self) -> bool:
        """Return whether everything is there that the SYSCALL record announces."""
        syscall = self.syscall
        if syscall is None:
            return False
        items = syscall.get("items") or "0"
        if items != "0" and (str(len(self.paths)) != items or self.cwd is None):
            return False
        call = syscall.get("SYSCALL")
        if call in EXECUTING and syscall.get("success") == "yes":
            return self._has_all_arguments()
        return call != "connect" or self.address is not None

    def _has_all_arguments(self) -> bool:
        if len(self.execves) != 1:
            return False  # of several, one in the middle may be missing: wait for the end of the grace
        execve = self.execves[0]
        argc = execve.get("argc") or ""
        return argc == "0" or (argc.isdecimal() and len(argc) <= 7 and f"a{int(argc) - 1}" in execve)


class AuditEvents:
    """Builds joined events, and remembers processes for the sake of their children.

    Args:
        failed_executions: Also give an event for an execution that failed (a shell tries every directory of
            PATH). Its ``_EXE``
            is the program that tried, ``_AUDIT_EXIT`` the error.
        user_names: User id -> name, for logs without ENRICHED names.
    """

    def __init__(self, *, failed_executions: bool = False, user_names: Mapping[int, str] | None = None) -> None:
        self._failed_executions = failed_executions
        self._user_names = user_names or {}
        self._processes = ProcessTable()

    def remember(self, node: str | None, pid: str, exe: str | None, cmdline: str | None) -> None:
        """Remember what a log says of a process beside its own records."""
        self._processes.put(node, pid, exe, cmdline)

    def join(self, found: EventRecords, line: int) -> list[Record]:
        """Return the joined events of the records of one serial, the first of which stood on *line*."""
        serial = found.first["_AUDIT_ID"]
        joined = [Record(event, line, source, serial) for source, event in self._events(found)]
        if len(found.execves) > 1:
            joined.insert(0, Record(_whole_execve(found), line, AUDITD, serial))
        return joined

    def _events(self, found: EventRecords) -> Iterator[tuple[LogSource, dict[str, Any]]]:
        syscall = found.syscall
        if syscall is None:
            if found.execves:
                yield PROCESS_CREATION, self._process(found, {})
            return
        call = syscall.get("SYSCALL")
        succeeded = _succeeded(syscall)
        if call in EXECUTING or (call is None and found.execves):
            if succeeded or self._failed_executions:
                yield PROCESS_CREATION, self._process(found, syscall)
            if not succeeded:
                self._learn(found, syscall)
            return
        self._learn(found, syscall)
        if call in _FORKING and succeeded:
            self._learn_child(found, syscall)
        elif _connects(call, syscall) and (succeeded or syscall.get("exit") == _EINPROGRESS):
            yield from self._connection(found, syscall)
        if succeeded and found.paths:
            for file in written_files(syscall, found.paths, found.cwd, found.openat2):
                yield FILE_EVENT, {**self._actor(found, syscall), "_TARGET_FILE": file}

    def _process(self, found: EventRecords, syscall: Event) -> dict[str, Any]:
        """Return the process_creation event of an execution; *syscall* is empty where that record is lost."""
        cmdline = _command_line(found.execves) if found.execves else found.title
        event = self._common(found, syscall, cmdline)
        if not _succeeded(syscall):
            event["_AUDIT_EXIT"] = syscall.get("exit")
            return event
        node, pid, ppid = found.first.get("node"), syscall.get("pid"), syscall.get("ppid")
        parent = self._processes.get(node, ppid) if ppid else None
        if parent is not None:
            if parent.exe is not None:
                event["_PARENT_EXE"] = parent.exe
            if parent.cmdline is not None:
                event["_PARENT_CMDLINE"] = parent.cmdline
        if pid:
            self._processes.put(node, pid, syscall.get("exe"), cmdline)
        return event

    def _actor(self, found: EventRecords, syscall: Event) -> dict[str, Any]:
        """Return the fields of the process that did something else than execute a program."""
        known = self._processes.get(found.first.get("node"), syscall.get("pid") or "")
        return self._common(found, syscall, known.cmdline if known is not None else found.title)

    def _common(self, found: EventRecords, syscall: Event, cmdline: str | None) -> dict[str, Any]:
        event: dict[str, Any] = {}
        exe = syscall.get("exe")
        if exe is not None:
            event["_EXE"] = exe
        if cmdline is not None:
            event["_CMDLINE"] = cmdline
        for name, source in _COMMON_FIELDS:
            value = syscall.get(source)
            if value is not None:
                event[name] = value
        user = self._user(syscall)
        if user is not None:
            event["_USER"] = user
        if found.cwd is not None:
            event["_CWD"] = found.cwd
        first = found.first
        if "node" in first:
            event["_HOSTNAME"] = first["node"]
        event["_SOURCE_REALTIME_TIMESTAMP"] = first["_SOURCE_REALTIME_TIMESTAMP"]
        event["_AUDIT_ID"] = first["_AUDIT_ID"]
        return event

    def _user(self, syscall: Event) -> str | None:
        name = syscall.get("UID")
        if name is not None and not name.startswith("unknown("):  # auditd's word for an id without a name
            return str(name)
        uid = syscall.get("uid") or ""
        if not uid.isdecimal() or len(uid) > 10:
            return None
        return self._user_names.get(int(uid), "root" if uid == "0" else None)  # 0 is root on every Linux

    def _connection(self, found: EventRecords, syscall: Event) -> Iterator[tuple[LogSource, dict[str, Any]]]:
        address = found.address
        if address is None or address.get("saddr_fam") not in {"inet", "inet6"} or not address.get("laddr"):
            return
        event = self._actor(found, syscall)
        event["_DESTINATION_IP"] = _unmapped(address["laddr"])
        event["_DESTINATION_PORT"] = address.get("lport")
        event["_INITIATED"] = True
        yield NETWORK_CONNECTION, event

    def _learn(self, found: EventRecords, syscall: Event) -> None:
        """Remember the program of the process that made a call, unless it is known already."""
        node, pid, exe = found.first.get("node"), syscall.get("pid"), syscall.get("exe")
        if not pid or exe is None:
            return
        known = self._processes.get(node, pid)
        if known is None or known.exe != exe:
            self._processes.put(node, pid, exe, found.title)

    def _learn_child(self, found: EventRecords, syscall: Event) -> None:
        """Remember that the child of a fork runs its parent's program until it executes another one."""
        node, pid, child = found.first.get("node"), syscall.get("pid"), syscall.get("exit") or ""
        known = self._processes.get(node, pid) if pid else None
        if known is not None and child.isdecimal() and child != "0":
            self._processes.put(node, child, known.exe, known.cmdline)


def _succeeded(syscall: Event) -> bool:
    """Return whether a call succeeded; one that has not returned (no ``success``) counts as succeeded."""
    return syscall.get("success") != "no"


def _connects(call: Any, syscall: Event) -> bool:
    return call == "connect" or (call == "socketcall" and syscall.get("a0") == _SOCKETCALL_CONNECT)


def _unmapped(address: str) -> str:
    """Return an IPv4 address written as IPv6 (``::ffff:192.0.2.1``) as IPv4, so that rules know it."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def _arguments(execves: Sequence[Event]) -> dict[int, str]:
    """Return argument number -> text from all EXECVE records of an event, in whichever order they came."""
    whole: dict[int, str] = {}
    pieces: dict[int, dict[int, str]] = {}
    for record in execves:
        for name, value in record.items():
            argument = _ARGUMENT.fullmatch(name)
            if argument is None:
                continue
            number, piece = argument.groups()
            if piece is None:
                whole[int(number)] = value or ""
            else:
                pieces.setdefault(int(number), {})[int(piece)] = value or ""
    for argument_number, texts in pieces.items():
        whole[argument_number] = "".join(texts[piece] for piece in sorted(texts))
    return {number: whole[number] for number in sorted(whole)}


def _command_line(execves: Sequence[Event]) -> str:
    """Return the arguments joined by blanks."""
    first = execves[0]
    if len(execves) == 1:
        if "cmdline" in first:
            return str(first["cmdline"])  # a log that has joined them itself
        argc = first.get("argc") or ""
        if argc.isdecimal() and len(argc) <= 3 and int(argc) <= len(_ARGUMENT_NAMES):
            names = _ARGUMENT_NAMES[: int(argc)]
            arguments = [text for name in names if (text := first.get(name)) is not None]
            if len(arguments) == len(names):
                return " ".join(arguments)
    return " ".join(_arguments(execves).values())


def _whole_execve(found: EventRecords) -> dict[str, Any]:
    """Return the EXECVE record that the kernel would have written had it been allowed to be as long."""
    event = {name: value for name, value in found.execves[0].items() if not _ARGUMENT.fullmatch(name)}
    for record in found.execves:
        if "argc" in record:
            event["argc"] = record["argc"]
    event.update({f"a{number}": text for number, text in _arguments(found.execves).items()})
    return event

"""LAUREL's JSON gives the records and the joined events that auditd's own log gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from audit_samples import AuditEvent, joined, run
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.laurel import LaurelParser
from sigma.pyeval.logs.records import Problem, Record

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[3] / "shared"))
LAUREL = SHARED / "data" / "linux" / "auditd" / "laurel"

SYSCALL = {
    "arch": "0xc000003e", "syscall": 59, "success": "yes", "exit": 0, "items": 1, "ppid": 10, "pid": 20,
    "auid": 1000, "uid": 0, "gid": 5, "euid": 0, "tty": "pts0", "ses": 3, "comm": "ls", "exe": "/usr/bin/ls",
    "key": None, "ARGV": ["0x0", "0x0", "0x0", "0x0"],
}  # fmt: skip
EXECUTION = {
    "ID": "1700000000.000:7",
    "SYSCALL": SYSCALL,
    "EXECVE": {"argc": 3, "ARGV": ["ls", "-l", "a%20b%2B%c3%a4"]},
    "CWD": {"cwd": "/home"},
    "PATH": [{"item": 0, "name": "/usr/bin/ls", "inode": 1, "mode": "0o100644", "nametype": "NORMAL"}],
    "PROCTITLE": {"ARGV": ["ls", "-l", "a b+%c3%a4"]},
}


def feed(event: Any) -> list[Record | Problem]:
    return run(LaurelParser(), [json.dumps(event)])


def test_records_and_joined_event_are_those_of_auditd() -> None:
    original = AuditEvent(7).execution("ls", "-l", "a b+ä", exe="/usr/bin/ls").lines
    expected = [found.event for found in run(AuditdParser(), original) if isinstance(found, Record)]
    assert [found.event for found in feed(EXECUTION) if isinstance(found, Record)] == expected


def test_a_node_is_taken_over() -> None:
    out = feed({**EXECUTION, "NODE": "web1"})
    assert [found.event["_HOSTNAME"] for found in joined(out)] == ["web1"]
    assert all(isinstance(found, Record) for found in out)


def test_arguments_that_were_joined_stay_joined() -> None:
    out = feed({**EXECUTION, "EXECVE": {"argc": 2, "ARGV_STR": "ls -l"}})
    assert [found.event["_CMDLINE"] for found in joined(out)] == ["ls -l"]


def test_the_parent_that_laurel_knows_is_used() -> None:
    out = feed({**EXECUTION, "PARENT_INFO": {"ARGV": ["sh", "-c", "x"], "exe": "/bin/sh"}})
    assert [(f.event["_PARENT_EXE"], f.event["_PARENT_CMDLINE"]) for f in joined(out)] == [("/bin/sh", "sh -c x")]


def test_a_connection() -> None:
    event = {"ID": "1700000000.000:8", "SYSCALL": {**SYSCALL, "syscall": 42}}
    for address in (
        {"saddr": "02000050C0000205"},
        {"SADDR": {"saddr_fam": "inet", "laddr": "192.0.2.5", "lport": 80}},
    ):
        found = joined(feed({**event, "SOCKADDR": [address]}))
        assert [(f.event["_DESTINATION_IP"], f.event["_DESTINATION_PORT"]) for f in found] == [("192.0.2.5", "80")]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", "{}", '{"ID": 3}', '{"ID": "x"}', '{"ID": "1.1:1"}', "type=CWD msg=audit(1.000:1):"],
)
def test_what_is_no_event_is_a_problem(line: str) -> None:
    assert [type(found) for found in run(LaurelParser(), [line, ""])] == [Problem]


FIELDS = [
    "ARGV",
    "ARGV_STR",
    "SADDR",
    "saddr",
    "argc",
    "key",
    "name",
    "nametype",
    "exe",
    "pid",
    "ppid",
    "exit",
    "uid",
]
FIELDS += [
    "SYSCALL",
    "success",
    "items",
    "arch",
    "syscall",
    "cwd",
    "mode",
    "a0",
    "laddr",
    "UID",
    "PPID",
    "cmdline",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from([*SYSCALL, "PARENT_INFO", "EXECVE", "PATH", "SYSCALL", "SOCKADDR"]), JSON)


@given(RECORDS, st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_is_read(records: dict[str, Any], syscall: dict[str, Any]) -> None:
    out = feed({"ID": "1700000000.000:7", "SYSCALL": {**SYSCALL, **syscall}, "EXECVE": {"ARGV": []}, **records})
    json.dumps([found.event for found in out if isinstance(found, Record)])


@given(st.binary())
def test_any_bytes_are_read(line: bytes) -> None:
    assert all(isinstance(found, Problem) for found in run(LaurelParser(), [line]))


@pytest.mark.skipif(not LAUREL.is_dir(), reason="the shared log files are not here (PYEVAL_SHARED)")
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(LAUREL.glob("*.json"))])
def test_joined_events_agree_with_the_original_log(path: Path) -> None:
    original = joined(run(AuditdParser(), path.with_suffix(".txt").read_bytes().split(b"\n")))
    assert [f.event for f in joined(run(LaurelParser(), path.read_bytes().split(b"\n")))] == [f.event for f in original]

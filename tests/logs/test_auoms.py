"""AUOMS events give the records and the joined events that auditd's own log gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from audit_samples import joined, run
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.auoms import AuomsParser
from sigma.pyeval.logs.records import Problem, Record

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[3] / "shared"))
SAMPLE = SHARED / "data" / "linux" / "auditd" / "otrf_log4shell_auoms.jsonl"

HEAD = 'type=AUOMS_EXECVE audit(1700000000.123:7): SchemaVersion="1" node=web1 arch=x86_64 '
TAIL = " redactors= containerid="
IDS = (
    "ppid=10 pid=20 audit_user=unset auid=4294967295 user=www uid=33 group=www gid=33 "
    'effective_user=www euid=33 tty=(none) ses="-1" comm="sh" exe="/bin/dash" key=auoms,exec '
    "key_r=61756F6D730165786563 "
    'cwd="/srv/my app" '
)
PATHS = (
    'name="/bin/sh" nametype=NORMAL path_name=["/bin/sh","/lib/ld \\"x\\".so"] '
    'path_nametype=["NORMAL","NORMAL"] path_mode=["0100755",""] path_ouid=["0","0"] path_ogid=["0","0"] '
)


def message(call: str, number: int, rest: str, success: str = "yes", code: str = "0") -> str:
    return f"{HEAD}syscall={call} syscall_r={number} success={success} exit={code} a0=1 {IDS}{PATHS}{rest}{TAIL}"


def feed(text: str, **options: Any) -> list[Record | Problem]:
    return run(AuomsParser(**options), [json.dumps({"SyslogMessage": text, "Computer": "web1"})])


def test_an_execution() -> None:
    out = feed(message("execve", 59, 'argc=3 cmdline="sh -c "id; ls -l""'))
    assert [(found.event["type"], found.line, found.serial) for found in out[:-1] if isinstance(found, Record)] == [
        (kind, 1, "7") for kind in ("SYSCALL", "EXECVE", "CWD", "PATH", "PATH")
    ]
    assert [found.event for found in joined(out)] == [
        {
            "_EXE": "/bin/dash",
            "_CMDLINE": "sh -c id; ls -l",
            "_COMM": "sh",
            "_PID": "20",
            "_PPID": "10",
            "_UID": "33",
            "_GID": "33",
            "_AUDIT_LOGINUID": "4294967295",
            "_AUDIT_SESSION": "4294967295",
            "_AUDIT_KEY": ["auoms", "exec"],
            "_USER": "www",
            "_CWD": "/srv/my app",
            "_HOSTNAME": "web1",
            "_SOURCE_REALTIME_TIMESTAMP": "1700000000123000",
            "_AUDIT_ID": "7",
        }
    ]


def test_records_have_the_names_of_auditd() -> None:
    syscall, execve, cwd, path, library = (
        found.event for found in feed(message("execve", 59, 'argc=2 cmdline="sh -i"'))[:5] if isinstance(found, Record)
    )
    names = ("arch", "ARCH", "syscall", "SYSCALL", "uid", "UID", "EUID", "AUID")
    assert {name: syscall[name] for name in names} == {
        "arch": "c000003e", "ARCH": "x86_64", "syscall": "59", "SYSCALL": "execve", "uid": "33", "UID": "www",
        "EUID": "www", "AUID": "unset",
    }  # fmt: skip
    assert not {"cwd", "cmdline", "name", "path_name", "key_r", "user"} & set(syscall)
    assert (execve["a0"], execve["a1"], execve["argc"]) == ("sh", "-i", "2")
    assert cwd["cwd"] == "/srv/my app"
    assert (path["name"], path["mode"], library["name"]) == ("/bin/sh", "0100755", '/lib/ld "x".so')


@pytest.mark.parametrize(
    ("argc", "cmdline", "expected"),
    [
        ("3", '"sh -c "a b""', "sh -c a b"),
        ("2", '"sh -c "a b""', 'sh -c "a b"'),  # not shell quoting: as many arguments do not come out
        ("2", '"echo it\'s"', "echo it's"),
        ("2", '"env A=b redactors= x"', "env A=b redactors= x"),
    ],
)
def test_command_line(argc: str, cmdline: str, expected: str) -> None:
    found = joined(feed(message("execve", 59, f"argc={argc} cmdline={cmdline}")))
    assert [event.event["_CMDLINE"] for event in found] == [expected]


def test_failed_executions_come_only_on_request() -> None:
    text = message("execve", 59, "proctitle=java -jar x.jar k=v", success="no", code="-2")
    assert joined(feed(text)) == []
    (found,) = joined(feed(text, failed_executions=True))
    assert (found.event["_CMDLINE"], found.event["_AUDIT_EXIT"]) == ("java -jar x.jar k=v", "-2")


def test_files_and_connections() -> None:
    created = message("creat", 85, "proctitle=touch x").replace('"NORMAL","NORMAL"', '"PARENT","CREATE"')
    assert [found.event["_TARGET_FILE"] for found in joined(feed(created))] == ['/lib/ld "x".so']
    connect = message("connect", 42, "saddr_r=02000050C0000205 proctitle=nc")
    assert [found.event["_DESTINATION_IP"] for found in joined(feed(connect))] == ["192.0.2.5"]


def test_an_event_without_a_call_is_one_record() -> None:
    out = feed('type=AUOMS_USER_LOGIN audit(1700000000.123:8): pid=1 acct="amy" res=success')
    assert [(found.event["type"], found.event["acct"]) for found in out if isinstance(found, Record)] == [
        ("USER_LOGIN", "amy")
    ]


def test_a_bare_message_is_read() -> None:
    line = message("execve", 59, 'argc=1 cmdline="id"')
    assert len(joined(run(AuomsParser(), [line]))) == 1


@pytest.mark.parametrize("line", ["{", "[]", "3", "{}", '{"SyslogMessage": 3}', '{"SyslogMessage": "hello"}'])
def test_what_is_no_event_is_a_problem(line: str) -> None:
    assert [type(found) for found in run(AuomsParser(), [line, ""])] == [Problem]


@given(st.text())
def test_any_message_is_read(text: str) -> None:
    out = feed(message("execve", 59, text)) + feed(HEAD + text)
    assert all(isinstance(found, Record) for found in out)


@given(st.binary())
def test_any_bytes_are_read(line: bytes) -> None:
    assert all(isinstance(found, Problem) for found in run(AuomsParser(), [line]))


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the shared log files are not here (PYEVAL_SHARED)")
def test_a_real_log() -> None:
    out = run(AuomsParser(failed_executions=True), SAMPLE.read_bytes().split(b"\n"))
    assert not [found for found in out if isinstance(found, Problem)]
    assert len(joined(out)) == len(SAMPLE.read_bytes().splitlines())
    assert sum("_PARENT_EXE" in found.event for found in joined(out)) > 3

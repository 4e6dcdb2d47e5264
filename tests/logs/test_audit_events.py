"""Records of one event become events of processes, files and connections."""

from __future__ import annotations

from typing import Any

import pytest
from audit_samples import AuditEvent, joined, run

from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.records import Record

INET = "02000050C0000205" + "0" * 16
INET6_MAPPED = "0A0001BB0000000000000000000000000000FFFFC000020500000000"
LOCAL = "01002F72756E2F7800"


def events(*lines: AuditEvent, **options: Any) -> list[Record]:
    return joined(run(AuditdParser(**options), [line for event in lines for line in event.lines]))


def test_an_execution_is_a_process_creation() -> None:
    (found,) = events(AuditEvent(7).execution("ls", "-l", "a b", exe="/usr/bin/ls"))
    assert (found.logsource.category, found.logsource.product, found.line, found.serial) == (
        "process_creation",
        "linux",
        1,
        "7",
    )
    assert found.event == {
        "_EXE": "/usr/bin/ls",
        "_CMDLINE": "ls -l a b",
        "_COMM": "ls",
        "_PID": "20",
        "_PPID": "10",
        "_UID": "0",
        "_USER": "root",
        "_GID": "5",
        "_AUDIT_LOGINUID": "1000",
        "_AUDIT_SESSION": "3",
        "_CWD": "/home",
        "_SOURCE_REALTIME_TIMESTAMP": "1700000000000000",
        "_AUDIT_ID": "7",
    }


def test_node_key_and_user_are_taken_over() -> None:
    event = AuditEvent(7, node="web1").syscall("execve", key='"run"\x1dARCH=x86_64 SYSCALL=execve UID="amy"')
    (found,) = events(event.execve("id"))
    assert [found.event[name] for name in ("_HOSTNAME", "_AUDIT_KEY", "_USER")] == ["web1", "run", "amy"]


@pytest.mark.parametrize(
    ("enriched", "names", "user"),
    [
        ("", {0: "root"}, "root"),
        ('\x1dUID="amy"', {0: "root"}, "amy"),
        ('\x1dUID="unknown(0)"', {}, "root"),
        ("", {1: "x"}, "root"),
    ],
)
def test_user_names(enriched: str, names: dict[int, str], user: str | None) -> None:
    event = AuditEvent(7).syscall("execve", key="(null)" + enriched).execve("id")
    (found,) = events(event, user_names=names)
    assert found.event.get("_USER") == user


@pytest.mark.parametrize(
    ("event", "cmdline"),
    [
        (AuditEvent(1).syscall("execve").execve("a", "b").title("x"), "a b"),
        (AuditEvent(1).syscall("execve").title("a", "b"), "a b"),
        (AuditEvent(1).syscall("execve"), None),
        (AuditEvent(1).syscall("execveat").execve("a"), "a"),
        (AuditEvent(1).syscall("execve").execve(""), ""),
        (AuditEvent(1).syscall("execve").execve(*"a" * 300), " ".join("a" * 300)),
        (AuditEvent(1).syscall("execve").add("EXECVE", 'argc=99999999999 a0="a"'), "a"),
        (AuditEvent(1).syscall("execve").add("EXECVE", 'argc=3 a0="a" a2="c"'), "a c"),  # a1 is lost
        (AuditEvent(1).execve("curl", "x"), "curl x"),  # SYSCALL is lost
        (
            AuditEvent(1)
            .syscall("execve")
            .add("EXECVE", 'argc=3 a0="sh" a1_len=6 a1[0]=6120')
            .add("EXECVE", 'a1[2]="cd"')
            .add("EXECVE", 'a2="z"')
            .add("EXECVE", "a1[1]=6220"),
            "sh a b cd z",
        ),
    ],
)
def test_command_line(event: AuditEvent, cmdline: str | None) -> None:
    (found,) = events(event)
    assert found.event.get("_CMDLINE") == cmdline


def test_a_title_alone_is_no_process() -> None:
    assert events(AuditEvent(1).cwd("/").path("/bin/x").title("a")) == []


def test_an_execve_record_cut_in_pieces_also_comes_whole() -> None:
    event = AuditEvent(5).syscall("execve").add("EXECVE", 'argc=2 a0="sh" a1_len=4 a1[0]="ab"')
    out = run(AuditdParser(), event.add("EXECVE", ' a1[1]="cd"').lines)
    whole = [found for found in out if isinstance(found, Record) and found.event.get("a1") == "abcd"]
    assert [(found.line, found.logsource.service, found.event["a0"]) for found in whole] == [(1, "auditd", "sh")]


def test_failed_executions_come_only_on_request() -> None:
    event = AuditEvent(1).syscall("execve", success="no", code="-2", exe="/bin/sh").path("/opt/ls").title("sh")
    assert events(event) == []
    (found,) = events(event, failed_executions=True)
    assert (found.event["_EXE"], found.event["_CMDLINE"], found.event["_AUDIT_EXIT"]) == (
        "/bin/sh",
        "sh",
        "-2",
    )


def test_parents_are_known_from_earlier_executions() -> None:
    shell = AuditEvent(1).execution("sh", "-c", "x", exe="/bin/sh", pid=10, ppid=1)
    (_, child) = events(shell, AuditEvent(2).execution("ls", exe="/bin/ls", pid=11, ppid=10))
    assert (child.event["_PARENT_EXE"], child.event["_PARENT_CMDLINE"]) == ("/bin/sh", "sh -c x")


def test_parents_are_known_through_forks() -> None:
    shell = AuditEvent(1).execution("sh", "x", exe="/bin/sh", pid=10, ppid=1)
    fork = AuditEvent(2).syscall("clone", pid=10, ppid=1, code="15", exe="/bin/sh").title("sh", "x")
    (_, child) = events(shell, fork, AuditEvent(3).execution("ls", exe="/bin/ls", pid=16, ppid=15))
    assert (child.event["_PARENT_EXE"], child.event["_PARENT_CMDLINE"]) == ("/bin/sh", "sh x")


def test_parents_are_known_from_any_call_and_never_from_another_node() -> None:
    call = AuditEvent(1).syscall("read", pid=10, exe="/usr/sbin/sshd").title("sshd: amy")
    here = AuditEvent(2).execution("ls", exe="/bin/ls", pid=11, ppid=10)
    there = AuditEvent(3, node="other").execution("ls", exe="/bin/ls", pid=11, ppid=10)
    found = events(call, here, there)
    assert [event.event.get("_PARENT_EXE") for event in found] == ["/usr/sbin/sshd", None]


def test_a_pid_used_again_has_the_new_program() -> None:
    old = AuditEvent(1).execution("old", exe="/bin/old", pid=10, ppid=1)
    new = AuditEvent(2).syscall("read", pid=10, exe="/bin/new").title("new")
    found = events(old, new, AuditEvent(3).execution("ls", exe="/bin/ls", pid=11, ppid=10))
    assert found[-1].event["_PARENT_EXE"] == "/bin/new"


def test_a_created_file_is_a_file_event() -> None:
    event = AuditEvent(4).syscall("openat", registers=("ffffff9c", "7f", "241", "1b6"), items=2, exe="/usr/bin/vi")
    event.cwd("/etc").path("/etc", "PARENT", "040755").path("cron.d/x", "CREATE").title("vi", "cron.d/x")
    (found,) = events(event)
    assert found.logsource.category == "file_event"
    assert found.event["_TARGET_FILE"] == "/etc/cron.d/x"
    assert (found.event["_EXE"], found.event["_CMDLINE"], found.event["_CWD"]) == (
        "/usr/bin/vi",
        "vi cron.d/x",
        "/etc",
    )


@pytest.mark.parametrize(
    ("success", "flags", "count"), [("yes", "1", 1), ("yes", "0", 0), ("no", "1", 0), ("no", "241", 0)]
)
def test_reading_or_failing_is_no_file_event(success: str, flags: str, count: int) -> None:
    event = AuditEvent(4).syscall("openat", registers=("ffffff9c", "7f", flags, "0"), success=success, items=1)
    assert len(events(event.cwd("/").path("x").title("t"))) == count


@pytest.mark.parametrize(
    ("call", "success", "code", "saddr", "peer"),
    [
        ("connect", "yes", "0", INET, ("192.0.2.5", "80")),
        ("connect", "no", "-115", INET, ("192.0.2.5", "80")),
        ("connect", "yes", "0", INET6_MAPPED, ("192.0.2.5", "443")),
        ("connect", "no", "-111", INET, None),
        ("connect", "yes", "0", LOCAL, None),
        ("connect", "yes", "0", "0200", None),
        ("read", "yes", "0", INET, None),
    ],
)
def test_connections(call: str, success: str, code: str, saddr: str, peer: tuple[str, str] | None) -> None:
    event = AuditEvent(4).syscall(call, success=success, code=code, exe="/usr/bin/nc")
    found = events(event.add("SOCKADDR", f"saddr={saddr}").title("nc"))
    assert [
        (event.logsource.category, event.event["_DESTINATION_IP"], event.event["_DESTINATION_PORT"]) for event in found
    ] == ([("network_connection", *peer)] if peer else [])
    assert all(event.event["_INITIATED"] is True and event.event["_EXE"] == "/usr/bin/nc" for event in found)


def test_the_actor_has_its_whole_command_line_where_its_execution_is_known() -> None:
    arguments = ["nc", "x" * 200]
    connect = AuditEvent(2).syscall("connect", exe="/usr/bin/nc").add("SOCKADDR", f"saddr={INET}").title("nc")
    found = events(AuditEvent(1).execution(*arguments, exe="/usr/bin/nc"), connect)
    assert found[-1].event["_CMDLINE"] == " ".join(arguments)


def test_socketcall_of_32_bit_programs() -> None:
    body = 'arch=40000003 syscall=102 success=yes exit=0 a0={} items=0 ppid=1 pid=2 exe="/bin/nc" key=(null)'
    connect = AuditEvent(1).add("SYSCALL", body.format("3")).add("SOCKADDR", f"saddr={INET}")
    bind = AuditEvent(2).add("SYSCALL", body.format("2")).add("SOCKADDR", f"saddr={INET}")
    assert [event.event["_DESTINATION_IP"] for event in events(connect, bind)] == ["192.0.2.5"]


def test_joined_events_are_told_from_records_by_their_fields() -> None:
    for found in events(AuditEvent(7).execution("ls", exe="/usr/bin/ls")):
        assert not {"type", "MESSAGE"} & set(found.event)

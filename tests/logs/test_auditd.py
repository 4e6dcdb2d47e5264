"""The parser of audit.log: records at once, joined events when whole, problems for the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from audit_samples import AuditEvent, joined, run
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.logs.audit_records import audit_event
from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.records import Problem, Record

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[3] / "shared"))
LINUX = SHARED / "data" / "linux"
needs_shared = pytest.mark.skipif(not LINUX.is_dir(), reason="the shared log files are not here (PYEVAL_SHARED)")


def test_records_come_at_once_and_the_joined_event_last() -> None:
    out = run(AuditdParser(), AuditEvent(3).execution("id", exe="/usr/bin/id").lines)
    assert [
        (found.line, found.serial, found.event.get("type"), found.logsource.as_dict())
        for found in out
        if isinstance(found, Record)
    ] == [
        (1, "3", "SYSCALL", {"product": "linux", "service": "auditd"}),
        (2, "3", "EXECVE", {"product": "linux", "service": "auditd"}),
        (3, "3", "CWD", {"product": "linux", "service": "auditd"}),
        (4, "3", "PATH", {"product": "linux", "service": "auditd"}),
        (5, "3", "PROCTITLE", {"product": "linux", "service": "auditd"}),
        (1, "3", None, {"category": "process_creation", "product": "linux"}),
    ]


def test_other_lines_are_problems_and_blank_ones_nothing() -> None:
    out = run(AuditdParser(), ["# note\x1b", "", "  ", 'type=CWD msg=audit(1700000000.000:1): cwd="/"', "type=X"])
    assert [(found.line, isinstance(found, Problem)) for found in out] == [(1, True), (4, False), (5, True)]
    assert isinstance(out[0], Problem)
    assert out[0].excerpt == "# note\\x1b"
    assert "type=" in out[0].reason


def test_tables_give_names() -> None:
    parser = AuditdParser(user_names={0: "root"}, group_names={5: "tty"})
    out = run(parser, AuditEvent(3).execution("id", exe="/usr/bin/id").lines)
    assert isinstance(out[0], Record)
    assert (out[0].event["UID"], out[0].event["GID"]) == ("root", "tty")
    assert [found.event["_USER"] for found in joined(out)] == ["root"]


def test_another_format_may_hand_in_its_records() -> None:
    parser = AuditdParser()
    body = 'arch=c000003e syscall=59 success=yes items=0 pid=7 comm="id" exe="/usr/bin/id" key=(null)'
    time = "1700000000000000"
    out = parser.take(9, audit_event("SYSCALL", body, time, "4"), b"{...}")
    out += parser.take(10, audit_event("EXECVE", 'argc=1 a0="id"', time, "4"), b"{...}")
    assert [(found.line, found.event["_CMDLINE"]) for found in joined(out + parser.flush())] == [(9, "id")]


def test_a_long_argument_goes_through() -> None:
    text = "x y" * 1_000_000
    (found,) = joined(run(AuditdParser(), AuditEvent(1).syscall("execve").execve("echo", text).lines))
    assert found.event["_CMDLINE"] == f"echo {text}"


@given(st.lists(st.binary()))
def test_any_bytes_give_problems_and_no_exception(lines: list[bytes]) -> None:
    out = run(AuditdParser(), lines)
    assert len(out) == sum(bool(line.strip()) for line in lines)


WORDS = """
arch=c000003e syscall=59 syscall=42 syscall=257 syscall=56 success=yes success=no exit=-115 exit=5
exit=(null) items=99999999999999999999 items=(null) pid=5 pid=(null) ppid=5 uid=(null) uid=٣ argc=1
argc=-1 a0="x" a0[0]=6120 a0[1]=(null) a99999999=1 a0=(null) a2=zz a2=241 saddr=0200
saddr=02000050C0000205 saddr=(null) cwd=(null) cwd="/" name=(null) name="x" nametype=CREATE mode=zz
key=0101 key=(null) oflag=9 UID="x" UID=(null) exe=(null) exe="/x" msg=' ' " type=X node=(null)
proctitle=00
"""
FRAGMENTS = st.sampled_from([*WORDS.split(), "\x1d", f"argc={'9' * 5000}"])
TYPES = st.sampled_from(["SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE", "SOCKADDR", "OPENAT2", "EOE", "USER_CMD"])


@given(st.lists(st.tuples(TYPES, st.integers(1, 3), st.lists(FRAGMENTS)), max_size=12))
def test_odd_records_are_never_an_exception(records: list[tuple[str, int, list[str]]]) -> None:
    lines = [f"type={kind} msg=audit(1700000000.000:{serial}): {' '.join(parts)}" for kind, serial, parts in records]
    out = run(AuditdParser(failed_executions=True, user_names={0: "root"}), lines)
    assert sum(isinstance(found, Record) and "type" in found.event for found in out) >= len(lines)
    json.dumps([found.event for found in out if isinstance(found, Record)])


# What the reference parse of the shared files has otherwise, and why.
DIFFERENCES = {
    "audit_epoch": "here _SOURCE_REALTIME_TIMESTAMP, in microseconds",
    "audit_serial": "here _AUDIT_ID",
    "*_hex": "the reference keeps the undecoded value beside the decoded one",
    "SYSCALL": "added from the number",
    "ARCH": "added from the number",
    "saddr_fam": "added from saddr",
    "laddr": "added from saddr",
    "lport": "added from saddr",
    "path": "added from saddr",
    "nlnk-fam": "added from saddr",
    "nlnk-pid": "added from saddr",
    "a1": "the pieces a1[0], a1[1] put together",
    "msg": "words that are no field",
    "hostname": "a comma of the prose around it is no part of a value",
    "addr": "a comma of the prose around it is no part of a value",
    "res": "a bracket of the prose around it is no part of a value",
}
ADDED = {name for name, why in DIFFERENCES.items() if why.startswith(("added", "words", "the pieces"))}
TRIMMED = {"hostname", "addr", "res"}


def reference_files() -> list[Any]:
    return [pytest.param(path, id=path.name) for path in sorted((LINUX / "parsed").glob("auditd__*.jsonl"))]


@needs_shared
@pytest.mark.parametrize("reference", reference_files())
def test_records_agree_with_the_reference_parse(reference: Path) -> None:
    name = reference.name.removeprefix("auditd__").removesuffix(".records.jsonl").replace("__", "/")
    lines = (LINUX / "auditd" / name).read_bytes().split(b"\n")
    out = run(AuditdParser(failed_executions=True), lines)
    records = {found.line: found.event for found in out if isinstance(found, Record) and "type" in found.event}
    processes = {found.serial: found.event for found in joined(out) if "_TARGET_FILE" not in found.event}
    for line in reference.read_text().splitlines():
        row = json.loads(line)
        if "merged" in row:
            expected = (row["merged"].get("CommandLine"), row["merged"].get("Image"))
            event = processes[row["serial"]]
            assert (event.get("_CMDLINE"), event.get("_EXE")) == expected
        elif name != "laurel/record-execve-long.txt":  # there a whole record follows on the first line
            assert_same_record(records[row["line"]], row["event"])


def assert_same_record(found: dict[str, Any], expected: dict[str, Any]) -> None:
    expected = {field: value for field, value in expected.items() if not field.endswith("_hex")}
    assert found["_AUDIT_ID"] == expected.pop("audit_serial")
    assert found["_SOURCE_REALTIME_TIMESTAMP"] == expected.pop("audit_epoch").replace(".", "") + "000"
    for field, value in expected.items():
        assert found[field] == (value.rstrip(",)") if field in TRIMMED else value), field
    assert set(found) - set(expected) - {"_AUDIT_ID", "_SOURCE_REALTIME_TIMESTAMP"} <= ADDED


@needs_shared
def test_order_in_a_real_log_does_not_matter() -> None:
    def events(name: str) -> list[str]:
        lines = (LINUX / "auditd" / name).read_bytes().splitlines()
        return sorted(json.dumps(found.event, sort_keys=True) for found in joined(run(AuditdParser(), lines)))

    normal = events("golibaudit_reassembler_normal.log")
    assert len(normal) == 3
    assert normal == events("golibaudit_reassembler_out_of_order.log")


@needs_shared
def test_a_real_log_loses_nothing() -> None:
    lines = (LINUX / "auditd" / "lux_audit.log").read_bytes().splitlines()
    out = run(AuditdParser(failed_executions=True), lines)
    assert not [found for found in out if isinstance(found, Problem)]
    assert sum(isinstance(found, Record) and "type" in found.event for found in out) == len(lines)
    executions = sum(b"type=SYSCALL" in line and b" syscall=221 " in line for line in lines)
    assert len(joined(out)) == executions

"""Records of one serial become whole events, however they arrive."""

from __future__ import annotations

import random
from typing import Any

import pytest
from audit_samples import AuditEvent, joined, run
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma.pyeval.logs import audit_join
from sigma.pyeval.logs.audit_join import GRACE_RECORDS, MAX_EVENT_RECORDS, MAX_PENDING_EVENTS
from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.records import Problem, Record


def execution(serial: int, **options: Any) -> AuditEvent:
    return AuditEvent(serial, **options).execution("run", str(serial), exe="/bin/run", pid=serial, ppid=1)


def feed(parser: AuditdParser, lines: list[str]) -> list[str | None]:
    """Return the serials of the joined events that *lines* complete."""
    out: list[Record | Problem] = []
    for line in lines:
        out += parser.feed(1, line.encode())
    return [found.serial for found in joined(out)]


def test_an_event_is_given_out_as_soon_as_it_is_whole() -> None:
    lines = execution(5).lines
    parser = AuditdParser()
    assert feed(parser, lines[:-1]) == []
    assert feed(parser, lines[-1:]) == ["5"]
    assert parser.flush() == []


@pytest.mark.parametrize("missing", ["EXECVE", "CWD", "PATH", "SYSCALL"])
def test_a_record_behind_the_last_one_is_waited_for(missing: str) -> None:
    lines = execution(5).lines
    late = [line for line in lines if f"type={missing} " in line]
    parser = AuditdParser()
    assert feed(parser, [line for line in lines if line not in late]) == []
    assert feed(parser, late) == ["5"]


def test_the_wait_for_a_record_ends() -> None:
    lines = [line for line in execution(5).lines if "type=EXECVE " not in line]
    other = 'type=USER_CMD msg=audit(1700000000.000:9): cmd="x"'
    parser = AuditdParser()
    assert feed(parser, lines + [other] * (GRACE_RECORDS - 1)) == []
    assert feed(parser, [other]) == ["5"]
    assert feed(parser, [line for line in execution(5).lines if "type=EXECVE " in line]) == []  # too late
    assert parser.flush() == []


def test_log_time_ends_an_event_without_an_end() -> None:
    parser = AuditdParser()
    assert feed(parser, AuditEvent(1).syscall("execve").execve("a").lines) == []
    assert feed(parser, AuditEvent(2, milliseconds=1999).syscall("read").lines) == []
    assert feed(parser, AuditEvent(3, milliseconds=2000).syscall("read").lines) == ["1"]


def test_each_node_has_its_own_log_time() -> None:
    parser = AuditdParser()
    assert feed(parser, AuditEvent(1, node="a").syscall("execve").execve("a").lines) == []
    assert feed(parser, AuditEvent(2, node="b", milliseconds=99_000).syscall("read").lines) == []
    assert feed(parser, AuditEvent(3, node="a", milliseconds=2_000).syscall("read").lines) == ["1"]


def test_a_clock_set_back_does_not_end_events_early() -> None:
    parser = AuditdParser()
    assert feed(parser, AuditEvent(1, milliseconds=3_600_000).syscall("read").title("x").lines) == []
    assert feed(parser, execution(2).lines[:-1] + execution(3).lines[:-1]) == []
    assert feed(parser, [execution(2).lines[-1], execution(3).lines[-1]]) == ["2", "3"]


def test_serials_of_different_nodes_and_boots_are_different_events() -> None:
    events = [execution(5), execution(5, node="a"), execution(5, node="b"), execution(5, milliseconds=1)]
    lines = [line for step in zip(*(event.lines for event in events), strict=True) for line in step]
    assert [found.event.get("_HOSTNAME") for found in joined(run(AuditdParser(), lines))] == [
        None,
        "a",
        "b",
        None,
    ]


def test_the_end_of_input_gives_out_what_is_left() -> None:
    parser = AuditdParser()
    assert feed(parser, execution(5).lines[:2]) == []
    assert [found.serial for found in joined(parser.flush())] == ["5"]
    assert feed(parser, execution(6).lines) == ["6"]  # and the parser goes on


def test_a_late_record_of_an_event_that_had_nothing_to_say_may_still_say_it() -> None:
    parser = AuditdParser()
    assert feed(parser, AuditEvent(1).cwd("/").lines) == []
    assert feed(parser, AuditEvent(2, milliseconds=5_000).syscall("read").lines) == []
    assert feed(parser, AuditEvent(1).execve("id").lines) == []
    assert "1" in [found.serial for found in joined(parser.flush())]


def test_the_number_of_events_held_back_is_bounded() -> None:
    parser = AuditdParser()
    opened = [AuditEvent(serial).execve("a").lines[0] for serial in range(MAX_PENDING_EVENTS + 1)]
    assert feed(parser, opened[:-1]) == []
    assert feed(parser, opened[-1:]) == ["0"]


def test_the_bytes_held_back_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_join, "MAX_PENDING_BYTES", 10_000)
    parser = AuditdParser()
    assert feed(parser, AuditEvent(1).execve("a" * 6_000).lines) == []
    assert feed(parser, AuditEvent(2).execve("b" * 6_000).lines) == ["1"]


def test_the_records_of_one_event_are_bounded() -> None:
    event = AuditEvent(5).syscall("execve").execve("a")
    path = AuditEvent(5).path("/x").lines[0]
    out = run(AuditdParser(), event.lines + [path] * (MAX_EVENT_RECORDS + 5))
    problems = [found for found in out if isinstance(found, Problem)]
    assert [(found.line, str(MAX_EVENT_RECORDS) in found.reason) for found in problems] == [
        (MAX_EVENT_RECORDS + 1, True)
    ]
    assert [found.event["_CMDLINE"] for found in joined(out)] == ["a"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1), st.randoms())
def test_order_and_interleaving_do_not_matter(arguments: list[str], source: random.Random) -> None:
    """Any order of the records of a few events that overlap gives the same joined events."""
    connect = AuditEvent(8).syscall("connect").add("SOCKADDR", "saddr=02000050C00002050000000000000000").title("x")
    create = AuditEvent(9).syscall("creat", items=1, pid=77).cwd("/tmp").path("x y", "CREATE").title("touch")
    events = [
        AuditEvent(6).execution(*arguments, exe="/bin/a b", pid=30, ppid=2),
        AuditEvent(7, milliseconds=900).execution("x", *arguments, exe="/bin/ä", pid=31, ppid=2),
        connect,
        create,
    ]
    lines = [line for event in events for line in event.lines]
    expected = [found.event for found in joined(run(AuditdParser(), lines))]
    assert [found.get("_CMDLINE") for found in expected[:2]] == [
        " ".join(arguments),
        " ".join(["x", *arguments]),
    ]
    source.shuffle(lines)
    shuffled = [found.event for found in joined(run(AuditdParser(), lines))]
    assert sorted(map(repr, map(dict.items, shuffled))) == sorted(map(repr, map(dict.items, expected)))

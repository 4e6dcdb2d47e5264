"""The bounded memory of processes."""

from __future__ import annotations

from sigma.pyeval.logs import audit_processes
from sigma.pyeval.logs.audit_processes import MAX_COMMAND_LINE, MAX_PROCESSES, Process, ProcessTable


def test_a_process_is_known_by_node_and_pid() -> None:
    table = ProcessTable()
    table.put("a", "1", "/sbin/init", "init")
    assert table.get("a", "1") == Process("/sbin/init", "init")
    assert table.get("b", "1") is None
    assert table.get("a", "2") is None


def test_the_least_recently_used_process_is_forgotten_first() -> None:
    table = ProcessTable()
    for pid in range(MAX_PROCESSES):
        table.put(None, str(pid), "/x", None)
    assert table.get(None, "0") is not None
    table.put(None, "new", "/x", None)
    assert len(table) == MAX_PROCESSES
    assert table.get(None, "0") is not None
    assert table.get(None, "1") is None


def test_a_long_command_line_is_kept_in_part() -> None:
    table = ProcessTable()
    table.put(None, "1", "/x", "a" * (MAX_COMMAND_LINE + 1))
    assert table.get(None, "1") == Process("/x", "a" * audit_processes.MAX_COMMAND_LINE)

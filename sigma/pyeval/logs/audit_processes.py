"""Which program ran under a process id, as far as the log has shown it."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

MAX_PROCESSES = 16_384
"""Processes remembered; the one that was not asked for or seen for the longest time is forgotten first."""

MAX_COMMAND_LINE = 4_096
"""Characters remembered of a command line."""


class Process(NamedTuple):
    """The program of a process: path of its executable, command line; ``None`` where it is not known."""

    exe: str | None
    cmdline: str | None


class ProcessTable:
    """Programs by node and process id, bounded.

    A log says when a program begins, seldom when it ends, so an entry may outlive its process; a process id
    that is used again
    is put right by the first record that shows it.
    """

    def __init__(self) -> None:
        self._processes: OrderedDict[tuple[str | None, str], Process] = OrderedDict()

    def __len__(self) -> int:
        return len(self._processes)

    def get(self, node: str | None, pid: str) -> Process | None:
        """Return what is known of process *pid* on *node*."""
        process = self._processes.get((node, pid))
        if process is not None:
            self._processes.move_to_end((node, pid))
        return process

    def put(self, node: str | None, pid: str, exe: str | None, cmdline: str | None) -> None:
        """Remember that *pid* on *node* runs *exe*."""
        if cmdline is not None and len(cmdline) > MAX_COMMAND_LINE:
            cmdline = cmdline[:MAX_COMMAND_LINE]
        processes = self._processes
        processes[node, pid] = Process(exe, cmdline)
        processes.move_to_end((node, pid))
        if len(processes) > MAX_PROCESSES:
            processes.popitem(last=False)

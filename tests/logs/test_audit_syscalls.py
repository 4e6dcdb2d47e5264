"""Numbers of system calls and record types by name."""

from __future__ import annotations

import pytest

from sigma.pyeval.logs.audit_syscalls import ARCHITECTURES, SYSCALLS
from sigma.pyeval.logs.audit_types import type_name


@pytest.mark.parametrize(
    ("arch", "number", "name"),
    [
        ("c000003e", "59", "execve"),
        ("c000003e", "322", "execveat"),
        ("c000003e", "42", "connect"),
        ("c000003e", "257", "openat"),
        ("c000003e", "437", "openat2"),
        ("c000003e", "103", "syslog"),
        ("c000003e", "319", "memfd_create"),
        ("c000003e", "435", "clone3"),
        ("c000003e", "452", "fchmodat2"),
        ("c000003e", "1073742344", "execve"),  # x32 has a number of its own
        ("c000003e", "1073741866", "connect"),  # x32 shares the number
        ("40000003", "11", "execve"),
        ("40000003", "102", "socketcall"),
        ("40000003", "358", "execveat"),
        ("40000003", "116", "sysinfo"),
        ("c00000b7", "221", "execve"),
        ("c00000b7", "281", "execveat"),
        ("c00000b7", "203", "connect"),
        ("c00000b7", "56", "openat"),
        ("c00000b7", "276", "renameat2"),
        ("c00000b7", "79", "newfstatat"),
        ("c00000f3", "220", "clone"),
        ("c000003e", "9999", None),
        ("80000016", "11", None),
    ],
)
def test_names_of_calls(arch: str, number: str, name: str | None) -> None:
    assert SYSCALLS.get(arch, {}).get(number) == name


def test_every_table_belongs_to_a_named_architecture() -> None:
    assert set(SYSCALLS) <= set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("SYSCALL", "SYSCALL"),
        ("1300", "SYSCALL"),
        ("1327", "PROCTITLE"),
        ("1123", "USER_CMD"),
        ("1130", "SERVICE_START"),
        ("1400", "AVC"),
        ("UNKNOWN[1337]", "OPENAT2"),
        ("UNKNOWN[1999]", "UNKNOWN[1999]"),
        ("1999", "1999"),
    ],
)
def test_names_of_record_types(written: str, name: str) -> None:
    assert type_name(written) == name

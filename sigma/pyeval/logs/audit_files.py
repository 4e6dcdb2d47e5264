"""Which files the records of one system call show to be created or opened for writing, as absolute paths."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]

_AT_FDCWD = frozenset({"ffffff9c", "ffffffffffffff9c"})  # -100 in a register of 32 or 64 bits
_WRITING_FLAGS = (
    0o1 | 0o2 | 0o100 | 0o1000 | 0o2000
)  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND (asm-generic/fcntl.h)
_FLAGS_REGISTER = {"open": "a1", "openat": "a2"}
_ALWAYS_WRITING = frozenset({"creat", "truncate", "truncate64"})
_RENAMING = frozenset({"rename", "renameat", "renameat2"})
_DIRECTORY_REGISTER = {
    "openat": "a0", "openat2": "a0", "mkdirat": "a0", "mknodat": "a0",
    "renameat": "a2", "renameat2": "a2", "linkat": "a2", "symlinkat": "a1",
}  # fmt: skip
"""System call -> register with the descriptor of the directory that the new name is relative to."""


def written_files(syscall: Event, paths: Sequence[Event], cwd: str | None, openat2: Event | None) -> list[str]:
    """Return the files that a successful system call created, renamed something to, or opened for writing.

    Args:
        syscall: The SYSCALL record.
        paths: The PATH records.
        cwd: The CWD record's directory, where there is one.
        openat2: The OPENAT2 record, which holds the flags of that call.

    Returns:
        Normalised paths, without repetition; absolute where the log says what they are relative to.
    """
    call = syscall.get("SYSCALL")
    names = [path.get("name") for path in paths if _kind(path) == "CREATE"]
    if not names and call in _RENAMING:
        names = [path.get("name") for path in paths if _kind(path) not in {"PARENT", "DELETE"}][-1:]
    if not names and _writes(call, syscall, openat2):
        names = [path.get("name") for path in paths if _kind(path) == "NORMAL" and not _is_directory(path)]
    base = _base(call, syscall, paths, cwd)
    files = (_absolute(name, base) for name in names if isinstance(name, str) and name)
    return list(dict.fromkeys(files))


def _kind(path: Event) -> Any:
    return path.get("nametype") or path.get("objtype")  # kernels before 4.x of some distributions say objtype


def _writes(call: Any, syscall: Event, openat2: Event | None) -> bool:
    if call in _ALWAYS_WRITING:
        return True
    if call == "openat2":
        flags = _number(openat2.get("oflag"), 8) if openat2 is not None else 0
    else:
        flags = _number(syscall.get(_FLAGS_REGISTER.get(call, "")), 16)
    return bool(flags & _WRITING_FLAGS)


def _is_directory(path: Event) -> bool:
    return _number(path.get("mode"), 8) & 0o170000 == 0o040000


def _number(text: Any, radix: int) -> int:
    """Return the number that *text* is in *radix*, 0 where it is none."""
    try:
        return int(text, radix)
    except (TypeError, ValueError):
        return 0


def _base(call: Any, syscall: Event, paths: Sequence[Event], cwd: str | None) -> str | None:
    """Return the directory that a relative name of the event begins at.

    For a directory descriptor the log has only the PARENT record to say which directory that is.
    """
    register = _DIRECTORY_REGISTER.get(call)
    if cwd is not None and (register is None or syscall.get(register) in _AT_FDCWD):
        return cwd
    parents = [path.get("name") for path in paths if _kind(path) == "PARENT"]
    absolute = [name for name in parents if isinstance(name, str) and name.startswith("/")]
    return absolute[-1] if absolute else None


def _absolute(name: str, base: str | None) -> str:
    path = posixpath.normpath(posixpath.join(base, name) if base else name)
    return path[1:] if path.startswith("//") else path

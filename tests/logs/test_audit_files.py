"""Which files a system call created, renamed to or opened for writing."""

from __future__ import annotations

from typing import Any

import pytest

from sigma.pyeval.logs.audit_files import written_files

FDCWD = "ffffff9c"


def path(name: str | None, kind: str = "NORMAL", mode: str = "0100644", field: str = "nametype") -> dict[str, Any]:
    return {"type": "PATH", "name": name, "mode": mode, field: kind}


def call(name: str, *registers: str) -> dict[str, Any]:
    return {"SYSCALL": name, **{f"a{number}": value for number, value in enumerate(registers)}}


@pytest.mark.parametrize(
    ("syscall", "paths", "files"),
    [
        (call("openat", FDCWD, "7f", "241"), [path("/w", "PARENT"), path("x", "CREATE")], ["/w/x"]),
        (call("openat", FDCWD, "7f", "1"), [path("x")], ["/w/x"]),
        (call("openat", "ffffffffffffff9c", "7f", "2"), [path("./y/../x")], ["/w/x"]),
        (call("openat", FDCWD, "7f", "80000"), [path("x")], []),  # O_RDONLY|O_CLOEXEC
        (call("openat", FDCWD, "7f", "0"), [path("x")], []),
        (call("open", "7f", "2"), [path("/etc//passwd")], ["/etc/passwd"]),
        (call("open", "7f", "2"), [path("//etc/passwd")], ["/etc/passwd"]),
        (call("open", "7f", "440"), [path("/etc", "PARENT"), path("/etc/x")], ["/etc/x"]),
        (call("open", "2", "0"), [path("/etc/passwd")], []),  # a0 is the name's address, not the flags
        (call("open", "7f", "2"), [path("/tmp", mode="040755")], []),  # O_TMPFILE: the file has no name
        (call("open", "7f", "2"), [path("/tmp/gone", "DELETE")], []),
        (call("open", "7f", "zz"), [path("/tmp/x")], []),
        (call("creat", "7f"), [path("/tmp/x")], ["/tmp/x"]),
        (call("truncate", "7f"), [path("/tmp/x")], ["/tmp/x"]),
        (call("unlink", "7f"), [path("/tmp/", "PARENT"), path("/tmp/x", "DELETE")], []),
        (call("mkdir", "7f"), [path("/tmp/", "PARENT"), path("/tmp/d", "CREATE", "040755")], ["/tmp/d"]),
        (call("mkdir", "7f"), [path("/tmp/d", "CREATE", "040755", field="objtype")], ["/tmp/d"]),
        (
            call("rename", "7f", "7f"),
            [path("/a/", "PARENT"), path("/b/", "PARENT"), path("/a/x", "DELETE"), path("/b/y", "CREATE")],
            ["/b/y"],
        ),
        (call("rename"), [path("/a/", "PARENT"), path("/a/x", "DELETE"), path("/b/y", "UNKNOWN")], ["/b/y"]),
        (
            call("renameat2", "3", "7f", "4", "7f"),
            [path("/a", "PARENT"), path("/b", "PARENT"), path("x", "DELETE"), path("y", "CREATE")],
            ["/b/y"],
        ),
        (call("openat", "5", "7f", "41"), [path("/d", "PARENT"), path("x", "CREATE")], ["/d/x"]),
        (call("openat", "5", "7f", "41"), [path("sub/", "PARENT"), path("sub/x", "CREATE")], ["sub/x"]),
        (call("symlink", "7f", "7f"), [path("/w", "PARENT"), path("l", "CREATE")], ["/w/l"]),
        (call("read", "3"), [path("/tmp/x")], []),
        (call("openat", FDCWD, "7f", "1"), [path(None)], []),
        (call("creat", "7f"), [path("/x"), path("/x")], ["/x"]),
    ],
)
def test_written_files(syscall: dict[str, Any], paths: list[dict[str, Any]], files: list[str]) -> None:
    assert written_files(syscall, paths, "/w", None) == files


@pytest.mark.parametrize(("oflag", "files"), [("0100101", ["/w/x"]), ("02000000", []), ("nonsense", []), (None, [])])
def test_flags_of_openat2_stand_in_a_record_of_their_own(oflag: str | None, files: list[str]) -> None:
    record = {"type": "OPENAT2", "oflag": oflag}
    assert written_files(call("openat2", FDCWD, "7f"), [path("x")], "/w", record) == files


def test_without_a_directory_the_name_stays_relative() -> None:
    assert written_files(call("creat", "7f"), [path("a/../x")], None, None) == ["x"]


def test_the_parent_record_stands_in_for_a_lost_directory() -> None:
    paths = [path("/srv/www", "PARENT"), path("x", "CREATE")]
    assert written_files(call("openat", FDCWD, "7f", "41"), paths, None, None) == ["/srv/www/x"]

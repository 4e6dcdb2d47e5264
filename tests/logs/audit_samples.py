"""Writes audit records for tests, as the kernel would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sigma.pyeval.logs.records import Parser, Problem, Record

SYSCALL_NUMBERS = {
    "execve": 59, "execveat": 322, "open": 2, "openat": 257, "openat2": 437, "creat": 85, "rename": 82,
    "renameat2": 316, "linkat": 265, "symlink": 88, "unlink": 87, "mkdir": 83, "truncate": 76, "connect": 42,
    "clone": 56, "read": 0,
}  # fmt: skip


def written(text: str) -> str:
    """Return *text* as the kernel writes a string it does not trust."""
    if text and all("!" <= c <= "~" and c != '"' for c in text):
        return f'"{text}"'
    return text.encode().hex().upper() if text else '""'


class AuditEvent:
    """The lines of one audit event."""

    def __init__(self, serial: int, *, milliseconds: int = 0, node: str | None = None) -> None:
        self._head = f"node={node} " if node else ""
        self._stamp = f"msg=audit({1_700_000_000 + milliseconds // 1000}.{milliseconds % 1000:03}:{serial}):"
        self.lines: list[str] = []

    def add(self, record_type: str, body: str) -> AuditEvent:
        self.lines.append(f"{self._head}type={record_type} {self._stamp} {body}")
        return self

    def syscall(
        self,
        call: str,
        *,
        pid: int = 20,
        ppid: int = 10,
        exe: str = "/usr/bin/prog",
        registers: Sequence[str] = ("0", "0", "0", "0"),
        success: str = "yes",
        code: str = "0",
        items: int = 0,
        key: str = "(null)",
    ) -> AuditEvent:
        arguments = " ".join(f"a{number}={value}" for number, value in enumerate(registers))
        return self.add(
            "SYSCALL",
            f"arch=c000003e syscall={SYSCALL_NUMBERS[call]} success={success} exit={code} {arguments} "
            f"items={items} ppid={ppid} pid={pid} auid=1000 uid=0 gid=5 euid=0 tty=pts0 ses=3 "
            f"comm={written(exe.rsplit('/', 1)[-1])} exe={written(exe)} key={key}",
        )

    def execve(self, *arguments: str) -> AuditEvent:
        body = " ".join(f"a{number}={written(text)}" for number, text in enumerate(arguments))
        return self.add("EXECVE", f"argc={len(arguments)} {body}")

    def cwd(self, path: str) -> AuditEvent:
        return self.add("CWD", f"cwd={written(path)}")

    def path(self, name: str, kind: str = "NORMAL", mode: str = "0100644") -> AuditEvent:
        item = sum("type=PATH" in line for line in self.lines)
        return self.add("PATH", f"item={item} name={written(name)} inode=1 mode={mode} nametype={kind}")

    def title(self, *arguments: str) -> AuditEvent:
        return self.add("PROCTITLE", f"proctitle={written(chr(0).join(arguments))}")

    def execution(self, *arguments: str, exe: str, pid: int = 20, ppid: int = 10) -> AuditEvent:
        """Add all records of a successful execution."""
        self.syscall("execve", exe=exe, pid=pid, ppid=ppid, items=1).execve(*arguments)
        return self.cwd("/home").path(exe).title(*arguments)


def run(parser: Parser, lines: Iterable[str | bytes]) -> list[Record | Problem]:
    """Return all that *parser* gives for *lines*, in order."""
    out: list[Record | Problem] = []
    for number, line in enumerate(lines, 1):
        out += parser.feed(number, line.encode() if isinstance(line, str) else line)
    return [*out, *parser.flush()]


def joined(out: Iterable[Record | Problem]) -> list[Record]:
    """Return the joined events in *out*."""
    return [found for found in out if isinstance(found, Record) and found.logsource.category is not None]

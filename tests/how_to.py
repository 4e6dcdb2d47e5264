"""The how-to pages as their reader follows them: files are written, commands run in order, and what they show is compared.

A page is made of fenced blocks, taken from its top to its end:

- A block whose first line is ``# /a/path`` (``//`` and the like are not used) is a file, written there. A further ``yaml`` block
  without such a line is a part of the configuration, in place of the part of the same name: it has to pass ``--check``.
- ``console`` holds commands, each with what it prints. The monitor runs beside the others, until the page ends or writes
  its configuration anew; what stands under its command, and in ``text`` blocks, has to come in its terminal.
- ``sh`` holds commands for which systemd has to be process 1, or that change the machine: they are not run, and only a few are
  admitted. ``ini`` is a part of the systemd unit; ``tests/system/test_how_to.py`` has systemd read it.
- Other kinds are shown by what the test puts in their place (``Stage.shows``), such as a mail server.

``...`` in an expected line stands for anything. Times and ids stand for any.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .conftest import ROOT

HOW_TO = ROOT / "docs" / "how-to"
INDEX = HOW_TO / "index.md"
CONFIGURATION = "/etc/sigma-pyeval/monitor.yml"

SECONDS = 40.0
"""How long anything may take; the machine may be busy."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (/\S+)\n")
_FOLDERS = re.compile(r"(?<![\w./])(?=/(?:etc|run)/sigma-pyeval\b|/etc/rsyslog\.d\b|/var/(?:log|lib)\b)")
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
)
_EXPORT = re.compile(r"export ([A-Z_]+)=(\S+)")
_MESSAGE = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: the word behind its fence, and its text."""

    kind: str
    text: str

    @property
    def path(self) -> str | None:
        """The file that the block is, if it is one."""
        found = _FILE.match(self.text)
        return None if found is None else found[1]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console, each with what it prints."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def pages() -> list[Path]:
    """Return all how-to pages."""
    return sorted(HOW_TO.glob("*.md"))


def blocks(page: Path, *kinds: str) -> list[Block]:
    """Return the blocks of a page, of all *kinds* unless some are named."""
    found = [Block(kind, text) for kind, text in _FENCE.findall(page.read_text())]
    return [block for block in found if not kinds or block.kind in kinds]


def messages(page: Path) -> list[str]:
    """Return the messages of the program that a page's tables explain."""
    return _MESSAGE.findall(page.read_text())


def normal(text: str) -> list[str]:
    """Return the lines of *text* without what differs between two runs."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.strip().splitlines()]


def is_shown(expected: str, line: str) -> bool:
    """Return whether a normal line is the expected one."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), line) is not None


@dataclass
class Stage:
    """A reader's machine: its folders are below a folder of the test, its addresses and names those that the test has for them.

    Args:
        root: An empty folder.
        stands: Text of a page -> what stands for it here: addresses, names, and commands that need what a test cannot have.
        environment: What commands have in theirs besides.
        within: A command that runs the ones behind it.
        is_ready: Whether the monitor can be sent events to, besides that it says it runs.
        shows: Kind of block -> what there is to be seen of it by now.
        on_written: File of a page -> what happens once it was written, such as a daemon that takes it.
        peer: Whom alerts go to, for the test to look at.
    """

    root: Path
    stands: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    within: Sequence[str] = ()
    is_ready: Callable[[], bool] = lambda: True
    shows: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    on_written: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    peer: Any = None
    monitor: Monitor | None = field(default=None, init=False)

    def __enter__(self) -> Stage:
        for folder in ("var/log", "var/lib", "etc/rsyslog.d"):
            (self.root / folder).mkdir(parents=True)
        for block in blocks(INDEX, "console"):
            for command, _ in block.commands:
                assert command.startswith("sigma-pyeval") or self.run(command).returncode == 0
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(in_order=kind is None)

    def here(self, text: str) -> str:
        """Return *text* of a page as it is on this machine."""
        return _FOLDERS.sub(str(self.root), _replaced(text, self.stands))

    def there(self, text: str) -> str:
        """Return what this machine prints as the page shows it."""
        return _replaced(text.replace(str(self.root), ""), {stand: shown for shown, stand in self.stands.items()})

    def follow(self, page: Path) -> None:
        """Do all that a page tells, and check at last, when all is there that they name, the other parts of a configuration."""
        parts = []
        for block in blocks(page):
            if block.path is not None:
                self.write(block.path, block.text)
            elif block.kind == "console":
                self._console(block)
            elif block.kind == "yaml":
                parts.append(block.text)
            elif block.kind == "text":
                self.show(block.text)
            elif block.kind in self.shows:
                self._until_same(self.shows[block.kind], block.text)
            else:
                assert block.kind in ("sh", "ini"), f"nothing shows a block of the kind {block.kind}"
        self.stop()
        for part in parts:
            self._check_part(part)

    def write(self, path: str, text: str) -> None:
        """Write a file of the page; a running monitor is stopped before its configuration changes."""
        if path == CONFIGURATION:
            self.stop()
        file = Path(self.here(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text))
        if path in self.on_written:
            self.on_written[path]()

    def start(self, command: str) -> Monitor:
        """Start the monitor."""
        assert self.monitor is None, "a monitor runs already"
        terminal = self.root / "terminal"
        with terminal.open("wb") as stream:
            process = subprocess.Popen(
                [*self.within, "bash", "-c", self.here(command)], cwd=ROOT, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
            )  # fmt: skip
        self.monitor = Monitor(process, terminal)
        return self.monitor

    def until_begun(self) -> None:
        """Wait until the monitor can be sent events to."""
        assert self.monitor is not None, "no monitor runs"
        self.monitor.until(lambda: self._has_begun() and self.is_ready())

    def show(self, expected: str) -> None:
        """Wait until each line of *expected* stands in the monitor's terminal."""
        assert self.monitor is not None, "no monitor runs"
        monitor, wanted = self.monitor, normal(expected)

        def missing() -> list[str]:
            lines = normal(self.there(monitor.output))
            return [one for one in wanted if not any(is_shown(one, line) for line in lines)]

        try:
            monitor.until(lambda: not missing())
        except AssertionError as error:
            raise AssertionError("\n".join(["not shown:", *missing(), str(error)])) from None

    def stop(self, *, in_order: bool = True) -> None:
        """Stop the monitor, if it runs, as systemd does; a shell with a pipeline ends by the signal itself."""
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            code = monitor.stop()
            assert not in_order or code in (0, -signal.SIGTERM), monitor.output
            assert not in_order or monitor.ends_in_order(), monitor.output

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output and errors come together."""
        return subprocess.run(
            [*self.within, "bash", "-c", self.here(command)], cwd=ROOT, env=self._environment(), text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
        )  # fmt: skip

    def configuration(self) -> dict[str, Any]:
        """Return what the configuration says by now."""
        return dict(yaml.safe_load(Path(self.here(CONFIGURATION)).read_text()))

    def replace(self, part: str) -> None:
        """Put the keys of a part into the configuration, in place of those of the same name."""
        whole = self.configuration() | yaml.safe_load(self.here(part))
        Path(self.here(CONFIGURATION)).write_text(yaml.safe_dump(whole, sort_keys=False))

    def _console(self, block: Block) -> None:
        for command, output in block.commands:
            if "sigma-pyeval monitor" in command and "--check" not in command and " < " not in command:
                self.start(command)
                self.until_begun()
                self.show(output)
            elif found := _EXPORT.fullmatch(command):
                self.environment[found[1]] = self.here(found[2])
            elif command.startswith(("tail ", "grep ")):  # looks at what comes in its time
                self._until_same(lambda command=command: self.run(command).stdout, output)
            else:
                done = self.run(command)
                assert done.returncode == 0, done.stdout
                self.compare(done.stdout, output)

    def _check_part(self, part: str) -> None:
        file = Path(self.here(CONFIGURATION))
        before = file.read_text()
        self.replace(part)
        done = self.run(f"sigma-pyeval monitor -c {CONFIGURATION} --check")
        file.write_text(before)
        assert done.returncode == 0, done.stdout
        self.compare(done.stdout, f"{CONFIGURATION}: usable; 15 rules, 0 rules left out")

    def compare(self, output: str, expected: str) -> None:
        """Fail unless *output* is, apart from what varies, what the page expects."""
        lines, wanted = normal(self.there(output)), normal(expected)
        same = len(lines) == len(wanted) and all(map(is_shown, wanted, lines))
        assert same, "\n".join(["shown by the page:", *wanted, "printed:", *lines])

    def _until_same(self, look: Callable[[], str], expected: str) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.compare(look(), expected)
            except AssertionError as error:
                if time.monotonic() > deadline:
                    log = "no monitor" if self.monitor is None else self.monitor.output
                    raise AssertionError(f"{error}\nthe monitor's terminal:\n{log}") from None
                time.sleep(0.1)
            else:
                return

    def _has_begun(self) -> bool:
        """Return whether what is sent from now on is read: all listeners listen, all sources with a place have noted where they begin."""
        configuration = self.configuration()
        sources = configuration["sources"]
        listening = [configuration.get("server", {}).get("listen")]
        for source in (source for source in sources if source["type"] == "syslog"):
            listening += [source.get("tcp"), source.get("tls", {}).get("listen")]
        placed = {source.get("name", source["type"]) for source in sources if source["type"] in ("file", "journald")}
        return (
            self.monitor is not None
            and "INFO running: " in self.monitor.output
            and all(map(_is_listening, filter(None, listening)))
            and placed <= _noted(Path(configuration["state"]))
        )

    @property
    def path(self) -> str:
        """Where commands are looked for: those of the project first."""
        return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": self.path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.environment}


def _is_listening(address: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))).close()
    except ConnectionRefusedError:
        return False
    return True


def _noted(state: Path) -> set[str]:
    """Return the sources that have a checkpoint, from a copy of the state, which the monitor keeps for itself."""
    with tempfile.TemporaryDirectory() as copy:
        try:
            for file in state.glob("state.sqlite*"):
                shutil.copy(file, copy)
            with contextlib.closing(sqlite3.connect(f"{copy}/state.sqlite")) as base:
                return {name for (name,) in base.execute("SELECT source FROM checkpoints")}
        except (sqlite3.DatabaseError, FileNotFoundError):  # not made yet, or copied while it was written to
            return set()


@dataclass
class Monitor:
    """The monitor in a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: Path

    @property
    def output(self) -> str:
        """All that it has printed, standard output and errors."""
        return self.terminal.read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds; fail with what the terminal shows when it takes too long, or the monitor ends before."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            ended = self.process.poll() is not None and not condition()
            assert not ended, f"the monitor ended; its terminal:\n{self.output}"
            assert time.monotonic() < deadline, f"waited in vain; the terminal:\n{self.output}"
            time.sleep(0.05)

    def ends_in_order(self) -> bool:
        """Return whether it says that it has stopped, a little later than the shell of its pipeline, maybe."""
        deadline = time.monotonic() + SECONDS
        while not (ended := "INFO stopped\n" in self.output) and time.monotonic() < deadline:
            time.sleep(0.05)
        return ended

    def stop(self) -> int:
        """End all programs of its command line with SIGTERM, or after long with SIGKILL; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(SECONDS)
        raise AssertionError("a monitor does not end")


def _replaced(text: str, stands: Mapping[str, str]) -> str:
    """Replace each text by what stands for it, in one pass, as one may be part of what stands for another; numbers as wholes."""
    words = (
        rf"{r'(?<![0-9])' if one[0].isdigit() else ''}{re.escape(one)}{r'(?![0-9])' if one[-1].isdigit() else ''}"
        for one in sorted(stands, key=len, reverse=True)
    )
    pattern = "|".join(words)
    return re.sub(pattern, lambda found: stands[found[0]], text) if pattern else text

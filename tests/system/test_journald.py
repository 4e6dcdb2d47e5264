"""The journald source on journal files that systemd itself writes and journalctl reads."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.sources import journald
from sigma.pyeval.monitor.sources.journald import JournaldSettings, JournaldSource

from ..monitor.intake import KeptIntake, running

pytestmark = pytest.mark.system

WRITER = "/lib/systemd/systemd-journal-remote"
BEGAN = 1_700_000_000
BOOTS = ("a" * 32, "b" * 32)

Fields = Mapping[str, str | bytes]


@pytest.fixture(autouse=True)
def _programs() -> None:
    if not os.path.exists(WRITER) or shutil.which("journalctl") is None:
        pytest.skip("no systemd-journal-remote and journalctl (Debian: apt-get install systemd-journal-remote)")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return an empty directory of journal files."""
    folder = tmp_path / "journal"
    folder.mkdir()
    return folder


def write(file: Path, *entries: Fields, at: int = 0, boot: int = 0) -> None:
    """Append *entries* to a journal file, one for each second from *at* on."""
    exported = b"".join(
        b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n"
        % ((BEGAN + at + number) * 1_000_000, (at + number + 1) * 1_000_000, BOOTS[boot].encode())
        + b"".join(_field(name, value) for name, value in fields.items())
        + b"\n"
        for number, fields in enumerate(entries)
    )
    subprocess.run([WRITER, "-o", str(file), "-"], input=exported, capture_output=True, check=True, timeout=30)


def _field(name: str, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"


def messages(numbers: range) -> list[Fields]:
    """Return entries with a number as their message; of the unit even or odd."""
    return [{"MESSAGE": str(n), "_SYSTEMD_UNIT": ("even", "odd")[n % 2] + ".service"} for n in numbers]


def audit(serial: int, kind: str, text: str) -> Fields:
    """Return the entry that journald makes of an audit record."""
    return {
        "_TRANSPORT": "audit", "_AUDIT_TYPE_NAME": kind, "_AUDIT_ID": str(serial), "MESSAGE": f"{kind} {text}",
        "_SOURCE_REALTIME_TIMESTAMP": str((BEGAN + serial) * 1_000_000),
    }  # fmt: skip


SYSCALL = (
    'arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=1 ppid=1 pid=2 auid=0 uid=0 gid=0 euid=0 '
    'suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1 comm="id" exe="/usr/bin/id" key=(null)'
)  # fmt: skip
EVENT = (
    ("EXECVE", 'argc=1 a0="id"'),
    ("CWD", 'cwd="/root"'),
    ("PATH", 'item=0 name="/usr/bin/id"'),
    ("PROCTITLE", "proctitle=6964"),
)


def source(journal: Path, **settings: Any) -> JournaldSource:
    defaults: dict[str, Any] = {"type": "journald", "directory": str(journal), "start": "beginning"}
    return JournaldSource(JournaldSettings(**{**defaults, **settings}))


def read(journal: Path, count: int, intake: KeptIntake | None = None, **settings: Any) -> KeptIntake:
    """Run a source until it has given *count* records."""
    kept = intake or KeptIntake()

    async def run() -> None:
        async with running(source(journal, **settings), kept):
            await kept.until(lambda: len(kept.records) >= count)

    asyncio.run(run())
    return kept


def after(intake: KeptIntake) -> KeptIntake:
    """Return the intake of the next run."""
    return KeptIntake(intake.checkpoints)


def said(intake: KeptIntake) -> list[str]:
    return [event["MESSAGE"] for event in intake.events if "MESSAGE" in event]


def texts(numbers: range) -> list[str]:
    return [str(number) for number in numbers]


def child() -> int:
    """Return the process id of the journalctl that follows."""
    for task in Path("/proc/self/task").iterdir():
        for process in (task / "children").read_text().split():
            if b"--follow" in Path(f"/proc/{process}/cmdline").read_bytes():
                return int(process)
    raise LookupError("no journalctl runs")


def test_entries_of_all_boots_are_read_and_followed(journal: Path) -> None:
    """Earlier boots are read although --follow alone leaves them out; new entries and new files come as they are made."""
    write(journal / "a.journal", *messages(range(5)))
    write(journal / "b.journal", *messages(range(5, 10)), at=100, boot=1)
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: len(intake.records) == 10)
            assert intake.is_connected
            write(journal / "b.journal", *messages(range(10, 12)), at=200, boot=1)
            await intake.until(lambda: len(intake.records) == 12)
            write(journal / "c.journal", *messages(range(12, 14)), at=300, boot=1)
            await intake.until(lambda: len(intake.records) == 14)

    asyncio.run(run())
    assert said(intake) == texts(range(14))
    assert intake.places == [{"cursor": event["__CURSOR"]} for event in intake.events]
    assert intake.checkpoints == {"": {"cursor": intake.events[-1]["__CURSOR"]}}
    assert all(batch.checkpoint is not None and batch.checkpoint.complete for batch in intake.batches)
    assert sum(batch.lines for batch in intake.batches) == 14
    assert intake.lags[""] > 1_000_000
    assert (intake.reported, intake.problems, intake.is_connected) == ([], [], False)


def test_binary_fields_and_long_messages_are_whole(journal: Path) -> None:
    """Line breaks, bytes that are no text, and messages beyond the bounds of pipes come as they were written."""
    values = [b"two\nlines", b"\x00\xff\x1b", b"x" * 200_000, b"\xff" * 100_000, b"last"]
    write(journal / "a.journal", *({"MESSAGE": value} for value in values))
    intake = read(journal, 5)
    found = said(intake)
    assert found[0] == "two\nlines"
    assert found[1].startswith("\x00")
    assert [len(text) for text in found[2:4]] == [200_000, len(values[3].decode("utf-8", "backslashreplace"))]
    assert found[4] == "last"
    assert intake.problems == []


def test_an_entry_beyond_the_bound_is_told(journal: Path) -> None:
    """It is a problem and not read again; those around it are read."""
    write(journal / "a.journal", {"MESSAGE": "1"}, {"MESSAGE": b"x" * 100_000}, {"MESSAGE": "3"})
    intake = read(journal, 2, max_line_bytes=64 << 10)
    assert said(intake) == ["1", "3"]
    assert len(intake.problems) == 1
    assert "is left out, as max_line_bytes is 65536" in intake.problems[0]
    write(journal / "a.journal", {"MESSAGE": "4"}, at=10)
    assert said(read(journal, 1, after(intake), max_line_bytes=64 << 10)) == ["4"]


def test_a_restart_reads_each_entry_once(journal: Path) -> None:
    """What was read is not read again, what came meanwhile is, also with filters and over a boot."""
    write(journal / "a.journal", *messages(range(10)))
    first = read(journal, 5, units=("even",))
    write(journal / "a.journal", *messages(range(10, 14)), at=50)
    write(journal / "b.journal", *messages(range(14, 16)), at=100, boot=1)
    second = read(journal, 3, after(first), units=("even.service",))
    assert said(first) == ["0", "2", "4", "6", "8"]
    assert said(second) == ["10", "12", "14"]
    assert second.reported == []


def test_places_are_the_same_when_read_again(journal: Path) -> None:
    """A run that begins at an older checkpoint finds the entries at the same places."""
    write(journal / "a.journal", *messages(range(10)))
    whole = read(journal, 10)
    older = KeptIntake({"": {"cursor": whole.events[3]["__CURSOR"]}})
    again = read(journal, 6, older)
    assert again.places == whole.places[4:]


def test_filters_change_without_a_gap(journal: Path) -> None:
    """A checkpoint on an entry that the filters of today leave out is found all the same."""
    write(journal / "a.journal", *messages(range(10)))
    first = read(journal, 5, matches=("_SYSTEMD_UNIT=even.service",))
    write(journal / "a.journal", *messages(range(10, 14)), at=50)
    second = read(journal, 3, after(first), matches=("_SYSTEMD_UNIT=odd.service",))
    assert said(second) == ["9", "11", "13"]
    assert second.reported == []


def test_values_of_matches_are_no_options(journal: Path) -> None:
    """A match cannot be taken for an option, whatever stands in it."""
    write(
        journal / "a.journal",
        {"MESSAGE": "1", "A": "--version"},
        {"MESSAGE": "2", "A": "x"},
        {"MESSAGE": "3", "A": "-f\n"},
    )
    assert said(read(journal, 2, matches=("A=--version", "A=-f\n"))) == ["1", "3"]


def test_files_are_read(journal: Path) -> None:
    """Files are named by patterns."""
    write(journal / "a.journal", *messages(range(2)))
    write(journal / "b.journal", *messages(range(2, 4)), at=100)
    assert said(read(journal, 2, directory=None, files=(str(journal / "b*"),))) == ["2", "3"]


@pytest.mark.parametrize(
    ("start", "expected"), [("now", range(5, 7)), ("-1h", range(3, 7)), ("2100-01-01", range(5, 7))]
)
def test_the_first_run_begins_where_it_is_told(journal: Path, start: str, expected: range) -> None:
    """The place is kept at once: entries that come between the first run and the next are read then."""
    write(journal / "a.journal", *messages(range(3)))
    now = int(time.time()) - BEGAN
    write(journal / "b.journal", *messages(range(3, 5)), at=now - 60)
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal, start=start), intake):
            await intake.until(lambda: "" in intake.checkpoints)

    asyncio.run(run())
    write(journal / "b.journal", *messages(range(5, 7)), at=now)
    second = after(intake)
    second.batches = list(intake.batches)
    assert said(read(journal, len(expected), second, start=start)) == texts(expected)


def test_the_first_run_on_an_empty_journal(journal: Path) -> None:
    """All that comes is new, also what comes before the second run."""
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal, start="now"), intake):
            await intake.until(lambda: intake.is_connected)

    asyncio.run(run())
    assert intake.checkpoints == {"": {"cursor": None}}
    write(journal / "a.journal", *messages(range(2)))
    assert said(read(journal, 2, after(intake), start="now")) == ["0", "1"]


def test_a_killed_child_is_started_again(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and no entry is lost or read twice."""
    monkeypatch.setattr(journald, "FIRST_PAUSE_SECONDS", 0.05)
    write(journal / "a.journal", *messages(range(10)))
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: len(intake.records) == 10)
            os.kill(child(), signal.SIGKILL)
            await intake.until(lambda: len(intake.reported) == 1)
            write(journal / "a.journal", *messages(range(10, 12)), at=50)
            await intake.until(lambda: len(intake.records) == 12)

    asyncio.run(run())
    assert said(intake) == texts(range(12))
    assert intake.reported == ["journalctl ended with signal SIGKILL; it is started again"]


def test_a_stop_in_the_middle_of_much_loses_nothing(journal: Path) -> None:
    """A run that is stopped while it catches up leaves a checkpoint behind its last whole line."""
    write(journal / "a.journal", *({"MESSAGE": f"{n} " + "x" * 500} for n in range(3_000)))
    intake = KeptIntake()
    found: list[str] = []
    runs = 0
    while len(found) < 3_000 and runs < 50:
        intake = after(intake)
        read(journal, 1, intake)
        found += [text.split()[0] for text in said(intake)]
        runs += 1
    assert found == texts(range(3_000))
    assert runs > 1


def test_a_child_that_is_stopped_is_killed(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer SIGTERM does not keep the service from ending."""
    monkeypatch.setattr("sigma.pyeval.monitor.sources.journalctl.END_SECONDS", 0.2)
    write(journal / "a.journal", *messages(range(1)))
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake, seconds=3):
            await intake.until(lambda: len(intake.records) == 1)
            os.kill(child(), signal.SIGSTOP)

    asyncio.run(run())


def test_entries_deleted_before_they_were_read_are_told(journal: Path) -> None:
    """A checkpoint in a file that was vacuumed: a gap is told, and reading goes on with the first entry that is left."""
    write(journal / "a.journal", *messages(range(5)))
    first = read(journal, 5)
    write(journal / "a.journal", *messages(range(5, 8)), at=50)
    write(journal / "b.journal", *messages(range(8, 10)), at=100)
    (journal / "a.journal").unlink()
    second = read(journal, 2, after(first))
    assert said(second) == ["8", "9"]
    assert len(second.reported) == 1
    assert second.reported[0].startswith("entries may be lost: the journal no longer holds the last entry read (s=")


def test_a_journal_that_is_empty_or_older_than_the_checkpoint_is_read_from_its_beginning(journal: Path) -> None:
    """All was deleted, and the clock was set back: what journalctl would never show behind the cursor is read."""
    write(journal / "a.journal", *messages(range(5)), at=10_000)
    first = read(journal, 5)
    (journal / "a.journal").unlink()
    write(journal / "b.journal", *messages(range(5, 8)), at=0, boot=1)
    second = read(journal, 3, after(first))
    assert said(second) == ["5", "6", "7"]
    assert "it is read from its beginning" in second.reported[0]


@pytest.mark.parametrize("state", [{"cursor": "hello"}, {"cursor": "a\0b"}, {"cursor": 7}, {}, None, "s=1"])
def test_a_checkpoint_that_is_no_cursor_is_told(journal: Path, state: Any) -> None:
    """The journal is read from its beginning rather than not at all."""
    write(journal / "a.journal", *messages(range(3)))
    intake = read(journal, 3, KeptIntake({"": state}))
    assert said(intake) == ["0", "1", "2"]
    assert len(intake.reported) == 1
    assert "as the checkpoint is no cursor" in intake.reported[0]


def test_entries_deleted_while_detection_waits_are_told(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """journalctl reads on in what it has open; that more may be gone is said."""
    monkeypatch.setattr(journald, "LONG_WAIT_SECONDS", 0.1)
    write(journal / "a.journal", *messages(range(3)))
    intake = KeptIntake({"": {"cursor": None}})
    intake.open.clear()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: "" in intake.lags)
            (journal / "a.journal").unlink()
            write(journal / "b.journal", *messages(range(3, 5)), at=100)
            await asyncio.sleep(0.15)
            intake.open.set()
            await intake.until(lambda: len(intake.records) == 5)

    asyncio.run(run())
    assert said(intake) == texts(range(5))
    assert "entries may be lost" in intake.reported[0]


def test_an_audit_event_is_joined(journal: Path) -> None:
    """Its place is that of its first record, and the checkpoint waits in front of it until it is whole."""
    write(journal / "a.journal", {"MESSAGE": "before"}, audit(7, "SYSCALL", SYSCALL))
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: len(intake.records) == 2)
            assert intake.batches[-1].checkpoint is not None
            assert not intake.batches[-1].checkpoint.complete
            assert intake.checkpoints[""] == {"cursor": intake.events[0]["__CURSOR"]}
            write(journal / "a.journal", *(audit(7, kind, text) for kind, text in EVENT), at=10)
            await intake.until(lambda: any("_CMDLINE" in event for event in intake.events))

    asyncio.run(run())
    joined = [place for event, place in zip(intake.events, intake.places, strict=True) if "_CMDLINE" in event]
    assert joined[0] == intake.places[1]
    assert intake.checkpoints[""] != {"cursor": intake.events[0]["__CURSOR"]}
    assert intake.batches[-1].checkpoint is not None
    assert intake.batches[-1].checkpoint.complete


def test_an_audit_event_over_a_restart_is_whole(journal: Path) -> None:
    """The second run reads its first record again, at the same place."""
    write(journal / "a.journal", {"MESSAGE": "before"}, audit(7, "SYSCALL", SYSCALL))
    first = read(journal, 2)
    write(journal / "a.journal", *(audit(7, kind, text) for kind, text in EVENT), at=10)
    second = after(first)

    async def run() -> None:
        async with running(source(journal), second):
            await second.until(lambda: any(event.get("_CMDLINE") == "id" for event in second.events))

    asyncio.run(run())
    assert second.places[0] == first.places[1]
    joined = [place for event, place in zip(second.events, second.places, strict=True) if "_CMDLINE" in event]
    assert joined[0] == first.places[1]


def test_a_silence_gives_out_what_an_event_lacks_the_end_of(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event whose last records never come is not held for ever, and then nothing is behind."""
    monkeypatch.setattr(journald, "SILENCE_SECONDS", 0.1)
    write(journal / "a.journal", audit(7, "SYSCALL", SYSCALL), audit(7, *EVENT[0]))
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: any("_CMDLINE" in event for event in intake.events))
            await intake.until(lambda: intake.lags[""] == 0)

    asyncio.run(run())


@pytest.mark.parametrize(("seconds", "lines"), [(10, 20_000), (1_000, 15)])
def test_other_entries_do_not_keep_an_event_back(
    journal: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, lines: int
) -> None:
    """Where there is never a silence, ten seconds of the journal are enough, or many entries."""
    monkeypatch.setattr(journald, "HELD_SECONDS", seconds)
    monkeypatch.setattr(journald, "HELD_LINES", lines)
    entries = [audit(7, "SYSCALL", SYSCALL), audit(7, *EVENT[0]), *messages(range(20))]
    write(journal / "a.journal", *entries)
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(journal), intake):
            await intake.until(lambda: any("_CMDLINE" in event for event in intake.events), seconds=1.5)

    asyncio.run(run())


def test_what_journalctl_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is not there is a problem until it is there."""
    monkeypatch.setattr(journald, "FIRST_PAUSE_SECONDS", 0.05)
    folder = tmp_path / "later"
    intake = KeptIntake()

    async def run() -> None:
        async with running(source(folder), intake):
            await intake.until(lambda: len(intake.reported) >= 2)
            folder.mkdir()
            write(folder / "a.journal", *messages(range(1)))
            await intake.until(lambda: len(intake.records) == 1)

    asyncio.run(run())
    assert intake.reported[0].startswith("journalctl ended with exit code 1: Failed to open ")
    assert intake.reported[0].endswith("No such file or directory; it is started again")

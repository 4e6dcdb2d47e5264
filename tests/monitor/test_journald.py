"""The journald source's settings, and what it does with a journalctl that fails; tests/system has the real one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Resuming
from sigma.pyeval.monitor.sources import journald
from sigma.pyeval.monitor.sources.journald import JournaldSettings, JournaldSource

from .intake import KeptIntake, running


def settings(**given: Any) -> JournaldSettings:
    return JournaldSettings(type="journald", **given)


def entry(number: int, **more: Any) -> str:
    """Return a line as journalctl prints it."""
    fields = {
        "__REALTIME_TIMESTAMP": str(1_700_000_000_000_000 + number),
        "MESSAGE": str(number),
        "__CURSOR": f"i={number}",
    }
    return json.dumps({**fields, **more})


class Script:
    """A program in the place of journalctl, for versions and failures that this machine's cannot show.

    ``answer`` is shell that runs where one entry is asked for, ``follow`` where they are followed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journalctl"
        self.calls = folder / "calls"
        self.write(":", ":")

    def write(self, answer: str, follow: str) -> None:
        """Say what it does."""
        self.path.write_text(
            f'#!/bin/sh\necho "$*" >> {self.calls}\ncase "$*" in\n*--follow*)\n{follow}\n;;\n*)\n{answer}\n;;\nesac\n'
        )
        self.path.chmod(0o755)

    def source(self, **given: Any) -> JournaldSource:
        """Return a source that runs it."""
        return JournaldSource(settings(**{"start": "beginning", "program": str(self.path), **given}))

    def run(self, intake: KeptIntake, condition: Callable[[], bool], **given: Any) -> KeptIntake:
        """Run a source until *condition* holds."""

        async def run() -> None:
            async with running(self.source(**given), intake):
                await intake.until(condition)

        asyncio.run(run())
        return intake


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a journalctl that prints nothing."""
    monkeypatch.setattr(journald, "FIRST_PAUSE_SECONDS", 0.02)
    return Script(tmp_path)


@pytest.mark.parametrize(
    ("start", "asked"),
    [
        ("now", "now"),
        ("beginning", "beginning"),
        ("-90s", "-90s"),
        ("-2w", "-2w"),
        ("2026-02-03", "2026-02-03 00:00:00"),
        ("2026-02-03T04:05", "2026-02-03 04:05:00"),
    ],
)
def test_starts(start: str, asked: str) -> None:
    """Times are written as every version of journalctl reads them."""
    assert settings(start=start).start == asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "yesterday"},
        {"start": "-1"},
        {"start": "-1fortnight"},
        {"start": "2026-13-01"},
        {"start": ""},
        {"units": ["ssh*"]},
        {"units": ["--help"]},
        {"units": [""]},
        {"matches": ["/usr/bin/id"]},
        {"matches": ["--help"]},
        {"matches": ["+"]},
        {"matches": ["lower=1"]},
        {"matches": ["A=a\0b"]},
        {"namespace": "a b"},
        {"directory": ""},
        {"files": ["a\0b"]},
        {"directory": "/a", "files": ["/b"]},
        {"directory": "/a", "namespace": "b"},
        {"max_line_bytes": 100},
        {"program": ""},
        {"unknown": 1},
    ],
    ids=str,
)
def test_mistakes_are_told_at_start(wrong: dict[str, Any]) -> None:
    """What journalctl would refuse, or take for something else, is refused before it runs."""
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_how_journalctl_is_called(script: Script) -> None:
    """Every value is part of an option, or stands behind the end of options."""
    intake = KeptIntake({"": {"cursor": "-x"}})
    script.write(entry_command(1, "-x"), "sleep 60")
    script.run(intake, lambda: intake.is_connected, units=("a@b.service",), matches=("A=-b", "C=d"), namespace="*")
    find, follow = script.calls.read_text().splitlines()
    common = "--output=json --all --no-pager --namespace=*"
    assert find == f"{common} --merge --output-fields=_BOOT_ID --cursor=-x"
    assert follow == f"{common} --follow --no-tail --quiet --merge --cursor=-x --unit=a@b.service -- A=-b C=d"


def entry_command(number: int, cursor: str | None = None) -> str:
    """Return shell that prints an entry."""
    return f"printf '%s\\n' '{entry(number, **({} if cursor is None else {'__CURSOR': cursor}))}'"


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told and tried again, as it may be there after an upgrade; control characters are escaped."""
    monkeypatch.setattr(journald, "FIRST_PAUSE_SECONDS", 0.02)
    intake = KeptIntake()

    async def run() -> None:
        source = JournaldSource(settings(program=str(tmp_path / "a\x1bb")))
        async with running(source, intake):
            await intake.until(lambda: len(intake.reported) == 2)

    asyncio.run(run())
    assert intake.reported[0].endswith("a\\x1bb cannot be started: No such file or directory; it is started again")
    assert not intake.is_connected


def test_pauses_grow_while_nothing_is_read(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is twice the one before, up to a bound; a stop does not wait for the end of one."""
    monkeypatch.setattr(journald, "LONGEST_PAUSE_SECONDS", 0.05)
    script.write("echo no >&2; exit 3", ":")
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.reported) == 4)
    assert intake.reported[0] == "journalctl ended with exit code 3: no; it is started again"
    monkeypatch.setattr(journald, "FIRST_PAUSE_SECONDS", 60.0)
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.reported) == 1)


def test_versions_that_refuse_merge(script: Script) -> None:
    """Versions 251 to 253 refuse --merge with --follow, but there --boot=all undoes that --follow means this boot."""
    refusal = "echo 'Using --boot or --list-boots with --merge is not supported.' >&2; exit 1"
    script.write(":", f'case "$*" in *--merge*) {refusal};; esac\n{entry_command(1)}\nsleep 60')
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.records) == 1)
    assert intake.reported == []
    assert "--boot=all" in script.calls.read_text().splitlines()[-1]


def test_what_journalctl_says_besides_is_told_once(script: Script) -> None:
    """A hint about rights is told, escaped, but not again with each start."""
    hint = "printf 'Hint: not\\033[31m\\nall messages' >&2"
    script.write(f"{hint}\n{entry_command(1)}", "exit 1")
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.reported) >= 4)
    assert intake.reported[0] == "journalctl says: Hint: not\\x1b[31m all messages"
    assert set(intake.reported[1:]) == {"journalctl ended with exit code 1; it is started again"}


def test_a_half_line_is_read_again(script: Script) -> None:
    """Where journalctl dies in the middle of a line, the entry is read whole the next time, once."""
    half = f"printf '%s' '{entry(2)[:40]}'"
    script.write(
        entry_command(1),
        f'case "$*" in *cursor=i=1*) {entry_command(1)}; {entry_command(2)}; sleep 60;; esac\n{entry_command(1)}; {half}; kill -9 $$',
    )
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.records) == 2)
    assert [event["MESSAGE"] for event in intake.events] == ["1", "2"]
    assert intake.reported == ["journalctl ended with signal SIGKILL; it is started again"]


def test_lines_that_are_no_entries_are_problems(script: Script) -> None:
    """They move nothing: the checkpoint is that of the last entry; no message can pretend to have a cursor."""
    pretending = entry(2, MESSAGE='"__CURSOR":"i=9"')
    script.write(":", f"{entry_command(1)}; echo '-- Boot --'; printf '%s\\n' '{pretending}'; echo '{{}}'; sleep 60")
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.problems) == 2)
    assert intake.places == [{"cursor": "i=1"}, {"cursor": "i=2"}]
    assert intake.checkpoints == {"": {"cursor": "i=2"}}
    assert set(intake.problems) == {"a line of journalctl that is no entry"}


def test_a_line_without_an_end_is_not_held(script: Script) -> None:
    """What goes beyond the bound is passed over as it comes; the checkpoint passes it with its cursor."""
    long = '{"__CURSOR":"i=2","MESSAGE":"'
    script.write(
        ":", f"{entry_command(1)}; printf '%s' '{long}'; head -c 3000000 /dev/zero; echo; {entry_command(3)}; sleep 60"
    )
    intake = KeptIntake()
    script.run(intake, lambda: len(intake.records) == 2, max_line_bytes=1 << 20)
    assert len(intake.problems) == 1
    assert "is left out, as max_line_bytes is 1048576" in intake.problems[0]
    assert intake.places == [{"cursor": "i=1"}, {"cursor": "i=3"}]


def test_what_a_script_leaves_behind_is_ended_too(script: Script) -> None:
    """A wrapper that was killed leaves journalctl behind: it is read on, and ended with the service."""
    script.write(":", f"(while :; do {entry_command(1)}; sleep 0.02; done) &\necho $$ > {script.calls}.pid\nwait")
    intake = KeptIntake()

    async def run() -> None:
        async with running(script.source(), intake, seconds=4):
            await intake.until(lambda: len(intake.records) == 1)
            os.kill(int(Path(f"{script.calls}.pid").read_text()), signal.SIGKILL)
            await asyncio.sleep(0.1)

    asyncio.run(run())


def test_a_wait_for_room_reaches_journalctl(script: Script) -> None:
    """While batches wait nothing is read; then everything comes, in order."""
    lines = "\n".join(entry(number) for number in range(1, 5001))
    (script.path.parent / "lines").write_text(lines + "\n")
    script.write(":", f"cat {script.path.parent / 'lines'}; touch {script.calls}.done; sleep 60")
    intake = KeptIntake({"": {"cursor": None}})
    intake.open.clear()

    async def run() -> None:
        async with running(script.source(), intake):
            await intake.until(lambda: "" in intake.lags)
            await asyncio.sleep(0.1)
            assert intake.batches == []
            intake.open.set()
            await intake.until(lambda: len(intake.records) == 5000)

    asyncio.run(run())
    assert [place["cursor"] for place in intake.places] == [f"i={number}" for number in range(1, 5001)]
    assert len(intake.batches) > 1


def test_cancelling_ends_the_child(script: Script) -> None:
    """An end of the service in haste leaves no process behind."""
    script.write(":", f"echo $$ > {script.calls}.pid; {entry_command(1)}; exec sleep 60")
    intake = KeptIntake()

    async def run() -> None:
        task = asyncio.create_task(script.source().run(intake))
        await intake.until(lambda: len(intake.records) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(run())
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(f"{script.calls}.pid").read_text()), 0)


@pytest.mark.parametrize(
    ("checkpoints", "place"),
    [
        ({}, ""),
        ({"": {"cursor": None}}, ""),
        ({"": "odd"}, ""),
        ({"": {"cursor": "s=1;i=2"}}, "the entry behind s=1;i=2"),
    ],
)
def test_where_it_goes_on_is_told(checkpoints: dict[str, Any], place: str) -> None:
    source = JournaldSource(JournaldSettings(type="journald"))
    assert isinstance(source, Resuming)
    assert source.goes_on_at(checkpoints) == place

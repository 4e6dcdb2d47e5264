"""What the tests of the source ``file`` share: a source that looks often, and what it has read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sigma.pyeval.monitor.sources.file import FileSource, FileSourceSettings

from ..intake import KeptIntake, running


def source(*paths: Path | str, **settings: Any) -> FileSource:
    """Return a source that looks often and waits little."""
    given = {"format": "syslog", "poll": 0.05, "grace": 0.05, "start": "beginning", **settings}
    return FileSource(FileSourceSettings(type="file", paths=[str(path) for path in paths], **given))


def texts(intake: KeptIntake) -> list[str]:
    """Return the messages that were read, in order."""
    return [event["MESSAGE"] for event in intake.events]


def offsets(intake: KeptIntake) -> list[tuple[Any, Any]]:
    """Return generation and offset of what was read, in order."""
    return [(place["generation"], place["offset"]) for place in intake.places]


def restarted(intake: KeptIntake) -> KeptIntake:
    """Return the intake of the next run, with the checkpoints as they come back from the store."""
    return KeptIntake(json.loads(json.dumps(intake.checkpoints)))


def append(path: Path, text: str) -> None:
    """Write at the end of a file."""
    with path.open("a") as file:
        file.write(text)


def rename(path: Path) -> None:
    """Rotate by renaming; the writer has reopened at once."""
    path.rename(path.with_name("app.log.1"))
    path.touch()


async def reads(intake: KeptIntake, *messages: str) -> None:
    """Wait until these messages were read, all of them and nothing else."""
    try:
        await intake.until(lambda: len(texts(intake)) >= len(messages), 5)
    finally:
        assert texts(intake) == list(messages)


async def run_once(source: FileSource, intake: KeptIntake, *messages: str) -> KeptIntake:
    """Run until these messages were read; return the next run's intake."""
    async with running(source, intake):
        await reads(intake, *messages)
    assert texts(intake) == list(messages)
    return restarted(intake)

"""The service's log: one entry a message, in text or JSON, for people or the journal; nothing in it passes for another entry."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval.monitor.journal import LOGGER, SHOWN, Throttle, is_journal, log_to_stderr

from .service import RULE, Workplace

HOSTILE = 'x\n2026-11-22T00:00:00Z ERROR forged\r\x1b[31m\u202e\u2028"}\x00<3>'


@pytest.fixture(autouse=True)
def _logger_as_before() -> Iterator[None]:
    handlers, level, propagate = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    yield
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


def written(style: Any, monkeypatch: pytest.MonkeyPatch, level: str = "info") -> io.StringIO:
    """Return what stands for standard error from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log_to_stderr(level, style)
    return stream


def in_journal(style: Any, monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """Log to a file that the environment says is the journal's."""
    with path.open("w") as file:
        status = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", file)
        log_to_stderr("debug", style)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            LOGGER.log(level, "said")
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            LOGGER.exception("server: failed")
    return path


def test_text_is_one_line_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written("text", monkeypatch)
    Throttle("source s").warning(HOSTILE)
    LOGGER.debug("not shown")
    (line,) = stream.getvalue().splitlines()
    assert line.split(" ", 1)[1].startswith("WARNING source s: x\\n2026")
    assert line.isprintable()


def test_messages_that_repeat_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    stream = written("text", monkeypatch)
    throttle = Throttle("source s", lambda: now)
    for number in range(1000):
        throttle.warning(f"broken {number}")
    assert stream.getvalue().count("\n") == SHOWN
    now = 61.0
    throttle.warning("another minute")
    *_, counted, shown = stream.getvalue().splitlines()
    assert counted.endswith("source s: 990 messages more like these")
    assert shown.endswith("another minute")
    assert stream.getvalue().count("\n") == SHOWN + 2


def test_lines_of_a_traceback_cannot_pass_for_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written("text", monkeypatch)
    try:
        raise ValueError("a\n2026-11-22T00:00:00Z ERROR forged\x1b[0m")
    except ValueError:
        LOGGER.exception("failed")
    first, *others = stream.getvalue().splitlines()
    assert first.endswith("ERROR failed")
    assert others
    assert all(line.startswith(" ") for line in others)
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("source web-1.auth: not read: x", "source web-1.auth"),
        ("sink webhook: no answer", "sink webhook"),
        ("server: cannot listen", "server"),
        ("reloading: as asked to", "reloading"),
        ("running: a -> b", "service"),
        ("2 alerts for the sink x", "service"),
    ],
)
def test_json_names_the_part(message: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written("json", monkeypatch)
    LOGGER.warning("%s", message)
    entry = json.loads(stream.getvalue())
    assert (entry["part"], entry["level"], entry["message"]) == (part, "warning", message)
    assert set(entry) == {"time", "level", "part", "message"}
    assert entry["time"].endswith("Z")


def test_json_is_one_object_a_line_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written("json", monkeypatch)
    Throttle("sink s").warning(HOSTILE)
    try:
        raise ValueError(HOSTILE + "\ud800")
    except ValueError:
        LOGGER.exception("source s: %s", HOSTILE)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    warning, error = map(json.loads, lines)
    assert warning["part"] == "sink s"
    assert warning["message"].isprintable()
    assert error["level"] == "error"
    assert all(one.isprintable() for one in error["traceback"].split("\n"))
    assert "ValueError" in error["traceback"]


def test_priorities_for_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = in_journal("text", monkeypatch, tmp_path / "log").read_text().splitlines()
    assert [line[:3] for line in lines[:5]] == ["<7>", "<6>", "<4>", "<3>", "<2>"]
    assert all(line.startswith("<3> ") for line in lines[6:])  # a traceback's lines are entries of their own there
    assert len(lines) > 7


def test_priorities_for_the_journal_in_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = in_journal("json", monkeypatch, tmp_path / "log").read_text().splitlines()
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"]
    assert [json.loads(line[3:])["part"] for line in lines] == ["service"] * 5 + ["server"]


def test_what_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        status = os.fstat(file.fileno())
        own = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(file, {"JOURNAL_STREAM": own})
        assert not is_journal(file, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not is_journal(file, {"JOURNAL_STREAM": "nonsense"})
        assert not is_journal(file, {})
        assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": own})
    assert not is_journal(file, {"JOURNAL_STREAM": own})  # closed


def test_everything_on_stderr_is_json(tmp_path: Path) -> None:
    """Also what is said before the log begins, such as a rule that cannot be loaded."""
    place = Workplace(tmp_path, sources=[{"type": "stdin", "format": "jsonl"}])
    (tmp_path / "rules" / "broken.yml").write_text(RULE.replace("condition: keywords", "condition: [x\u202e"))
    with place.start("--log-format", "json", stdin=subprocess.PIPE) as service:
        service.process.communicate(b'{"a": "\x1b[31m broken\n', 20)
        assert service.process.returncode == 0
    entries = [json.loads(line) for line in service.log.splitlines()]
    assert entries[0]["level"] == "warning"
    assert "broken.yml" in entries[0]["message"]
    assert [entry["part"] for entry in entries if "not read" in entry["message"]] == ["source stdin"]
    assert entries[-1]["message"] == "stopped"
    assert all(entry["message"].isprintable() for entry in entries)


def test_mistakes_in_the_configuration_are_json_too(tmp_path: Path) -> None:
    place = Workplace(tmp_path, sources=[{"type": "stdin"}], sinks=[{"type": "fil"}])
    with place.start("--log-format", "json") as service:
        assert service.process.wait(20) == 2
    entries = [json.loads(line) for line in service.log.splitlines()]
    assert [entry["level"] for entry in entries] == ["error"] * len(entries)
    assert any("sinks[0].type: unknown; did you mean 'file'?" in entry["message"] for entry in entries)

"""Progress on a terminal: seen while one waits, and never in the same line as what is printed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sigma.pyeval.cli.bar import Bar

RULE = """
title: Marked
id: 1f7a9b3c-2e4d-4f80-9c6b-5a8d7e6f4c43
level: high
logsource: {product: linux}
detection: {sel: {MESSAGE|contains: evil}, condition: sel}
"""
AT_ONCE = "import sys; from sigma.pyeval.cli import bar, main; bar.QUIET_SECONDS = 0; main(sys.argv[1:], prog_name='sigma-pyeval')"
ERASE_LINE = "\x1b[2K"
STYLE = re.compile(r"\x1b\[[\d;]*m")
BAR = "━"
FIGURES_AT_END = re.compile(r"[━╸╺]+ +[\d.]+/[\d.?]+( (bytes|kB|MB))?( [\d:-]+)?$")


def on_terminal(*arguments: object) -> str:
    """Return what a terminal of 80 columns receives from ``sigma-pyeval``, whose bars come up at once."""
    here, there = pty.openpty()
    command = [sys.executable, "-c", AT_ONCE, *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "PYTHONWARNINGS": "error"}
    received = bytearray()
    with subprocess.Popen(command, stdin=there, stdout=there, stderr=there, env=environment) as process:
        os.close(there)
        while True:
            try:
                received += os.read(here, 1 << 16)
            except OSError:  # all of the other side is closed
                break
    os.close(here)
    assert process.returncode == 0, received.decode()
    return STYLE.sub("", received.decode())


def mixed(received: str) -> list[str]:
    """Return the lines in which something stands behind a bar and its figures."""
    return [line for line in lines_of(received) if BAR in line and not FIGURES_AT_END.search(line)]


def lines_of(received: str) -> list[str]:
    """Return the lines that stay: what follows the last erasing of each."""
    return [line.rpartition(ERASE_LINE)[2].strip("\r") for line in received.split("\n")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "log.jsonl").write_text("".join(f'{{"MESSAGE": "evil {n}"}}\n{{"a": 1}}\n' for n in range(1_500)))
    return tmp_path


@pytest.mark.parametrize("jobs", [1, 2])
def test_matches_stand_in_lines_of_their_own(folder: Path, jobs: int) -> None:
    received = on_terminal("scan", "--jobs", jobs, "-r", folder / "rule.yml", folder / "log.jsonl")
    assert BAR in received
    found = [json.loads(line) for line in lines_of(received) if line.startswith("{")]
    assert [one["event"]["MESSAGE"] for one in found] == [f"evil {n}" for n in range(1_500)]
    assert mixed(received) == []


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["scan", "--format", "table"], "level     rule, event"),
        (["explain", "--most", 2], "Marked"),
        (["explain", "--format", "json"], '{"rule":'),
        (["noise"], "Marked"),
        (["fields"], "Every field that rules ask for"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_reading_shows_a_bar_and_output_none(folder: Path, command: list[object], shown: str) -> None:
    received = on_terminal(*command, "-r", folder / "rule.yml", folder / "log.jsonl")
    assert "log.jsonl" in received
    assert BAR in received
    assert shown in received
    assert mixed(received) == []


def test_a_short_time_needs_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes up when nothing was printed for a while, anew after each hiding; elsewhere than at a terminal never."""
    monkeypatch.setattr("sigma.pyeval.cli.bar.QUIET_SECONDS", 0.05)
    for terminal in ("1", ""):
        monkeypatch.setenv("TTY_COMPATIBLE", terminal or "0")
        with Bar("counting") as bar:
            for _ in range(2):
                bar.show(1, 3)
                assert capsys.readouterr().err == ""
                time.sleep(0.06)
                bar.show(2, 3)
                bar.hide()
                assert ("counting" in capsys.readouterr().err) == bool(terminal)


def test_standard_input_has_none() -> None:
    assert Bar().reading("-") is None

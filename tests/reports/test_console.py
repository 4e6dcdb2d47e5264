"""Where tables go: a file or a program gets whole lines, a terminal gets what it has room for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sigma.pyeval.reports.console import _BLANKS_AT_END

from ..conftest import ROOT, rule_yaml

RULE = rule_yaml("sel: {CommandLine|contains: curl}\ncondition: sel", title="Curl " + "that is long " * 5)
SOURCE = ROOT / "sigma" / "pyeval"


def piped(*arguments: object, **environment: str) -> list[str]:
    """Return the lines that a command writes into a pipe."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}}
    command = [Path(sys.executable).parent / "sigma-pyeval", *map(str, arguments)]
    result = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True, cwd=ROOT)
    return result.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of a long name, with a rule and a log."""
    path = tmp_path / ("a-long-name-" * 6) / ("another-" * 6)
    path.mkdir(parents=True)
    (path / "rule.yml").write_text(RULE)
    (path / "events.jsonl").write_text('{"CommandLine": "curl http://192.0.2.1/x"}\n{"CommandLine": "curl"}\n')
    return path


@pytest.mark.parametrize("command", ["scan --format table", "rules", "noise"])
def test_a_path_in_a_pipe_is_whole_and_no_line_ends_in_blanks(folder: Path, command: str) -> None:
    """Without ``COLUMNS``; with it, lines are as wide as it says."""
    name, *options = command.split()
    logs = [] if name == "rules" else [folder / "events.jsonl"]
    arguments = (name, *options, "-r", folder / "rule.yml", *logs)
    lines = piped(*arguments)
    wanted = {"scan": f"{folder / 'events.jsonl'}:2", "rules": str(folder / "rule.yml"), "noise": "that is long " * 4}
    assert [line for line in lines if wanted[name].strip() in line]
    narrow = piped(*arguments, COLUMNS="70")
    assert len(narrow) > len(lines)
    assert not [line for line in (*lines, *narrow) if line != line.rstrip()]


def test_tables_of_one_scan_keep_their_columns(folder: Path) -> None:
    """Each match is printed when it comes, and stands under the one before."""
    lines = piped("scan", "--format", "table", "-r", folder / "rule.yml", folder / "events.jsonl")
    places = {line.index(str(folder)) for line in lines if str(folder) in line}
    assert places == {lines[0].index("where")}


def test_consoles_for_standard_output_are_made_in_one_place() -> None:
    """Another one would wrap paths in pipes."""
    made = [
        path
        for path in SOURCE.rglob("*.py")
        if "Console(highlight" in (text := path.read_text()) or "Console()" in text
    ]
    assert made == [SOURCE / "reports" / "console.py"]


def test_many_blanks_within_a_line_cost_no_more_than_reading_them() -> None:
    """A value of a foreign rule may hold as many as it likes; each run of blanks is looked at once."""
    text = f"a{' ' * 200_000}b  \n"
    assert _BLANKS_AT_END.sub("", text) == f"a{' ' * 200_000}b\n"

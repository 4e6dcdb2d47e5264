"""sigma-pyeval --help: every command with what it does, and every exit code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from sigma.pyeval.cli import main

from ..conftest import ROOT
from .running import run


@pytest.mark.parametrize("columns", [80, 200])
def test_each_command_is_described_whole(columns: int) -> None:
    """In words of its own, not in the beginning of its help."""
    shown = run("--help", columns=columns).stdout
    assert "..." not in shown.partition("Commands:")[2]
    named = re.findall(r"^  ([a-z]+)  +[A-Z]", shown.partition("Commands:")[2], re.MULTILINE)
    assert named == main.list_commands(None)  # type: ignore[arg-type]


def test_every_exit_code_is_told() -> None:
    """Those of the README."""
    table = re.findall(r"^\| ([0-9]) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    shown = " ".join(run("--help").stdout.split())
    assert table == ["0", "1", "2", "3", "4", "5"]
    assert re.findall(r"(?:: |; )([0-9]) ", shown) == table


def test_an_example_without_its_extra_ends_in_one_line() -> None:
    code = "import sys, runpy; sys.modules['pandas'] = None; runpy.run_path('examples/embed/frames.py')"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    told = "this example needs pandas: pip install 'pySigma-backend-pyeval[pandas,polars]'\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", told)

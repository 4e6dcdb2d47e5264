"""The README stays true: every command and every piece of Python in it runs and prints what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def console_blocks(path: Path) -> list[tuple[str, str]]:
    """Return (commands, expected output) of each console block of a document."""
    rows = []
    for block in re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            rows.append((command, output))
    return rows


def normal(text: str) -> str:
    """Return *text* without what differs between machines and versions of rich: times, blanks at line ends and between columns."""
    lines = re.sub(r"in \d+\.\d s", "in 0.0 s", text).strip().splitlines()
    return "\n".join(re.sub(r" {2,}", "  ", line.rstrip()) for line in lines)


COMMANDS = [
    pytest.param(command, output, id=f"{path.name}: {command[:60]}")
    for path in DOCUMENTS
    for command, output in console_blocks(path)
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_commands_do_what_is_shown(command: str, expected: str, tmp_path: Path) -> None:
    """Each command succeeds and prints what stands under it; make targets must exist."""
    target = re.match(r"make (\S+)", command)
    if target:
        assert subprocess.run(["make", "-n", target[1]], cwd=ROOT, capture_output=True, check=False).returncode == 0
        return
    if command.startswith("sigma convert"):
        pytest.importorskip("sigma.cli.main", reason="sigma-cli is not installed")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "PYTHONPATH": str(ROOT),
        "XDG_RUNTIME_DIR": str(tmp_path),  # where the examples keep their state
    }
    result = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert normal(result.stdout) == normal(expected)


PYTHON = [
    pytest.param(code, id=f"{name}: {code[:40]}")
    for name in ("README.md", "docs/explain.md")
    for code in re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
]


@pytest.mark.parametrize("code", PYTHON)
def test_python_prints_what_its_comments_say(code: str) -> None:
    """Each print is followed by its output in a comment."""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)


def test_the_readme_opens_with_the_two_commands() -> None:
    """A newcomer finds them first."""
    assert [command.split()[:2] for command, _ in console_blocks(ROOT / "README.md")[:2]] == [
        ["make", "demo"],
        ["make", "test"],
    ]

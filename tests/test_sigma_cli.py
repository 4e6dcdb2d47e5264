"""The plugin behind sigma-cli: every format, and the options -s, -o, -od, -O; one clear line for mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, rule_yaml

pytest.importorskip("sigma.cli.main", reason="sigma-cli is not installed; it cannot be beside pySigma 2")

GOOD = rule_yaml(
    "sel: {Image|endswith: /curl}\ncondition: sel",
    title="Good",
    logsource="{category: process_creation, product: linux}",
)
UNSUPPORTED = GOOD.replace("Good", "Odd").replace("Image|endswith: /curl", "Image|re|endswith: x")


def sigma(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the sigma command as installed."""
    code = "import sys; from sigma.cli.main import main; sys.argv[0] = 'sigma'; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return a folder with one rule that converts and one that does not."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(GOOD)
    (folder / "odd.yml").write_text(UNSUPPORTED)
    return folder


def test_lists_show_the_plugin() -> None:
    """Targets, formats and pipelines."""
    assert "pyeval" in sigma("list", "targets").stdout
    assert "linux_eval" in sigma("list", "pipelines", "pyeval").stdout
    formats = sigma("list", "formats", "pyeval").stdout
    assert [name for name in ("default", "function", "module", "linked", "json") if name not in formats] == []


@pytest.mark.parametrize(
    ("output_format", "words"),
    [
        ("default", "endswith(event, '_EXE', '/curl')"),
        ("function", "def rule_0001(event):"),
        ("module", "def match(event):"),
        ("linked", "from sigma.pyeval.linked import LinkedRules"),
        ("json", '"title": "Good"'),
    ],
)
def test_formats(rules: Path, tmp_path: Path, output_format: str, words: str) -> None:
    """Each format comes out of the command, also into a file; -s leaves the refused rule out and names it."""
    base = ("convert", "-t", "pyeval", "-p", "linux_eval", "-s", "-f", output_format)
    result = sigma(*base, str(rules))
    assert result.returncode == 0, result.stderr
    assert words in result.stdout
    assert "rule 'Odd': field 'Image': re with startswith or endswith" in result.stdout + result.stderr
    output = tmp_path / "out"
    assert sigma(*base, "-o", str(output), str(rules)).returncode == 0
    assert words in output.read_text()


def test_a_refusal_is_one_line_without_traceback(rules: Path) -> None:
    """Without -s the first refusal ends the command."""
    result = sigma("convert", "-t", "pyeval", "--without-pipeline", str(rules / "odd.yml"))
    assert result.returncode != 0
    assert "Traceback" not in result.stdout + result.stderr
    assert "write ^ or $ into the regular expression" in " ".join(result.stderr.split())


def test_one_file_a_rule(rules: Path, tmp_path: Path) -> None:
    """-od writes each rule's expression to a file of its own."""
    folder = tmp_path / "out"
    folder.mkdir()
    command = ("convert", "-t", "pyeval", "-p", "linux_eval", "-od", str(folder), str(rules / "good.yml"))
    result = sigma(*command)
    assert result.returncode == 0, result.stderr
    written = [path.read_text().strip() for path in folder.rglob("*") if path.is_file()]
    assert len(written) == 1
    assert written[0].endswith("endswith(event, '_EXE', '/curl')")


def test_options(rules: Path) -> None:
    """-O scope=false leaves the scope out; a bad value and an unknown option are one line each."""
    base = ("convert", "-t", "pyeval", "-p", "linux_eval", str(rules / "good.yml"), "-O")
    assert sigma(*base, "scope=false").stdout.strip().endswith("endswith(event, '_EXE', '/curl')")
    assert "exists" not in sigma(*base, "scope=false").stdout
    for option, words in [("scope=maybe", "option scope is true or false"), ("colour=red", "colour")]:
        result = sigma(*base, option)
        assert result.returncode != 0
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_json_output_is_one_object_a_rule(rules: Path) -> None:
    """JSON for machines."""
    result = sigma("convert", "-t", "pyeval", "-p", "linux_eval", "-f", "json", str(rules / "good.yml"))
    assert json.loads(result.stdout)["title"] == "Good"


def test_an_unsupported_log_source_is_named(rules: Path) -> None:
    """The pipeline says what it supports."""
    path = rules / "windows.yml"
    path.write_text(GOOD.replace("product: linux", "product: windows"))
    result = sigma("convert", "-t", "pyeval", "-p", "linux_eval", str(path))
    assert result.returncode != 0
    assert "process_creation" in result.stderr
    assert "Traceback" not in result.stderr

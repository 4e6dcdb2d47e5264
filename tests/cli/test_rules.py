"""``sigma-pyeval rules``: what is shown, counted and told; and the same options on other commands."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ..conftest import rule_yaml
from .running import run as command

LINUX = "{product: linux, category: process_creation}"


run = partial(command, columns=200)


def text(title: str, number: int, level: str, more: str = "", logsource: str = LINUX) -> str:
    extra = f"id: {number:08d}-1111-4111-8111-111111111111\nlevel: {level}\n{more}"
    return rule_yaml("sel: {Image: x}\ncondition: sel", title=title, logsource=logsource, extra=extra)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yml").write_text(text("Curl", 1, "high", "status: test\ntags: [attack.t1105]\nauthor: Ann\n"))
    (tmp_path / "b.yml").write_text(text("Low", 2, "low", "status: stable\ndescription: about wget\n"))
    (tmp_path / "c.yml").write_text(
        text("Web", 3, "medium", logsource="{category: webserver}").replace("Image", "c-uri")
    )
    (tmp_path / "w.yml").write_text(text("Windows", 4, "high", logsource="{product: windows}"))
    (tmp_path / "v.yml").write_text(
        text("Vista \u202e\x1b[31m".replace("\x1b", ""), 5, "high", logsource="{product: windows}")
    )
    return tmp_path


def titles(result: Result) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return [rule["title"] for rule in json.loads(result.stdout)["rules"]]


FILTERS: list[tuple[list[str], list[str]]] = [
    ([], ["Curl", "Low", "Web"]),
    (["--only-level", "high", "--only-level", "low"], ["Curl", "Low"]),
    (["--only-status", "none"], ["Web"]),
    (["--only-status", "stable"], ["Low"]),
    (["--only-tag", "attack.T11*"], ["Curl"]),
    (["--only-logsource", "webserver"], ["Web"]),
    (["--search", "WGET"], ["Low"]),
    (["--search", "b.yml"], ["Low"]),
    (["--search", "ann"], ["Curl"]),
    (["--search", "0009-"], []),
    (["--search", "00000003-"], ["Web"]),
    (["--restrictiveness", "balanced"], ["Curl", "Web"]),
    (["--restrictiveness", "balanced", "--include", "b.yml"], ["Curl", "Low", "Web"]),
    (["--exclude", "attack.t1105", "--exclude", "level:medium"], ["Low"]),
    (["--restrictiveness", "ultra", "--level", "level:low=critical"], ["Curl", "Low"]),
]


@pytest.mark.parametrize(("options", "expected"), FILTERS)
def test_what_is_shown(folder: Path, options: list[str], expected: list[str]) -> None:
    assert titles(run("rules", "-r", folder, "-p", "linux_eval", "--format", "json", *options)) == expected


def test_json(folder: Path) -> None:
    result = run(
        "rules",
        "-r",
        folder,
        "-p",
        "linux_eval",
        "--format",
        "json",
        "--restrictiveness",
        "balanced",
        "--exclude",
        "zz.yml",
    )
    found = json.loads(result.stdout)
    assert found["rules"][0] == {
        "id": "00000001-1111-4111-8111-111111111111", "title": "Curl", "level": "high", "status": "test",
        "tags": ["attack.t1105"], "logsource": {"category": "process_creation", "product": "linux"},
        "path": str(folder / "a.yml"), "source_hash": found["rules"][0]["source_hash"],
    }  # fmt: skip
    assert found["counts"] == {
        "level": {"high": 1, "medium": 1},
        "status": {"test": 1, "none": 1},
        "logsource": {"process_creation/linux": 1, "webserver": 1},
    }
    assert found["left_out"] == {"restrictiveness": 1}
    assert found["notes"] == [
        {"section": "exclude", "text": "'zz.yml' selects nothing: no file has this path; the nearest is 'w.yml'"}
    ]
    [unusable] = found["unusable"]
    assert unusable["reason"] == "log source product 'windows' is not supported"
    assert len(unusable["rules"]) == 2
    assert "warning: --exclude: 'zz.yml' selects nothing" in result.stderr
    assert "2 rules, 2 shown, 3 rules left out (2 unusable, 1 by restrictiveness)\n" in result.stderr


def test_the_table_is_for_people_and_safe_to_look_at(folder: Path) -> None:
    result = run("rules", "-r", folder, "-p", "linux_eval")
    assert result.exit_code == 0
    assert re.search(r"^high +test +Curl.*\n(.*\n)? +process_creation/linux *\n", result.stdout, re.MULTILINE)
    assert "by level: 1 high, 1 medium, 1 low\n" in result.stdout
    assert "unusable, 2 rules: log source product 'windows' is not supported\n" in result.stdout
    assert "\u202e" not in result.stdout
    assert "\\u202e" in result.stdout


MISTAKES: list[tuple[list[str], int, str]] = [
    ([], 2, "error: name rules by -r, or a configuration by -c\n"),
    (["-r", "{}", "--exclude", "sudo"], 2, "error: 'sudo' is no selector: write an id"),
    (["-r", "{}", "--level", "level:low"], 2, "error: --level 'level:low': write it as SELECTOR=LEVEL\n"),
    (["-r", "{}", "--level", "level:low=hihg"], 2, "error: level 'hihg' is unknown"),
    (["-r", "{}", "--field-mapping", "Image"], 2, "error: --field-mapping 'Image': write it as FIELD=NAME\n"),
    (["-r", "{}", "--field-mapping", "Image="], 2, "write it as FIELD=NAME\n"),
    (["-r", "{}", "-p", "nonsense"], 2, "error: pipeline: "),
    (["-r", "{}", "-p", "linux_eval", "--strict"], 3, "error: {}/v.yml"),
    (["-r", "{}", "-p", "linux_eval", "--exclude", "/"], 2, "error: no rule could be loaded\n"),
    (["-c", "{}/no.yml"], 2, "error: {}/no.yml: cannot be read: No such file or directory\n"),
    (["-c", "{}/no.yml", "-r", "{}"], 2, "error: name rules by -r, or a configuration by -c\n"),
    (["-c", "{}/no.yml", "-p", "linux_eval"], 2, "error: with -c the configuration says which rules run"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), MISTAKES)
def test_mistakes(folder: Path, arguments: list[str], code: int, words: str) -> None:
    result = run("rules", "--format", "json", *(one.replace("{}", str(folder)) for one in arguments))
    assert result.exit_code == code
    assert words.replace("{}", str(folder)) in result.stderr


CONFIGURATION = """
rules:
  paths: ["{}"]
  restrictiveness: balanced
  exclude: [w.yml, v.yml, nothing.yml]
  field_mappings: {{Image: exe, CommandLin: cmd}}
state: state
sources: [{{type: stdin}}]
sinks: [{{type: stdout}}]
"""


def test_the_rules_of_a_configuration(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("c") / "monitor.yml"
    path.write_text(CONFIGURATION.format(folder))
    result = run("rules", "-c", path, "--format", "json")
    assert titles(result) == ["Curl", "Web"]
    assert result.stderr.splitlines() == [
        "warning: exclude: 'nothing.yml' selects nothing: no file has this path",
        "warning: field_mappings: no rule asks for the field 'CommandLin'",
        "2 rules, 2 shown, 3 rules left out (2 by exclude, 1 by restrictiveness)",
    ]


def test_mappings_reach_the_rules(folder: Path) -> None:
    """On a command that uses the rules: two names for one field."""
    events = folder / "events.jsonl"
    events.write_text('{"exe": "x"}\n{"prog": "x"}\n{"_EXE": "x"}\n')
    mapping = ["--field-mapping", "Image=exe", "--field-mapping", "Image=prog"]
    options: list[Any] = ["-r", folder / "a.yml", "-p", "linux_eval", "--no-route", "--input-format", "jsonl", *mapping]
    result = run("scan", *options, events)
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == [{"exe": "x"}, {"prog": "x"}]


def test_scan_counts_what_was_left_out(folder: Path) -> None:
    (folder / "events.jsonl").write_text("{}\n")
    result = run(
        "scan",
        "-r",
        folder,
        "-p",
        "linux_eval",
        "--restrictiveness",
        "ultra",
        "--exclude",
        "a.yml",
        folder / "events.jsonl",
    )
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "error: no rule could be loaded; 5 rules left out (2 unusable, 1 by exclude, 2 by restrictiveness)"
    )
    result = run("scan", "-r", folder, "-p", "linux_eval", "--restrictiveness", "ultra", folder / "events.jsonl")
    assert result.stderr.endswith("0 problems, 4 rules left out (2 unusable, 2 by restrictiveness)\n")

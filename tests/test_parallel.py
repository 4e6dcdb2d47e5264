"""A scan over several processes finds, counts and reports exactly what one process does, in the same order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sigma.pyeval import Ruleset, parallel, parse_rules
from sigma.pyeval.findings import Finding
from sigma.pyeval.logs.records import Problem
from sigma.pyeval.parallel import scan_logs
from sigma.pyeval.scanning import Scan

from .conftest import ROOT, rule_yaml

RULES = "---\n".join(
    [
        rule_yaml("sel: {CommandLine|contains: curl}\ncondition: sel", title="Curl", extra="level: high\n"),
        rule_yaml("sel: {c-uri|contains: passwd}\ncondition: sel", title="Passwd", extra="level: low\n"),
        rule_yaml("kw: [Accepted password]\ncondition: kw", title="Login"),
    ]
)


@pytest.fixture
def ruleset() -> Ruleset:
    """Return rules for several kinds of logs."""
    return parse_rules(RULES)


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    """Return logs: compact JSON with bad lines, JSON printed over lines, access, a missing file, and the examples."""
    compact = tmp_path / "compact.jsonl"
    lines = [
        json.dumps({"CommandLine": f"curl {number}" if number % 3 else "ls", "n": number}) for number in range(500)
    ]
    lines[100], lines[350] = "nonsense", "[1, 2]"
    compact.write_text("\n".join(lines) + "\n")
    printed = tmp_path / "printed.json"
    printed.write_text(
        "".join(json.dumps({"CommandLine": "curl", "n": number}, indent=1) + "\n" for number in range(200))
    )
    access = tmp_path / "access.log"
    line = '192.0.2.1 - - [20/Nov/2026:18:40:20 +0000] "GET /{} HTTP/1.1" 200 1 "-" "x"\n'
    access.write_text("".join(line.format("etc/passwd" if number % 5 == 0 else number) for number in range(400)))
    return [
        str(compact),
        str(printed),
        str(tmp_path / "none"),
        str(access),
        *map(str, sorted((ROOT / "examples" / "logs").iterdir())),
    ]


def outcome(scan: Scan, findings: list[Finding], problems: list[tuple[str, Problem]]) -> object:
    """Return everything that a scan tells."""
    rows = [finding.as_dict() for finding in findings]
    return rows, problems, scan.logs, scan.events, scan.problems, scan.findings, scan.by_level


@pytest.mark.parametrize("part_bytes", [300, 5_000, 1 << 23])
@pytest.mark.parametrize("largest_whole", [0, 1 << 26])
def test_the_same_as_one_process(
    ruleset: Ruleset, logs: list[str], monkeypatch: pytest.MonkeyPatch, part_bytes: int, largest_whole: int
) -> None:
    """Whatever the size of the parts: same findings, problems, lines and counts, in the same order."""
    monkeypatch.setattr(parallel, "PART_BYTES", part_bytes)
    monkeypatch.setattr(parallel, "LARGEST_WHOLE_BYTES", largest_whole)
    single_problems: list[tuple[str, Problem]] = []
    single = Scan(ruleset, lambda path, problem: single_problems.append((path, problem)))
    expected = outcome(single, [finding for path in logs for finding in single.log(path)], single_problems)
    problems: list[tuple[str, Problem]] = []
    scan = Scan(ruleset, lambda path, problem: problems.append((path, problem)))
    assert outcome(scan, list(scan_logs(scan, logs, 2)), problems) == expected
    assert single.findings > 500
    assert len(single_problems) == 4

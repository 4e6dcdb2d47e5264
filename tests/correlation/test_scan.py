"""scan correlates: one stream of all logs in order of time, the same with several processes; as it comes on request."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sigma.pyeval.cli.scan import command
from sigma.pyeval.log_correlation import CorrelationOptions
from sigma.pyeval.parallel import scan_logs
from sigma.pyeval.scanning import Scan

from ..conftest import ROOT
from .rules import correlation, member, ruleset, text_of

RULES = [
    member("a", level="low"),
    member("b"),
    member("c"),
    correlation("event_count", "a", "Many", level="high", group_by=["g"], condition={"gte": 3}),
    correlation("temporal_ordered", ["a", "b"], "Then", timespan="20s"),
    correlation("event_count", "b", "Few", condition={"lt": 2}, generate=True),
]


def line(name: str, second: int, group: str = "x") -> str:
    return (
        json.dumps({"is": name, "g": group, "@timestamp": f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"}) + "\n"
    )


def ignore(*_: Any) -> None:
    pass


def said(found: Any) -> list[Any]:
    return [finding.as_dict() for finding in found]


def test_all_logs_are_one_stream_in_order_of_time(tmp_path: Path) -> None:
    """What begins in the second file ends in the first; places tell which."""
    (tmp_path / "1.jsonl").write_text(line("a", 5) + line("b", 12) + line("c", 12))
    (tmp_path / "2.jsonl").write_text(line("a", 1) + line("a", 3))
    scan = Scan(ruleset(*RULES), ignore)
    logs = [str(tmp_path / name) for name in ("1.jsonl", "2.jsonl")]
    found = said([*(finding for log in logs for finding in scan.log(log)), *scan.finish()])
    assert [(one["rule"]["title"], Path(one["source"]["path"]).name, one["source"]["line"]) for one in found] == [
        ("B", "1.jsonl", 2), ("C", "1.jsonl", 3), ("Many", "1.jsonl", 1), ("Then", "1.jsonl", 2), ("Few", "1.jsonl", 2),
    ]  # fmt: skip
    many = found[2]["correlation"]
    assert [Path(one["source"]["path"]).name for one in many["events"]] == ["2.jsonl", "2.jsonl", "1.jsonl"]
    assert (many["group"], many["count"], found[2]["event"]["is"]) == ({"g": "x"}, 3, "a")
    assert (scan.findings, scan.by_level["high"]) == (5, 1)


def test_several_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one log is cut into parts, and one record matches several rules."""
    monkeypatch.setattr("sigma.pyeval.parallel.PART_BYTES", 2_000)
    chance = random.Random(7)
    for name in ("1.jsonl", "2.jsonl"):
        rows = sorted(chance.randrange(600) for _ in range(120))
        (tmp_path / name).write_text(
            "".join(line(chance.choice("aabcx"), second, chance.choice("xy")) for second in rows)
        )
    logs = [str(tmp_path / name) for name in ("1.jsonl", "2.jsonl", "none.jsonl")]
    alone = Scan(ruleset(*RULES), ignore)
    expected = said([*(finding for log in logs for finding in alone.log(log)), *alone.finish()])
    together = Scan(ruleset(*RULES), ignore)
    assert said(scan_logs(together, logs, 2)) == expected
    assert (together.findings, together.by_level) == (alone.findings, alone.by_level)
    assert sum("correlation" in one for one in expected) > 20


def run(tmp_path: Path, text: str, *arguments: str, stdin: str | None = None) -> tuple[list[Any], str]:
    rules = tmp_path / "rules.yml"
    rules.write_text(text_of(*RULES))
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    result = CliRunner().invoke(command, ["-r", str(rules), *arguments, "-" if stdin else str(log)], input=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_the_command(tmp_path: Path) -> None:
    lines = "".join(line("a", second) for second in (0, 2, 1, 3, 60))
    found, words = run(tmp_path, lines)
    assert [one["source"]["line"] for one in found] == [2, 4]
    assert "6 rules (1 only serves correlations): 2 matches (2 high)" in words
    found, _ = run(tmp_path, lines, "--refire", "once")
    assert [one["source"]["line"] for one in found] == [2]
    found, words = run(tmp_path, lines, "--lateness", "0")
    assert [one["source"]["line"] for one in found] == [4]
    assert "warning: correlation: 1 event came later than the allowed lateness" in words
    found, words = run(tmp_path, "", stdin=lines)
    assert [one["source"]["line"] for one in found] == [4]


@pytest.mark.parametrize("report", ["csv", "ecs", "ocsf", "table"])
def test_every_report_takes_them(report: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(text_of(*RULES))
    log = tmp_path / "log.jsonl"
    log.write_text("".join(line("a", second) for second in range(3)))
    page, layer = tmp_path / "page.html", tmp_path / "layer.json"
    arguments = ["-r", str(rules), "--format", report, "--report", str(page), "--navigator", str(layer), str(log)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "Many" in result.stdout
    assert "Many" in page.read_text()


def test_records_without_a_time_take_it_from_their_log(tmp_path: Path) -> None:
    """Of the record before, not of another log."""
    (tmp_path / "1.jsonl").write_text(line("a", 300))
    (tmp_path / "2.jsonl").write_text(line("a", 5) + '{"is": "a", "g": "x"}\n' * 2)
    scan = Scan(ruleset(*RULES), ignore, correlation=CorrelationOptions())
    logs = [str(tmp_path / name) for name in ("1.jsonl", "2.jsonl")]
    found = said([*(finding for log in logs for finding in scan.log(log)), *scan.finish()])
    assert [(one["correlation"]["end"], one["correlation"]["arrival_time"]) for one in found] == [
        ("2026-01-01T00:00:05.000000Z", True)
    ]


def test_the_examples_fire() -> None:
    """Each of the three correlation examples, in all the example logs at once."""
    arguments = ["-r", str(ROOT / "examples/rules"), "-p", "linux_eval", str(ROOT / "examples/logs")]
    result = CliRunner().invoke(command, arguments)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["rule"]["title"], one["correlation"]["group"]) for one in found if "correlation" in one] == [
        ("Reconnaissance Burst Within One Login", {"_AUDIT_SESSION": "7"}),
        ("SSH Password Guessed", {"_HOSTNAME": "web-1"}),
        ("Passwords Tried With Sudo", {"_HOSTNAME": "web-1"}),
    ]

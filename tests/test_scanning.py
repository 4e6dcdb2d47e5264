"""Rules held against logs: what is found, what is counted, that one bad log takes no other with it."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval import LogSource, Rule, Ruleset
from sigma.pyeval.findings import Finding
from sigma.pyeval.logs.records import Problem
from sigma.pyeval.scanning import Scan, log_files

RULES = Ruleset(
    [
        Rule("1", "Any", "equals(event, 'a', 'x')", "high"),
        Rule("2", "Linux", "contains(event, 'a', 'x')", "low", logsource=LogSource("process_creation", "linux")),
        Rule("3", "Windows", "contains(event, 'EventID', '1')", None, logsource=LogSource(None, "windows")),
    ]
)
LOG = b'{"a": "x"}\nnonsense\n{"a": "y"}\n{"a": "X"}\n[1]\n'
Found = list[tuple[str, str, int]]
Problems = list[tuple[str, int, str]]


def write(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def scanned(*paths: Path | str, **options: Any) -> tuple[Scan, Found, Problems]:
    """The scan, what it found (rule, path, line), and its problems."""
    problems: list[tuple[str, Problem]] = []
    scan = Scan(RULES, lambda path, problem: problems.append((path, problem)), **options)
    findings: list[Finding] = [finding for path in map(str, paths) for finding in scan.log(path)]
    return (
        scan,
        [(finding.match.rule.title, Path(finding.path).name, finding.line) for finding in findings],
        [(Path(path).name, problem.line, problem.reason) for path, problem in problems],
    )


def test_everything_is_counted(tmp_path: Path) -> None:
    """Logs, events, findings by level, and a problem for each line that is none."""
    write(tmp_path, one=LOG, two=gzip.compress(b'{"a": "x"}\n'))
    scan, found, problems = scanned(tmp_path / "one", tmp_path / "two")
    assert found == [
        *[("Any", "one", 1), ("Linux", "one", 1), ("Any", "one", 4), ("Linux", "one", 4)],
        *[("Any", "two", 1), ("Linux", "two", 1)],
    ]
    assert [(name, line) for name, line, _ in problems] == [("one", 2), ("one", 5)]
    assert (scan.logs, scan.events, scan.problems, scan.findings) == (2, 4, 2, 6)
    assert dict(scan.by_level) == {"high": 3, "low": 3}


def test_a_log_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path) -> None:
    """Missing, of no known format, damaged at once: one problem each, about the log and not about a line of it."""
    write(tmp_path, text=b"some text\n", damaged=b"\x1f\x8b\x08" + bytes(100), good=b'{"a": "x"}\n')
    scan, found, problems = scanned(*(tmp_path / name for name in ("none", "text", "damaged", "good")))
    assert [title for title, _, _ in found] == ["Any", "Linux"]
    assert [(name, line, reason.partition(":")[0]) for name, line, reason in problems] == [
        ("none", 0, "cannot be read"),
        ("text", 0, "format unknown"),
        ("damaged", 0, "damaged from the beginning"),
    ]
    assert (scan.logs, scan.problems) == (1, 3)


def test_a_log_that_is_cut_gives_its_beginning(tmp_path: Path) -> None:
    write(tmp_path, cut=gzip.compress(b'{"a": "x"}\n' * 3)[:-8])
    scan, found, problems = scanned(tmp_path / "cut")
    assert (len(found), scan.events) == (6, 3)
    [(_, line, reason)] = problems
    assert (line, "damaged from here on" in reason) == (4, True)


def test_a_missing_package_is_a_problem_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evtx", None)
    write(tmp_path, windows=b"ElfFile\0rest", good=b'{"a": "x"}\n')
    scan, found, problems = scanned(tmp_path / "windows", tmp_path / "good")
    assert (scan.logs, len(found)) == (1, 2)
    [(name, line, reason)] = problems
    assert (name, line) == ("windows", 0)
    assert reason.endswith("pip install evtx")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG)))
    scan, found, _ = scanned("-")
    assert found[0] == ("Any", "-", 1)
    assert (scan.events, scan.problems) == (3, 2)


@pytest.mark.parametrize(("route", "titles"), [(True, []), (False, ["Windows"])])
def test_routing_leaves_out_rules_for_other_logs(route: bool, titles: list[str], tmp_path: Path) -> None:
    """An audit record is of Linux; without routing each rule is held against each event."""
    write(tmp_path, log=b"type=CWD msg=audit(1.002:3): EventID=1\n")
    _, found, problems = scanned(tmp_path / "log", route=route)
    assert ([title for title, _, _ in found], problems) == (titles, [])


def test_format_and_options_reach_the_parser(tmp_path: Path) -> None:
    write(tmp_path, log=b"x;y\n")
    scan, found, _ = scanned(tmp_path / "log", input_format="regex", options={"pattern": "(?P<a>.*);.*"})
    assert found == [("Any", "log", 1), ("Linux", "log", 1)]
    scan, found, problems = scanned(tmp_path / "log", input_format="regex")
    assert (scan.logs, found) == (0, [])
    assert "the format 'regex' needs the option" in problems[0][2]


def test_progress_reaches_the_caller(tmp_path: Path) -> None:
    write(tmp_path, log=b'{"a": "y"}\n' * 2500)
    told: list[int] = []
    scan = Scan(RULES, lambda path, problem: None, reading=lambda path: told.append if path.endswith("log") else None)
    assert list(scan.log(str(tmp_path / "log"))) == []
    assert len(told) == 2
    assert 0 < told[0] <= told[1] <= 2500 * 11


def test_findings_come_while_the_log_is_read(tmp_path: Path) -> None:
    """The first is there before the rest is; whoever stops has the file closed (else a warning, which is an error)."""
    write(tmp_path, log=b'{"a": "x"}\n' * 5000)
    scan = Scan(RULES, lambda path, problem: None)
    findings = scan.log(str(tmp_path / "log"))
    assert next(findings).line == 1
    assert scan.events == 1
    findings.close()  # type: ignore[attr-defined]


def test_directories_are_walked(tmp_path: Path) -> None:
    """Regular files at any depth, sorted; what is named itself is taken as it is, also what is not there."""
    (tmp_path / "logs" / "sub").mkdir(parents=True)
    write(tmp_path / "logs", b=b"", a=b"")
    write(tmp_path / "logs" / "sub", c=b"")
    os.mkfifo(tmp_path / "logs" / "pipe")
    named = [str(tmp_path / "logs"), "-", str(tmp_path / "none")]
    assert [os.path.relpath(path, tmp_path) if path != "-" else path for path in log_files(named)] == [
        *("logs/a", "logs/b", "logs/sub/c"),
        "-",
        "none",
    ]
    (tmp_path / "empty").mkdir()
    assert list(log_files([str(tmp_path / "empty")])) == []

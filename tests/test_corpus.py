"""The SigmaHQ rules, and what they find in logs that nobody in this project wrote.

Expected matches come with the data; they are another evaluator's, confirmed by three engines.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.collection import SigmaCollection

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.codegen import emit_standalone

from .conftest import Exercises, json_lines
from .reference import Reference
from .support import SIGMAHQ_FOLDERS as FOLDERS

Figure = Callable[[str], None]
pytestmark = pytest.mark.no_cover
"""What thousands of rules and events run through, other tests cover; tracing it would take most of the suite's time."""


def written_placeholders(path: str | Path) -> set[str]:
    """Return the names between percent signs in a rule's file."""
    return set(re.findall("%([A-Za-z0-9_-]+)%", Path(path).read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def corpus(sigmahq: Path) -> Ruleset:
    """All SigmaHQ rules, without values for placeholders."""
    return load_rules(*(sigmahq / folder for folder in FOLDERS), on_error="collect")


@pytest.fixture(scope="session")
def by_path(corpus: Ruleset, sigmahq: Path) -> dict[str, Any]:
    return {Path(str(rule.path)).relative_to(sigmahq).as_posix(): rule for rule in corpus.rules}


@pytest.fixture(scope="session")
def select(by_path: dict[str, Any]) -> Callable[..., Ruleset]:
    """Return the part of the corpus below some folders."""

    def selected(*folders: str) -> Ruleset:
        return Ruleset(
            rule for path, rule in by_path.items() if path.startswith(tuple(folder + "/" for folder in folders))
        )

    return selected


@pytest.fixture(scope="session")
def expected(shared: Path) -> list[dict[str, Any]]:
    return list(json_lines(shared / "linux" / "expected.jsonl"))


@pytest.fixture(scope="session")
def atomic_events(shared: Path) -> list[dict[str, Any]]:
    return list(json_lines(shared / "linux" / "atomic" / "atomic_events.jsonl"))


def matches(ruleset: Ruleset, event: dict[str, Any]) -> list[str]:
    """Return the ids of the rules that match, after checking that both paths agree."""
    scanned = ruleset.scan(event)
    assert ruleset.match(event) == scanned
    return [str(match.rule.id) for match in scanned]


def assert_pairs(found: set[Any], wanted: set[Any]) -> None:
    assert not wanted - found, f"{len(wanted - found)} expected matches are missing: {sorted(wanted - found)[:5]}"
    assert not found - wanted, f"{len(found - wanted)} matches are not expected: {sorted(found - wanted)[:5]}"


# -- conversion --------------------------------------------------------------------------------------------------------


def test_every_rule_converts_or_names_its_placeholder(corpus: Ruleset, figure: Figure) -> None:
    figure(f"corpus: {len(corpus.rules)} of 3,780 rules convert, {len(corpus.errors)} want placeholder values")
    assert len(corpus.rules) == 3755
    assert len(corpus.errors) == 25
    for error in corpus.errors:
        written = written_placeholders(str(error.path))
        named = [name for name in written if name in error.reason]
        assert named, f"{error} names none of {sorted(written)}"


def test_all_rules_convert_with_placeholder_values(corpus: Ruleset) -> None:
    paths = [str(error.path) for error in corpus.errors]
    names = set().union(*map(written_placeholders, paths))
    ruleset = load_rules(*paths, placeholders={name: [f"value of {name}", 4711] for name in names})
    assert len(ruleset.rules) == 25
    assert all("4711" in rule.expression for rule in ruleset.rules)


def test_sigma_convert_gives_the_same_expressions(
    corpus: Ruleset, sigmahq: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sigma convert -f json`` and ``load_rules`` are two ways to one expression."""
    # The same safe loader in C: the one in Python would take most of the time.
    monkeypatch.setattr(yaml, "safe_load_all", partial(yaml.load_all, Loader=yaml.CSafeLoader))
    collection = SigmaCollection.load_ruleset([sigmahq / folder for folder in FOLDERS])
    backend = PyEvalBackend(collect_errors=True)
    records = backend.convert(collection, "json")
    assert len(backend.errors) == len(corpus.errors)
    converted = sorted((record["id"], record["expression"], record["source_hash"]) for record in records)
    assert converted == sorted((rule.id, rule.expression, rule.source_hash) for rule in corpus.rules)
    figure(f"corpus: sigma convert and load_rules give the same expression for {len(records)} rules")


# -- what the rules find -----------------------------------------------------------------------------------------------


def test_regression_data(shared: Path, by_path: dict[str, Any], figure: Figure, exercises: Exercises) -> None:
    """SigmaHQ's own regression tests: each rule against the recorded events it was written for."""
    rows = list(json_lines(shared / "regression" / "regression.jsonl"))
    judged = fired = 0
    for row in rows:
        ruleset = Ruleset([by_path[row["rule_path"]]])
        reference = Reference(row["rule"])
        for events, verdicts in (("events", "expected"), ("events_from_evtx", "expected_from_evtx")):
            for event, wanted in zip(row[events] or [], row[verdicts] or [], strict=True):
                verdict = bool(matches(ruleset, event))
                assert verdict == wanted, f"{row['rule_path']}: {verdict} for {json.dumps(event)}"
                assert reference.matches(event) == wanted, row["rule_path"]
                exercises(row["rule"])
                judged += 1
                fired += wanted
    figure(f"regression: {judged} events of {len(rows)} rules judged as expected, {fired} of them match")
    assert judged >= len(rows) > 100


def test_atomic_red_team(
    select: Callable[..., Ruleset],
    expected: list[dict[str, Any]],
    atomic_events: list[dict[str, Any]],
    figure: Figure,
) -> None:
    ruleset = select("rules/linux/process_creation", "rules-threat-hunting/linux/process_creation")
    assert len(ruleset.rules) == 124
    wanted = {(row["line"], row["rule_id"]) for row in expected if row["shape"].startswith("process_creation/")}
    found = {(line, rule_id) for line, row in enumerate(atomic_events, 1) for rule_id in matches(ruleset, row["event"])}
    assert_pairs(found, wanted)
    figure(f"atomic: {len(found)} matches of 124 rules on {len(atomic_events)} processes, all as expected")


def log_lines(shared: Path, pattern: str) -> Iterator[tuple[str, int, str]]:
    """Yield (file below linux/, line number, line)."""
    for path in sorted((shared / "linux").glob(pattern)):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            for number, line in enumerate(text.split("\n"), 1):
                if line:
                    yield path.relative_to(shared / "linux").as_posix(), number, line.rstrip("\r")


SHAPES: list[Any] = [
    pytest.param("raw-line", ("rules/linux/builtin",), 22, "syslog/**/*", lambda line: {"message": line}, id="syslog"),
    pytest.param("journald-json", ("rules/linux/builtin",), 22, "journald/*", json.loads, id="journald"),
    pytest.param(
        "cloudtrail-nested", ("rules/cloud/aws/cloudtrail",), 57, "cloud/*.jsonl", json.loads, id="cloudtrail"
    ),
]


@pytest.mark.parametrize(("shape", "folders", "count", "files", "parse"), SHAPES)
def test_linux_logs(
    shape: str,
    folders: tuple[str, ...],
    count: int,
    files: str,
    parse: Callable[[str], dict[str, Any]],
    shared: Path,
    select: Callable[..., Ruleset],
    expected: list[dict[str, Any]],
    figure: Figure,
) -> None:
    ruleset = select(*folders)
    assert len(ruleset.rules) == count
    lines = list(log_lines(shared, files))
    found = {
        (name, number, rule_id) for name, number, line in lines for rule_id in matches(ruleset, decoded(parse(line)))
    }
    assert_pairs(found, {(row["file"], row["line"], row["rule_id"]) for row in expected if row["shape"] == shape})
    figure(f"{shape}: {len(found)} matches of {count} rules on {len(lines)} lines, all as expected")


def decoded(event: dict[str, Any]) -> dict[str, Any]:
    """Return a journal entry with its byte arrays (values that are not printable UTF-8) as text."""
    return {
        key: bytes(value).decode("utf-8", "replace")
        if isinstance(value, list) and value and all(isinstance(byte, int) for byte in value)
        else value
        for key, value in event.items()
    }


def test_windows_attack_samples(shared: Path, by_path: dict[str, Any], figure: Figure) -> None:
    """Every listed match must occur; the list does not say that no other may."""
    events = list(json_lines(shared / "windows" / "evtx_attack_samples.jsonl"))
    rows = list(json_lines(shared / "windows" / "expected.jsonl"))
    missing = [
        row for row in rows if not matches(Ruleset([by_path[row["rule_path"]]]), events[row["event_index"]]["event"])
    ]
    assert not missing, f"{len(missing)} of {len(rows)} are missing: {missing[:3]}"
    figure(f"windows: all {len(rows)} listed matches occur")


def test_the_reference_agrees_on_atomic_red_team(
    select: Callable[..., Ruleset], atomic_events: list[dict[str, Any]], sigmahq: Path
) -> None:
    """Every tenth process, to keep it short: the reference is slow on purpose."""
    ruleset = select("rules/linux/process_creation")
    references = [Reference(Path(str(rule.path)).read_text(encoding="utf-8")) for rule in ruleset.rules]
    for row in atomic_events[::10]:
        found = {match.rule for match in ruleset.scan(row["event"])}
        for rule, reference in zip(ruleset.rules, references, strict=True):
            assert reference.matches(row["event"]) == (rule in found), f"{rule.path}: {row['event']}"


# -- the standalone module ---------------------------------------------------------------------------------------------


def test_the_module_runs_alone(
    select: Callable[..., Ruleset],
    atomic_events: list[dict[str, Any]],
    tmp_path: Path,
    figure: Figure,
) -> None:
    """All Linux rules as one file, in an empty directory, on a Python without site packages."""
    ruleset = select("rules/linux")
    assert len(ruleset.rules) == 210
    module = tmp_path / "detections.py"
    module.write_text(emit_standalone(ruleset.rules), encoding="ascii")
    lines = "".join(json.dumps(row["event"]) + "\n" for row in atomic_events)
    done = subprocess.run(
        [sys.executable, "-I", "-S", module.name],
        input=lines.encode(), capture_output=True, cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    assert not done.stderr
    found = [(match["source"]["line"], match["rule"]["id"]) for match in map(json.loads, done.stdout.splitlines())]
    wanted = [
        (line, match.rule.id) for line, row in enumerate(atomic_events, 1) for match in ruleset.scan(row["event"])
    ]
    assert found == wanted
    assert wanted
    figure(f"module: {len(found)} matches of 210 rules on {len(lines.splitlines())} events, as Ruleset.scan")


def test_the_module_imports_the_standard_library_alone(select: Callable[..., Ruleset], tmp_path: Path) -> None:
    module = tmp_path / "detections.py"
    text = emit_standalone(select("rules/linux").rules)
    module.write_text(text, encoding="ascii")
    code = "import sys; sys.path.insert(0, '.'); import detections; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, cwd=tmp_path, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in done.stdout.decode().split()}
    assert loaded - {"detections", "__main__"} <= sys.stdlib_module_names
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names

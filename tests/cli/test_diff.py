"""sigma-pyeval diff: rules that mean something else, metadata apart, moves, and matches that change."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..conftest import rule_yaml
from .running import run as command

BASE = "sel: {A|contains: [x, y]}\nother: {B: z}\ncondition: sel and not other"


def rule(title: str, detection: str = BASE, extra: str = "", logsource: str = "category: test") -> str:
    return rule_yaml(detection, title=title, extra=extra, logsource=logsource)


run = partial(command, "diff")


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """Return two directories of rules, each kind of change once."""
    old, new = tmp_path / "old", tmp_path / "new"
    files = {
        "same.yml": (rule("Same"), rule("Same")),
        "order.yml": (
            rule("Order"),
            rule("Order", "other: {B: Z}\nsel: {A|contains: [Y, x]}\ncondition: not other and sel"),
        ),
        "meaning.yml": (rule("Meaning"), rule("Meaning", BASE.replace("[x, y]", "[x, y, w]"))),
        "source.yml": (rule("Source"), rule("Source", logsource="category: other")),
        "level.yml": (rule("Level", extra="level: low\n"), rule("Level", extra="level: high\n")),
        "gone.yml": (rule("Gone"), None),
        "came.yml": (None, rule("Came", "sel: {A: w}\ncondition: sel")),
        "broken.yml": (rule("Broken"), rule("Broken", BASE.replace("sel and", "sell and"))),
        "from.yml": (rule("Moved"), None),
        "sub/to.yml": (None, rule("Moved")),
    }
    for name, texts in files.items():
        for folder, text in zip((old, new), texts, strict=True):
            if text is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
    return old, new


def titles(rows: list[dict[str, Any]]) -> list[str]:
    return [row["title"] for row in rows]


def test_each_kind_of_change(versions: tuple[Path, Path]) -> None:
    """Meaning, metadata, added, removed, refused, moved; order and case are no change."""
    result = run(*versions, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [(row["title"], row["meaning"]) for row in found["changed"]] == [
        ("Meaning", ["expression"]),
        ("Source", ["logsource"]),
    ]
    assert "'w'" in found["changed"][0]["new"]["expression"]
    assert [(row["title"], row["metadata"]) for row in found["metadata"]] == [("Level", ["level"])]
    assert titles(found["added"]) == ["Came"]
    assert [(row["title"], bool(row["refused"])) for row in found["removed"]] == [("Broken", True), ("Gone", False)]
    assert [(row["title"], row["from"], row["to"]) for row in found["moved"]] == [("Moved", "from.yml", "sub/to.yml")]
    assert found["unchanged"] == 2
    assert "matches" not in found


def test_a_table_for_people(versions: tuple[Path, Path]) -> None:
    """The lines that differ, and one line for each other change."""
    result = run(*versions)
    assert "changed: Meaning\n  -contains_any(event, 'A', ('x', 'y'))" in result.stdout
    assert "  +contains_any(event, 'A', ('x', 'y', 'w'))" in result.stdout
    assert "  -logsource test\n  +logsource other\n" in result.stdout
    assert "moved: Moved: from.yml -> sub/to.yml\nmetadata: Level: level low -> high\n" in result.stdout
    assert "removed: Broken (cannot be loaded: " in result.stdout
    assert result.stderr.splitlines()[-1] == (
        "2 rules changed in meaning, 1 in metadata only, 1 added, 2 removed, 1 moved, 2 unchanged"
    )


def test_which_matches_change(versions: tuple[Path, Path], tmp_path: Path) -> None:
    """Over a corpus: gained, lost and kept, with places."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"A": "w"}\n{"A": "x"}\n{"A": "x", "B": "z"}\n')
    found = json.loads(run(*versions, "--events", log, "--format", "json").stdout)["matches"]
    rows = {row["rule"]["title"]: (row["gained"], row["lost"]) for row in found["changed"]}
    assert rows == {"Meaning": (1, 0), "Came": (1, 0), "Gone": (0, 1), "Broken": (0, 1)}
    assert (found["events"], found["kept"]) == (3, 6)
    assert found["changed"][0]["examples"] == [{"path": str(log), "line": 1, "change": "gained"}]
    shown = run(*versions, "--events", log)
    assert "gained  lost  rule" in shown.stdout
    assert shown.stderr.splitlines()[-1].endswith("3 events: 2 matches gained, 2 lost, 6 kept")


CORRELATION = """title: Often
id: 22222222-2222-4222-8222-222222222222
correlation:
    type: {kind}
    rules: [{rules}]
    group-by: [{groups}]
    timespan: 5m
    condition: {{gte: {least}}}
"""


def correlated(folder: Path, **values: Any) -> Path:
    """Write two rules and a correlation over them; return the folder."""
    folder.mkdir()
    filled = {"kind": "event_count", "rules": "one, two", "groups": "U, H", "least": 3} | values
    texts = [rule(name.title(), f"sel: {{A: {name}}}\ncondition: sel", f"name: {name}\n") for name in ("one", "two")]
    (folder / "all.yml").write_text("---\n".join([*texts, CORRELATION.format(**filled)]))
    return folder


@pytest.mark.parametrize(
    ("values", "differs"),
    [
        ({"least": 2}, True),
        ({"rules": "one"}, True),
        ({"groups": "U"}, True),
        ({"kind": "temporal", "least": 2}, True),
        ({"rules": "two, one"}, False),
        ({"groups": "H, U"}, False),
    ],
)
def test_correlation_rules_are_compared(tmp_path: Path, values: dict[str, Any], differs: bool) -> None:
    """By what they say; the order of rules and groups is nothing."""
    old, new = correlated(tmp_path / "old"), correlated(tmp_path / "new", **values)
    found = json.loads(run(old, new, "--format", "json").stdout)
    assert [row["meaning"] for row in found["changed"] if row["title"] == "Often"] == [["expression"]] * differs
    assert ("changed: Often" in run(old, new).stdout) is differs


def test_the_order_of_rules_in_a_sequence_is_its_meaning(tmp_path: Path) -> None:
    """Unlike that of other correlations."""
    old, new = (
        correlated(tmp_path / name, kind="temporal_ordered", rules=rules, least=2)
        for name, rules in (("old", "one, two"), ("new", "two, one"))
    )
    assert run(old, new).stderr.startswith("1 rule changed in meaning")


def test_a_rule_that_comes_to_serve_a_correlation_only_has_changed(tmp_path: Path) -> None:
    """It raises no matches of its own any more; that, and those of the correlation, are seen in a log."""
    old, new = correlated(tmp_path / "old"), correlated(tmp_path / "new")
    (old / "all.yml").write_text((old / "all.yml").read_text().partition("---\ntitle: Often")[0])
    log = tmp_path / "log.jsonl"
    log.write_text(
        "".join(
            f'{{"A": "{name}", "U": "u", "H": "h", "time": "2024-01-01T00:00:0{n}Z"}}\n'
            for n, name in enumerate(["one", "two", "one"])
        )
    )
    result = run(old, new, "--events", log)
    assert "changed: One\n  -matches are its own\n  +serves only correlations\n" in result.stdout
    assert "added: Often\n" in result.stdout
    assert result.stderr.splitlines()[-1].endswith("3 events: 1 matches gained, 3 lost, 0 kept")
    same = run(new, new, "--events", log)
    assert same.stderr.splitlines()[-1].endswith("3 unchanged; 3 events: 0 matches gained, 0 lost, 1 kept")


def test_exit_codes(versions: tuple[Path, Path], tmp_path: Path) -> None:
    """0 whether or not they differ, 2 nothing loaded, 3 strict."""
    old, new = versions
    assert (
        run(old, old).stderr
        == "0 rules changed in meaning, 0 in metadata only, 0 added, 0 removed, 0 moved, 8 unchanged\n"
    )
    assert run(old, new, "--strict").exit_code == 3
    assert run(old, tmp_path / "none").exit_code == 2
    assert run(old, old, "--events", tmp_path / "none").exit_code == 2


def test_linux_rules_and_a_real_log(shared: Path, sigmahq: Path, tmp_path: Path) -> None:
    """All Linux rules, one of them widened: its matches alone change."""
    rules = sigmahq / "rules" / "linux"
    changed = tmp_path / "linux"
    shutil.copytree(rules, changed)
    victim = next(file for file in sorted(changed.rglob("*.yml")) if "type: EXECVE" in file.read_text())
    victim.write_text(victim.read_text().replace("type: EXECVE", "type: SYSCALL", 1))
    log = shared / "linux" / "auditd" / "lux_audit.log"
    result = run(rules, changed, "--events", log, "-p", "linux_eval", "--format", "json")
    found = json.loads(result.stdout)
    assert len(found["changed"]) == 1
    assert found["changed"][0]["path"] == str(victim)
    assert {row["rule"]["id"] for row in found["matches"]["changed"]} <= {found["changed"][0]["id"]}
    assert found["matches"]["kept"] > 0

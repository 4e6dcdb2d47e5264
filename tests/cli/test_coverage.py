"""sigma-pyeval coverage: table, JSON, Navigator layer, SVG."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sigma.pyeval.attack import TACTICS
from sigma.pyeval.reports.attack_svg import attack_svg

from ..conftest import rule_yaml
from .running import run as command

SVG = "{http://www.w3.org/2000/svg}"


run = partial(command, "coverage")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return a directory of rules with tags of several kinds."""
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, tags in {
        "one": ["attack.execution", "attack.t1059.004"],
        "two": ["attack.execution", "attack.persistence", "attack.t1059.004", "attack.t1053"],
        "three": ["attack.t1105"],
        "four": ["attack.persistence"],
        "five": ["attack.made-up", "attack.t1105"],
    }.items():
        (folder / f"{name}.yml").write_text(
            rule_yaml("sel: {A: x}\ncondition: sel", title=f"Rule {name}", extra=f"tags: {json.dumps(tags)}\n")
        )
    return folder


def test_json_for_machines(rules: Path) -> None:
    """Rules by technique and tactic; what has no technique is named."""
    result = run("-r", rules, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["techniques"] == {"T1053": 1, "T1059.004": 2, "T1105": 2}
    assert found["tactics"] == {
        "execution": {"T1053": 1, "T1059.004": 2},
        "persistence": {"T1053": 1, "T1059.004": 1},
        "made-up": {"T1105": 1},
        "": {"T1105": 1},
    }
    assert list(found["tactics"]) == ["execution", "persistence", "made-up", ""]
    assert [rule["title"] for rule in found["untagged"]] == ["Rule four"]
    assert result.stderr == "5 rules: 3 techniques, 1 rule without one, 0 rules left out\n"


def test_a_table_for_people(rules: Path) -> None:
    """One row a tactic."""
    rows = [line.split() for line in run("-r", rules).stdout.splitlines()]
    assert rows[1] == ["Execution", "2", "T1059.004", "(2),", "T1053", "(1)"]
    assert rows[-2] == ["No", "tactic", "1", "T1105", "(1)"]


def test_a_navigator_layer(rules: Path, tmp_path: Path) -> None:
    """Scores are numbers of rules; the layer says so."""
    layer = tmp_path / "layer.json"
    assert run("-r", rules, "--navigator", layer).exit_code == 0
    found = json.loads(layer.read_text())
    assert {row["techniqueID"]: row["score"] for row in found["techniques"]} == {"T1053": 1, "T1059.004": 2, "T1105": 2}
    assert found["description"] == "Techniques that Sigma rules are about; a score is a number of rules."


def test_an_image(rules: Path, tmp_path: Path) -> None:
    """Well-formed, a column a tactic also where nothing is, each cell with its count, and all of it as text."""
    path = tmp_path / "matrix.svg"
    assert run("-r", rules, "--svg", path).exit_code == 0
    root = ElementTree.parse(path).getroot()
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "ATT&CK techniques of 5 Sigma rules"
    described = root.findtext(f"{SVG}desc") or ""
    assert "Execution: T1053 (1), T1059.004 (2). Persistence: T1053 (1), T1059.004 (1)." in described
    assert "Impact: none." in described
    assert len(root.findall(f"{SVG}g")) == len(TACTICS) - 1 + 2, "no retired tactic without rules"
    cells = [cell.findtext(f"{SVG}title") for cell in root.findall(f"{SVG}g/{SVG}g")]
    assert "T1059.004, Execution: 2 rules" in cells
    width = float(root.get("width", "0"))
    assert all(float(rect.get("x", "0")) + float(rect.get("width", "0")) <= width for rect in root.iter(f"{SVG}rect"))


def test_hostile_names_are_text() -> None:
    """Markup and control characters of tags, which rules' authors write."""
    image = attack_svg({"<script>\x1b": {'T1"&<': 1}}, ["<script>\x1b"], "<b>\x00")
    root = ElementTree.fromstring(image.encode())
    assert not [one for one in root.iter() if one.tag.endswith(("script", "}b"))]
    assert ElementTree.fromstring(attack_svg({}, [], "empty").encode()) is not None


def test_exit_codes(rules: Path, tmp_path: Path) -> None:
    """2 where nothing can be loaded or outputs are one file."""
    assert run("-r", tmp_path / "none").exit_code == 2
    assert run("-r", rules, "--svg", tmp_path / "x", "--navigator", tmp_path / "x").exit_code == 2

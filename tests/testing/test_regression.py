"""SigmaHQ's layout of regression tests: info.yml, logs as JSON or EVTX; the held rules run through it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigma.pyeval import load_rules
from sigma.pyeval.testing import regression
from sigma.pyeval.testing.running import run_case
from sigma.pyeval.testing.suite import Suite, collect_cases

from ..conftest import json_lines, rule_yaml

ID = "11111111-1111-4111-8111-111111111111"
INFO_PATH = "regression_data/rules/windows/a/info.yml"
EVENT = {"Event": {"System": {"EventID": 1, "Channel": "Security"}, "EventData": {"CommandLine": "whoami"}}}


def lay_out(root: Path, info: dict[str, Any] | str, rule_extra: str = "") -> Suite:
    """Write a repository with one rule, its info.yml and a log of one event; return what is collected."""
    rule = rule_yaml(
        "sel: {CommandLine: whoami}\ncondition: sel",
        extra=f"id: {ID}\nregression_tests_path: {INFO_PATH}\n" if not rule_extra else f"id: {ID}\n{rule_extra}\n",
    )
    for name, text in {
        "rules/windows/a.yml": rule,
        INFO_PATH: info if isinstance(info, str) else json.dumps(info),
        f"regression_data/rules/windows/a/{ID}.json": json.dumps(EVENT, indent=2) + "\n" + json.dumps(EVENT, indent=2),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return collect_cases(load_rules(root / "rules"), [root / "rules"])


def info_of(**test: Any) -> dict[str, Any]:
    test = {"name": "Positive", "type": "json", "path": f"regression_data/rules/windows/a/{ID}.json"} | test
    return {"rule_metadata": [{"id": ID}], "regression_tests_info": [test]}


@pytest.mark.parametrize(
    ("test", "status"),
    [
        ({}, "passed"),
        ({"match_count": 1}, "passed"),
        ({"match_count": 2}, "passed"),
        ({"match_count": 3}, "failed"),
        ({"match_count": 0}, "failed"),
        ({"type": "evtx", "path": f"regression_data/rules/windows/a/{ID}.evtx"}, "passed"),
    ],
)
def test_the_layout_is_understood(tmp_path: Path, test: dict[str, Any], status: str) -> None:
    """match_count is a least; for an EVTX file that is not there its rendering is read."""
    suite = lay_out(tmp_path, info_of(**test))
    assert suite.mistakes == ()
    [case] = suite.cases
    assert case.case.path == tmp_path / INFO_PATH
    assert run_case(case).status == status


def test_a_test_without_matches(tmp_path: Path) -> None:
    """Of match_count 0 no event may match."""
    lay_out(tmp_path, info_of(match_count=0))
    log = tmp_path / f"regression_data/rules/windows/a/{ID}.json"
    log.write_text(log.read_text().replace("whoami", "hostname"))
    [case] = collect_cases(load_rules(tmp_path / "rules"), [tmp_path / "rules"]).cases
    assert run_case(case).status == "passed"


def test_evtx_is_read_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself comes first; without the package the rendering does."""
    info = info_of(type="evtx", path=f"regression_data/rules/windows/a/{ID}.evtx")
    lay_out(tmp_path, info)
    (tmp_path / f"regression_data/rules/windows/a/{ID}.evtx").write_bytes(b"no event log")
    if importlib.util.find_spec("evtx") is not None:
        result = run_case(lay_out(tmp_path, info).cases[0])
        assert result.status == "error"
        assert "not a readable .evtx file" in result.message
    monkeypatch.setattr(regression, "find_spec", lambda name: None)
    assert run_case(lay_out(tmp_path, info).cases[0]).status == "passed"


def test_tests_that_a_package_of_rules_comes_without(tmp_path: Path) -> None:
    """Are told once, and no mistake: the folder of all regression tests is nowhere above. One that is there lacks this test."""
    lay_out(tmp_path, info_of())
    rules = tmp_path / "rules"
    moved = (tmp_path / "regression_data").rename(tmp_path / "elsewhere")
    suite = collect_cases(load_rules(rules), [rules])
    assert (suite.mistakes, suite.cases, suite.absent) == ((), (), {"regression_data": 1})
    assert [rule.id for rule in suite.untested] == [ID]
    [note] = suite.notes()
    assert note.startswith("1 rule names regression tests in regression_data, which no directory above them has")
    moved.rename(tmp_path / "regression_data")
    (tmp_path / INFO_PATH).unlink()
    suite = collect_cases(load_rules(rules), [rules])
    assert ([mistake.place for mistake in suite.mistakes], suite.absent) == (["regression_tests_path"], {})


MISTAKES: list[tuple[dict[str, Any] | str, str, str]] = [
    ("- x", "", "a rule is a mapping"),
    ("{}", "regression_tests_info", "a list of tests is needed"),
    ({"rule_metadata": [{"id": "x"}], "regression_tests_info": [{}]}, "rule_metadata", f"does not name the rule {ID}"),
    ({"rule_metadata": [{"id": ID}], "regression_tests_info": [7]}, "regression_tests_info[0]", "a test is a mapping"),
    (info_of(path="/etc/passwd"), "regression_tests_info[0]", "no relative path within the repository"),
    (info_of(path="../../x"), "regression_tests_info[0]", "no relative path within the repository"),
    (info_of(path="regression_data/none.json"), "regression_tests_info[0]", "is no file"),
    (info_of(type="pcap"), "regression_tests_info[0]", "type 'pcap' is unknown; known are evtx, json, raw, log"),
    (info_of(match_count="many"), "regression_tests_info[0]", "match_count 'many' is no number"),
]


@pytest.mark.parametrize(("info", "place", "reason"), MISTAKES)
def test_mistakes_are_told(tmp_path: Path, info: dict[str, Any] | str, place: str, reason: str) -> None:
    """With the file and the place."""
    [mistake] = lay_out(tmp_path, info).mistakes
    assert (mistake.path, mistake.place) == (tmp_path / INFO_PATH, place)
    assert reason in mistake.reason


@pytest.mark.parametrize("named", ["/etc/passwd", "../info.yml", "regression_data/none/info.yml", "[1]"])
def test_a_path_that_leads_nowhere(tmp_path: Path, named: str) -> None:
    """The rule's file is named, and nothing outside of the repository is read."""
    [mistake] = lay_out(tmp_path, info_of(), f"regression_tests_path: {named}").mistakes
    assert (mistake.path.name, mistake.place) == ("a.yml", "regression_tests_path")


def held_rows(shared: Path) -> Iterator[dict[str, Any]]:
    return json_lines(shared / "regression" / "regression.jsonl")


def test_the_held_regression_data(shared: Path, tmp_path: Path) -> None:
    """SigmaHQ's own tests, laid out as in its repository: all pass but the one whose fields need a mapping."""
    rows = list(held_rows(shared))
    for row in rows:
        rule, info = tmp_path / row["rule_path"], tmp_path / row["info_path"]
        for path in (rule, info):
            path.parent.mkdir(parents=True, exist_ok=True)
        rule.write_text(row["rule"])
        test = {
            "name": "Positive Detection Test",
            "type": "evtx",
            "provider": row["provider"],
            "path": row["evtx_path"],
        }
        test |= {} if row["match_count"] is None else {"match_count": row["match_count"]}
        info.write_text(
            json.dumps({"id": ID, "rule_metadata": [{"id": row["rule_id"]}], "regression_tests_info": [test]})
        )
        rendered = (tmp_path / row["evtx_path"]).with_suffix(".json")
        rendered.parent.mkdir(parents=True, exist_ok=True)
        rendered.write_text("\n".join(json.dumps(one, indent=2) for one in row["original"]))
    folders = sorted(path for path in tmp_path.iterdir() if path.name.startswith("rules"))
    ruleset = load_rules(*folders)
    suite = collect_cases(ruleset, folders)
    assert (suite.mistakes, suite.untested) == ((), ())
    assert len(suite.cases) == len(rows)
    results = [run_case(case) for case in suite.cases]
    silent = {row["rule_id"] for row in rows if not row["expected_any"]}
    assert {result.rule_case.rule.id for result in results if result.status != "passed"} == silent

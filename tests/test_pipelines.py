"""Mappings of the caller's own fields: with any pipelines, never mapped twice, never refused, any of several names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sigma.processing.pipeline import ProcessingPipeline

from sigma.pyeval import Ruleset, cache, load_rules, parse_rules
from sigma.pyeval.pipelines import FieldMappings, pipeline_problem

from .conftest import rule_yaml

LINUX = "{product: linux, category: process_creation}"
RENAMES = "name: p\npriority: 10\ntransformations:\n- {id: m, type: field_name_mapping, mapping: {Image: image, B: C, X: Y}}\n"
REFUSES = "name: r\npriority: 30\ntransformations:\n- {type: detection_item_failure, message: no such field, field_name_conditions: [{type: include_fields, fields: [Image]}]}\n"


def rule(detection: str, logsource: str = LINUX) -> str:
    return rule_yaml(f"{detection}\ncondition: sel", logsource=logsource)


def mapped(text: str, mapping: dict[str, Any], *pipelines: Any) -> Ruleset:
    return parse_rules(text, pipeline=[*pipelines, FieldMappings.of(mapping)], on_error="collect")


ROWS: list[tuple[str, str, dict[str, Any], list[Any], list[dict[str, Any]], list[dict[str, Any]]]] = [
    # detection, mappings, pipelines, events that match and such that do not
    ("no pipeline", "sel: {process.name: x}", {"process.name": "proc_name"}, [], [{"proc_name": "x"}], [{"process.name": "x"}, {"process": {"name": "x"}}]),
    ("several names", "sel: {Image: x}", {"Image": ["a", "b"]}, [], [{"a": "x"}, {"b": "x"}, {"a": "y", "b": "x"}], [{"a": "y"}, {"Image": "x"}]),
    ("absent under all", "sel: {Image: null}", {"Image": ["a", "b"]}, [], [{"a": None}, {}], [{"a": "x"}, {"b": "x"}]),
    ("not mapped", "sel: {Other: x}", {"Image": "a"}, [], [{"Other": "x"}], [{"a": "x"}]),
    ("onto a field of rules", "sel: {Image: x, User: y}", {"Image": "User", "User": "Image"}, [], [{"User": "x", "Image": "y"}], [{"Image": "x", "User": "y"}]),
    ("own pipeline", "sel: {Image: x}", {"Image": "proc.exe"}, ["linux_eval"], [{"proc": {"exe": "x"}}, {"proc.exe": "x"}], [{"_EXE": "x"}]),
    ("own pipeline, a field that it has not", "sel: {Image: x, Hashes: y}", {"Hashes": "hash"}, ["linux_eval"], [{"_EXE": "x", "hash": "y"}], [{"_EXE": "x", "Hashes": "y"}]),
    ("own pipeline, onto a field that it renames", "sel: {Hashes: y}", {"Hashes": "CommandLine"}, ["linux_eval"], [{"_EXE": "a", "CommandLine": "y"}], [{"_EXE": "a", "_CMDLINE": "y"}]),
    ("own pipeline, several names", "sel: {Image: x}", {"Image": ["a", "_EXE"]}, ["linux_eval"], [{"a": "x"}, {"_EXE": "x"}], [{"Image": "x"}]),
    ("ecs", "sel: {Image: x}", {"Image": "exe"}, ["linux_eval_ecs"], [{"exe": "x"}], [{"process.executable": "x"}]),
    ("a pipeline of others", "sel: {Image: x}", {"Image": "a"}, ["RENAMES"], [{"a": "x"}], [{"image": "x"}]),
    ("onto a field that it renames", "sel: {Image: x}", {"Image": "B"}, ["RENAMES"], [{"B": "x"}], [{"C": "x"}]),
    ("both kinds", "sel: {Image: x, CommandLine: y}", {"Image": "X"}, ["RENAMES", "linux_eval"], [{"X": "x", "_CMDLINE": "y"}], [{"Y": "x", "_CMDLINE": "y"}, {"image": "x", "_CMDLINE": "y"}]),
    ("a pipeline that refuses the field's old name", "sel: {Image|exists: true}", {"Image": "image"}, ["REFUSES"], [{"image": "x"}], [{}]),
    ("references to fields", "sel: {Image|fieldref: User}", {"User": "a"}, [], [{"Image": "x", "a": "x"}], [{"Image": "x", "User": "x"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("detection", "mapping", "pipelines", "match", "other"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_mappings(
    detection: str,
    mapping: dict[str, Any],
    pipelines: list[Any],
    match: list[dict[str, Any]],
    other: list[dict[str, Any]],
) -> None:
    texts = {"RENAMES": RENAMES, "REFUSES": REFUSES}
    given = [ProcessingPipeline.from_yaml(texts[one]) if one in texts else one for one in pipelines]
    ruleset = mapped(rule(detection), mapping, *given)
    assert ruleset.errors == ()
    assert [event for event in match if not ruleset.match(event)] == []
    assert [event for event in other if ruleset.match(event)] == []


def test_scopes_follow() -> None:
    """A process event is known by the mapped field; other fields are still refused."""
    ruleset = mapped(rule("sel: {Image|endswith: sh}"), {"Image": "exe"}, "linux_eval")
    assert ruleset.rules[0].scope is not None
    assert "'exe'" in ruleset.rules[0].scope
    [error] = mapped(rule("sel: {Image: x, Nonsense: y}"), {"Image": "exe"}, "linux_eval").errors
    assert "field 'Nonsense'" in error.reason


def test_null_beside_other_values_is_refused_where_one_of_several_names_is_meant() -> None:
    for pipelines in ([], ["linux_eval"], [ProcessingPipeline.from_yaml(RENAMES)]):
        [error] = mapped(rule("sel: {Image: [null, x]}"), {"Image": ["a", "b"]}, *pipelines).errors
        assert "null beside other values" in error.reason
        assert mapped(rule("sel: {Image: [null, x]}"), {"Image": "a"}, *pipelines).errors == ()


def test_a_mapping_that_no_rule_uses_is_told() -> None:
    """Not where a scope of the pipeline reads it."""
    told = mapped(rule("sel: {CommandLine: x}"), {"ComandLine": "c"}, "linux_eval").notes
    assert told == (("field_mappings", "no rule asks for the field 'ComandLine'; the nearest is 'CommandLine'"),)
    assert mapped(rule("sel: {CommandLine: x}"), {"Image": "exe"}, "linux_eval").notes == ()
    assert mapped(rule("sel: {CommandLine: x}"), {"Zzz": "exe"}).notes == (
        ("field_mappings", "no rule asks for the field 'Zzz'"),
    )
    assert mapped(rule("sel: {A|fieldref: CommandLine}"), {"CommandLine": "c"}).notes == ()


def test_mappings_that_are_none() -> None:
    for mapping, words in [
        ({"A": []}, "'A' is mapped to no name"),
        ({"A": " "}, "mapped to no name"),
        ({"": "a"}, "has no name"),
    ]:
        with pytest.raises(ValueError, match=words):
            FieldMappings.of(mapping)
    assert mapped(rule("sel: {A: x}"), {}).rules[0].expression == "equals(event, 'A', 'x')"


def test_another_mapping_is_another_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache tells them apart, and keeps them."""
    monkeypatch.setattr(cache, "FEWEST_RULES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "r.yml").write_text(rule("sel: {Image: x}"))
    for _ in range(2):
        for name in ("a", "b"):
            [found] = load_rules(tmp_path / "r.yml", pipeline=FieldMappings.of({"Image": name})).rules
            assert found.expression == f"equals(event, '{name}', 'x')"
    assert len(list((tmp_path / "cache" / "sigma-pyeval").iterdir())) == 2


def test_pipelines_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(RENAMES)
    (tmp_path / "q.yml").write_text("transformations: [{type: nonsense}]")
    assert pipeline_problem("linux_eval") is None
    assert pipeline_problem(str(tmp_path / "p.yml")) is None
    assert pipeline_problem("linux_evla") == "unknown; did you mean 'linux_eval'? A file's name ends in .yml"
    assert pipeline_problem("zzz") == (
        "unknown; of this package there are linux_eval, linux_eval_ecs, linux_eval_sysmon. A file's name ends in .yml"
    )
    assert pipeline_problem(str(tmp_path / "no.yml")) == f"there is no file {tmp_path / 'no.yml'}"
    assert str(pipeline_problem(str(tmp_path / "q.yml"))).startswith(f"{tmp_path / 'q.yml'} is no pipeline: ")


def test_what_a_pipeline_refuses_is_told_from_what_is_broken() -> None:
    """A rule for other logs is well-formed; one with a mistake is not."""
    for text, unsupported in [
        (rule("sel: {Image: x}", "{product: windows}"), True),
        (rule("sel: {Nonsense: x}"), True),
        (rule("sel: {Image|nonsense: x}"), False),
        (rule("sel: {Image: x}").replace("condition: sel", "condition: nothing"), False),
    ]:
        [error] = parse_rules(text, pipeline="linux_eval", on_error="collect").errors
        assert error.unsupported is unsupported, error

"""The configuration's JSON Schema: valid, as strict as the program where it can be, of use to editors; and the pages made of it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from sigma.pyeval.cli import main
from sigma.pyeval.monitor.configuration import ConfigurationError, parse_configuration
from sigma.pyeval.monitor.schema import configuration_schema
from tests.conftest import ROOT

from .test_configuration import GOOD, changed
from .test_secret_files import EVERY

SCHEMA = configuration_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema_and_printed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    result = CliRunner().invoke(main, ["monitor", "--schema"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, SCHEMA)


GOOD_ONES: list[tuple[str, dict[str, Any]]] = [
    ("the least", GOOD),
    ("every secret", EVERY),
    ("references", changed(spool_bytes="${SPOOL}", sinks=[{"type": "stdout", "required": "${MUST:-true}", "min_level": "${LEVEL}"}])),
    ("seconds as durations", changed(sinks=[
        {"type": "webhook", "url": "https://hooks.example/", "timeout": "10s"},
        {"type": "webhook", "name": "b", "url": "https://hooks.example/", "timeout": 10},
        {"type": "email", "server": {"host": "m"}, "from": "a@example.org", "to": ["b@example.org"], "linger": "0s"},
    ])),
    ("secrets in files", changed(server={"token": "file:/t"})),
    ("all of rules", changed(rules={
        "paths": ["r"], "filters": ["f"], "pipelines": ["linux_eval_ecs"], "field_mappings": {"a": "b", "c": ["d", "e"]},
        "placeholders": {"p": ["x", 5], "q": "y"}, "restrictiveness": "ultra", "include": ["level:low"], "exclude": ["a.b"],
        "levels": {"a.b*": "high"},
    })),
    *((path.name, yaml.safe_load(path.read_text())) for path in sorted((ROOT / "examples").glob("*.yml"))),
]  # fmt: skip
ENVIRONMENT = {"SPOOL": "2097152", "LEVEL": "high"}


@pytest.mark.parametrize("value", [row[1] for row in GOOD_ONES], ids=[row[0] for row in GOOD_ONES])
def test_what_the_program_takes_is_valid(value: dict[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []
    try:
        parse_configuration(value, ENVIRONMENT)
    except ConfigurationError as error:
        assert all("the secret's file" in finding for _, finding in error.problems)  # noqa: PT017 - files are not there


BAD_ONES: list[tuple[str, dict[str, Any]]] = [
    ("no state", changed(state=None)),
    ("unknown section", changed(source=[])),
    ("unknown key of rules", changed(rules={"paths": ["r"], "pipeline": ["x"]})),
    ("unknown kind", changed(sources=[{"type": "jounrald"}])),
    ("no kind", changed(sinks=[{"name": "x"}])),
    ("key of another kind", changed(sinks=[{"type": "stdout", "path": "x"}])),
    ("missing key of a kind", changed(sinks=[{"type": "file"}])),
    ("no number", changed(spool_bytes="much")),
    ("too small", changed(spool_bytes=1)),
    ("no list", changed(rules={"paths": "r"})),
    ("unknown level", changed(rules={"paths": ["r"], "levels": {"a.b": "hihg"}})),
    ("no truth", changed(watch="perhaps")),
]


@pytest.mark.parametrize("value", [row[1] for row in BAD_ONES], ids=[row[0] for row in BAD_ONES])
def test_what_the_program_refuses_is_not_valid(value: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(value)
    with pytest.raises(ConfigurationError):
        parse_configuration(value, {})


def objects(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(one for part in inner for one in objects(part))]


def test_every_field_says_what_it_is() -> None:
    """In the schema's own words, or those of the part that it is; without marks of another language or names of the program's."""
    for definition in (SCHEMA, *SCHEMA["$defs"].values()):
        for name, field in definition.get("properties", {}).items():
            described = (
                "description" in field or "$ref" in field or any("$ref" in one for one in field.get("anyOf", ()))
            )
            assert described or "const" in field, name
            assert "title" not in field
            assert "``" not in field.get("description", "")
    assert not [one for one in objects(SCHEMA) if "discriminator" in one or one.get("format") == "password"]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_those_that_would_be_made_now() -> None:
    made = generator()
    text = made.CONFIGURATION.read_text(encoding="utf-8")
    assert made.with_reference(text) == text, "run make docs"
    assert made.SCHEMA.read_text(encoding="utf-8") == made.schema_text(), "run make docs"


def test_every_link_of_the_reference_has_its_target() -> None:
    text = Path(generator().CONFIGURATION).read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(#([a-z]+)\)", text)) <= set(re.findall(r'<a id="([a-z]+)"></a>', text))

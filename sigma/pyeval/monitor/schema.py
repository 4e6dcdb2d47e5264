"""The configuration's JSON Schema (draft 2020-12), for editors and for the reference in the documentation.

A file's first line ``# yaml-language-server: $schema=configuration.schema.json`` has editors complete and check it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from .configuration import Configuration
from .configuration_errors import KINDS
from .settings import DURATION_PATTERN

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
REFERENCE: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
    "description": "A reference to the environment: ${NAME} or ${NAME:-default}.",
}
"""What may stand in place of a number, a truth value or a choice."""

_REFERENCE = {"$ref": "#/$defs/Reference"}
_OF_OPENAPI = ("discriminator",)
_FORMATS = {"password", "path", "file-path"}
"""Formats of pydantic's that JSON Schema does not define; the first is told by ``writeOnly`` as well."""


def configuration_schema() -> dict[str, Any]:
    """Return the schema of a configuration file, as JSON types."""
    schema = Configuration.model_json_schema(mode="validation")
    definitions = schema.pop("$defs")
    for kinds in KINDS.values():
        for kind in kinds.values():
            _tell_type(definitions[kind.__name__])
    parts = {name: _cleaned(part) for name, part in sorted(definitions.items())}
    return {
        "$schema": DIALECT,
        "title": "Configuration of sigma-pyeval monitor",
        **{key: value for key, value in _cleaned(schema).items() if key != "title"},
        "$defs": {"Reference": REFERENCE, **parts},
    }


def _tell_type(definition: dict[str, Any]) -> None:
    """Have a kind of source or sink need its ``type``, by which it is told from the others; the name follows from it."""
    properties = definition["properties"]
    properties["type"].pop("default", None)
    properties["name"].pop("default", None)
    definition["required"] = ["type", *(name for name in definition.get("required", ()) if name != "type")]


def _cleaned(value: Any) -> Any:
    """Return a part of the schema without what is of no use to a reader, with room for references to the environment."""
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if not isinstance(value, dict):
        return value
    properties = value.get("properties", {})
    found = {key: _cleaned(one) for key, one in value.items() if key not in (*_OF_OPENAPI, "properties")}
    if properties:
        found["properties"] = {name: _cleaned(_untitled(one)) for name, one in properties.items()}
    if found.get("format") in _FORMATS:
        del found["format"]
    if found.get("writeOnly"):  # a reference to a file may be shorter than the secret in it
        found.pop("minLength", None)
    if isinstance(found.get("pattern"), str):  # ECMA 262, which JSON Schema asks for, has no \A and \z
        found["pattern"] = found["pattern"].replace(r"\A", "^").replace(r"\z", "$")
    if "description" in found:
        found["description"] = inspect.cleandoc(found["description"]).replace("``", "`")
    return _with_reference(found)


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}


def _with_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema*, if it is one of a number, a truth value or a choice, with a reference as another possibility."""
    narrow = schema.get("type") in ("integer", "number", "boolean") or "enum" in schema or "pattern" in schema
    if not narrow:
        return schema
    told: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    return {**told, "anyOf": [{key: value for key, value in schema.items() if key not in told}, _REFERENCE]}


# -- the reference in the documentation --------------------------------------------------------------------------------


def reference() -> str:
    """Return the tables of ``docs/configuration.md``, Markdown: each section, each kind of source and sink, each part."""
    schema = configuration_schema()
    definitions = schema["$defs"]
    lines = ["## The file", "", *_table(schema, definitions)]
    kinds = {
        kind.__name__: f"`{section}`, `type: {name}`" for section, of in KINDS.items() for name, kind in of.items()
    }
    sections = {
        _target(property_): f"`{name}`" for name, property_ in schema["properties"].items() if _target(property_)
    }
    headings = {**sections, **kinds}
    rest = {name: name for name in definitions if name not in headings and "properties" in definitions[name]}
    for name, heading in {**headings, **rest}.items():
        definition = definitions[name]
        lines += ["", f'<a id="{name.lower()}"></a>', "", f"## {heading}", ""]
        if "description" in definition:
            lines += [" ".join(definition["description"].split()), ""]
        lines += _table(definition, definitions)
    return "\n".join(lines)


def _table(definition: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    yield "| key | value | unless given | |"
    yield "|---|---|---|---|"
    required = definition.get("required", ())
    for name, schema in definition["properties"].items():
        default = "**required**" if name in required else _default(schema)
        described = schema if "description" in schema else definitions.get(_target(schema), {})
        meaning = " ".join(described.get("description", "").split())
        cells = (f"`{name}`", _kind(schema, definitions), default, meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    if default is None or default in ({}, [], "") or isinstance(default, dict):
        return ""
    text = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
    return f"`{', '.join(map(str, text)) if isinstance(text, list) else text}`"


def _target(schema: dict[str, Any]) -> str:
    """Return the name of the definition that *schema* is, or may be; empty where it is none."""
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one and one != _REFERENCE:
            return str(one["$ref"].rpartition("/")[2])
    return ""


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return what a value may be, in a few words."""
    if target := _target(schema):
        return (
            f"[{target}](#{target.lower()})"
            if "properties" in definitions[target]
            else _kind(definitions[target], definitions)
        )
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    choices = [one for one in schema.get("anyOf", schema.get("oneOf", ())) if one not in (_REFERENCE, {"type": "null"})]
    if choices:
        return " or ".join(dict.fromkeys(_kind(one, definitions) for one in choices))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), definitions)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"name: {_kind(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    text = "duration" if schema.get("pattern") == DURATION_PATTERN else "text"
    names = {
        "string": "secret" if schema.get("writeOnly") else text,
        "integer": "whole number",
        "boolean": "true, false",
    }
    return names.get(str(kind), "anything" if kind is None else str(kind)) + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {schema[key]:,}" for key, word in words.items() if key in schema]
    return f" {' '.join(found)}" if found else ""

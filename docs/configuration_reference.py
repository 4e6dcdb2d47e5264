"""The page on the monitor's configuration, from the schema that reads it; part of ``python docs/generate.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sigma.pyeval.monitor.configuration import Configuration
from sigma.pyeval.monitor.kinds import SINKS, SOURCES

_LEFT_TO_SECTIONS = {"sources", "sinks"}
_HEAD = """# Configuration of the monitor

Every key, generated from the schema that reads the file (`make docs`). How the parts work together stands in
[monitor.md](../monitor.md); what a kind of source or sink does in [sources.md](../sources.md) and
[sinks.md](../sinks.md). Keys that are not listed are refused.
"""


def configuration_page() -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD, "## The file", _table(Configuration, "")]
    for title, kinds in (("sources", SOURCES), ("sinks", SINKS)):
        for name, (settings, _) in kinds.items():
            parts += [f"## {title}: {name}", _table(settings, "")]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(model: type[BaseModel], prefix: str) -> str:
    rows = ["| key | what it is | value | default |", "|---|---|---|---|", *_rows(model, prefix)]
    return "\n".join(rows)


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield a row for each field, those of parts that are settings themselves behind it."""
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if name == "type":
            continue
        key = field.alias or name
        described = schema["properties"][key]
        value = "a list, see below" if name in _LEFT_TO_SECTIONS else _value(described, schema.get("$defs", {}))
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        what = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
        yield f"| `{prefix}{key}` | {what} | {value} | {default} |"
        inner = _inner(field.annotation)
        if inner is not None and name not in _LEFT_TO_SECTIONS:
            yield from _rows(inner, f"{prefix}{key}.")


def _inner(annotation: Any) -> type[BaseModel] | None:
    """Return the settings that a field is made of, where it is one part and not a choice of several."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    models = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
    return models[0] if len(models) == 1 else None


def _value(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return in words what a value may be."""
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema or "oneOf" in schema:
        options = [_value(one, definitions) for one in schema.get("anyOf") or schema["oneOf"]]
        return " or ".join(dict.fromkeys(one for one in options if one != "null"))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        item = _value(schema.get("items") or (schema.get("prefixItems") or [{}])[0], definitions)
        return f"list of ({item})" if " or " in item else f"list of {item}"
    if kind == "object":
        extra = schema.get("additionalProperties")
        return f"map to {_value(extra, definitions)}" if isinstance(extra, dict) else "a part"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "null": "null",
    }
    return names.get(str(kind), "any") + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    bounds = [f"{sign} {schema[name]:,}" for name, sign in signs if name in schema]
    return f" ({', '.join(bounds)})" if bounds else ""


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined or value in ("", (), {}, []):
        return "none"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (tuple, list)):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value:,}`" if isinstance(value, int) else f"`{value}`"

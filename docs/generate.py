"""Writes the generated parts of the documentation: run as ``python docs/generate.py`` (``make docs``)."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from sigma.pyeval.matchers import MATCHERS
from sigma.pyeval.monitor.schema import configuration_schema, reference

DOCS = Path(__file__).parent
SEMANTICS = DOCS / "semantics.md"
CONFIGURATION = DOCS / "configuration.md"
SCHEMA = DOCS / "configuration.schema.json"
CORRELATIONS = DOCS / "correlations.md"


def matcher_table() -> str:
    """Return a Markdown table of the matchers: call, and the first paragraph of the docstring."""
    rows = ["| call | meaning |", "|---|---|"]
    for name, matcher in MATCHERS.items():
        parameters = ", ".join(inspect.signature(matcher).parameters)
        meaning = inspect.cleandoc(matcher.__doc__ or "").replace("``", "`").replace("|", "\\|")
        rows.append(f"| `{name}({parameters})` | {' '.join(meaning.split())} |")
    return "\n".join(rows)


def with_matchers(text: str) -> str:
    """Return *text* with the table between its marks made anew."""
    return _between("matchers", matcher_table(), text)


def with_reference(text: str) -> str:
    """Return *text* with the tables of the configuration between their marks made anew."""
    return _between("configuration", reference(), text)


def schema_text() -> str:
    """Return the configuration's JSON Schema as its file holds it."""
    return json.dumps(configuration_schema(), indent=2) + "\n"


def _between(mark: str, made: str, text: str) -> str:
    part = f"<!-- {mark} -->\n{made}\n<!-- /{mark} -->"
    return re.sub(f"<!-- {mark} -->.*<!-- /{mark} -->", lambda _: part, text, flags=re.DOTALL)


if __name__ == "__main__":
    from timelines import with_timelines

    SEMANTICS.write_text(with_matchers(SEMANTICS.read_text(encoding="utf-8")), encoding="utf-8")
    CONFIGURATION.write_text(with_reference(CONFIGURATION.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    CORRELATIONS.write_text(with_timelines(CORRELATIONS.read_text(encoding="utf-8")), encoding="utf-8")

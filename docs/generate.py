"""Writes the generated parts of the documentation: run as ``python docs/generate.py`` (``make docs``)."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from sigma.pyeval.matchers import MATCHERS

SEMANTICS = Path(__file__).parent / "semantics.md"
CONFIGURATION = Path(__file__).parent / "reference" / "configuration.md"


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
    table = f"<!-- matchers -->\n{matcher_table()}\n<!-- /matchers -->"
    return re.sub(r"<!-- matchers -->.*<!-- /matchers -->", lambda _: table, text, flags=re.DOTALL)


if __name__ == "__main__":
    from configuration_reference import configuration_page

    CONFIGURATION.write_text(configuration_page(), encoding="utf-8")
    SEMANTICS.write_text(with_matchers(SEMANTICS.read_text(encoding="utf-8")), encoding="utf-8")

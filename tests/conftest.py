"""What several test files share: where the shared data lies, and rules written as short as possible."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PYEVAL_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, which is no part of the project; tests that need it are skipped without it."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"no shared data at {data}; set PYEVAL_SHARED to the folder that holds data/")
    return data


def rule_yaml(detection: str, title: str = "Test", logsource: str = "category: test", extra: str = "") -> str:
    """Return a rule's YAML around a *detection* section, which is written without its own indentation."""
    section = textwrap.indent(textwrap.dedent(detection).strip(), "    ")
    return f"title: {title}\n{extra}logsource:\n    {logsource}\ndetection:\n{section}\n"

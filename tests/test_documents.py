"""Generated parts of the documentation are those that the code would generate now; links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from .conftest import ROOT


def generator(name: str = "generate") -> object:
    """Import a script of docs, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_matcher_table_is_current() -> None:
    """make docs leaves docs/semantics.md as it is."""
    text = (ROOT / "docs" / "semantics.md").read_text()
    assert generator().with_matchers(text) == text  # type: ignore[attr-defined]


def test_the_timelines_are_current() -> None:
    """make docs leaves docs/correlations.md as it is; each timeline is drawn by running its rule."""
    text = (ROOT / "docs" / "correlations.md").read_text()
    timelines = generator("timelines")
    assert timelines.with_timelines(text) == text  # type: ignore[attr-defined]
    assert set(re.findall(r"<!-- timeline (\w+) -->", text)) == set(timelines.TIMELINES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_files_named_in_documents_exist(path: Path) -> None:
    """Links to files, and paths in back quotes that look like files of this repository."""
    text = path.read_text()
    links = [
        link.split("#")[0]
        for link in re.findall(r"\]\(([^)]+)\)", text)
        if "://" not in link and not link.startswith("#")
    ]
    named = re.findall(r"`((?:docs|sigma|tests|examples|benchmarks|\.ci)/[\w./-]+\w/?)`", text)
    missing = [name for name in links if not (path.parent / name).exists()] + [
        name for name in named if not (ROOT / name).exists()
    ]
    assert missing == []

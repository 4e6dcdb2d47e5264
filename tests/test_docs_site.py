"""The documentation's site: every page has its place, every link leads somewhere, generated parts are up to date."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def script(name: str) -> ModuleType:
    """Import a file of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages_of(nav: Any) -> Iterator[str]:
    """Yield the pages named in a navigation, at any depth."""
    if isinstance(nav, str):
        yield nav
    else:
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from pages_of(one)


def test_every_page_has_a_place_in_the_navigation() -> None:
    """Once; and nothing is there that is no page."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    assert sorted(pages_of(project["nav"])) == [str(page.relative_to(DOCS)) for page in PAGES]
    assert project["theme"]["font"] is False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_within_the_documentation(page: Path) -> None:
    """Pages, images and other files; anchors are looked at by ``make docs``."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    missing = [target for target in local if not (page.parent / target).resolve().is_file()]
    outside = [target for target in local if not (page.parent / target).resolve().is_relative_to(DOCS)]
    assert (missing, outside) == ([], [])


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda page: page.name)
def test_what_the_reference_names_is_there(page: Path) -> None:
    """Modules, and classes and functions of modules."""
    for name in DIRECTIVE.findall(page.read_text()):
        module, _, attribute = name.rpartition(".")
        if importlib.util.find_spec(module) and not _is_package_of(module, attribute):
            assert hasattr(importlib.import_module(module), attribute), name
        else:
            assert importlib.util.find_spec(name) is not None, name


def _is_package_of(package: str, name: str) -> bool:
    spec = importlib.util.find_spec(package)
    return (
        spec is not None
        and bool(spec.submodule_search_locations)
        and bool(importlib.util.find_spec(f"{package}.{name}"))
    )


def test_the_reference_has_all_public_names() -> None:
    """What ``sigma.pyeval`` exports is on its page, but for the version."""
    import sigma.pyeval

    named = {name.rpartition(".")[2] for name in DIRECTIVE.findall((DOCS / "reference" / "python.md").read_text())}
    assert set(sigma.pyeval.__all__) - named == {"__version__"}


SITES = [
    # files, problems
    ({"index.html": '<a href="other.html#x">o</a><img src="a b.png">', "other.html": "", "a b.png": ""}, []),
    ({"index.html": '<a href="https://example.org">o</a><a href="#x">o</a><a href="mailto:x@example.org">m</a>'}, []),
    ({"index.html": '<a href="folder/">o</a>', "folder/index.html": '<a href="../index.html">o</a>'}, []),
    ({"index.html": '<a href="none.html">o</a>'}, ["index.html: none.html is not there"]),
    ({"index.html": '<a href="../outside.html">o</a>'}, ["index.html: ../outside.html is not there"]),
    ({"index.html": '<img src="none.png">'}, ["index.html: none.png is not there"]),
    ({"index.html": '<script src="https://cdn.example/x.js"></script>'}, ["index.html: loads https://cdn.example/x.js from elsewhere"]),
    ({"index.html": '<link rel="preconnect stylesheet" href="//fonts.example/x.css">'}, ["index.html: loads //fonts.example/x.css from elsewhere"]),
    ({"index.html": '<link rel="canonical" href="https://example.org">'}, []),
    ({"index.html": '<pre class="mermaid">x</pre>'}, ["index.html: a diagram, for which a script would be loaded from elsewhere"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), SITES)
def test_a_built_site_is_looked_through(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    """Local links and files exist, and nothing is loaded from elsewhere; links to elsewhere are free."""
    site = tmp_path / "site"
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    assert script("check_site").problems(site) == expected

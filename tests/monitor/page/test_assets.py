"""The page's files: what is served is what is there, and none of them makes markup of data."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from sigma.pyeval.monitor.page.assets import load_assets

from .kept import paged

STATIC = Path(__file__).parents[3] / "sigma/pyeval/monitor/page/static"
FORBIDDEN = (
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment", "setHTML",
    "eval(", "new Function", "javascript:", "style=", ".style", "cssText", "localStorage", "import(", "Worker(",
)  # fmt: skip


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_files_make_no_markup_of_data(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [word for word in FORBIDDEN if word in text] == []
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)  # no handlers in markup
    # Nothing is loaded from elsewhere; addresses that are linked to, and names of formats, are not loaded.
    assert set(re.findall(r"https?://[^\s\"'`/]+", text)) <= {"http://www.w3.org", "https://attack.mitre.org"}


def test_every_file_is_in_the_table_and_the_other_way_round() -> None:
    assets = load_assets()
    assert set(assets) == {path.name for path in STATIC.iterdir()} | {"palette.css"}
    named = set(re.findall(r"/page/([\w.]+)", (STATIC / "page.html").read_text() + (STATIC / "login.html").read_text()))
    imported = {name for path in STATIC.glob("*.js") for name in re.findall(r'from "\./([\w.]+)"', path.read_text())}
    assert named | imported <= set(assets)
    assert {name for name in assets if name.endswith(".js")} == {
        name for name in named | imported if name.endswith(".js")
    }


def test_files_stay_small_rooms() -> None:
    assert {path.name: n for path in STATIC.glob("*.js") if (n := path.read_text().count("\n")) > 420} == {}


def test_files_are_served_with_their_types_and_not_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path) as kept:
            for name, kind in (
                ("main.js", "text/javascript"),
                ("page.css", "text/css"),
                ("icon.svg", "image/svg+xml"),
                ("", "text/html"),
            ):
                reply = await kept.client.get(f"/page/{name}")
                assert reply.headers["content-type"].startswith(kind)
                again = await kept.client.get(f"/page/{name}", headers={"If-None-Match": reply.headers["etag"]})
                assert (again.status_code, again.content) == (304, b"")

    asyncio.run(scenario())

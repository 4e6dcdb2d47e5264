"""Look through a built site: ``python docs/check_site.py FOLDER``.

Exits with 1 where a page loads something from elsewhere, or a local link is broken. The site generator checks links
between pages; this is about all other files, and about what pages load.
"""

from __future__ import annotations

import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

_LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
_LOADING_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
}


class _Page(HTMLParser):
    """What a page loads, what it links to, and whether it holds what its scripts would load a library for."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.diagrams = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.diagrams = self.diagrams or "mermaid" in attributes.get("class", "").split()
        if tag in _LOADING and attributes.get(_LOADING[tag]):
            self.loads.append(attributes[_LOADING[tag]])
        elif tag == "link" and set(attributes.get("rel", "").split()) & _LOADING_LINKS:
            self.loads.append(attributes.get("href", ""))
        elif tag in ("a", "link") and attributes.get("href"):
            self.links.append(attributes["href"])


def problems(site: Path) -> list[str]:
    """Return what is wrong with the pages below *site*, a line each."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        name = path.relative_to(site)
        if page.diagrams:
            found.append(f"{name}: a diagram, for which a script would be loaded from elsewhere")
        found += [f"{name}: loads {url} from elsewhere" for url in page.loads if _is_elsewhere(url)]
        local = [url for url in [*page.loads, *page.links] if not _is_elsewhere(url)]
        found += [
            f"{name}: {url} is not there" for url in local if path.name != "404.html" and not _is_there(path, url, site)
        ]
    return found


def _is_elsewhere(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return bool(parts.netloc) or parts.scheme in ("http", "https")


def _is_there(page: Path, url: str, site: Path) -> bool:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme or not parts.path:
        return True
    target = (page.parent / urllib.parse.unquote(parts.path)).resolve()
    return target.is_relative_to(site.resolve()) and (target.is_file() or (target / "index.html").is_file())


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]))
    print("\n".join(lines) or "every page loads only its own files, and every local link leads somewhere")
    sys.exit(bool(lines))

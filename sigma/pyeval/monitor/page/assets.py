"""The page's files, by a fixed table of names: nothing of a request ever becomes a path."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from .access import HEADERS

_REPORTS: Final = "sigma.pyeval.reports"
_SCRIPT, _STYLE, _HTML = "text/javascript", "text/css", "text/html"
_SCRIPTS: Final = (
    "main", "alerts", "api", "attack", "charts", "correlation", "detail", "dom", "event", "filters", "health", "keys", "login",
    "rules", "tables", "text", "trends", "values",
)  # fmt: skip
LOGIN_FILES: Final = frozenset({"palette.css", "page.css", "login.js", "icon.svg"})
"""What the form needs that asks for the token: given to everybody."""


class Asset(NamedTuple):
    """One file: its bytes, media type and entity tag."""

    body: bytes
    kind: str
    tag: str


def load_assets() -> dict[str, Asset]:
    """Read all files; by their names in the page."""
    table = {name + ".js": (__package__, _SCRIPT) for name in _SCRIPTS}
    table |= {
        "page.css": (__package__, _STYLE),
        "palette.css": (_REPORTS, _STYLE),
        "icon.svg": (__package__, "image/svg+xml"),
    }
    table |= {"page.html": (__package__, _HTML), "login.html": (__package__, _HTML)}
    return {name: _read(package, name, kind) for name, (package, kind) in table.items()}


def _read(package: str, name: str, kind: str) -> Asset:
    folder = resources.files(package)
    body = (folder if package == _REPORTS else folder / "static").joinpath(name).read_bytes()
    return Asset(body, kind, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def reply_with(asset: Asset, request: Request) -> Response:
    """Return *asset*, or that the browser has it already."""
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": asset.tag}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.kind, headers=headers)

"""The page's addresses: its files, and the API that it, and whoever likes, asks; docs/page.md describes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

import orjson
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic import SecretStr as Secret
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sigma.pyeval.alerts import rfc3339
from sigma.pyeval.output import json_line
from sigma.pyeval.version import __version__

from ..settings import Settings
from ..store import Kept, Store, StoreFull
from ..trends import MOST_SAMPLES, SAMPLE_SECONDS, Trends
from .access import HEADERS, Doorkeeper, refused
from .archive import Archive, Entry
from .assets import LOGIN_FILES, load_assets, reply_with
from .counts import Counts
from .filters import Filter
from .health import PartsHealth
from .search import find_all_ids, find_newer, find_older

MOST_BODY_BYTES: Final = 1 << 20
"""Of a request of the page."""

MOST_ALERTS: Final = 200
"""Alerts of one reply."""

LONGEST_NAME: Final = 100

_Handler = Callable[[Request], Awaitable[Response]]


class Asked(Settings):
    """The query of ``GET /api/alerts`` besides the filter."""

    before: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    """Only alerts with smaller numbers."""

    after: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    """Only alerts with larger numbers."""

    revision: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    """Tell what was acknowledged since."""

    limit: Annotated[int, Field(ge=1, le=MOST_ALERTS)] = 50
    """How many alerts."""


class Acknowledging(Settings):
    """The body of ``POST /api/acknowledgements``: who, and which."""

    by: str = Field(max_length=LONGEST_NAME)
    """Who acknowledges, as they name themselves."""

    ids: list[Annotated[str, Field(max_length=64)]] | None = Field(default=None, min_length=1, max_length=1000)
    """Ids of alerts."""

    filter: Filter | None = None
    """All alerts that this admits."""

    newest: int | None = Field(default=None, ge=0, lt=2**62)
    """With ``filter``: none with a larger number, so that nothing is acknowledged that nobody saw."""

    @field_validator("by")
    @classmethod
    def _a_name(cls, value: str) -> str:
        name = value.strip()
        if not name or not name.isprintable():
            raise ValueError("a name of visible characters is needed")
        return name

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.ids is None) == (self.filter is None) or (self.filter is None) != (self.newest is None):
            raise ValueError("give either ids, or filter and newest")
        return self


class Login(Settings):
    """The body of ``POST /api/session``."""

    token: Secret
    """The server's."""


class Page:
    """The live page of one service.

    Args:
        store: Where its alerts are.
        trends: What its plots show.
        health: Tells the state of its parts.
        token: The server's.
    """

    def __init__(self, store: Store, trends: Trends, health: PartsHealth, token: Secret | None) -> None:
        self._store = store
        self._trends = trends
        self._health = health
        self._archive = Archive(store)
        self._counts = Counts(self._archive)
        self._door = Doorkeeper(token)
        self._assets = load_assets()
        self._began = time.time()

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        return [
            Route("/", self._to_page),
            Route("/page", self._to_page),
            Route("/page/", self._page),
            Route("/page/{name}", self._file),
            Route("/api/alerts", self._behind_door(self._alerts)),
            Route("/api/alerts/{id}", self._behind_door(self._alert)),
            Route("/api/alerts/{id}/json", self._behind_door(self._alert_alone)),
            Route("/api/overview", self._behind_door(self._overview)),
            Route("/api/trends", self._behind_door(self._told_trends)),
            Route("/api/acknowledgements", self._behind_door(self._acknowledge), methods=["POST"]),
            Route("/api/session", self._behind_door(self._session)),
            Route("/api/session", self._log_in, methods=["POST"]),
            Route("/api/session", self._behind_door(self._log_out), methods=["DELETE"]),
        ]

    def close(self) -> None:
        """Say how many refusals were not logged; when the service ends."""
        self._door.end_period()

    def _behind_door(self, handler: _Handler) -> _Handler:
        async def guarded(request: Request) -> Response:
            if (reply := self._door.refusal(request)) is not None:
                return reply
            try:
                return await handler(request)
            except ValidationError as error:
                return refused(422, _finding(error))

        return guarded

    async def _to_page(self, _: Request) -> Response:
        return RedirectResponse("/page/", 307, HEADERS)

    async def _page(self, request: Request) -> Response:
        reply = self._door.refusal(request)
        if reply is not None and reply.status_code == 401:
            return reply_with(self._assets["login.html"], request)
        return reply or reply_with(self._assets["page.html"], request)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in LOGIN_FILES and (reply := self._door.refusal(request)) is not None:
            return reply
        asset = self._assets.get(name)
        if asset is None or name.endswith(".html"):
            return refused(404, "no such file")
        return reply_with(asset, request)

    async def _alerts(self, request: Request) -> Response:
        wanted, asked = _query(request)
        archive = self._archive
        await archive.refresh()
        newest, revision = archive.newest, archive.revision
        told: dict[str, Any] = {"instance": archive.instance, "newest": newest, "revision": revision}
        if asked.after is None:
            found = await find_older(archive, self._store, wanted, asked.before, asked.limit)
            entries, told["next"], told["matching"] = found.entries, found.next, found.matching
        else:
            entries, told["more"] = await find_newer(archive, self._store, wanted, asked.after, asked.limit)
        if asked.revision is not None:
            changed = archive.changes(asked.revision)
            told["reload"] = changed is None
            told["acknowledged"] = [
                {"number": one.number, "id": one.id, "acknowledged": _moment(one.acknowledged), "by": one.by}
                for one in changed or ()
            ]
        told["alerts"] = [_listed(entry) for entry in entries]
        return _json(told)

    async def _alert(self, request: Request) -> Response:
        identity = request.path_params["id"]
        kept = await self._store.find(identity)
        if kept is None:
            return refused(404, "no alert with this id is kept any more")
        return _json(_kept(kept))

    async def _alert_alone(self, request: Request) -> Response:
        kept = await self._store.find(request.path_params["id"])
        if kept is None:
            return refused(404, "no alert with this id is kept any more")
        text = await asyncio.to_thread(orjson.dumps, kept.alert, option=orjson.OPT_INDENT_2)
        return Response(text, media_type="application/json", headers=HEADERS)

    async def _overview(self, _: Request) -> Response:
        await self._archive.refresh()
        told = {
            "version": __version__,
            "instance": self._archive.instance,
            "started": _moment(self._began),
            "now": _moment(time.time()),
            **self._counts.told(),
            "health": await self._health.told(),
        }
        return _json(told)

    async def _told_trends(self, request: Request) -> Response:
        text = request.query_params.get("minutes", "60")
        most = int(MOST_SAMPLES * SAMPLE_SECONDS / 60)
        if not text.isascii() or not text.isdecimal() or not 1 <= len(text) <= 4 or not 1 <= int(text) <= most:
            return refused(422, f"minutes: a whole number from 1 to {most}")
        return _json(self._trends.told(int(text) * 60.0))

    async def _acknowledge(self, request: Request) -> Response:
        body = await _body(request)
        if isinstance(body, Response):
            return body
        asked = Acknowledging.model_validate(body)
        await self._archive.refresh()
        ids = asked.ids
        if ids is None:
            assert asked.filter is not None  # noqa: S101 - validated
            assert asked.newest is not None  # noqa: S101 - validated
            ids = await find_all_ids(self._archive, self._store, asked.filter, asked.newest)
        try:
            count = await self._archive.acknowledge(ids, asked.by, time.time())
        except StoreFull:
            return refused(507, "the disk is full: this could not be kept")
        return _json({"acknowledged": count, "revision": self._archive.revision})

    async def _session(self, _: Request) -> Response:
        return _json({"login": self._door.has_token})

    async def _log_in(self, request: Request) -> Response:
        body = await _body(request)
        if isinstance(body, Response):
            return body
        try:
            given = Login.model_validate(body).token.get_secret_value()
        except ValidationError:
            return refused(422, 'send {"token": "..."}')
        return self._door.log_in(request, given)

    async def _log_out(self, request: Request) -> Response:
        return self._door.log_out(request)


def _query(request: Request) -> tuple[Filter, Asked]:
    values = dict(request.query_params)
    asked = {name: values.pop(name) for name in Asked.model_fields if name in values}
    return Filter.model_validate(values), Asked.model_validate(asked)


async def _body(request: Request) -> Any:
    """Return the JSON of a request, or the reply where there is none; only a script of our own page can send that type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return refused(415, "send JSON, as Content-Type: application/json")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MOST_BODY_BYTES:
            return refused(413, f"a body may have {MOST_BODY_BYTES} bytes", {"Connection": "close"})
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return refused(400, "that is not JSON")


def _finding(error: ValidationError) -> str:
    """Return the first problem without what was sent: a reply repeats nothing of a request."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier())
    return f"{place[:100]}: {first['msg']}" if place else first["msg"]


def _listed(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"acknowledged": _moment(entry.acknowledged)}


def _kept(kept: Kept) -> dict[str, Any]:
    return {
        "number": kept.number,
        "acknowledged": _moment(kept.acknowledged),
        "by": kept.by,
        "alert": kept.alert,
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(datetime.fromtimestamp(seconds, UTC))


def _json(value: Any) -> Response:
    return Response(json_line(value), media_type="application/json", headers=HEADERS)

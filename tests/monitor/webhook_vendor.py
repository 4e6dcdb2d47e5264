"""A server that answers webhooks as the vendors do, and a sink that sends to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma.pyeval.monitor.sinks.webhook import WebhookSettings, WebhookSink

from .serving import serving

TOKEN = "0123456789abcdef0123"
ALERT: dict[str, Any] = {
    "schema_version": 1,
    "id": "a1b2",
    "rule": {"id": "r-1", "title": "Shell <from> web & server", "level": "high", "tags": ["attack.t1059"]},
    "attack": {"tactics": [], "techniques": [{"id": "T1059", "name": "x"}], "groups": [], "software": []},
    "event": {"CommandLine": "curl <!channel> & co", "process.name": "curl", "pid": 7, "argv": ["a", "b"]},
    "event_time": "2026-01-02T03:04:05.250000Z",
    "detected": "2026-01-02T03:04:06Z",
    "host": "web1",
    "logsource": {"product": "linux"},
    "source": {"name": "auth", "type": "file", "path": "/var/log/auth.log", "offset": 7},
    "matched": [
        {
            "matcher": "contains",
            "field": "CommandLine",
            "values": ["curl"],
            "found": [{"path": ["CommandLine"], "value": "curl <!channel> & co", "spans": [[0, 4]]}],
        }
    ],
}
BARE = {"id": "only", "rule": {"title": "Bare"}}


class Vendor:
    """A route that keeps the requests and answers with *answer*."""

    def __init__(self, answer: Callable[[bytes], Response] = lambda body: PlainTextResponse("ok")) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.method, dict(request.headers), body))
        return self.answer(body)

    @property
    def routes(self) -> list[Route]:
        async def serve(request: Request) -> Response:
            return await self(request)

        return [Route("/{path:path}", serve, methods=["POST", "PUT"])]

    @property
    def json(self) -> Any:
        return json.loads(self.requests[-1][2])


@asynccontextmanager
async def sink_to(
    vendor: Vendor, path: str = "/hook/secret-path", server: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[WebhookSink]:
    scheme = "https" if server and "tls" in server else "http"
    async with serving(vendor.routes, **(server or {})) as address:
        sink = WebhookSink(
            WebhookSettings.model_validate({"type": "webhook", "url": f"{scheme}://{address}{path}", **settings})
        )
        try:
            yield sink
        finally:
            await sink.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]

"""The ``http`` source: clients post events, and the reply tells what was found once that is durable."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from typing import Final, Literal

from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma.pyeval.output import json_line

from ..access import client_address, refusal
from ..batches import Intake
from ..rates import ClientRates
from .ingest import RETRY_SECONDS, THREAD_BYTES, Ingest, IngestSettings, Rejected, Reply

_ENCODINGS: Final = ("", "identity", "gzip", "x-gzip")


class HttpSettings(IngestSettings):
    """Events that clients post to ``/ingest/<name>`` of the server."""

    type: Literal["http"] = "http"
    """``http``."""

    max_requests: int = Field(default=32, ge=1, le=10_000)
    """Requests served at the same time; further ones are answered 503."""


class HttpSource:
    """``Source`` for posted events; its routes are for the service's server.

    A body is one JSON object, an array of objects, or lines of ``settings.format``, each body for itself; gzip is accepted.
    """

    kind = "http"
    lag_unit = ""

    def __init__(self, settings: HttpSettings) -> None:
        self.name = settings.name or settings.type
        self._settings = settings
        self._ingest = Ingest(settings)
        self._rates = ClientRates(settings.requests_per_second)
        self._serving = 0

    def routes(self) -> list[Route]:
        """Return the route; it answers 503 while ``run`` does not run."""
        return [Route(f"/ingest/{self.name}", self._serve, methods=["POST"])]

    async def run(self, intake: Intake) -> None:
        """Take requests until ``intake.stopping`` is set."""
        await self._ingest.run(intake)

    async def _serve(self, request: Request) -> Response:
        client = client_address(request)
        if refused := refusal(request, self._settings.token):
            self._ingest.tell_refusal(client, refused)
            return refused
        self._serving += 1
        try:
            reply = await self._reply(request, client)
        except Rejected as rejection:
            reply = rejection.reply
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        finally:
            self._serving -= 1
        return _response(self._ingest.told(client, reply))

    async def _reply(self, request: Request, client: str) -> Reply:
        if not self._ingest.is_open:
            raise Rejected(503, "the source does not receive at present", RETRY_SECONDS)
        if wait := self._rates.take(client):
            raise Rejected(429, "too many requests", wait)
        if self._serving > self._settings.max_requests:
            raise Rejected(503, "too many requests at the same time", RETRY_SECONDS)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise Rejected(415, "Content-Encoding is gzip, or none")
        try:
            body = await request.body()
        except HTTPException as limit:  # the server's guard
            self._ingest.tell(client, limit.status_code, limit.detail)
            raise
        if encoding.endswith("gzip"):
            body = await self._decompressed(body)
        if len(body) > self._settings.max_bytes:
            raise Rejected(413, f"a body may have {self._settings.max_bytes} bytes")
        taken = await self._ingest.take(body, request.headers.get("x-event-id"), len(body))
        return await self._ingest.outcome(taken)

    async def _decompressed(self, body: bytes) -> bytes:
        most = self._settings.max_bytes
        if len(body) > THREAD_BYTES:
            return await asyncio.to_thread(_gunzip, body, most)
        return _gunzip(body, most)


def _gunzip(body: bytes, most: int) -> bytes:
    """Return what *body* holds, and at most one byte more than *most*, so that a small body cannot fill the memory."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            return file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Rejected(400, f"not gzip: {error}") from None


def _response(reply: Reply) -> Response:
    headers = {} if reply.retry_after is None else {"Retry-After": str(reply.retry_after)}
    return Response(json_line(reply.body), reply.status, headers, JSONResponse.media_type)

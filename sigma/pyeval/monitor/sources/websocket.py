"""The ``websocket`` source: one message is one event or a batch, and each has its reply, in order."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import Field
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sigma.pyeval.logs.json_values import JsonError, parse_json
from sigma.pyeval.output import json_line

from ..access import client_address, refusal
from ..batches import Intake, Json
from ..rates import ClientRates
from .ingest import RETRY_SECONDS, THREAD_BYTES, Ingest, IngestSettings, Rejected, Reply, Taken

_ENVELOPE = frozenset({"event_id", "events"})


class WebSocketSettings(IngestSettings):
    """Events that clients send over a WebSocket to ``/ws/<name>`` of the server."""

    type: Literal["websocket"] = "websocket"
    """``websocket``."""

    max_connections: int = Field(default=64, ge=1, le=10_000)
    """Connections of this source at the same time; further ones are answered 503."""

    max_in_flight: int = Field(default=8, ge=1, le=1_000)
    """Messages of one connection that may wait for their reply; no more are read meanwhile."""

    idle_seconds: float = Field(default=300, gt=0, le=86_400)
    """A connection without a message for so long is closed."""


class WebSocketSource:
    """``Source`` for WebSocket messages; its routes are for the service's server."""

    kind = "websocket"
    lag_unit = ""

    def __init__(self, settings: WebSocketSettings) -> None:
        self.name = settings.name or settings.type
        self._settings = settings
        self._ingest = Ingest(settings)
        self._rates = ClientRates(settings.requests_per_second)
        self._stopping: asyncio.Event | None = None
        self._connections = 0

    def routes(self) -> list[WebSocketRoute]:
        """Return the route; it answers 503 while ``run`` does not run."""
        return [WebSocketRoute(f"/ws/{self.name}", self._serve)]

    async def run(self, intake: Intake) -> None:
        """Take messages until ``intake.stopping`` is set."""
        self._stopping = intake.stopping
        await self._ingest.run(intake)

    async def _serve(self, websocket: WebSocket) -> None:
        client = client_address(websocket)
        if refused := self._refusal(websocket):
            self._ingest.tell_refusal(client, refused)
            await websocket.send_denial_response(refused)
            return
        assert self._stopping is not None  # noqa: S101 - it is open, so run has begun
        self._connections += 1
        try:
            await websocket.accept()
            await _Connection(websocket, self._settings, self._ingest, self._rates, self._stopping).serve()
        except WebSocketDisconnect:
            pass  # the client has gone; what it sent is judged all the same
        finally:
            self._connections -= 1

    def _refusal(self, websocket: WebSocket) -> JSONResponse | None:
        if refused := refusal(websocket, self._settings.token):
            return refused
        wait = {"Retry-After": str(RETRY_SECONDS)}
        if not self._ingest.is_open:
            return JSONResponse({"error": "the source does not receive at present"}, 503, wait)
        if self._connections >= self._settings.max_connections:
            return JSONResponse({"error": "too many connections"}, 503, wait)
        return None


class _Connection:
    """One client's connection: messages go into the queue in order, and replies come out in the same order."""

    def __init__(
        self,
        websocket: WebSocket,
        settings: WebSocketSettings,
        ingest: Ingest,
        rates: ClientRates,
        stopping: asyncio.Event,
    ) -> None:
        self._websocket = websocket
        self._client = client_address(websocket)
        self._settings = settings
        self._ingest = ingest
        self._rates = rates
        self._stopping = stopping
        self._replies: asyncio.Queue[Taken | Reply | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._in_flight = 0

    async def serve(self) -> None:
        """Serve until the client goes, is idle for too long, or the source stops; then the last replies are sent."""
        answering = asyncio.create_task(self._answer(), name=f"replies to {self._client}")
        try:
            code, reason = await self._read(answering)
            self._replies.put_nowait(None)
            await answering
            await self._websocket.close(code, reason)
        finally:
            answering.cancel()
            await asyncio.wait({answering})

    async def _read(self, answering: asyncio.Task[None]) -> tuple[int, str]:
        """Take messages; return why to end, as a close code (RFC 6455 section 7.4.1) and a reason."""
        stopping = asyncio.create_task(self._stopping.wait())
        receiving = asyncio.create_task(self._receive())
        try:
            while True:
                await asyncio.wait(
                    {receiving, stopping, answering},
                    timeout=self._settings.idle_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if receiving.done():
                    self._in_flight += 1
                    self._replies.put_nowait(await self._take(receiving.result()))
                    receiving = asyncio.create_task(self._receive())
                elif answering.done():
                    answering.result()  # it failed: nobody takes the replies any more
                elif stopping.done():
                    return 1012, "the service ends"
                elif not self._in_flight:
                    return 1000, "idle"
        finally:
            stopping.cancel()
            receiving.cancel()
            await asyncio.wait({stopping, receiving})

    async def _receive(self) -> bytes:
        """Return the next message, once there is room for its reply; text and binary ones are both JSON in UTF-8."""
        await self._slots.acquire()
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        return data

    async def _take(self, message: bytes) -> Taken | Reply:
        try:
            if wait := self._rates.take(self._client):
                raise Rejected(429, "too many messages", wait, event_id=None)
            if len(message) > self._settings.max_bytes:
                raise Rejected(413, f"a message may have {self._settings.max_bytes} bytes", event_id=None)
            large = len(message) > THREAD_BYTES
            event_id, events = await asyncio.to_thread(_opened, message) if large else _opened(message)
            return await self._ingest.take(events, event_id, len(message))
        except Rejected as rejection:
            return rejection.reply

    async def _answer(self) -> None:
        while (one := await self._replies.get()) is not None:
            reply = await self._ingest.outcome(one) if isinstance(one, Taken) else one
            body = self._ingest.told(self._client, reply).body
            await self._websocket.send_text(json_line(body).decode())
            self._in_flight -= 1
            self._slots.release()


def _opened(message: bytes) -> tuple[str | None, list[Json]]:
    """Return the client's event id, if there is one, and the events of a message.

    Raises:
        Rejected: It is not JSON, or no object, array or batch.
    """
    try:
        value = parse_json(message)
    except JsonError as error:
        raise Rejected(
            400, f"a message is an event, an array of events or a batch; this is {error}", event_id=None
        ) from None
    if isinstance(value, dict) and "events" in value and value.keys() <= _ENVELOPE:
        event_id, events = value.get("event_id"), value["events"]
        if not isinstance(events, list) or not (event_id is None or isinstance(event_id, str)):
            raise Rejected(400, "a batch has 'events', an array, and may have 'event_id', a text", event_id=None)
        return event_id, events
    return None, value if isinstance(value, list) else [value]

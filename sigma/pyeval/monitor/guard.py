"""What every connection and request of the server has to keep to: how many, how often, how large, how slow, by which name."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .access import client_address, is_own_name
from .journal import Throttle
from .rates import ClientRates

_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""On every reply that does not set them itself: whatever it holds, a browser neither runs, frames, shares nor keeps it."""


class BoundedHttp(H11Protocol):
    """One connection: turned away where there are too many, closed where a request's head does not come in time.

    uvicorn bounds the pause between requests only; whoever sends a head byte by byte, or nothing, would stay for ever.
    ``server.Server`` makes a subclass with its own limits.
    """

    most_connections = 0
    head_seconds = 0.0
    refused: Throttle

    _turned_away = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or answer that there are too many."""
        if len(self.connections) >= self.most_connections:
            self._turned_away = True
            self.refused.warning(
                f"a connection was turned away: there are {self.most_connections}, see max_connections"
            )
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_has_come()
        if not self._turned_away:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self._turned_away:
            super().data_received(data)

    def handle_events(self) -> None:
        """Take what is complete; a request whose head is there has its own limits (``Guard``)."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_has_come()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over to the WebSocket protocol, which has its own time limits."""
        self._head_has_come()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        self._await_head()
        super().on_response_complete()

    def _await_head(self) -> None:
        self._head_has_come()
        self._head_timer = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Guard:
    """ASGI middleware around the whole application: the rate per client, the size of bodies, and their time.

    Args:
        app: The application.
        rates: How often each client may come.
        max_body_bytes: Longest request body, as it is sent.
        body_seconds: How long a body may take to come.
        refused: Logs what is refused.
        names: The names by which clients may call the server besides its addresses; ``None`` for any. Without a token it
            must not be any: a page of a foreign name that is made to point here (DNS rebinding) would be of one origin with it.

    Attributes:
        active: The tasks of requests and WebSockets that are being served.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the server names each
        self,
        app: ASGIApp,
        rates: ClientRates,
        max_body_bytes: int,
        body_seconds: float,
        refused: Throttle,
        names: Collection[str] | None = None,
    ) -> None:
        self.active: set[asyncio.Task[Any]] = set()
        self._app = app
        self._rates = rates
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._refused = refused
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "http":
            send = _with_headers(send)
        if refusal := self._refusal(HTTPConnection(scope)):
            await refusal(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - an ASGI server calls from a task
        self.active.add(task)
        begun = _Begun(send)
        try:
            await self._app(scope, self._bounded(receive) if scope["type"] == "http" else receive, begun)
        except asyncio.CancelledError:
            # The server's deadline (Server.run): whoever waits for a reply is told, as far as that is still possible.
            await begun.end(scope, receive)
        finally:
            self.active.discard(task)

    def _refusal(self, connection: HTTPConnection) -> JSONResponse | None:
        address = client_address(connection)
        if wait := self._rates.take(address):
            self._refused.warning(f"{address} comes too often, see requests_per_second")
            return JSONResponse({"error": "too many requests"}, 429, {"Retry-After": str(math.ceil(wait))})
        if self._names is not None and not is_own_name(connection.headers.get("host", ""), self._names):
            self._refused.warning(f"{address} calls the server by a name that is not its own, see server.names")
            return JSONResponse({"error": "not a name of this server; see server.names"}, 421)
        if "transfer-encoding" in connection.headers and "content-length" in connection.headers:
            # RFC 9112 section 6.1: a proxy may have read the other one, and taken for a body what is a request here.
            error = {"error": "Content-Length and Transfer-Encoding exclude each other"}
            return JSONResponse(error, 400, {"Connection": "close"})
        length = Headers(scope=connection.scope).get("content-length", "0")
        if connection.scope["type"] == "http" and int(length) > self._max_body_bytes:  # h11 lets digits through only
            return JSONResponse(
                {"error": f"a body may have {self._max_body_bytes} bytes"}, 413, {"Connection": "close"}
            )
        return None

    def _bounded(self, receive: Receive) -> Receive:
        """Return *receive* for a body that must neither be longer nor take longer than it may."""
        deadline = asyncio.get_running_loop().time() + self._body_seconds
        size = 0
        more = True

        async def bounded() -> Message:
            nonlocal size, more
            if not more:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body did not come in time", {"Connection": "close"}) from None
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size > self._max_body_bytes:
                raise HTTPException(413, f"a body may have {self._max_body_bytes} bytes", {"Connection": "close"})
            return message

        return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


class _Begun:
    """Passes messages on and notes whether there was one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._any = False

    async def __call__(self, message: Message) -> None:
        self._any = True
        await self._send(message)

    async def end(self, scope: Scope, receive: Receive) -> None:
        """Tell the client that the service ends, if nothing was told yet."""
        if scope["type"] == "http" and not self._any:
            reply = JSONResponse({"error": "the service ends; repeat the request"}, 503, {"Retry-After": "5"})
            await reply(scope, receive, self._send)

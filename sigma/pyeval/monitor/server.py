"""The service's one HTTP server: what its address is, who may use it, and how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import uvicorn
from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from .batches import PartError
from .guard import BoundedHttp, Guard
from .journal import Throttle
from .listener import BoundedListener
from .rates import ClientRates
from .settings import Settings

MOST_HEAD_BYTES: Final = 16 << 10
"""Request line and headers may take so much."""

PING_SECONDS: Final = 20.0
PONG_SECONDS: Final = 90.0
"""WebSockets are pinged; one whose answer takes longer is closed. Longer than a reply may take: meanwhile nothing is read."""


CLOSING_SECONDS: Final = 1
"""Connections may take so long to close when all requests have ended."""

_SPARE_CONNECTIONS: Final = 64
"""Connections beyond ``max_connections`` that are taken all the same: those being answered 503, and TLS handshakes."""

FIRST_FREE_PORT: Final = 1024
LOW_PORTS: Final = f"ports below {FIRST_FREE_PORT} need the capability CAP_NET_BIND_SERVICE"


class ServerError(PartError):
    """The server cannot start; the message says why and what to change."""


class ServerTls(Settings):
    """The server's certificate."""

    certificate: FilePath
    """PEM file of the certificate, with those between it and the root."""

    key: FilePath
    """PEM file of its private key, without a passphrase."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.context()
        return self

    def context(self) -> ssl.SSLContext:
        """Return a context with the certificate, TLS 1.2 or newer.

        Raises:
            ValueError: The files do not hold a certificate and its key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"certificate and key cannot be used: {error}") from None
        return context


class ServerLimits(Settings):
    """How much clients may ask for."""

    max_connections: int = Field(default=256, ge=1, le=65_536)
    """Connections at the same time; further ones are answered 503 and closed."""

    max_body_bytes: int = Field(default=10 << 20, ge=1024, le=1 << 30)
    """Longest request body as sent, and longest WebSocket message, in bytes."""

    requests_per_second: float = Field(default=200, gt=0)
    """Requests and new WebSockets of one client address (IPv6: of one /64); twice as many at once after a pause."""

    head_seconds: float = Field(default=10, gt=0, le=600)
    """A connection on which no whole request head came for so long is closed; so is one whose TLS handshake takes longer."""

    body_seconds: float = Field(default=30, gt=0, le=3600)
    """A request whose body takes longer is answered 408."""


class ServerSettings(Settings):
    """The server that ``http`` and ``websocket`` sources share with health, metrics and the page."""

    listen: str = "127.0.0.1:8750"
    """Address and port, ``[::1]:8750`` for IPv6; port 0 takes a free one."""

    tls: ServerTls | None = None
    """Certificate; without it the server speaks plain HTTP."""

    token: SecretStr | None = Field(default=None, min_length=16)
    """What clients send as ``Authorization: Bearer ...``. May be left out on a loopback address only."""

    insecure: bool = False
    """Allow an address beyond loopback without TLS; the token and all events can be read on the way then."""

    names: tuple[str, ...] = ()
    """Names by which clients may call the server where no token is set, such as that of a proxy in front of it; addresses
    and ``localhost`` are always right. With a token any name is."""

    page: bool = True
    """Serve the live page and its API."""

    limits: ServerLimits = ServerLimits()
    """How much clients may ask for."""

    stop_seconds: float = Field(default=10, gt=0, le=600)
    """How long requests in flight may take when the service ends; then they are answered 503."""

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        host, port = split_address(value)
        if not host or not 0 <= port <= 65_535:
            raise ValueError("not an address and a port such as 127.0.0.1:8750 or [::1]:8750")
        return value

    @field_validator("token")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        return value and sendable(value)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if _is_loopback(split_address(self.listen)[0]):
            return self
        if self.tls is None and not self.insecure:
            raise ValueError("listen is beyond loopback without TLS: give tls, or insecure: true if that is meant")
        if self.token is None:
            raise ValueError("listen is beyond loopback: give a token")
        return self


class Server:
    """One application on one address.

    Args:
        settings: Where and how.
        routes: All routes of the service. Those that stay open (a WebSocket) end by themselves when the service stops.
        stop_seconds: What the service has for its end, where ``settings.stop_seconds`` may be more.

    Attributes:
        started: Set once the address is bound and connections are taken.
        bound: Address and port, once started.
    """

    def __init__(
        self, settings: ServerSettings, routes: Sequence[BaseRoute], stop_seconds: float | None = None
    ) -> None:
        self.started = asyncio.Event()
        self.bound: tuple[str, int] = split_address(settings.listen)
        self._settings = settings
        self._drain_seconds = settings.stop_seconds
        if stop_seconds is not None:
            self._drain_seconds = max(0.0, min(settings.stop_seconds, stop_seconds - CLOSING_SECONDS))
        limits = settings.limits
        self._refused = Throttle("server")
        self._app = Starlette(routes=list(routes), exception_handlers={HTTPException: _error_reply})
        self._app.state.token = settings.token
        self._guard = Guard(
            self._app,
            ClientRates(limits.requests_per_second),
            limits.max_body_bytes,
            limits.body_seconds,
            self._refused,
            None if settings.token is not None else {name.lower() for name in settings.names},
        )

    @property
    def url(self) -> str:
        """Where it answers, once started."""
        host, port = self.bound
        return f"http{'s' if self._settings.tls else ''}://{f'[{host}]' if ':' in host else host}:{port}/"

    def replace_routes(self, routes: Sequence[BaseRoute]) -> None:
        """Serve *routes* from the next request on."""
        self._app.router.routes[:] = routes

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until *stopping* is set; then take no more connections, and let requests in flight end.

        Raises:
            ServerError: The address cannot be bound, or the certificate not be used.
        """
        listener = self._bind()
        serving = _Serving(self._configured(), self._settings.limits.head_seconds)
        task = asyncio.create_task(serving.serve([listener]), name="uvicorn")
        try:
            await _first(task, serving.listening)
            self.bound = listener.getsockname()[:2]
            self.started.set()
            await _first(task, stopping)
            serving.stop_listening()
            await self._drain()
            serving.should_exit = True
            await task
        finally:
            await _cut_off(task)
            serving.close(listener)
            self._refused.end_period()

    async def _drain(self) -> None:
        """Wait for what is being served, until the deadline; tell the rest that the service ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_seconds
        while self._guard.active and (left := deadline - loop.time()) > 0:
            await asyncio.wait(set(self._guard.active), timeout=left)
        for late in list(self._guard.active):
            late.cancel()

    def _bind(self) -> BoundedListener:
        host, port = split_address(self._settings.listen)
        listener = None
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = BoundedListener(family, kind, protocol)
            listener.most = self._settings.limits.max_connections + _SPARE_CONNECTIONS
            listener.refused = self._refused
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            if listener is not None:
                listener.close()
            low = isinstance(error, PermissionError) and 0 < port < FIRST_FREE_PORT
            remedy = LOW_PORTS if low else "see server.listen"
            raise ServerError(
                f"server: cannot listen on {self._settings.listen}: {error.strerror}; {remedy}"
            ) from error
        return listener

    def _configured(self) -> uvicorn.Config:
        limits = self._settings.limits

        class Http(BoundedHttp):
            most_connections = limits.max_connections
            head_seconds = limits.head_seconds
            refused = self._refused

        config = uvicorn.Config(
            self._guard,
            interface="asgi3",
            http=Http,
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,  # a client's word on where it comes from would get round the rates
            server_header=False,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
            ws_max_size=limits.max_body_bytes,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PONG_SECONDS,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        config.load()
        try:
            config.ssl = self._settings.tls.context() if self._settings.tls else None
        except ValueError as error:
            raise ServerError(f"server.tls: {error}") from error
        return config


class _Serving(uvicorn.Server):
    """uvicorn's server without its hold on signals, which are the service's, and with a bound for the TLS handshake."""

    def __init__(self, config: uvicorn.Config, handshake_seconds: float) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.servers = []
        self._handshake_seconds = handshake_seconds

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])  # uvicorn's own listening has no bound for the handshake: a minute, for asyncio
        config = self.config

        def protocol() -> asyncio.Protocol:
            arguments: Any = {"config": config, "server_state": self.server_state, "app_state": self.lifespan.state}
            return config.http_protocol_class(**arguments)

        seconds = self._handshake_seconds if config.ssl else None
        for listener in sockets or ():
            server = await asyncio.get_running_loop().create_server(
                protocol, sock=listener, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=seconds
            )
            self.servers.append(server)
        self.listening.set()

    def stop_listening(self) -> None:
        for server in self.servers:
            server.close()

    def close(self, listener: socket.socket) -> None:
        """Close what uvicorn leaves open where it is cut off."""
        self.stop_listening()
        listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[IPv6 address]:port``; the port is -1 where there is none."""
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:  # an IPv6 address without brackets: which colon is the port's?
        return "", -1
    return host, int(port) if port.isascii() and port.isdigit() else -1


def sendable(token: SecretStr) -> SecretStr:
    """Return *token* if a header can carry it: visible ASCII.

    Raises:
        ValueError: It cannot.
    """
    if not all("!" <= character <= "~" for character in token.get_secret_value()):
        raise ValueError("a token is made of visible ASCII characters, without blanks")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Wait for *event*; where *task* ends before, raise what ended it."""
    waiter = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if task.done():
        task.result()
        raise ServerError("server: it ended by itself")


async def _cut_off(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _error_reply(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)

"""The ``syslog`` source: UDP, TCP, TLS and Unix datagrams, as RFC 3164, 5424, 5425, 5426 and 6587 have them.

Nothing can be asked for again, so there is no checkpoint: what has been put is safe, and what was lost before is counted.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from ..batches import Intake, PartError
from ..settings import LineSettings, Seconds
from .addresses import ListenAddress, bound_socket, is_loopback
from .pauses import growing_pauses, stopped_within
from .reception import Reception
from .syslog_connections import ConnectionLimits, Places, StreamListener
from .syslog_datagrams import DatagramListener, UnixListener, bound_unix_socket, widen_buffer
from .syslog_tls import RenewedContext, TlsListener

_PASSING: Final = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
"""An address that is in use, or that the machine does not have (yet), is tried again."""


class SyslogSourceSettings(LineSettings):
    """Listeners for syslog messages; at least one of ``udp``, ``tcp``, ``tls`` and ``unix``."""

    type: Literal["syslog"]

    format: str = "syslog"
    """The messages' log format; audit records in syslog messages are joined for each sender."""

    udp: ListenAddress | None = None
    """IP address and port for UDP, ``127.0.0.1:5514`` or ``[::1]:5514``; port 0 takes a free one."""

    tcp: ListenAddress | None = None
    """IP address and port for TCP; messages with octet counting or newlines, told apart for each message."""

    tls: TlsListener | None = None
    """Listener for TLS."""

    unix: UnixListener | None = None
    """A Unix datagram socket."""

    insecure: bool = False
    """Allow ``udp`` and ``tcp`` on an address beyond loopback: anyone on the way can read, change and invent messages."""

    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that senders may be in, ``10.0.0.0/8`` or ``192.0.2.7``; none means anywhere. Others are refused and counted."""

    max_connections: int = Field(default=256, ge=1, le=65_536)
    """Connections of ``tcp`` and ``tls`` together; further ones are refused and counted."""

    max_connections_per_address: int = Field(default=32, ge=1, le=65_536)
    """Connections from one address."""

    max_senders: int = Field(default=4_096, ge=1, le=1_000_000)
    """Senders of datagrams whose audit records are joined at the same time; the one silent for longest is given up first."""

    max_message_bytes: int = Field(default=65_536, ge=480, le=16 * 1024 * 1024)
    """Longer messages are cut there, and counted as problems."""

    idle_timeout: Seconds = Field(default=3600, ge=1, le=7 * 86_400)
    """Seconds after which a connection without a whole message is closed; its sender may lose a message then."""

    receive_buffer: int = Field(default=4 * 1024 * 1024, ge=4_096, le=1024 * 1024 * 1024)
    """Bytes of datagrams that may wait in the kernel; beyond net.core.rmem_max only for root."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not any((self.udp, self.tcp, self.tls, self.unix)):
            raise ValueError("name at least one listener: udp, tcp, tls or unix")
        for name, address in (("udp", self.udp), ("tcp", self.tcp)):
            if address is not None and not self.insecure and not is_loopback(address):
                raise ValueError(
                    f"{name}: {address} is beyond loopback without TLS: use tls, or insecure: true if that is meant"
                )
        return self


class SyslogSource:
    """Messages of other machines and programs.

    Args:
        settings: Where and how.

    Attributes:
        bound: Address and port of each listener, once ``Intake.connected`` was told.
    """

    kind = "syslog"
    lag_unit = ""

    def __init__(self, settings: SyslogSourceSettings) -> None:
        self.name = settings.name or settings.type
        self.bound: dict[str, tuple[str, int]] = {}
        self._settings = settings

    async def run(self, intake: Intake) -> None:
        """Listen until told to stop; then put what has been received.

        Raises:
            PartError: An address may not be used, or the certificate cannot be read.
        """
        with ExitStack() as open_sockets:
            sockets = await self._bound(intake, open_sockets)
            if sockets is None:
                return
            try:
                await self._receive(intake, sockets)
            finally:
                intake.connected(False)

    async def _receive(self, intake: Intake, sockets: dict[str, socket.socket]) -> None:
        settings = self._settings
        reception = Reception(intake, (settings.format, settings.options), settings.allow)
        try:
            listeners = list(self._listeners(reception, sockets))
        except OSError as error:  # a certificate that was replaced since the settings were read
            raise PartError(
                f"source {self.name}: tls: certificate, key or client_ca cannot be used: {error}"
            ) from error
        self.bound = {name: sock.getsockname()[:2] for name, sock in sockets.items() if sock.family != socket.AF_UNIX}
        async with asyncio.TaskGroup() as group:
            try:
                for listener in listeners:
                    listener.start(group)
                intake.connected(True)
                await intake.stopping.wait()
            finally:
                for listener in listeners:
                    listener.stop()

    def _listeners(
        self, reception: Reception, sockets: dict[str, socket.socket]
    ) -> Iterator[DatagramListener | StreamListener]:
        settings = self._settings
        places = Places(settings.max_connections, settings.max_connections_per_address)
        limits = partial(ConnectionLimits, settings.max_message_bytes, settings.idle_timeout)
        for name, sock in sockets.items():
            if name == "tcp":
                yield StreamListener(reception, name, sock, places, limits())
            elif name == "tls" and settings.tls is not None:
                context = RenewedContext(settings.tls, reception.intake.problem)
                yield StreamListener(
                    reception, name, sock, places, limits(settings.tls.handshake_timeout), context.current
                )
            else:
                widen_buffer(sock, settings.receive_buffer, reception.intake.problem)
                yield DatagramListener(reception, name, sock, settings.max_message_bytes, settings.max_senders)

    async def _bound(self, intake: Intake, open_sockets: ExitStack) -> dict[str, socket.socket] | None:
        """Return the sockets of all listeners, which *open_sockets* closes, or ``None`` where ``stopping`` came first."""
        pauses = growing_pauses()
        while not intake.stopping.is_set():
            try:
                return self._bind(open_sockets)
            except OSError as error:
                open_sockets.close()
                if error.errno not in _PASSING:
                    raise PartError(f"source {self.name}: cannot listen: {error.strerror}") from error
                intake.problem(f"cannot listen yet: {error}")
            await stopped_within(intake.stopping, next(pauses))
        return None

    def _bind(self, open_sockets: ExitStack) -> dict[str, socket.socket]:
        settings = self._settings
        sockets: dict[str, socket.socket] = {}
        for name, address, kind in (
            ("udp", settings.udp, socket.SOCK_DGRAM),
            ("tcp", settings.tcp, socket.SOCK_STREAM),
            ("tls", None if settings.tls is None else settings.tls.listen, socket.SOCK_STREAM),
        ):
            if address is not None:
                sockets[name] = open_sockets.enter_context(bound_socket(address, kind))
        if settings.unix is not None:
            sockets["unix"] = open_sockets.enter_context(bound_unix_socket(settings.unix))
            open_sockets.callback(settings.unix.path.unlink, missing_ok=True)
        return sockets

"""Ways to a syslog receiver: datagrams, and a connection that is watched between messages."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from ..batches import Refused

SETTLE: Final = 0.3
"""Seconds after connecting in which a receiver that does not want us (its networks, our certificate) closes the connection."""

LONGEST_AGE: Final = 60.0
"""Seconds after which the receiver's name is looked up again for datagrams."""

BURST: Final = 16
BREATH: Final = 0.01
"""After so many datagrams the receiver gets so many seconds: 100 at once are more than a socket's usual buffer takes."""

CLOSING: Final = 1.0
"""Seconds that the receiver has to take the end of TLS."""

FIRST_LOOK: Final = 0.001
LONGEST_LOOK: Final = 0.05
"""Seconds between looks at what has not been acknowledged yet."""


class Datagrams:
    """UDP: whether anybody receives is told by ICMP at best.

    Args:
        host: Name or address.
        port: Port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._sock: socket.socket | None = None
        self._since = 0.0

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send each message as a datagram.

        Raises:
            OSError: The receiver's machine or its port cannot be reached, as far as is known.
            Refused: The network takes no datagrams of such a size.
        """
        if self._sock is not None and time.monotonic() - self._since > LONGEST_AGE:
            await self.close()
        if self._sock is None:
            self._sock = await self._connected()
            self._since = time.monotonic()
        try:
            too_long = await self._send(self._sock, messages)
        except OSError:
            await self.close()
            raise
        if too_long:
            raise Refused(dict.fromkeys(too_long, "longer than the network's datagrams"))

    async def close(self) -> None:
        """Close the socket."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    @staticmethod
    async def _send(sock: socket.socket, messages: Sequence[bytes]) -> list[int]:
        """Send; return the indices of the messages that are too long."""
        loop = asyncio.get_running_loop()
        too_long = []
        for index, message in enumerate(messages):
            if index and index % BURST == 0:
                await asyncio.sleep(BREATH)
            try:
                await loop.sock_sendall(sock, message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                too_long.append(index)
        if failed := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(failed, "an earlier datagram came back")
        return too_long

    async def _connected(self) -> socket.socket:
        """Return a socket for the first of the receiver's addresses that there is a route to."""
        loop = asyncio.get_running_loop()
        failed: OSError | None = None
        for family, kind, protocol, _, address in await loop.getaddrinfo(*self._address, type=socket.SOCK_DGRAM):
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                failed = error
            else:
                return sock
        raise failed or OSError(f"{self._address[0]} has no address")


class Connection:
    """TCP or TLS, opened at need. Messages have their lengths in front (RFC 6587 section 3.4.1, RFC 5425 section 4.3).

    Syslog has no acknowledgement. What can be known is: the receiver's kernel has acknowledged every byte (Linux),
    and the receiver had not closed the connection by then.

    Args:
        host: Name or address.
        port: Port.
        context: Gives the TLS context for a new connection, where there is TLS.
        server_name: The name that the receiver's certificate must have.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext] | None = None,
        server_name: str | None = None,
    ) -> None:
        self._address = (host, port)
        self._context = context
        self._server_name = server_name
        self._outgoing: _Outgoing | None = None

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send all messages; return when they are acknowledged. May be cancelled, which closes the connection.

        Raises:
            OSError: The receiver cannot be reached, does not want us, or went away; some messages may have come through.
        """
        await asyncio.sleep(0)  # the loop takes notice of an end that came while nothing was sent
        if self._outgoing is not None and self._outgoing.lost is not None:
            await self.close()
        if self._outgoing is None:
            self._outgoing = await self._connected()
        try:
            await self._outgoing.send(b"".join(b"%d %s" % (len(message), message) for message in messages))
        except BaseException:
            self._outgoing.abort()
            self._outgoing = None
            raise

    async def close(self) -> None:
        """Close the connection."""
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is not None:
            await outgoing.close()

    async def _connected(self) -> _Outgoing:
        host, port = self._address
        outgoing = _Outgoing()
        await asyncio.get_running_loop().create_connection(
            lambda: outgoing,
            host,
            port,
            ssl=None if self._context is None else self._context(),
            server_hostname=None if self._context is None else self._server_name,
            ssl_shutdown_timeout=None if self._context is None else CLOSING,
        )
        try:
            await outgoing.settle()
        except BaseException:
            outgoing.abort()
            raise
        return outgoing


class _Outgoing(asyncio.Protocol):
    """A connection that is only written to; ``lost`` says why it cannot be used any more."""

    def __init__(self) -> None:
        self.lost: str | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()

    async def settle(self) -> None:
        """Wait for a moment; raise ``ConnectionError`` if the other side ends the connection meanwhile."""
        try:
            async with asyncio.timeout(SETTLE):
                await self._ended.wait()
        except TimeoutError:
            return
        raise ConnectionError(f"{self.lost}, right after it was opened")

    async def send(self, data: bytes) -> None:
        """Write *data* and wait until all of it is acknowledged; raise ``ConnectionError`` if that cannot be any more."""
        if self._transport is not None and self.lost is None:
            self._transport.write(data)
        pause, empty = FIRST_LOOK, 0
        while empty < 2:  # twice, since TLS passes on what waits behind our back as soon as the kernel has room
            if self.lost is not None:
                raise ConnectionError(self.lost)
            empty = empty + 1 if self._unacknowledged() == 0 else 0
            await asyncio.sleep(0 if empty else pause)
            pause = min(pause * 2, LONGEST_LOOK)
        if self.lost is not None:
            raise ConnectionError(self.lost)

    async def close(self) -> None:
        """End the connection in order, or by force where the other side does not take the end."""
        assert self._transport is not None  # noqa: S101 (only made by create_connection)
        self._transport.close()
        try:
            async with asyncio.timeout(CLOSING):
                await self._closed.wait()
        except TimeoutError:
            self.abort()
            await self._closed.wait()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (for the type checker)
        self._transport = transport

    def eof_received(self) -> bool:
        self._lose("the receiver closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("the receiver closed the connection" if exc is None else f"the connection broke off: {exc}")
        self._closed.set()

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
        self._ended.set()

    def _unacknowledged(self) -> int:
        """Return the bytes that the receiver's kernel has not acknowledged; on Linux only: tcp(7), SIOCOUTQ."""
        assert self._transport is not None  # noqa: S101 (asked after it was made)
        waiting = self._transport.get_write_buffer_size()
        if waiting or sys.platform != "linux":
            return waiting
        import fcntl
        import termios

        sock = self._transport.get_extra_info("socket")
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
        return int(queued)

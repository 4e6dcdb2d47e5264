"""Syslog messages that come in TCP connections (RFC 6587), also with TLS (RFC 5425)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sigma.pyeval.logs.framing import FrameSplitter
from sigma.pyeval.logs.records import Problem

from .addresses import BACKLOG
from .inbox import CHUNK, Inbox
from .reception import BATCH_LINES, LINGER, Gathering, Reception

LAST_READ: Final = 1.0
"""Seconds at the end in which what senders have already sent is read; it ends as soon as nothing comes for ``LINGER``."""

CLOSING: Final = 1.0
"""Seconds that a sender has to take the end of TLS."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds until connections are taken again where the process or the machine has no room for them."""


class Places:
    """How many connections there may be, of all listeners of a source together.

    Args:
        most: Altogether.
        most_of_one: From one address.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[str] = Counter()

    def take(self, sender: str) -> str | None:
        """Count one more connection of *sender*; return why it cannot have one, or ``None`` if it can."""
        if self._taken[sender] >= self._most_of_one:
            return "connections beyond max_connections_per_address"
        if self._taken.total() >= self._most:
            return "connections beyond max_connections"
        self._taken[sender] += 1
        return None

    def leave(self, sender: str) -> None:
        """Count one connection of *sender* less."""
        self._taken[sender] -= 1
        if not self._taken[sender]:
            del self._taken[sender]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may do.

    Attributes:
        max_message_bytes: Longer messages are cut.
        idle_timeout: Seconds in which a message must have been completed.
        handshake_timeout: Seconds for the TLS handshake.
    """

    max_message_bytes: int
    idle_timeout: float
    handshake_timeout: float = 10


class StreamListener:
    """Takes connections and reads them; a sender waits while detection is behind.

    Args:
        reception: Where messages go.
        name: ``tcp`` or ``tls``.
        sock: The bound socket; whoever made it closes it.
        places: How many connections there may be.
        limits: What each may do.
        context: Gives the TLS context for a connection, where there is TLS.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the source names each
        self,
        reception: Reception,
        name: str,
        sock: socket.socket,
        places: Places,
        limits: ConnectionLimits,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._reception = reception
        self._name = name
        self._sock = sock
        self._places = places
        self._limits = limits
        self._context = context
        self._connections: set[Connection] = set()
        self._group: asyncio.TaskGroup | None = None
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Take connections; each is a task of *group*."""
        self._group = group
        self._loop.add_reader(self._sock, self._accept)

    def stop(self) -> None:
        """Take no more connections, and have those there are read out and closed."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._sock)
        for connection in self._connections:
            connection.stop()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                peer, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors or memory left: accept(2)
                self._reception.intake.problem(f"{self._name}: cannot take connections now: {error}")
                self._loop.remove_reader(self._sock)
                self._again = self._loop.call_later(ACCEPT_PAUSE, self._loop.add_reader, self._sock, self._accept)
                return
            self._take(peer, address[0])

    def _take(self, peer: socket.socket, host: str) -> None:
        sender = self._reception.allowed.sender(host)
        refusal = "connections of senders that are not allowed" if sender is None else self._places.take(sender)
        if sender is None or refusal is not None:
            peer.close()
            self._reception.intake.dropped(1, f"{self._name}: {refusal}")
            return
        peer.setblocking(False)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a peer that vanished frees its place
        assert self._group is not None  # noqa: S101 (set by start, before the first connection)
        connection = Connection(self._reception, self._name, sender, self._limits)
        self._connections.add(connection)
        context = None if self._context is None else self._context()
        self._group.create_task(self._serve(connection, peer, sender, context))

    async def _serve(
        self, connection: Connection, peer: socket.socket, sender: str, context: ssl.SSLContext | None
    ) -> None:
        try:
            await connection.run(peer, context)
        finally:
            self._connections.discard(connection)
            self._places.leave(sender)


class Connection:
    """One sender's connection, from the handshake to its end."""

    def __init__(self, reception: Reception, name: str, address: str, limits: ConnectionLimits) -> None:
        self._reception = reception
        self._name = name
        self._address = address
        self._limits = limits
        self._sender = reception.sender(address)
        self._splitter = FrameSplitter(limits.max_message_bytes)
        self._inbox = Inbox()
        self._number = 0
        self._completed = time.monotonic()
        self._stopping = False
        self._waiting: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Have ``run`` end: it waits for the sender no longer."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.reschedule(0)

    async def run(self, peer: socket.socket, context: ssl.SSLContext | None) -> None:
        """Read until the sender ends, sends no whole message for too long, or ``stop``; put all that came."""
        try:
            if not await self._opened(peer, context):
                return
            await self._read()
            if self._stopping:
                await self._read_out()
            await self._end()
        finally:
            await self._inbox.close(CLOSING)
            peer.close()

    async def _opened(self, peer: socket.socket, context: ssl.SSLContext | None) -> bool:
        """Return whether the connection stands, after the handshake where there is TLS."""
        timeouts = {} if context is None else {"ssl_shutdown_timeout": CLOSING}
        try:
            async with asyncio.timeout(LINGER if self._stopping else self._limits.handshake_timeout) as self._waiting:
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: self._inbox, peer, ssl=context, **timeouts
                )
        except OSError as error:  # among them ssl.SSLError and TimeoutError
            if not self._stopping:
                self._reception.intake.dropped(1, f"{self._name}: connections whose handshake failed")
                self._tell(f"handshake failed: {error}" if str(error) else "handshake took too long")
            return False
        finally:
            self._waiting = None
        return True

    async def _read(self) -> None:
        """Read until the end, which is told where it is not the sender's wish; return early at ``stop``."""
        while not self._stopping:
            idle_at = self._completed + self._limits.idle_timeout
            if time.monotonic() >= idle_at:
                self._tell(f"closed, no whole message came for {self._limits.idle_timeout:g} s")
                return
            due = self._sender.due()
            chunk = await self._chunk_until(idle_at if due is None else min(idle_at, due))
            if chunk is None:
                await self._silent()
            elif chunk:
                await self._take(chunk)
                if len(chunk) < CHUNK:  # what comes next joins one batch
                    await asyncio.sleep(LINGER)
            else:
                if self._inbox.error is not None:
                    self._tell(f"broken off: {self._inbox.error}")
                return

    async def _chunk_until(self, moment: float) -> bytes | None:
        """Return what comes until *moment* (of ``time.monotonic``), ``b""`` at the end, or ``None``."""
        try:
            async with asyncio.timeout(moment - time.monotonic()) as self._waiting:
                return await self._inbox.read()
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    async def _read_out(self) -> None:
        """Read what the sender had sent before ``stop``: closing would throw it away."""
        end = time.monotonic() + LAST_READ
        while time.monotonic() < end and (chunk := await self._chunk_until(time.monotonic() + LINGER)):
            await self._take(chunk)

    async def _take(self, chunk: bytes) -> None:
        if found := self._splitter.feed(chunk):
            await self._put(found)
            self._completed = time.monotonic()  # behind put: our own waiting is not the sender's silence

    async def _silent(self) -> None:
        due = self._sender.due()
        if due is not None and due <= time.monotonic():
            self._sender.pause()
            await self._put([])

    async def _end(self) -> None:
        """Put what stands behind the last whole message, and what the parser holds back."""
        found = self._splitter.flush()
        if found and isinstance(found[-1], bytes):
            found.append(Problem.at(0, "the connection ended without a newline behind the message", found[-1]))
        await self._put(found)
        self._sender.pause()
        await self._put([])

    async def _put(self, found: Sequence[bytes | Problem]) -> None:
        """Put what the splitter found; a problem follows the message that it is about."""
        for start in range(0, max(len(found), 1), BATCH_LINES):
            gathering = Gathering(self._reception, self._name, self._limits.max_message_bytes)
            for one in found[start : start + BATCH_LINES]:
                if isinstance(one, bytes):
                    self._number = gathering.add(self._sender, one)
                else:
                    gathering.problem(one._replace(line=self._number))
            gathering.collect(self._sender)
            if (batch := gathering.batch()) is not None:
                await self._reception.intake.put(batch)

    def _tell(self, what: str) -> None:
        self._reception.intake.problem(f"{self._name}: connection of {self._address}: {what}")

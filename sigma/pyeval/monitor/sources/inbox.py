"""What comes in one connection, kept in order until it is read, also behind a reset (a ``StreamReader`` forgets it then)."""

from __future__ import annotations

import asyncio
from typing import Final

CHUNK: Final = 64 * 1024
"""Bytes read at once; with twice as many unread the connection is not read on."""


class Inbox(asyncio.Protocol):
    """The receiving side of a connection; the peer waits (TCP's window) while nobody reads here.

    Attributes:
        error: What broke the connection off; ``None`` while it lasts, or where the peer ended it.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()

    async def read(self) -> bytes:
        """Return what has come, at most ``CHUNK`` bytes, waiting for some; ``b""`` at the end. May be cancelled."""
        while not self._buffer and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = bytes(memoryview(self._buffer)[:CHUNK])
        del self._buffer[: len(chunk)]
        if self._transport is not None and len(self._buffer) < CHUNK:
            self._transport.resume_reading()
        return chunk

    async def close(self, seconds: float) -> None:
        """Close the connection, by force where the peer does not take the end of TLS within *seconds*."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()
            await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (for the type checker)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep *data*."""
        self._buffer += data
        if self._transport is not None and len(self._buffer) >= 2 * CHUNK:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note the peer's end; the transport closes itself."""
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.error = exc
        self._ended = True
        self._closed.set()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

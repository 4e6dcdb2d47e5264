"""A running server of the monitor, for tests of what it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import BaseRoute

from sigma.pyeval.monitor.server import Server, ServerSettings

TOKEN = "a-token-of-some-length"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def serving(routes: Sequence[BaseRoute], **settings: Any) -> AsyncIterator[str]:
    """Yield ``host:port`` of a server with *routes*; behind the body it is stopped and has to end in time."""
    server = Server(ServerSettings.model_validate({"listen": "127.0.0.1:0", "stop_seconds": 2, **settings}), routes)
    stopping = asyncio.Event()
    task = asyncio.create_task(server.run(stopping))
    try:
        await asyncio.wait_for(server.started.wait(), 5)
        host, port = server.bound
        yield f"{host}:{port}"
        stopping.set()
        await asyncio.wait_for(task, 5)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def raw_reply(address: str, request: bytes, seconds: float = 5) -> bytes:
    """Return everything the server sends on one connection after *request*, until it closes."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()

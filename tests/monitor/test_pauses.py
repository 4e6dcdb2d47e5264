"""Waiting before another attempt: longer each time, and never beyond the end of the service."""

from __future__ import annotations

import asyncio
import time

from sigma.pyeval.monitor.sources.pauses import growing_pauses, stopped_within


def test_pauses_grow_to_a_minute() -> None:
    pauses = growing_pauses()
    found = [next(pauses) for _ in range(10)]
    assert 0.8 <= found[0] <= 1
    assert found[1] > found[0]
    assert all(48 <= pause <= 60 for pause in found[-3:])


def test_the_end_of_the_service_ends_a_pause() -> None:
    async def scenario() -> None:
        stopping = asyncio.Event()
        assert not await stopped_within(stopping, 0.01)
        asyncio.get_running_loop().call_later(0.01, stopping.set)
        began = time.monotonic()
        assert await stopped_within(stopping, 60)
        assert time.monotonic() - began < 10

    asyncio.run(scenario())

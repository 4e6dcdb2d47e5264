"""Waiting before something that failed is tried again, without missing the end of the service."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import Final

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between attempts, at first and at most."""


def growing_pauses(first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """Yield seconds to wait: doubled each time up to the longest, up to a fifth of each taken off by chance."""
    pause = min(first, longest)
    while True:
        yield pause * random.uniform(0.8, 1.0)  # noqa: S311 - spreads clients out, guards nothing
        pause = min(pause * 2, longest)


async def stopped_within(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait so long; return whether *stopping* was set before or meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
    return stopping.is_set()

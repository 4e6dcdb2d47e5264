"""How often each client may come: a bucket of tokens per client address, in bounded memory."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST_CLIENTS: Final = 10_000
"""So many clients are remembered; the one not seen for longest is forgotten first, and begins with a full bucket again."""

BURST_SECONDS: Final = 2.0
"""A client that has been quiet may come as often at once as it may in these seconds."""


class ClientRates:
    """Lets each client come *per_second* times a second, with bursts (token bucket).

    Args:
        per_second: How often, for each client.
        clock: Tells seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Count one arrival from *address*; return 0, or the seconds to wait if it comes too often (not counted then)."""
        client = _client(address)
        now = self._clock()
        tokens, then = self._clients.pop(client, (self._most, now))
        tokens = min(self._most, tokens + (now - then) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._clients[client] = (tokens if wait else tokens - 1, now)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return wait


def _client(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 that one IPv6 host chooses its addresses from."""
    if ":" not in address:
        return address
    host = ipaddress.IPv6Address(address.partition("%")[0])
    return str(host.ipv4_mapped or host.packed[:8].hex())

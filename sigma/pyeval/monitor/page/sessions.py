"""Who has logged in with the server's token: random ids, kept in memory as digests, bounded in number and lifetime."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

LIFETIME_SECONDS: Final = 12 * 3600
"""A session ends so long after its login, whatever happens in it."""

MOST_SESSIONS: Final = 200
"""So many browsers are logged in at the same time; one more ends the session that is the oldest."""


class Sessions:
    """The sessions of one service; they end with it.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def begin(self) -> str:
        """Return the id of a new session: 256 random bits."""
        identity = secrets.token_urlsafe(32)
        self._ends[_digest(identity)] = self._clock() + LIFETIME_SECONDS
        if len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        return identity

    def is_open(self, identity: str) -> bool:
        """Return whether *identity* is that of a session. Looked up by its digest: how long that takes tells nothing of an id."""
        key = _digest(identity)
        ends = self._ends.get(key)
        if ends is not None and ends <= self._clock():
            del self._ends[key]
            return False
        return ends is not None

    def end(self, identity: str) -> None:
        """End a session, if there is one."""
        self._ends.pop(_digest(identity), None)


def _digest(identity: str) -> bytes:
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).digest()

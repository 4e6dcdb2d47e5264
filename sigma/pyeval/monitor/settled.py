"""What goes into the store with a batch, and what comes back of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .batches import Json
from .tuning.windows import Claim, Ended


class Pending(NamedTuple):
    """An alert that waits for a sink.

    Attributes:
        number: Grows with time.
        alert: What it says.
        due: Of an escalation: when it was due, in seconds since the epoch; else 0.
    """

    number: int
    alert: Mapping[str, Json]
    due: float = 0.0


class Outgoing(NamedTuple):
    """An alert and the names of the sinks that want it.

    Attributes:
        alert: What is told.
        sinks: The sinks' names.
        due: Of sinks that want it only where nobody has acknowledged it by then: when, in seconds since the epoch.
        claim: The window of suppression that it needs a place in; ``None`` where it passes anyway.
    """

    alert: Mapping[str, Json]
    sinks: Sequence[str]
    due: Mapping[str, float] = {}
    claim: Claim | None = None


class Excepted(NamedTuple):
    """A match that an exception keeps from being an alert.

    Attributes:
        id: The id that the alert would have.
        exception: The exception's name.
        at: When it was found, in seconds since the epoch.
        rule: The rule's id.
    """

    id: str
    exception: str
    at: float
    rule: str | None


class Hits(NamedTuple):
    """How many matches an exception has excepted, ever, and when the last (seconds since the epoch)."""

    hits: int
    last: float


class Settled(NamedTuple):
    """What became of a batch.

    Attributes:
        kept: Alerts that were kept, in order: new ones that were not suppressed.
        suppressed: New alerts that were not kept.
        excepted: New matches that were no alerts.
        ended: Windows that were given up for room.
    """

    kept: Sequence[Outgoing] = ()
    suppressed: Sequence[Outgoing] = ()
    excepted: Sequence[Excepted] = ()
    ended: Sequence[Ended] = ()

    @property
    def alerts(self) -> list[Mapping[str, Json]]:
        """The alerts themselves of ``kept``."""
        return [one.alert for one in self.kept]

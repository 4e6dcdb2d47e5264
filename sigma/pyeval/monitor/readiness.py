"""Whether the running service is alive, and whether it is ready; asked by probes, the page, and systemd's watchdog.

*Alive* means that the event loop turns and no part is stuck; a service that is not should be started anew. *Ready* means that
an event that happens now is read, judged, and its alerts taken: a service that is not waits for something outside of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from sigma.pyeval.output import counted, printable
from sigma.pyeval.ruleset import Ruleset

if TYPE_CHECKING:
    from .parts import SinkPart, SourcePart
    from .store import Pending

STUCK_SECONDS: Final = 60.0
"""A part that got no further with what it has begun for so long is stuck. A slice of a batch takes a fraction of a second, and
one that waits for room in the spool is not stuck but waits, which ``step`` tells."""


class Progress:
    """Whether a part is at work, and when it last got on with it.

    Args:
        clock: Tells seconds, monotonic.

    Attributes:
        no_room: Whether it waits for room in the spool.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.no_room = False
        self._clock = clock
        self._since: float | None = None

    def step(self, *, no_room: bool = False) -> None:
        """Tell that work has begun, or got on; or that it waits for room."""
        self._since = self._clock()
        self.no_room = no_room

    def rest(self) -> None:
        """Tell that there is nothing to do at present."""
        self._since = None
        self.no_room = False

    def stuck_for(self) -> float:
        """Return for how many seconds the part has got no further; 0 while it rests."""
        return 0.0 if self._since is None else self._clock() - self._since


class Finding(NamedTuple):
    """What one check has found.

    Attributes:
        check: What was looked at: ``rules``, ``spool``, ``source NAME``, ``lag of NAME``, ``detection of NAME``, ``sink NAME``.
        ok: Whether it is as it should be.
        state: The same in words.
        required: Whether the service is ready only where this is ok.
    """

    check: str
    ok: bool
    state: str
    required: bool = True


class Check(NamedTuple):
    """A finding, and since when it has been ok or not, in seconds since the epoch."""

    finding: Finding
    since: float


class Readiness:
    """Looks at the parts of a service.

    Args:
        ruleset: Tells the rules that run.
        sources: The sources by name; the service's own mapping, which changes with reloads.
        sinks: Likewise.
        clock: Tells seconds since the epoch.

    Attributes:
        upkeep: The progress of what writes checkpoints: it is stuck where the disk does not answer.
    """

    def __init__(
        self,
        ruleset: Callable[[], Ruleset],
        sources: Mapping[str, SourcePart],
        sinks: Mapping[str, SinkPart],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.upkeep = Progress()
        self._ruleset = ruleset
        self._sources = sources
        self._sinks = sinks
        self._clock = clock
        self._since: dict[str, tuple[bool, float]] = {}

    def look(self) -> list[Check]:
        """Return every check as it is now."""
        now = self._clock()
        findings = list(self._findings())
        self._since = {
            one.check: (one.ok, then if was is one.ok else now)
            for one in findings
            for was, then in [self._since.get(one.check, (None, now))]
        }
        return [Check(one, self._since[one.check][1]) for one in findings]

    def is_ready(self) -> bool:
        """Return whether every check that is required is ok."""
        return all(check.finding.ok for check in self.look() if check.finding.required)

    def stuck(self) -> str:
        """Return which part is stuck and for how long, or nothing where the service is alive."""
        parts = {f"detection of {name}": part.intake.progress for name, part in self._sources.items()}
        for name, progress in {**parts, "the state": self.upkeep}.items():
            if (seconds := progress.stuck_for()) > STUCK_SECONDS:
                return f"{name} got no further for {seconds:.0f} s"
        return ""

    def summary(self) -> str:
        """Return one line: what is not as it should be, or how much runs."""
        wrong = [check.finding for check in self.look() if not check.finding.ok]
        if not wrong:
            parts = (len(self._ruleset().all_rules), "rule"), (len(self._sources), "source"), (len(self._sinks), "sink")
            return "ready: " + ", ".join(counted(*part) for part in parts)
        word = "not ready" if any(one.required for one in wrong) else "ready, but"
        return f"{word}: " + "; ".join(f"{one.check}: {one.state}" for one in wrong)

    def _findings(self) -> Iterator[Finding]:
        ruleset = self._ruleset()
        left_out = f", {counted(len(ruleset.errors), 'rule')} left out" if ruleset.errors else ""
        rules = len(ruleset.all_rules)
        yield Finding("rules", rules > 0, f"{counted(rules, 'rule')} loaded{left_out}")
        yield self._spool()
        if stuck := self.stuck():
            yield Finding("progress", ok=False, state=stuck)
        for name, source in self._sources.items():
            yield from _source_findings(name, source)
        for name, sink in self._sinks.items():
            failing = sink.delivery.failing
            state = "accepting" if failing is None else f"failing: {printable(failing)}"
            yield Finding(f"sink {name}", failing is None, state, sink.settings.required)

    def _spool(self) -> Finding:
        full = [name for name, part in self._sources.items() if part.intake.progress.no_room]
        state = f"full: {', '.join(full)} waits until sinks take alerts" if full else "has room"
        return Finding("spool", not full, state)


def oldest_age(waiting: Sequence[Pending]) -> float:
    """Return for how many seconds the first of *waiting* has been known; 0 for none."""
    if not waiting:
        return 0.0
    detected = datetime.fromisoformat(waiting[0].alert["detected"])
    return max(0.0, time.time() - detected.timestamp())


def _source_findings(name: str, source: SourcePart) -> Iterator[Finding]:
    intake = source.intake
    if not source.tasks:
        yield Finding(f"source {name}", ok=True, state="its input has ended")
        return
    connected = intake.is_connected
    yield Finding(f"source {name}", connected, "connected" if connected else "not connected")
    most = getattr(source.settings, "ready_lag", None)
    if most is not None:
        lag = max(intake.lags.values(), default=0)
        yield Finding(f"lag of {name}", lag <= most, f"{lag:.0f} {source.source.lag_unit} behind, at most {most:.0f}")

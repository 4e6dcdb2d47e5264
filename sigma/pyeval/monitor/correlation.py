"""Correlation rules over the events of all sources: what they take in is kept with the batch that it came from.

State is what was kept last, and what was observed since. An observation, the checkpoint behind it and the alerts that it
raises are one transaction, so a process that is killed goes on as if it had not been: an event counts once, and an alert that
is raised again has the id that it had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from sigma.pyeval.correlation.calls import CorrelationError
from sigma.pyeval.correlation.correlator import Correlator, NotCounted
from sigma.pyeval.correlation.groups import Counts, Limits
from sigma.pyeval.correlation.observing import Observation, read_observation
from sigma.pyeval.correlation.results import CorrelationMatch
from sigma.pyeval.correlation.state import StateError
from sigma.pyeval.event_time import event_time
from sigma.pyeval.log_correlation import not_counted_text
from sigma.pyeval.logs.records import Record
from sigma.pyeval.rules import Match
from sigma.pyeval.ruleset import Ruleset

from .batches import Place
from .correlation_settings import CorrelationSettings, zone_of
from .correlation_state import KeptState, Observed
from .journal import LOGGER
from .store import Store, StoreFull
from .watermark import Watermark

AHEAD_SECONDS: Final = 60.0
"""A time so far ahead of the clock is not believed: a sender could otherwise make all others late."""

MOST_OBSERVED: Final = 20_000
MOST_OBSERVED_BYTES: Final = 16 << 20
"""A new state is kept when so much was observed since the last one."""

MOST_RELEASED: Final = 500
"""Events that waited for earlier ones and are taken in at once, before other tasks get their turn."""

_LOOKED_AT = 100
"""Of a batch, so many of the last events are asked for their time."""

_TEXT_SHARE = 16
_JOURNAL_SHARE = 8
_ENTRY_BYTES = 1_024
_PENDING_BYTES = 16_384
"""Of the spool: the parts that events kept for matches, and what was observed, may take; the room that each event of a window,
and each that waits, is reckoned with."""


class Seen(NamedTuple):
    """An event that rules matched, and where it stood; what correlation rules take of it is found when its batch is settled."""

    matches: Sequence[Match]
    record: Record
    place: Place


class Correlation:
    """The correlation rules of the service, and what they remember.

    Args:
        ruleset: The rules.
        settings: How correlation rules run.
        store: Where the state is kept.
        spool_bytes: The bound of the store, of which the state takes a part.
        clock: Returns the present in seconds since the epoch.

    Attributes:
        lock: Held from taking events in until that is kept: what one batch raises may depend on another.
        owing: Whether alerts that time has raised wait for room: no state from after them is kept, in which they would be lost.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        settings: CorrelationSettings,
        store: Store,
        spool_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lock = asyncio.Lock()
        self.owing = False
        self._store = store
        self._spool_bytes = spool_bytes
        self._clock = clock
        self._settings = settings
        self._ruleset = ruleset
        self._zone = zone_of(settings.time_zone)
        self._lacks_told: set[tuple[str, str, str]] = set()
        self._watermark = Watermark(settings.lateness)
        self._restore(store.correlation_state())

    def _restore(self, kept: KeptState) -> None:
        """Go on from what is kept."""
        self._correlator, is_new = self._made(self._ruleset, kept.state)
        self._unkept = is_new or kept.state is None
        self._observed = len(kept.observed)
        self._bytes = sum(map(len, kept.observed))
        if not self._unkept:
            for body in kept.observed:
                observation = read_observation(json.loads(body))
                if observation.places:
                    self._correlator.take(observation)
                else:
                    self._correlator.release(observation.time / 1_000_000)
        if self._correlator.newest is not None:
            self._watermark.resume(self._correlator.newest)

    def restore(self) -> None:
        """Go back to what is kept, as what was taken in since could not be settled; the lock is held."""
        self._restore(self._store.correlation_state())

    @property
    def is_active(self) -> bool:
        """Whether there are any correlation rules."""
        return bool(self._ruleset.correlations)

    @property
    def statistics(self) -> Counts:
        """What is held and what was lost."""
        return self._correlator.statistics()

    @property
    def not_counted(self) -> list[NotCounted]:
        """Which matches were not counted since the state was last read, for want of which field."""
        return self._correlator.not_counted()

    def concerns(self, match: Match) -> bool:
        """Return whether a correlation rule is about the rule of *match*."""
        return match.rule.key in self._correlator.correlated

    def begin(self, source: str, streams: Iterable[str]) -> None:
        """Wait for *source*, and each of its streams known from before, before time goes on."""
        self._watermark.begin(source, streams)

    def end(self, source: str) -> None:
        """Do not wait for *source* any more."""
        self._watermark.end(source)

    def tell(self, source: str, stream: str, records: Sequence[Record]) -> None:
        """Note how far a stream of *source* has come with a batch that is settled: to the time of its last event that has one."""
        now = self._clock()
        told = None
        for record in reversed(records[-_LOOKED_AT:]):
            moment = event_time(record.event, zone=self._zone)
            if moment is not None and moment.timestamp() <= now + AHEAD_SECONDS:
                told = max(0.0, min(moment.timestamp(), now))
                break
        self._watermark.tell(source, stream, told, now)

    def observe(self, seen: Iterable[Seen]) -> list[tuple[Observed, Observation]]:
        """Return what the rules take of events, for ``take``; the lock is held."""
        found = []
        for one in seen:
            observation = self._correlator.record(one.matches, one.record.event, source=dict(one.place))
            if observation.contribution is not None:
                body = json.dumps(observation.as_json(), separators=(",", ":")).encode()
                found.append((Observed.of(observation.contribution.id, body), observation))
        self._tell_lacks()
        return found

    def _tell_lacks(self) -> None:
        """Log, once for each rule and field, that matches were not counted: without it such a rule is silent for ever."""
        for one in self.not_counted:
            lack = (one.rule.source_hash, one.member, one.field)
            if lack not in self._lacks_told:
                self._lacks_told.add(lack)
                LOGGER.warning(
                    "correlation: %s; told once, further ones count in sigma_pyeval_correlation_not_counted_total",
                    not_counted_text(self._ruleset, one),
                )

    def take(
        self, observations: Iterable[tuple[Observed, Observation]]
    ) -> tuple[list[Observed], list[CorrelationMatch]]:
        """Take in what was observed; return what of it is to be kept, and what it raises for want of room to wait.

        The lock is held until that is settled, or ``restore`` was called. What is late counts nowhere, and is not kept: taken in
        again after a restart, it might be in time.
        """
        kept, found = [], []
        for observed, observation in observations:
            watermark = self._correlator.watermark
            if watermark is None or observation.time >= watermark * 1_000_000:
                kept.append(observed)
                self._observed += 1
                self._bytes += len(observed.observation)
            found += self._correlator.take(observation)
        return kept, found

    def release(self) -> tuple[list[CorrelationMatch], bool]:
        """Return what can be told now that time has passed, and whether there is more; the lock is held until it is settled."""
        now = self._watermark.now()
        if now is None:
            return [], False
        found = self._correlator.release(now, MOST_RELEASED)
        reached = self._correlator.watermark
        return found, reached is not None and reached < now

    def finish(self) -> list[CorrelationMatch]:
        """Return what can be told as all input has ended, then begin anew; the lock is held until it is settled."""
        found = self._correlator.finish()
        self._correlator, _ = self._made(self._ruleset, None)
        self._unkept = True
        return found

    def released(self) -> Observed:
        """Return that time has passed, to be kept with the alerts that this raised."""
        reached = round((self._correlator.watermark or 0.0) * 1_000_000)
        return Observed("", json.dumps(Observation(reached).as_json()).encode())

    async def keep(self) -> None:
        """Keep the state, where none is kept or much was observed since that was done last; the lock is held, or nothing runs.

        To be called before the first event: what is observed means nothing without the state that it was observed in. Not
        between ``take`` and the end of its transaction.

        Raises:
            StoreFull: There is no room.
        """
        most = min(MOST_OBSERVED_BYTES, self._spool_bytes // _JOURNAL_SHARE)
        if not self.owing and (self._unkept or self._observed >= MOST_OBSERVED or self._bytes >= most):
            await self._keep()

    @property
    def must_keep(self) -> bool:
        """Whether nothing may be observed before ``keep`` has succeeded."""
        return self._unkept

    async def change(self, ruleset: Ruleset, settings: CorrelationSettings) -> None:
        """Go over to other rules and settings; what is remembered stays where the correlation rules are the same."""
        if (ruleset.correlations, settings) == (self._ruleset.correlations, self._settings):
            self._ruleset = ruleset
            return
        async with self.lock:
            state = await asyncio.to_thread(self._correlator.snapshot)
            self._settings, self._ruleset = settings, ruleset
            self._lacks_told.clear()
            self._zone = zone_of(settings.time_zone)
            self._watermark.lateness = settings.lateness
            self._correlator, _ = await asyncio.to_thread(self._made, ruleset, state)
            self._unkept = True
            with contextlib.suppress(StoreFull):  # it is tried again
                await self.keep()

    async def _keep(self) -> None:
        state = await asyncio.to_thread(self._correlator.snapshot)
        await self._store.keep_correlation_state(state)
        self._unkept, self._observed, self._bytes = False, 0, 0

    def _made(self, ruleset: Ruleset, state: bytes | None) -> tuple[Correlator, bool]:
        """Return a correlator that goes on from *state*, and whether it begins anew as that is of other rules."""
        try:
            return make_correlator(ruleset, self._settings, self._spool_bytes, self._clock, state), False
        except StateError as error:
            LOGGER.warning("correlation rules begin anew, what they remembered is given up: %s", error)
            return make_correlator(ruleset, self._settings, self._spool_bytes, self._clock, None), True


def make_correlator(
    ruleset: Ruleset,
    settings: CorrelationSettings,
    spool_bytes: int,
    clock: Callable[[], float] = time.time,
    state: bytes | None = None,
) -> Correlator:
    """Return a correlator as the service runs it.

    Raises:
        CorrelationError: A rule needs more room than there is.
        StateError: *state* is of other rules, or damaged.
    """
    limits = Limits(
        groups=settings.groups,
        events=settings.group_events,
        total=max(1, min(settings.events, spool_bytes // _ENTRY_BYTES)),
        text=min(Limits().text, spool_bytes // _TEXT_SHARE),
        pending=max(1, min(Limits().pending, spool_bytes // _PENDING_BYTES)),
    )
    return ruleset.correlator(
        refire=settings.refire,
        cooldown=settings.cooldown,
        lateness=math.inf,  # how far time has come is the watermark's to say
        zone=zone_of(settings.time_zone),
        ahead=AHEAD_SECONDS,
        clock=clock,
        limits=limits,
        state=state,
    )


def correlation_problem(ruleset: Ruleset, settings: CorrelationSettings, spool_bytes: int) -> str | None:
    """Return why the correlation rules of *ruleset* cannot be run as *settings* say, or ``None``."""
    try:
        make_correlator(ruleset, settings, spool_bytes)
    except CorrelationError as error:
        return f"{error}; see correlation.events, correlation.group_events and spool_bytes"
    return None

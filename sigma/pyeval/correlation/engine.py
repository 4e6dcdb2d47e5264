"""Correlation rules over a stream of events: the order of time, windows that close, correlations of correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush, nsmallest
from typing import Any, Final

from .calls import Correlation, CorrelationError
from .graph import check_fields, in_order
from .groups import SECOND, Counts, Groups, Limits
from .observing import Observation, Observer, Place
from .results import Contribution, CorrelationMatch

REFIRE: Final = ("each", "once", "cooldown")
FOREVER: Final = 1 << 62
"""Later than any time, in microseconds."""
NEVER: Final = 2 * FOREVER


class Engine:
    """The state of a set of correlation rules.

    Time is what the events say. The *watermark* is the latest time seen less the allowed lateness: what happened before it has
    been taken in, in order of time; what comes from before it is too late. Matches are raised as the watermark passes.

    Args:
        correlations: The rules' keys, and what they say.
        rules: The keys of the rules whose matches will be observed.
        subjects: For each key, the rule that its matches name.
        refire: ``each``, ``once`` or ``cooldown``.
        cooldown: Seconds, for that policy.
        lateness: Seconds; infinite to wait for ``finish``.
        limits: What is held at most.

    Raises:
        CorrelationError: The rules cannot be run together.

    Attributes:
        groups_type: What the groups of a rule are kept in; ``watching`` has another.
    """

    groups_type: type[Groups] = Groups

    def __init__(  # noqa: PLR0913 - each by name
        self,
        correlations: Mapping[str, Correlation],
        rules: Iterable[str],
        subjects: Mapping[str, Any],
        *,
        refire: str = "each",
        cooldown: float | None = None,
        lateness: float = 0,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.counts = Counts()
        self.keys = in_order({key: one.rules for key, one in correlations.items()}, frozenset(rules))
        for key, outer in correlations.items():
            for rule in outer.rules:
                if rule in correlations:
                    check_fields(key, outer, rule, correlations[rule])
        self.correlations = [correlations[key] for key in self.keys]
        self.groups = [self._groups(key, subjects[key], correlations[key], refire, cooldown) for key in self.keys]
        self.observer = Observer(self.correlations, self.keys, self.counts)
        if not lateness >= 0:
            raise ValueError(f"lateness is a number of seconds, not {lateness!r}")
        self._lateness = NEVER if lateness * SECOND >= FOREVER else round(lateness * SECOND)
        self._followed = [key in self.observer.rules() for key in self.keys]
        self._rank = {key: number for number, key in enumerate(correlations)}
        self.newest = -FOREVER
        self.watermark = -FOREVER * 3
        self.serial = 0
        self.pending: list[tuple[int, int, Observation]] = []
        self._closing = [groups for groups in self.groups if groups.is_closing]
        self._next_close = NEVER

    def _groups(self, key: str, subject: Any, correlation: Correlation, refire: str, cooldown: float | None) -> Groups:
        if refire not in REFIRE:
            raise ValueError(f"refire is one of {', '.join(REFIRE)}, not {refire!r}")
        if (refire == "cooldown") is (cooldown is None) or (cooldown is not None and not 0 < cooldown < float("inf")):
            raise ValueError("cooldown is a number of seconds above 0, given with refire='cooldown' and only then")
        quiet = {"each": None, "once": correlation.timespan * SECOND + 1}.get(refire, round((cooldown or 0) * SECOND))
        try:
            return self.groups_type(key, subject, correlation, quiet, self.limits, self.counts)
        except CorrelationError as error:
            raise CorrelationError(error.finding, error.remedy, key) from error

    def take(self, observation: Observation) -> list[CorrelationMatch]:
        """Take in what was observed; return the matches that can now be told, in the order of the rules at each time."""
        time = observation.time
        self.serial += 1
        if time < self.watermark:
            if observation.places:
                self.counts.lost("late", 1, "events come later than the allowed lateness and are left out")
            return []
        self.newest = max(self.newest, time)
        self.watermark = max(self.watermark, self.newest - self._lateness)
        if not self.pending and time <= self.watermark:
            found = self._happen(observation) if observation.places else []
            return found + self._close_before(self.watermark) if self._next_close < self.watermark else found
        if observation.places:
            heappush(self.pending, (time, self.serial, observation))
        found = self._release()
        self.counts.pending = len(self.pending)
        return found

    def advance(self, time: int) -> list[CorrelationMatch]:
        """Let time pass; return the matches that this raises."""
        return self.take(Observation(time))

    def release(self, time: int, most: int) -> list[CorrelationMatch]:
        """Take it that everything up to *time* has come, whatever the lateness; return the matches.

        Where more than *most* events wait, only up to the time of as many: the rest is for the next call.
        """
        if len(self.pending) > most:
            time = min(time, nsmallest(most, self.pending)[-1][0])
        self.watermark = max(self.watermark, time)
        found = self._release()
        self.counts.pending = len(self.pending)
        return found

    def finish(self) -> list[CorrelationMatch]:
        """End the stream: take in what waits, close every window; return the matches. Whatever comes later is too late."""
        self.watermark = FOREVER
        found = self._release()
        self.counts.pending = len(self.pending)
        return found

    def _release(self) -> list[CorrelationMatch]:
        """Take in what waits no longer, then close the windows that are over."""
        found: list[CorrelationMatch] = []
        while self.pending:
            time, _, observation = self.pending[0]
            if time > self.watermark:
                if len(self.pending) <= self.limits.pending:
                    break
                self.counts.lost("forced", 1, "events are taken in before their time for want of room")
                self.watermark = time
            heappop(self.pending)
            found += self._happen(observation)
        found += self._close_before(self.watermark)
        return found

    def _happen(self, observation: Observation) -> list[CorrelationMatch]:
        found = self._close_before(observation.time) if self._next_close < observation.time else []
        contribution = observation.contribution
        assert contribution is not None  # noqa: S101 - what has places has one
        if len(observation.places) == 1:
            place = observation.places[0]
            if not self._followed[place[0]]:  # nothing else can come of it: the way of nearly all events
                match = self._take(place, contribution, observation.time)
                return found if match is None else [*found, match]
        return found + self._raise_all([(place, contribution) for place in observation.places], observation.time)

    def _take(self, place: Place, contribution: Contribution, time: int) -> CorrelationMatch | None:
        number, key, value = place
        groups = self.groups[number]
        match = groups.take(time, key, value, contribution)
        if self.counts.groups > self.limits.groups or self.counts.held > self.limits.total:
            self._make_room()
        if groups.is_closing:
            self._next_close = min(self._next_close, _closes(groups))
        return match

    def _raise_all(self, todo: list[tuple[Place, Contribution]], time: int) -> list[CorrelationMatch]:
        """Take in what happens at one time, matches that count themselves included; return the matches."""
        found: list[tuple[int, CorrelationMatch]] = []
        waiting = [(place[0], order, place, contribution) for order, (place, contribution) in enumerate(todo)]
        heapify(waiting)
        order = len(waiting)
        while waiting:
            # In the engine's order: all that a correlation builds on has been told before its turn.
            number, _, taken, contribution = heappop(waiting)
            match = self._take(taken, contribution, time)
            if match is not None:
                key = self.keys[number]
                found.append((self._rank[key], match))
                for place, about in self.observer.about_match(key, match, taken[1]):
                    order += 1
                    heappush(waiting, (place[0], order, place, about))
        return [match for _, match in sorted(found, key=lambda ranked: ranked[0])]

    def _close_before(self, time: int) -> list[CorrelationMatch]:
        """Close the windows that are over before *time*, one after the other; return the matches."""
        found: list[CorrelationMatch] = []
        while self._next_close < time:
            groups = min(self._closing, key=_closes)
            self._next_close = closes = _closes(groups)
            if closes >= time:
                break
            key = next(iter(groups.open))
            match = groups.close_next()
            if match is not None:
                found.append(match)
                found += self._raise_all(list(self.observer.about_match(groups.key, match, key)), closes)
        return found

    def _make_room(self) -> None:
        while self.counts.groups > self.limits.groups:
            max(self.groups, key=lambda groups: len(groups.open)).evict()
        while self.counts.held > self.limits.total:
            largest = max(self.groups, key=lambda groups: groups.held)
            if len(largest.open) > 1:
                largest.evict()
            else:
                largest.shrink()

    def restored(self) -> None:
        """Find the next window that closes anew, after groups have been put back."""
        self._next_close = min(map(_closes, self._closing), default=NEVER)

    def digest_parts(self) -> Sequence[tuple[str, Correlation]]:
        """Return what tells these correlations from others."""
        return list(zip(self.keys, self.correlations, strict=True))


def _closes(groups: Groups) -> int:
    """Return after which time the next window of *groups* is over, ``NEVER`` where none is open."""
    closes = groups.closes_next()
    return NEVER if closes is None else closes

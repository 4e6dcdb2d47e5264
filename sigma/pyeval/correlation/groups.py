"""The groups of one correlation rule: windows that slide or close, what is raised, and what is given up for want of room."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict, deque
from typing import Any, Final, NamedTuple

from .calls import Correlation, CorrelationError
from .keys import Key, shown
from .results import Contribution, CorrelationMatch, match_id
from .sequences import make_sequence
from .windows import CountWindow, Threshold, make_window

SECOND: Final = 1_000_000
_LOG: Final = logging.getLogger("sigma.pyeval.correlation")


class Limits(NamedTuple):
    """What a correlator holds at most.

    Attributes:
        groups: Groups, of all rules together.
        events: Events of one group's window; more where a rule's threshold needs more.
        total: Events of all windows together.
        sample: Contributing events that a match names; of a temporal rule, at least one of each rule.
        text: Characters of events kept for these, all together.
        pending: Events that wait for earlier ones.
    """

    groups: int = 50_000
    events: int = 10_000
    total: int = 1_000_000
    sample: int = 10
    text: int = 64 << 20
    pending: int = 100_000


class Counts:
    """What a correlator holds, and what it has had to leave out; for ``statistics``.

    Attributes:
        events: Events taken in that match a correlated rule.
        late: Events left out as they came later than the allowed lateness.
        without_group: Times that an event had nothing in a group-by field.
        without_value: Times that an event had no value, or no one number, in the condition's field.
        evicted_groups: Groups given up for want of room.
        evicted_events: Events of windows given up for want of room, those of such groups included.
        forced: Pending events taken in before their time for want of room.
        suppressed: Matches not raised because of the re-fire policy.
        not_kept: Events not kept for the matches that will name them, for want of room.
        groups: Groups held now.
        held: Events of windows held now.
        text: Characters of events held now.
        pending: Events that wait now.
    """

    def __init__(self) -> None:
        self.events = 0
        self.late = 0
        self.without_group = 0
        self.without_value = 0
        self.evicted_groups = 0
        self.evicted_events = 0
        self.forced = 0
        self.suppressed = 0
        self.not_kept = 0
        self.groups = 0
        self.held = 0
        self.text = 0
        self.pending = 0

    def __repr__(self) -> str:
        return f"Counts({', '.join(f'{name}={number}' for name, number in vars(self).items())})"

    def lost(self, name: str, number: int, reason: str) -> None:
        """Count a loss, and log it when it is the first, then at every power of ten."""
        before = getattr(self, name)
        setattr(self, name, before + number)
        if before == 0 or len(str(before)) < len(str(before + number)):
            _LOG.warning("correlation: %s (%d so far)", reason, before + number)


TOTALS: Final = (
    *("events", "late", "without_group", "without_value", "evicted_groups", "evicted_events"),
    *("forced", "suppressed", "not_kept"),
)
"""The counts that a restart goes on from."""


class Group:
    """One group: its window, since when that is open, and the latest contributing events."""

    __slots__ = ("last", "last_arrival", "opened", "sample", "window")

    def __init__(self, window: CountWindow, opened: int) -> None:
        self.window = window
        self.opened = opened
        self.last = opened
        self.last_arrival: int | None = None  # the last event whose time is that of its arrival
        self.sample: deque[Contribution] = deque()


class Groups:
    """The groups of one correlation rule. Events come in order of time.

    Args:
        key: The rule's key.
        rule: The rule, for its matches.
        correlation: What the rule says.
        quiet: For how long, in microseconds, a match keeps its group from raising another; ``None`` for not at all.
        limits: What is held at most.
        counts: What is counted, for all rules together.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the engine names each
        self, key: str, rule: Any, correlation: Correlation, quiet: int | None, limits: Limits, counts: Counts
    ) -> None:
        self.key = key
        self.rule = rule
        self.correlation = correlation
        self.span = correlation.timespan * SECOND
        self.is_closing = correlation.is_closing
        self.open: OrderedDict[tuple[Key, ...], Group] = (
            OrderedDict()
        )  # by last event, or by opening where windows close
        self.quiet_until: OrderedDict[tuple[Key, ...], int] = OrderedDict()
        self.held = 0
        self._quiet = quiet
        self._limits = limits
        self._counts = counts
        self._condition = None if correlation.is_extended else Threshold(*correlation.condition)
        self._most = _most_events(correlation, limits)
        self._sample = max(limits.sample, len(correlation.rules) if correlation.is_temporal else 0, 1)

    def new_window(self) -> CountWindow:
        """Return an empty window."""
        return make_sequence(self.correlation) if self.correlation.is_temporal else make_window(self.correlation)

    def take(self, time: int, key: tuple[Key, ...], value: Any, contribution: Contribution) -> CorrelationMatch | None:
        """Take in an event of the group *key*; return the match that it raises."""
        if self.open or self.quiet_until:
            self._expire(time)
        group = self.open.get(key)
        if group is None:
            group = self.open[key] = Group(self.new_window(), time)
            self._counts.groups += 1
        elif not self.is_closing:
            self.open.move_to_end(key)
            self._slide(group, time - self.span)
        group.window.add(time, value)
        group.last = time
        self._count_held(1)
        if contribution.by_arrival:
            group.last_arrival = time
        self._keep(group, contribution)
        if len(group.window.entries) > self._most:
            self._drop(group)
            self._counts.lost("evicted_events", 1, f"a group of {self.rule_name()} has more than {self._most} events")
        if self.is_closing or not group.window.holds(self._condition):  # type: ignore[arg-type]  # None: over rules
            return None
        return self._raised(key, group, time - self.span, time)

    def closes_next(self) -> int | None:
        """Return after which time the next window is over, or ``None`` where none is open."""
        if not self.is_closing:
            return None
        return next((group.opened + self.span for group in self.open.values()), None)

    def close_next(self) -> CorrelationMatch | None:
        """Close the window that is the next to be over; return the match that this raises."""
        key, group = next(iter(self.open.items()))
        found = None
        if group.window.holds(self._condition):  # type: ignore[arg-type]  # None: over rules
            found = self._raised(key, group, group.opened, group.opened + self.span)
        self._remove(key)
        return found

    def evict(self) -> None:
        """Give up the group that has been without an event for longest, or has been open for longest."""
        key, group = next(iter(self.open.items()))
        self._counts.lost("evicted_events", len(group.window.entries), "events are given up for want of room")
        self._counts.lost(
            "evicted_groups", 1, f"groups are given up for want of room, the last one of {self.rule_name()}"
        )
        self._remove(key)

    def shrink(self) -> None:
        """Give up the earliest event of the first group."""
        self._drop(next(iter(self.open.values())))
        self._counts.lost("evicted_events", 1, "events are given up for want of room")

    def rule_name(self) -> str:
        """Return the rule's key for messages."""
        return f"correlation rule {self.key!r:.100}"

    def restore(self, key: tuple[Key, ...], group: Group) -> None:
        """Put back a group as it was kept, behind those put back before."""
        self.open[key] = group
        self._counts.groups += 1
        self._count_held(len(group.window.entries))
        self._counts.text += sum(map(_length, group.sample))

    def _expire(self, time: int) -> None:
        """Forget groups and pauses that no event from *time* on can ask about."""
        if not self.is_closing:
            while self.open:
                key, group = next(iter(self.open.items()))
                if group.last + self.span >= time:
                    break
                self._remove(key)
        while self.quiet_until:
            key, until = next(iter(self.quiet_until.items()))
            if until > time:
                break
            del self.quiet_until[key]

    def _slide(self, group: Group, start: int) -> None:
        entries = group.window.entries
        while entries and entries[0][0] < start:
            self._drop(group)
        while group.sample and group.sample[0].time < start:
            self._forget(group.sample.popleft())

    def _keep(self, group: Group, contribution: Contribution) -> None:
        if self._counts.text + _length(contribution) > self._limits.text:
            contribution = contribution._replace(text=None)
            self._counts.lost("not_kept", 1, "events are not kept for the matches that will name them")
        self._counts.text += _length(contribution)
        group.sample.append(contribution)
        if len(group.sample) > self._sample:
            place = self._dispensable(group.sample) if self.correlation.is_temporal else 0
            self._forget(group.sample[place])
            del group.sample[place]

    @staticmethod
    def _dispensable(sample: deque[Contribution]) -> int:
        """Return the place of the earliest contribution whose rules all have a later one."""
        later: set[str] = set()
        found = 0
        for place in range(len(sample) - 1, -1, -1):
            if later.issuperset(sample[place].rules):
                found = place
            later.update(sample[place].rules)
        return found

    def _forget(self, contribution: Contribution) -> None:
        self._counts.text -= _length(contribution)

    def _drop(self, group: Group) -> None:
        group.window.drop()
        self._count_held(-1)

    def _count_held(self, number: int) -> None:
        self.held += number
        self._counts.held += number

    def _remove(self, key: tuple[Key, ...]) -> None:
        group = self.open.pop(key)
        self._counts.groups -= 1
        self._count_held(-len(group.window.entries))
        for contribution in group.sample:
            self._forget(contribution)

    def _raised(self, key: tuple[Key, ...], group: Group, start: int, end: int) -> CorrelationMatch | None:
        if self._quiet is not None:
            if self.quiet_until.get(key, end) > end:
                self._counts.suppressed += 1
                return None
            self.quiet_until[key] = end + self._quiet
            self.quiet_until.move_to_end(key)
            if len(self.quiet_until) > self._limits.groups:
                self.quiet_until.popitem(last=False)
        count = len(group.window.entries)
        return CorrelationMatch(
            rule=self.rule,
            id=match_id(self.key, key, (start, end), count, [one.id for one in group.sample]),
            group={name: shown(one) for name, one in zip(self.correlation.group_by, key, strict=True)},
            start_time=start,
            end_time=end,
            count=count,
            value=None if self._condition is None else group.window.value(),
            contributions=tuple(group.sample),
            by_arrival=group.last_arrival is not None and group.last_arrival >= start,
        )


def _most_events(correlation: Correlation, limits: Limits) -> int:
    """Return how many events a window may hold, so that a count can pass its threshold."""
    if correlation.is_extended or correlation.kind not in ("event_count", "value_count"):
        return limits.events
    needed: int = math.ceil(correlation.condition[1]) + 1
    if needed > limits.total:
        raise CorrelationError(
            f"the threshold {correlation.condition[1]!r:.40} needs more events than are held in all ({limits.total})",
            "lower it, or raise limits.total",
        )
    return max(limits.events, needed)


def _length(contribution: Contribution) -> int:
    return 0 if contribution.text is None else len(contribution.text)

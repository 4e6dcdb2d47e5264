"""How many events a second a rule set judges, always beside decoding the same lines alone and beside ``scan``."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from .engine.plan import Plan
from .ruleset import Ruleset

SCANNED = 100
"""Events that ``scan`` is tried on: with thousands of rules it takes some ten milliseconds for each."""
_SHORTEST = 1e-9
"""Seconds: below the resolution of the clock, so that a rate can be told of whatever was too short for it."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Throughput:
    """Events a second, all of one run; JSON decoding is part of each.

    Attributes:
        rules: Rules held against each event.
        events: Events judged in each pass.
        scanned: Events judged by ``scan``, the first ones.
        runs: Passes of each kind, of which the median counts.
        routed: Whether each event's log source was told, to leave out matches of rules for other ones.
        decode: Decoding the lines with orjson, nothing else.
        decode_unique: The same for the lines in which every text is unique.
        first: ``match`` with nothing learned of any event yet; the rules' plan is made before.
        warm: ``match`` on the same events again.
        unique: ``match`` with nothing learned yet, on events in which every text is unique.
        scan: ``scan``, which evaluates every rule in turn.
    """

    rules: int
    events: int
    scanned: int
    runs: int
    routed: bool
    decode: float
    decode_unique: float
    first: float
    warm: float
    unique: float
    scan: float

    def passes(self) -> dict[str, tuple[float, float, float]]:
        """Return for first, warm and unique: events/s, the share of decoding the same lines, times as many as ``scan``."""
        rows = (("first", self.first, self.decode), ("warm", self.warm, self.decode))
        return {
            name: (rate, rate / base, rate / self.scan)
            for name, rate, base in (*rows, ("unique", self.unique, self.decode_unique))
        }


def pin() -> int | None:
    """Bind this process to the last core that it may use; return that core, or None where the system has no such call."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def measure_throughput(
    ruleset: Ruleset, lines: Sequence[bytes], *, runs: int = 3, scanned: int = SCANNED, routed: bool = False
) -> Throughput:
    """Measure *ruleset* on *lines*, in CPU time of this process.

    Decoding and matching take turns, so that a busy machine slows both alike. The garbage collector is left as it is.

    Args:
        ruleset: The rules; nothing that it has learned counts, nor does it learn.
        lines: One JSON object each, at least one; see ``event_lines``.
        runs: How often each kind of pass is made, at least once.
        scanned: How many of the first lines ``scan`` gets.
        routed: Whether to name each event's log source with ``Ruleset.route``.
    """
    plan = ruleset.plan
    route = ruleset.route if routed else None
    unique = unique_lines(lines)
    taken: dict[str, list[float]] = {"decode": [], "decode_unique": [], "first": [], "warm": [], "unique": []}
    for _ in range(runs):
        match = _judge(unlearned(plan).match, route)
        taken["decode"].append(cpu_seconds(lines))
        taken["first"].append(cpu_seconds(lines, match))
        taken["decode"].append(cpu_seconds(lines))
        taken["warm"].append(cpu_seconds(lines, match))
        match = _judge(unlearned(plan).match, route)
        taken["decode_unique"].append(cpu_seconds(unique))
        taken["unique"].append(cpu_seconds(unique, match))
    rates = {name: len(lines) / statistics.median(seconds) for name, seconds in taken.items()}
    prefix = lines[:scanned]
    plain = Ruleset(plan.rules, plan=plan)
    plain.scan({})  # compiles the expressions
    scan = len(prefix) / cpu_seconds(prefix, _judge(plain.scan, route))
    return Throughput(len(plan.rules), len(lines), len(prefix), runs, routed, scan=scan, **rates)


def unlearned(plan: Plan) -> Ruleset:
    """Return a rule set that has learned nothing of any event but is ready to match."""
    ruleset = Ruleset(plan.rules, plan=plan)
    ruleset.match({})
    return ruleset


def cpu_seconds(lines: Iterable[bytes], judge: Callable[[Event], object] | None = None) -> float:
    """Return the CPU seconds that this process needs to decode *lines* and, where given, to *judge* each event."""
    loads = orjson.loads
    start = time.process_time()
    if judge is None:
        for line in lines:
            loads(line)
    else:
        for line in lines:
            judge(loads(line))
    return max(time.process_time() - start, _SHORTEST)


def event_lines(lines: Iterable[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the lines that hold one JSON object each, and the numbers (from 1) of those that hold something else.

    Blank lines are in neither.
    """
    kept, others = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            is_event = isinstance(orjson.loads(line), dict)
        except orjson.JSONDecodeError:
            is_event = False
        if is_event:
            kept.append(line)
        else:
            others.append(number)
    return kept, others


def unique_lines(lines: Iterable[bytes]) -> list[bytes]:
    """Return *lines* with the number of the event appended to every text in it, at any depth."""
    return [orjson.dumps(_marked(orjson.loads(line), f" {number}")) for number, line in enumerate(lines)]


def _marked(value: Any, mark: str) -> Any:
    if isinstance(value, str):
        return value + mark
    if isinstance(value, dict):
        return {key: _marked(item, mark) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, mark) for item in value]
    return value


def _judge(method: Callable[..., object], route: Callable[[Event], object] | None) -> Callable[[Event], object]:
    """Return what holds one event against rules with *method*, for the log source that *route* tells, if any."""
    if route is None:
        return method
    return lambda event: method(event, route(event))

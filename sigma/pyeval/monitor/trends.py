"""How the service's counters went in the last hours: samples in bounded memory, for the page's plots; empty after a start."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client.metrics_core import Metric

from .metrics import Metrics

SAMPLE_SECONDS: Final = 5.0
"""Between samples."""

MOST_SAMPLES: Final = 2_880
"""Kept samples: four hours."""

MOST_SERIES: Final = 200
"""Sources, sinks and levels that have been seen since the start; further ones are not sampled, and are counted."""

MOST_POINTS: Final = 120
"""Points of one plot."""

_ABSENT = math.nan


class Key(NamedTuple):
    """What a series is of.

    Attributes:
        kind: ``events`` of a source, ``alerts`` of a level (both count up), ``lag`` of a source, ``waiting`` of a sink.
        name: The source's, the level's, the sink's.
        unit: Of the lag; empty otherwise.
    """

    kind: str
    name: str
    unit: str = ""


COUNTERS: Final = frozenset({"events", "alerts"})
"""Kinds that are told as a rate a second."""


class Trends:
    """Samples of some metrics.

    Args:
        metrics: Of the service.
        clock: Tells seconds since the epoch.

    Attributes:
        left_out: How many series were not sampled, as there were too many.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self.left_out = 0
        self._metrics = metrics
        self._clock = clock
        self._columns: dict[Key, int] = {}
        self._samples: deque[tuple[float, array[float]]] = deque(maxlen=MOST_SAMPLES)

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    def sample(self) -> None:
        """Take one sample."""
        values: dict[Key, float] = {}
        for key, value in self._values():
            # Of a source with many streams, that which is furthest behind counts.
            values[key] = max(values[key], value) if key in values else value
        for key in values:
            if key not in self._columns and len(self._columns) < MOST_SERIES:
                self._columns[key] = len(self._columns)
        self.left_out = sum(key not in self._columns for key in values)
        row = array("d", [_ABSENT]) * len(self._columns)
        for key, value in values.items():
            if (column := self._columns.get(key)) is not None:
                row[column] = value
        self._samples.append((self._clock(), row))

    def told(self, seconds: float) -> dict[str, Any]:
        """Return the last *seconds* as JSON: ``times`` (seconds since the epoch), and ``series`` with a value for each, or null.

        Counters are told as their increase a second up to that time since the one before; gauges as their highest value.
        """
        now = self._clock()
        since = now - seconds
        samples = list(self._samples)
        start = next((place for place, (then, _) in enumerate(samples) if then >= since), len(samples))
        samples = samples[max(0, start - 1) :]
        rounds = math.ceil((len(samples) - 1) / MOST_POINTS) or 1
        # From the newest backwards, so that the newest is always a point.
        edges = sorted(range(len(samples) - 1, 0, -rounds))
        series = []
        for key, column in sorted(self._columns.items()):
            values = _points(samples, edges, rounds, key, column)
            if any(value is not None for value in values):
                series.append({"kind": key.kind, "name": key.name, "unit": key.unit, "values": values})
        return {
            "began": self._samples[0][0] if self._samples else now,
            "now": now,
            "seconds": seconds,
            "times": [samples[edge][0] for edge in edges],
            "series": series,
            "left_out": self.left_out,
        }

    def _values(self) -> Iterator[tuple[Key, float]]:
        metrics = self._metrics
        for kind, counter, label in (("events", metrics.events, "source"), ("alerts", metrics.alerts, "level")):
            for labels, value in _samples_of(counter.collect(), "_total"):
                yield Key(kind, labels[label]), value
        for labels, value in _samples_of(metrics.lag.collect(), ""):
            yield Key("lag", labels["source"], labels["unit"]), value
        for labels, value in _samples_of(metrics.waiting.collect(), ""):
            yield Key("waiting", labels["sink"]), value


def _samples_of(families: Sequence[Metric] | Any, suffix: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in families:
        for sample in family.samples:
            if sample.name == family.name + suffix:
                yield sample.labels, sample.value


def _points(
    samples: Sequence[tuple[float, array[float]]], edges: Sequence[int], rounds: int, key: Key, column: int
) -> list[float | None]:
    """Return a value for each of *edges*, of the *rounds* samples up to it."""

    def value(place: int) -> float:
        row = samples[place][1]
        return row[column] if column < len(row) else _ABSENT

    points: list[float | None] = []
    for edge in edges:
        first = max(0, edge - rounds)
        if key.kind not in COUNTERS:
            present = [one for one in map(value, range(first + 1, edge + 1)) if not math.isnan(one)]
            points.append(max(present) if present else None)
            continue
        begin, end = value(first), value(edge)
        # A counter begins with its first event: what was not there before was at zero.
        begin = 0.0 if math.isnan(begin) else begin
        passed = samples[edge][0] - samples[first][0]
        points.append(None if math.isnan(end) or passed <= 0 else max(0.0, end - begin) / passed)
    return points

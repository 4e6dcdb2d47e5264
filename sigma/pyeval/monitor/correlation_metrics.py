"""What correlation rules hold and have lost, read when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sigma.pyeval.correlation.correlator import NotCounted
from sigma.pyeval.correlation.groups import Counts

NO_ID: Final = "no-id"
"""The label of rules without id."""

_COUNTED: Final = {
    "events": "Events taken in that match a correlated rule.",
    "late": "Events left out as they came later than the lateness allows.",
    "without_group": "Times that an event had nothing in a group-by field.",
    "without_value": "Times that an event had no value in the condition's field.",
    "evicted_groups": "Groups given up for want of room.",
    "evicted_events": "Events of windows given up for want of room.",
    "forced": "Events that waited for earlier ones and were taken in for want of room.",
    "suppressed": "Matches not raised because of refire.",
    "not_kept": "Events not shown with their alerts for want of room.",
}
_HELD: Final = {
    "groups": "Groups held.",
    "held": "Events of windows held.",
    "pending": "Events held that wait for earlier ones.",
}


class CorrelationCollector(Collector):
    """The statistics of correlation rules.

    Args:
        registry: Where it is asked from.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: Callable[[], Counts] = Counts
        self._not_counted: Callable[[], Iterable[NotCounted]] = tuple
        registry.register(self)

    def watch(self, counts: Callable[[], Counts], not_counted: Callable[[], Iterable[NotCounted]]) -> None:
        """Tell what *counts* and *not_counted* return from now on."""
        self._counts = counts
        self._not_counted = not_counted

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        counts = self._counts()
        for name, what in _COUNTED.items():
            yield CounterMetricFamily(f"sigma_pyeval_correlation_{name}", what, value=getattr(counts, name))
        for name, what in _HELD.items():
            yield GaugeMetricFamily(f"sigma_pyeval_correlation_{name}", what, value=getattr(counts, name))
        lacking: Counter[tuple[str, str]] = Counter()  # rules without id share a label
        for one in self._not_counted():
            lacking[one.rule.id or NO_ID, one.field] += one.number
        what = "Matches that the correlation rule did not count for want of a value in the field."
        family = CounterMetricFamily("sigma_pyeval_correlation_not_counted", what, labels=("rule", "field"))
        for labels, number in lacking.items():
            family.add_metric(labels, number)
        yield family

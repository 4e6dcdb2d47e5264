"""What the engine tells of itself, read when somebody asks: it costs nothing while events are judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sigma.pyeval.ruleset import Ruleset

_COUNTED: Final = {
    "events": ("engine_events", "Events judged by the engine."),
    "value_misses": ("engine_value_misses", "Values of fields that were evaluated, as they were not known."),
    "verdict_misses": (
        "engine_verdict_misses",
        "Events whose combination of values was not known; the others were looked up.",
    ),
    "keyword_looks": ("engine_keyword_looks", "Events looked at for keywords, value by value."),
    "full_scans": ("engine_full_scans", "Events judged rule by rule, as they held foreign objects."),
    "renewals": ("engine_memo_renewals", "Times that the memos were full and everything learned was dropped."),
}


class EngineCollector(Collector):
    """The statistics of the rules that run; counters go on over a change of rules.

    Args:
        registry: Where it is asked from.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ruleset: Ruleset | None = None
        self._before = dict.fromkeys(_COUNTED, 0)
        registry.register(self)

    def watch(self, ruleset: Ruleset) -> None:
        """Tell of *ruleset* from now on."""
        if self._ruleset is ruleset:
            return
        self._before = self._counts()
        self._ruleset = ruleset

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        for name, count in self._counts().items():
            metric, what = _COUNTED[name]
            yield CounterMetricFamily(f"sigma_pyeval_{metric}", what, value=count)
        ruleset = self._ruleset
        held = 0 if ruleset is None else ruleset.statistics().memo_bytes
        yield GaugeMetricFamily("sigma_pyeval_engine_memo_bytes", "Bytes that the memos hold, estimated.", value=held)
        undecided = {} if ruleset is None else ruleset.undecided
        # The expressions themselves come from rules: they are no labels.
        yield CounterMetricFamily(
            "sigma_pyeval_regex_undecided",
            "Values beyond the bound of a regular expression's search, in which it was not found before it.",
            value=sum(undecided.values()),
        )
        yield GaugeMetricFamily(
            "sigma_pyeval_regexes_undecided", "Regular expressions that this happened to.", value=len(undecided)
        )

    def _counts(self) -> dict[str, int]:
        if self._ruleset is None:
            return dict(self._before)
        now = self._ruleset.statistics()
        return {name: before + getattr(now, name) for name, before in self._before.items()}

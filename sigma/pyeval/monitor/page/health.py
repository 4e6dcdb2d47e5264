"""The state of the service's parts, as the page shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from sigma.pyeval.alerts import rfc3339
from sigma.pyeval.ruleset import Ruleset

from ..metrics import Metrics
from ..parts import SinkPart, SourcePart
from ..store import Store


class PartsHealth:
    """Tells how sources, sinks, rules and exceptions do.

    Args:
        sources: The running ones by name; read anew each time, as are all others.
        sinks: Likewise.
        ruleset: Returns the rules that run.
        metrics: What is counted.
        store: Where exceptions count.
    """

    def __init__(
        self,
        sources: Mapping[str, SourcePart],
        sinks: Mapping[str, SinkPart],
        ruleset: Callable[[], Ruleset],
        metrics: Metrics,
        store: Store,
    ) -> None:
        self._sources = sources
        self._sinks = sinks
        self._ruleset = ruleset
        self._metrics = metrics
        self._store = store

    async def told(self) -> dict[str, Any]:
        """Return the state as JSON; docs/page.md describes it."""
        hits = await self._store.exception_hits()
        used = await self._store.used_bytes()
        return {
            "rules": len(self._ruleset().all_rules),
            "sources": list(self._told_sources()),
            "sinks": list(self._told_sinks(await self._store.waiting())),
            "spool": {"used_bytes": used, "most_bytes": self._store.most_bytes},
            "exceptions": [
                {"name": name, "hits": one.hits, "last": rfc3339(datetime.fromtimestamp(one.last, UTC))}
                for name, one in sorted(hits.items())
            ],
        }

    def _told_sources(self) -> Iterator[dict[str, Any]]:
        metrics = self._metrics
        connected = _by_label(metrics.connected, "source")
        events, failures = _by_label(metrics.events, "source"), _by_label(metrics.failures, "source")
        problems, dropped = _by_label(metrics.problems, "source"), _by_label(metrics.dropped, "source")
        lag = _by_label(metrics.lag, "source", max)
        for name, part in list(self._sources.items()):
            yield {
                "name": name,
                "type": part.source.kind,
                "connected": connected.get(name, 0) == 1,
                "ended": not part.tasks,
                "lag": lag.get(name),
                "lag_unit": part.source.lag_unit,
                "events": events.get(name, 0),
                "problems": problems.get(name, 0),
                "failures": failures.get(name, 0),
                "dropped": dropped.get(name, 0),
            }

    def _told_sinks(self, waiting: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        metrics = self._metrics
        sent, refused = _by_label(metrics.sent, "sink"), _by_label(metrics.refused, "sink")
        discarded = _by_label(metrics.discarded, "sink")
        for name, part in list(self._sinks.items()):
            yield {
                "name": name,
                "type": part.sink.kind,
                "failing": part.delivery.failing,
                "waiting": waiting.get(name, 0),
                "sent": sent.get(name, 0),
                "refused": refused.get(name, 0),
                "discarded": discarded.get(name, 0),
            }


def _add(one: float, other: float) -> float:
    return one + other


def _by_label(metric: MetricWrapperBase, label: str, join: Callable[[float, float], float] = _add) -> dict[str, float]:
    """Return the values of *metric* by one of its labels; several of one label are joined."""
    found: dict[str, float] = {}
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            name = sample.labels[label]
            found[name] = join(found[name], sample.value) if name in found else sample.value
    return found

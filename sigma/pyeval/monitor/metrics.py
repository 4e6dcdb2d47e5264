"""What the service counts, for Prometheus; names and labels are documented in docs/monitor.md."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one service, in a registry of their own, so that several services can live in one process.

    Attributes:
        lines, bytes, events, problems, dropped, failures, connected, lag: Of each source.
        alerts: Of each rule's level.
        unsent: Alerts that no sink wanted, by level.
        sent, retries, refused, discarded, waiting: Of each sink.
        dead_letters: Messages and alerts put aside, by source or sink.
        store_bytes, store_full: The spool.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lines = self._counter("source_lines", "Lines, messages or requests read.", "source")
        self.bytes = self._counter("source_bytes", "Bytes of them.", "source")
        self.events = self._counter("source_events", "Events held against the rules.", "source")
        self.problems = self._counter("source_problems", "Lines that could not be read.", "source")
        self.dropped = self._counter("source_dropped", "Messages lost before they could be judged.", "source", "reason")
        self.failures = self._counter("source_failures", "Connections, files or children that failed.", "source")
        self.connected = self._gauge("source_connected", "Whether the source can receive: 1 or 0.", "source")
        self.lag = self._gauge("source_lag", "How far reading is behind.", "source", "stream", "unit")
        self.alerts = self._counter("alerts", "Matches that became alerts.", "level")
        self.unsent = self._counter("alerts_unsent", "Alerts that no sink is set to take.", "level")
        self.sent = self._counter("sink_sent", "Alerts that the sink accepted.", "sink")
        self.retries = self._counter("sink_retries", "Attempts to send that failed and are repeated.", "sink")
        self.refused = self._counter("sink_refused", "Alerts that the sink will never take.", "sink")
        self.discarded = self._counter("sink_discarded", "Alerts given up for room, of sinks not required.", "sink")
        self.waiting = self._gauge("sink_waiting", "Alerts that wait for the sink.", "sink")
        self.dead_letters = self._counter("dead_letters", "Messages and alerts put aside.", "part")
        self.store_bytes = self._gauge("spool_bytes", "Bytes in use of the spool.")
        self.store_full = self._counter("spool_full", "Times that a batch waited for room in the spool.")

    def begin_sink(self, name: str) -> None:
        """Begin a sink's counters at zero, so that their rates are known from the first alert on."""
        for counter in (self.sent, self.retries, self.refused, self.discarded):
            counter.labels(name)

    def exposition(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"sigma_pyeval_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"sigma_pyeval_{name}", what, labels, registry=self.registry)

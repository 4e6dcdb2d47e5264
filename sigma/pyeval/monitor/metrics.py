"""What the service counts, for Prometheus; docs/operations.md has a table of all names and labels."""

from __future__ import annotations

import platform
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, ProcessCollector, generate_latest

from sigma.pyeval.rules import Rule
from sigma.pyeval.ruleset import Ruleset
from sigma.pyeval.version import __version__

from .correlation_metrics import NO_ID, CorrelationCollector
from .engine_metrics import EngineCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MOST_RULES: Final = 10_000
"""So many rules have series of their own; those that match first after so many others share the label ``other``."""

OTHER: Final = "other"


class Metrics:
    """The counters of one service, in a registry of their own, so that several services can live in one process.

    Attributes:
        lines, bytes, events, problems, dropped, failures, connected, lag, last_event, judging: Of each source.
        alerts: Of each rule's level.
        unsent: Alerts that no sink wanted, by level.
        excepted, suppressed, evicted: Of tuning: matches and alerts that did not pass, and windows given up.
        rule_matches, rule_seconds: Of each rule that matched; see ``rule_label``.
        rules_loaded, rules_left_out, reloads, last_load, configuration: What runs, and since when.
        sent, escalated, retries, refused, discarded, waiting, accepting, oldest: Of each sink.
        dead_letters: Messages and alerts put aside, by source or sink.
        store_bytes, store_limit, store_full: The spool.
        correlation: What correlation rules hold and have lost.
        ready: Whether every check of ``/readyz`` passed when last looked at.
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
        self.last_event = self._gauge(
            "source_last_event_timestamp_seconds", "When the last batch with an event was taken up.", "source"
        )
        self.judging = self._counter(
            "source_judging_seconds", "Time spent on holding events against all rules and on making alerts.", "source"
        )
        self.alerts = self._counter("alerts", "Matches that became alerts.", "level")
        self.unsent = self._counter("alerts_unsent", "Alerts that no sink is set to take.", "level")
        self.excepted = self._counter(
            "alerts_excepted", "Matches that an exception kept from being alerts.", "exception", "rule"
        )
        self.suppressed = self._counter("alerts_suppressed", "Alerts that suppression did not let pass.", "rule")
        self.evicted = self._counter(
            "suppression_windows_evicted", "Windows of suppression given up for room; their next alerts pass."
        )
        self.rule_matches = self._counter("rule_matches", "Matches of the rule, rules without any left out.", "rule")
        self.rule_seconds = self._counter(
            "rule_alert_seconds", "Time spent on making alerts of the rule's matches.", "rule"
        )
        self.rules_loaded = self._gauge("rules_loaded", "Rules that events are held against.")
        self.rules_left_out = self._gauge("rules_left_out", "Rules that could not be loaded.")
        self.reloads = self._counter("reloads", "Reloads of rules and configuration.", "result")
        self.last_load = self._gauge(
            "last_load_timestamp_seconds", "When what runs was taken over: at the start or the last good reload."
        )
        self.configuration = Info(
            "sigma_pyeval_configuration", "The configuration file that runs.", registry=self.registry
        )
        self.sent = self._counter("sink_sent", "Alerts that the sink accepted.", "sink")
        self.retries = self._counter("sink_retries", "Attempts to send that failed and are repeated.", "sink")
        self.escalated = self._counter(
            "sink_escalated", "Of those, alerts that nobody had acknowledged in time.", "sink"
        )
        self.refused = self._counter("sink_refused", "Alerts that the sink will never take.", "sink")
        self.discarded = self._counter("sink_discarded", "Alerts given up for room, of sinks not required.", "sink")
        self.waiting = self._gauge("sink_waiting", "Alerts that wait for the sink.", "sink")
        self.accepting = self._gauge("sink_accepting", "Whether the last attempt to send did not fail: 1 or 0.", "sink")
        self.oldest = self._gauge(
            "sink_oldest_waiting_seconds", "How long ago the alert that waits longest was found; 0 for none.", "sink"
        )
        self.dead_letters = self._counter("dead_letters", "Messages and alerts put aside.", "part")
        self.store_bytes = self._gauge("spool_bytes", "Bytes in use of the spool.")
        self.store_limit = self._gauge("spool_limit_bytes", "Bytes that the spool may take.")
        self.store_full = self._counter("spool_full", "Times that a batch waited for room in the spool.")
        self.ready = self._gauge("ready", "Whether /readyz says that the service is ready: 1 or 0.")
        build = Info("sigma_pyeval_build", "What runs.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._engine = EngineCollector(self.registry)
        self.correlation = CorrelationCollector(self.registry)
        ProcessCollector(registry=self.registry)  # memory, CPU, open files and start time, under their usual names
        for result in ("ok", "refused"):
            self.reloads.labels(result)
        self._rule_labels: set[str] = set()

    def begin_sink(self, name: str) -> None:
        """Begin a sink's counters at zero, so that their rates are known from the first alert on."""
        for counter in (self.sent, self.escalated, self.retries, self.refused, self.discarded):
            counter.labels(name)

    def took_over(self, ruleset: Ruleset) -> None:
        """Tell which rules events are held against from now on: at the start and after each good reload."""
        self.rules_loaded.set(len(ruleset.all_rules))
        self.rules_left_out.set(len(ruleset.errors))
        self.last_load.set(time.time())
        self._engine.watch(ruleset)

    def configured(self, digest: str) -> None:
        """Tell the SHA-256 of the configuration file that runs, in hex; of what stands in the file, variables unfilled."""
        self.configuration.info({"sha256": digest})

    def matched(self, rule: Rule, seconds: float) -> None:
        """Count a match and the time that its alert took to make.

        The engine judges all rules at once and remembers what it learned, so a match has no time of its own to be told.
        """
        label = self.rule_label(rule)
        self.rule_matches.labels(label).inc()
        self.rule_seconds.labels(label).inc(seconds)

    def rule_label(self, rule: Rule) -> str:
        """Return what stands for *rule* in labels: its id, never its title; bounded in number, see ``MOST_RULES``."""
        return self.id_label(rule.id)

    def id_label(self, rule_id: str | None) -> str:
        """Return what stands for the rule with this id in labels, see ``rule_label``."""
        label = rule_id or NO_ID
        if label in self._rule_labels:
            return label
        if len(self._rule_labels) >= MOST_RULES:
            return OTHER
        self._rule_labels.add(label)
        return label

    def end_source(self, name: str) -> None:
        """Forget the gauges of a source that is gone; its counters stay."""
        for gauge in (self.connected, self.lag, self.last_event):
            gauge.remove_by_labels({"source": name})

    def end_sink(self, name: str) -> None:
        """Forget the gauges of a sink that is gone; its counters stay, and what still waits for it is told on."""
        for gauge in (self.accepting, self.oldest):
            gauge.remove_by_labels({"sink": name})

    def exposition(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"sigma_pyeval_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"sigma_pyeval_{name}", what, labels, registry=self.registry)

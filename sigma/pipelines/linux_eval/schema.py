"""An event schema: field tables, kinds of events and log sources, out of which one pipeline is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sigma.rule import SigmaLogSource

from .fields import FieldTable, Names
from .log_sources import LinuxLogSource, LogSourceKey, find_log_source
from .scopes import Kind, emit_scope, emit_service_scope
from .services import SERVICES


@dataclass(frozen=True)
class EventSchema:
    """What a pipeline knows about the events that it maps rules onto.

    Attributes:
        name: Name of the pipeline, and beginning of its items' identifiers.
        title: The pipeline's name for people.
        tables: Kind of log -> its fields; ``"any"`` has those of all kinds.
        log_sources: Category, product and service of rules that are served.
        supported: The served log sources, in one line for people.
        kinds: Name of a log source that is no service -> how its events are known; ``None``: every event is
            one.
        line_lacks: Fields, as in rules, that a service's log line never has; only where a program's name
            is a field of other events too.
    """

    name: str
    title: str
    tables: Mapping[str, FieldTable]
    log_sources: Mapping[LogSourceKey, LinuxLogSource]
    supported: str
    kinds: Mapping[str, Kind | None]
    line_lacks: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """What to do about a field that is missing, for messages."""
        return f"{self.name}_pipeline(field_mappings={{name: event's name}}) adds one"

    def extended(self, mapping: Names) -> EventSchema:
        """Return the schema with *mapping* added to every table."""
        return replace(self, tables={name: table.extended(mapping) for name, table in self.tables.items()})

    def find(self, logsource: SigmaLogSource) -> LinuxLogSource | None:
        """Return what serves a rule's *logsource*, or ``None``."""
        return find_log_source(logsource, self.log_sources)

    def served(self) -> tuple[LinuxLogSource, ...]:
        """Return every log source that is served, each once."""
        return tuple(dict.fromkeys(self.log_sources.values()))

    def scope(self, log_source: LinuxLogSource) -> str | None:
        """Return the expression that says which events *log_source* is for; ``None`` where every event is."""
        table = self.tables["any"]
        if log_source.name in SERVICES:
            return emit_service_scope(SERVICES[log_source.name], table, self.line_lacks)
        kind = self.kinds[log_source.name]
        return None if kind is None else emit_scope(kind, table)

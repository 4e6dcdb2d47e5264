"""The output formats: how a converted rule, and the whole set of them, is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma.pyeval.codegen import emit_functions, emit_linked, emit_standalone, json_record
from sigma.pyeval.rules import CorrelationRule, LogSource, Rule

ORIGIN = "pyeval_origin"
"""The custom attribute under which a rule keeps what it was before any pipeline: (source hash, log source)."""


class Formats:
    """The ``finalize_query_*`` and ``finalize_output_*`` hooks, for each format one of both."""

    formats: ClassVar[dict[str, str]] = {
        "default": "One Python expression per rule, one call per correlation rule",
        "function": "One documented Python function per rule, under the import of what it calls",
        "module": "One standalone Python module for all rules; needs only the standard library",
        "linked": "One Python module for all rules that runs on the installed sigma.pyeval, faster",
        "json": "One JSON object per rule: metadata, expression, source hash",
    }
    default_format: ClassVar[str] = "default"
    silent: frozenset[str] = frozenset()
    """The keys of rules that serve only correlations, known when all rules are converted."""

    def rule_scope(self, state: ConversionState) -> str | None:
        """Return the scope in the pipeline's state; implemented by the backend."""
        raise NotImplementedError

    def finalize_query_default(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> str:
        """The expression itself."""
        return query

    def finalize_output_default(self, queries: list[Any]) -> list[Any]:
        """A list of expressions."""
        return queries

    def finalize_query_json(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> dict[str, Any]:
        """The rule's record with its expression and, where a pipeline gave one, its scope."""
        return json_record(self._converted(rule, query, state))

    def finalize_output_json(self, queries: list[Any]) -> list[Any]:
        """A list of records; those of rules that serve only correlations say so by ``generate``."""
        return [
            record | {"generate": False} if isinstance(record, dict) and _key(record) in self.silent else record
            for record in queries  # postprocessing may have made text of them
        ]

    def finalize_query_function(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> Rule:
        """The rule as data, until all rules are there."""
        return self._converted(rule, query, state)

    def finalize_output_function(self, queries: list[Rule]) -> str:
        """Functions under one import line."""
        return emit_functions(self._settled(queries))

    def finalize_query_module(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> Rule:
        """The rule as data, until all rules are there."""
        return self._converted(rule, query, state)

    def finalize_output_module(self, queries: list[Rule]) -> str:
        """The standalone module."""
        return emit_standalone(self._settled(queries))

    def finalize_query_linked(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> Rule:
        """The rule as data, until all rules are there."""
        return self._converted(rule, query, state)

    def finalize_output_linked(self, queries: list[Rule]) -> str:
        """The linked module."""
        return emit_linked(self._settled(queries))

    def _settled(self, rules: list[Rule]) -> list[Rule]:
        return [replace(rule, generate=False) if rule.key in self.silent else rule for rule in rules]

    def _converted(self, rule: SigmaRule | SigmaCorrelationRule, expression: str, state: ConversionState) -> Rule:
        source_hash, logsource = rule.custom_attributes[ORIGIN]
        is_plain = isinstance(rule, SigmaRule)
        return (Rule if is_plain else CorrelationRule)(
            id=str(rule.id) if rule.id is not None else None,
            title=rule.title,
            expression=expression,
            level=str(rule.level) if rule.level is not None else None,
            status=str(rule.status) if rule.status is not None else None,
            tags=tuple(str(tag) for tag in rule.tags),
            logsource=logsource,
            scope=self.rule_scope(state) if is_plain else None,
            path=str(rule.source.path) if rule.source is not None else None,
            author=rule.author,
            license=rule.license,
            description=rule.description,
            references=tuple(rule.references),
            falsepositives=tuple(rule.falsepositives),
            fields=tuple(rule.fields),
            source_hash=source_hash,
            name=rule.name,
        )


def origin(rule: SigmaRule, source_hash: str) -> tuple[str, LogSource]:
    """Return what *rule* is before any pipeline: its hash and its declared log source."""
    source = rule.logsource
    return source_hash, LogSource(source.category, source.product, source.service)


def _key(record: dict[str, Any]) -> object:
    return record.get("id") or record.get("name")

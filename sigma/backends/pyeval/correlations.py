"""Correlation rules: each becomes one call, verified before anybody sees it; the order in which a collection is converted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

from sigma.collection import SigmaCollection
from sigma.conversion.base import TextQueryBackend
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaRuleNotFoundError
from sigma.rule import SigmaRule

from sigma.pyeval.correlation.calls import Correlation, CorrelationError
from sigma.pyeval.correlation.graph import check_fields
from sigma.pyeval.correlation.source import emit_correlation, parse_correlation
from sigma.pyeval.rules import LogSource

from .correlation_rules import correlation_hash, correlation_key, read_correlation
from .errors import RuleRefused, Unsupported, refusal
from .formats import ORIGIN
from .references import arrange, silent_keys

Callback = Callable[[SigmaRule | SigmaCorrelationRule, str | None, int, Any, Any], Any]


class Correlations(TextQueryBackend):
    """The hooks for correlation rules: each type is written the same way, as the call of its name."""

    correlation_methods: ClassVar[dict[str, str] | None] = {
        "default": "One call that sigma.pyeval runs over a stream of events"
    }
    default_correlation_method: ClassVar[str] = "default"
    # The rules that a correlation refers to are written as any other, and stand beside it.
    finalize_correlation_subqueries: bool = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._converted_correlations: dict[str, Correlation] = {}
        self._refused: set[int] = set()  # the rules, by identity, on which no correlation can be built
        self.silent: frozenset[str] = frozenset()

    def convert(
        self,
        rule_collection: SigmaCollection,
        output_format: str | None = None,
        correlation_method: str | None = None,
        callback: Callback | None = None,
    ) -> Any:
        """Convert a collection: plain rules, then correlation rules, each behind those that it refers to."""
        self.init_processing_pipeline(output_format)
        made_in = output_format or self.default_format
        with contextlib.suppress(SigmaRuleNotFoundError):  # said of the correlation rule below
            rule_collection.resolve_rule_references()  # applies filters
        queries: list[Any] = []
        converted: list[SigmaCorrelationRule] = []
        for rule in arrange(rule_collection.rules, self.refuse):
            if isinstance(rule, SigmaRule):
                queries += self.convert_rule(rule, made_in, callback)
                continue
            found = self.convert_correlation_rule(rule, made_in, correlation_method, callback)
            queries += found
            converted += [rule] if found else []
        self.silent = silent_keys(converted)
        return self.finalize(queries, made_in)

    def refuse(self, rule: SigmaRule | SigmaCorrelationRule, finding: str, remedy: str) -> None:
        """Raise or collect the refusal of *rule*."""
        self._refused.add(id(rule))
        refused = RuleRefused(rule, finding, remedy)
        if not self.collect_errors:
            raise refused
        self.errors.append((rule, refused))  # type: ignore[arg-type]  # the type names plain rules only

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,
        callback: Callback | None = None,
    ) -> list[Any]:
        """Convert one correlation rule, its references resolved (``arrange``). Refusals are RuleRefused, or collected."""
        try:
            if getattr(self, "last_processing_pipeline", None) is None:
                self.init_processing_pipeline(output_format)
            for reference in rule.referenced_rules:
                if id(reference.rule) in self._refused:
                    finding = f"it refers to rule {reference.rule.title!r:.100}, which was refused itself"
                    raise Unsupported(finding, "correct that one")
            rule.custom_attributes.setdefault(ORIGIN, (correlation_hash(rule), LogSource()))
            return super().convert_correlation_rule(rule, output_format, method, callback)
        except SigmaError as error:
            self._refused.add(id(rule))
            refused = refusal(rule, error)
            if not self.collect_errors:
                raise refused from error
            self.errors.append((rule, refused))  # type: ignore[arg-type]  # the type names plain rules only
            return []

    def _correlation(self, rule: SigmaCorrelationRule) -> list[str]:
        try:
            made = parse_correlation(emit_correlation(read_correlation(rule)))
            key = correlation_key(rule)
            for member in made.rules:
                if member in self._converted_correlations:
                    check_fields(key, made, member, self._converted_correlations[member])
        except CorrelationError as error:
            raise Unsupported(error.finding, error.remedy) from error
        self._converted_correlations[key] = made
        return [emit_correlation(made)]

    def convert_correlation_event_count_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """How many events match."""
        return self._correlation(rule)

    def convert_correlation_value_count_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """How many different values there are."""
        return self._correlation(rule)

    def convert_correlation_temporal_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """How many of the rules match."""
        return self._correlation(rule)

    def convert_correlation_temporal_ordered_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """How many of the rules match in their order."""
        return self._correlation(rule)

    def convert_correlation_extended_temporal_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """Which of the rules match."""
        return self._correlation(rule)

    def convert_correlation_extended_temporal_ordered_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """Which of the rules match in their order."""
        return self._correlation(rule)

    def convert_correlation_value_sum_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """The sum of a field."""
        return self._correlation(rule)

    def convert_correlation_value_avg_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """The mean of a field."""
        return self._correlation(rule)

    def convert_correlation_value_percentile_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """A percentile of a field."""
        return self._correlation(rule)

    def convert_correlation_value_median_rule(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[str]:
        """The median of a field."""
        return self._correlation(rule)

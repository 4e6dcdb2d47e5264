"""Parsed rules become rules of the runtime: narrowed by filters, arranged, chosen, converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .diagnosis import diagnose
from .errors import RuleError
from .narrowing import FieldsAsked, apply_filters
from .repeated_ids import repeated_ids
from .rules import CorrelationRule, Rule
from .selection import Choice, Note, Traits

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule
    from sigma.filters import SigmaFilter
    from sigma.rule import SigmaRule

    from sigma.backends.pyeval import PyEvalBackend

    Parsed = SigmaRule | SigmaCorrelationRule

Report = Callable[[RuleError], None]


class Converted(NamedTuple):
    """The rules, those that correlate aside, and what is odd about filters, field mappings and ids."""

    rules: list[Rule]
    correlations: list[CorrelationRule]
    notes: list[Note]


class Conversion:
    """Converts the rules that are chosen, and those that chosen correlation rules are about.

    Args:
        backend: Converts a rule; raises ``SigmaError``.
        choice: Which rules run, and under which level.
        mappings: Field as rules name it -> the events' names.
        report: Takes what cannot be converted; may raise.
        advance: Called with how many of how many rules are done.
    """

    def __init__(
        self,
        backend: PyEvalBackend,
        choice: Choice,
        mappings: Mapping[str, tuple[str, ...]],
        report: Report,
        advance: Callable[[int, int], None],
    ) -> None:
        self._backend = backend
        self._choice = choice
        self._mappings = mappings
        self._report = report
        self._advance = advance

    def convert(self, parsed: Sequence[tuple[Parsed, Traits]], filters: Sequence[SigmaFilter]) -> Converted:
        """Return what *parsed* rules become, each with what selectors look at; *filters* narrow those that they name."""
        from sigma.exceptions import SigmaError

        from sigma.backends.pyeval.references import arrange, silent_keys

        levels = {id(rule): self._choice.level(traits) for rule, traits in parsed}
        chosen = {id(rule) for rule, traits in parsed if self._choice.admits(traits)}
        arranged = arrange([rule for rule, _ in parsed], self._refuse)
        served = _served(arranged, chosen)
        kept = [rule for rule in arranged if id(rule) in chosen or id(rule) in served]
        narrowed, notes = apply_filters(kept, filters)
        asked = FieldsAsked(self._mappings, narrowed)
        before = {id(after): id(rule) for rule, after in zip(kept, narrowed, strict=True)}
        made: list[tuple[bool, Rule]] = []
        correlations: list[SigmaCorrelationRule] = []
        # Once more: a rule that a filter narrows is another one, which references have to find.
        for number, rule in enumerate(arrange(narrowed, self._refuse), 1):
            original = before[id(rule)]
            try:
                converted = self._backend.convert_to_rules(rule)
            except SigmaError as error:
                self._report(rule_error(rule, error))
            else:
                made += [(original in chosen, _leveled(one, rule, levels[original])) for one in converted]
                correlations += [] if hasattr(rule, "detection") else [rule]
            self._advance(number, len(narrowed))
        silent = silent_keys(correlations)
        rules = [
            rule if is_chosen and rule.key not in silent else dataclasses.replace(rule, generate=False)
            for is_chosen, rule in made
        ]
        return Converted(
            [rule for rule in rules if not isinstance(rule, CorrelationRule)],
            [rule for rule in rules if isinstance(rule, CorrelationRule)],
            [*notes, *asked.notes(rules), *repeated_ids(rules)],
        )

    def _refuse(self, rule: SigmaCorrelationRule, finding: str, remedy: str) -> None:
        self._report(RuleError(finding, remedy, text_of(rule.title), text_of(rule.id), _place(rule)))


def _served(arranged: Sequence[Parsed], chosen: Iterable[int]) -> set[int]:
    """Return the rules, by identity, that *chosen* correlation rules are about: needed, whatever their level."""
    served: set[int] = set()
    for rule in reversed(arranged):  # those that refer to others stand behind them
        if not hasattr(rule, "detection") and (id(rule) in chosen or id(rule) in served):
            served.update(id(reference.rule) for reference in rule.referenced_rules)
    return served


def _leveled(rule: Rule, written: Parsed, level: str | None) -> Rule:
    """Return *rule* with the level that it is given, where that is another than the written one."""
    return rule if level == text_of(written.level) else dataclasses.replace(rule, level=level)


def rule_error(rule: Parsed, error: Exception) -> RuleError:
    """Return why *rule* cannot be converted."""
    from sigma.exceptions import SigmaTransformationError

    finding, remedy = getattr(error, "finding", None), getattr(error, "remedy", "")
    if finding is None:
        finding, remedy = diagnose(words_of(error))
    unsupported = any(isinstance(one, SigmaTransformationError) for one in (error, error.__cause__))
    return RuleError(finding, remedy, text_of(rule.title), text_of(rule.id), _place(rule), unsupported)


def _place(rule: Parsed) -> str | None:
    return None if rule.source is None else str(rule.source.path)


def text_of(value: object) -> str | None:
    """Return what a rule says somewhere as text, ``None`` where it says nothing."""
    return None if value is None or value == "" else str(value)


def words_of(error: Exception) -> str:
    """Return an error's own words on one line, without the location that pySigma appends."""
    return " ".join(str(error.args[0] if error.args else type(error).__name__).split())

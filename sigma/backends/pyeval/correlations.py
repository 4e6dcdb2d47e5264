"""Correlation rules: one call each, verified before anybody sees it; references found and ordered where pySigma fails."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaCorrelationConditionError
from sigma.rule import SigmaRule

from sigma.pyeval.correlation.calls import Correlation, CorrelationError
from sigma.pyeval.correlation.graph import check_fields, in_order
from sigma.pyeval.correlation.source import emit_correlation, parse_correlation

from .errors import Unsupported

AnyRule = SigmaRule | SigmaCorrelationRule
Refuse = Callable[[SigmaCorrelationRule, str, str], None]
_WORD = re.compile(r"[()]|[A-Za-z0-9_][A-Za-z0-9_-]*")
_NUMBERS = frozenset({*SigmaCorrelationConditionOperator.operators(), "percentile"})
_METADATA = (
    *("title", "id", "name", "status", "level", "tags", "author", "date", "modified", "license"),
    *("description", "references", "falsepositives", "fields", "taxonomy", "related", "scope", "custom_attributes"),
)


class Correlations:
    """The hooks for correlation rules: each type is written the same way, as the call of its name."""

    correlation_methods: ClassVar[dict[str, str] | None] = {
        "default": "One call that sigma.pyeval runs over a stream of events"
    }
    default_correlation_method: ClassVar[str] = "default"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._converted_correlations: dict[str, Correlation] = {}

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


# -- references --------------------------------------------------------------------------------------------------------


def rule_key(rule: AnyRule) -> str | None:
    """Return what correlations refer to a rule by: its id, or its name."""
    return str(rule.id) if rule.id is not None else rule.name


def correlation_key(rule: SigmaCorrelationRule) -> str:
    """Return a correlation rule's key; one without id and name, to which nothing can refer, is told by what it says."""
    return rule_key(rule) or f"{rule.title} {correlation_hash(rule)[:16]}"


def arrange(rules: Iterable[AnyRule], refuse: Refuse) -> list[AnyRule]:
    """Return the rules in the order of conversion: plain ones, then correlations, each behind those that it refers to.

    References are resolved on the way; *refuse* is called for each correlation rule that has one to nothing, to more than one
    rule, or to itself, and for those that refer to such a one. These are left out.
    """
    plain: list[AnyRule] = []
    left: list[SigmaCorrelationRule] = []
    for rule in rules:
        if isinstance(rule, SigmaCorrelationRule):
            left.append(rule)
        else:
            plain.append(rule)
    index = _Index([*plain, *left])
    refused: set[int] = set()
    while True:
        try:
            return [*plain, *(left[number] for number in _order(left, index, refused))]
        except CorrelationError as error:
            culprit = left.pop(int(error.subject or 0))
            refused.add(id(culprit))
            refuse(culprit, error.finding, error.remedy)


def _order(rules: list[SigmaCorrelationRule], index: _Index, refused: set[int]) -> list[int]:
    """Return the numbers of correlation *rules* in order, references resolved; of an error, the subject is the rule's number."""
    numbers = {id(rule): str(number) for number, rule in enumerate(rules)}
    references: dict[str, list[str]] = {}
    for number, rule in enumerate(rules):
        try:
            found = _resolved(rule, index, refused)
        except CorrelationError as error:
            raise CorrelationError(error.finding, error.remedy, str(number)) from error
        references[str(number)] = [numbers[id(one)] for one in found if id(one) in numbers]
    try:
        return [int(number) for number in in_order(references, ())]
    except CorrelationError as error:  # which names the rules by their numbers here
        raise CorrelationError(_CIRCLE, "take one of the references out", error.subject) from error


_CIRCLE = "it refers to itself, directly or by way of other correlation rules"


class _Index:
    """The rules by id and by name."""

    def __init__(self, rules: Sequence[AnyRule]) -> None:
        self._by_id: dict[UUID, AnyRule] = {}
        self._by_name: dict[str, list[AnyRule]] = {}
        for rule in rules:
            rule._output = True
            if rule.id is not None:
                self._by_id[rule.id] = rule
            if rule.name is not None:
                self._by_name.setdefault(rule.name, []).append(rule)

    def find(self, reference: object) -> AnyRule:
        """Return the rule that *reference* names; raises CorrelationError."""
        if not isinstance(reference, str):
            raise CorrelationError(f"it refers to {reference!r:.80}", "write a rule's id or name as text")
        try:
            return self._by_id[UUID(reference)]
        except (ValueError, KeyError):
            found = self._by_name.get(reference, [])
        keys = {rule_key(rule) for rule in found}
        if len(keys) > 1 or (len(found) > 1 and found[0].id is None):
            raise CorrelationError(f"it refers to {reference!r:.100}, the name of {len(found)} rules", "refer by id")
        if not found:
            raise CorrelationError(
                f"it refers to rule {reference!r:.100}, which is not there", "load that rule too; refer by id or name"
            )
        return found[-1]


def _resolved(rule: SigmaCorrelationRule, index: _Index, refused: set[int]) -> list[AnyRule]:
    """Resolve the rule's references in place, as pySigma does; return what they name."""
    if rule.rules is not None:
        rule.referenced_rules = rule.rules
    elif isinstance(rule.condition, SigmaExtendedCorrelationCondition):
        rule.referenced_rules = [SigmaRuleReference(name) for name in rule.condition.get_referenced_rules()]
    for reference in rule.referenced_rules:
        reference.rule = index.find(reference.reference)
        if id(reference.rule) in refused:
            name = f"correlation rule {reference.rule.title!r:.100}"
            raise CorrelationError(f"it refers to {name}, which was refused itself", "correct that one")
    return [reference.rule for reference in rule.referenced_rules]


def silent_keys(correlations: Iterable[SigmaCorrelationRule]) -> frozenset[str]:
    """Return the keys of the rules that serve only correlations: some refer to them, and none of these says generate."""
    served: dict[str, bool] = {}
    for rule in correlations:
        for reference in rule.referenced_rules:
            key = rule_key(reference.rule)
            if key is not None:
                served[key] = served.get(key, False) or rule.generate
    return frozenset(key for key, generate in served.items() if not generate)


# -- what a rule says --------------------------------------------------------------------------------------------------


def read_correlation(rule: SigmaCorrelationRule) -> Correlation:
    """Return what a correlation rule, its references resolved and its fields mapped, says.

    Raises:
        CorrelationError: It names a rule that it does not refer to.
    """
    keys = {reference.reference: rule_key(reference.rule) or "" for reference in rule.referenced_rules}
    by_any_name = keys | {
        name: rule_key(reference.rule) or ""
        for reference in rule.referenced_rules
        for name in (reference.rule.name, str(reference.rule.id))
        if name is not None
    }

    def key(reference: str) -> str:
        if reference not in by_any_name:
            raise CorrelationError(
                f"an alias names rule {reference!r:.100}, which is not correlated", "add it to the rules"
            )
        return by_any_name[reference]

    condition = rule.condition
    fields: tuple[str, ...] = ()
    percentile = None
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        said = _condition(condition.parsed, keys)
    else:
        said = (condition.op.name.lower(), condition.count)
        listed = condition.fieldref if isinstance(condition.fieldref, list) else [condition.fieldref]
        fields = tuple(field for field in listed if field is not None)
        percentile = condition.percentile
    return Correlation(
        kind=rule.type.name.lower(),
        rules=tuple(keys.values()),
        timespan=rule.timespan.seconds,
        condition=said,
        group_by=tuple(rule.group_by or ()),
        aliases=tuple(
            (alias.alias, tuple((key(reference.reference), field) for reference, field in alias.mapping.items()))
            for alias in rule.aliases
        ),
        fields=fields,
        percentile=percentile,
    )


def _condition(node: Any, keys: dict[str, str]) -> Any:
    if isinstance(node, SigmaRuleReference):
        return keys[node.reference]
    word = {CorrelationConditionAND: "and", CorrelationConditionOR: "or", CorrelationConditionNOT: "not"}[type(node)]
    return (word, *(_condition(part, keys) for part in node.args))


def correlation_hash(rule: SigmaCorrelationRule) -> str:
    """Return the hash of what is written in *rule*, hexadecimal."""
    condition = rule.condition
    written = [
        *(getattr(rule, name) for name in _METADATA),
        (rule.type.name, rule.generate, rule.timespan.spec, rule.group_by, rule.aliases.to_dict()),
        [reference.reference for reference in rule.rules or ()],
        condition.expression
        if isinstance(condition, SigmaExtendedCorrelationCondition)
        else (condition.op.name, condition.count, condition.fieldref, condition.percentile),
    ]
    return hashlib.sha256(json.dumps(written, default=str, ensure_ascii=True).encode()).hexdigest()


# -- what pySigma reads otherwise --------------------------------------------------------------------------------------


def register_correlations() -> None:
    """Make pySigma read thresholds as they are written (1.5 cuts 3.5 to 3), and any id or name in extended conditions."""
    SigmaCorrelationCondition.from_dict = classmethod(_condition_from_dict)  # type: ignore[method-assign, assignment]
    SigmaExtendedCorrelationCondition.parse = classmethod(_parse_condition)  # type: ignore[method-assign, assignment]


_from_dict = SigmaCorrelationCondition.from_dict.__func__  # type: ignore[attr-defined]


def _condition_from_dict(cls: Any, d: dict[str, Any], source: Any = None) -> Any:
    numbers = {name: _exact(name, d[name], source) for name in _NUMBERS & d.keys()}
    made = _from_dict(cls, {**d, **dict.fromkeys(numbers, 0)}, source)
    made.percentile = numbers.pop("percentile", None)
    (made.count,) = numbers.values()
    return made


def _exact(name: str, value: object, source: Any) -> int | float:
    """Return the number that is written, text of a number included, an integer where it is whole."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # anything may be written
        if isinstance(value, int):
            return value
        if math.isfinite(number):
            return int(number) if number.is_integer() else number
    what = "percentile" if name == "percentile" else "count"
    raise SigmaCorrelationConditionError(f"'{value}' is no valid Sigma correlation condition {what}", source=source)


def _parse_condition(_cls: Any, expression: str) -> CorrelationConditionItem | SigmaRuleReference:
    """Return the tree of an extended condition: ids and names joined by ``not``, ``and``, ``or`` and parentheses."""
    words = _WORD.findall(expression)
    if "".join(words) != re.sub(r"\s", "", expression) or expression.count("(") > _DEEPEST:
        raise _unreadable(expression)
    words.reverse()
    try:
        tree = _alternatives(words)
    except IndexError as error:
        raise _unreadable(expression) from error
    if words:
        raise _unreadable(expression)
    return tree


_DEEPEST = 50


def _unreadable(expression: str) -> SigmaCorrelationConditionError:
    return SigmaCorrelationConditionError(
        f"the condition {expression!r:.100} cannot be read; join ids or names of rules by and, or, not and parentheses"
    )


def _alternatives(words: list[str]) -> CorrelationConditionItem | SigmaRuleReference:
    parts = [_conjunction(words)]
    while words and words[-1] == "or":
        words.pop()
        parts.append(_conjunction(words))
    return parts[0] if len(parts) == 1 else CorrelationConditionOR(parts)


def _conjunction(words: list[str]) -> CorrelationConditionItem | SigmaRuleReference:
    parts = [_operand(words)]
    while words and words[-1] == "and":
        words.pop()
        parts.append(_operand(words))
    return parts[0] if len(parts) == 1 else CorrelationConditionAND(parts)


def _operand(words: list[str]) -> CorrelationConditionItem | SigmaRuleReference:
    negated = False
    while words[-1] == "not":
        words.pop()
        negated = not negated
    word = words.pop()
    if word in ("and", "or", ")"):
        raise IndexError(word)
    if word == "(":
        operand = _alternatives(words)
        if words.pop() != ")":
            raise IndexError(word)
    else:
        operand = SigmaRuleReference(word)
    return CorrelationConditionNOT([operand]) if negated else operand

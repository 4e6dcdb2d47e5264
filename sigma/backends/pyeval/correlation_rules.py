"""What a correlation rule says, read from pySigma's objects; and what pySigma itself reads otherwise than it is written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from typing import Any

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

from sigma.pyeval.correlation.calls import Correlation, CorrelationError

from .preparation import METADATA
from .references import rule_key

_WORD = re.compile(r"[()]|[A-Za-z0-9_][A-Za-z0-9_-]*")
_NUMBERS = frozenset({*SigmaCorrelationConditionOperator.operators(), "percentile"})


def correlation_key(rule: SigmaCorrelationRule) -> str:
    """Return a correlation rule's key; one without id and name, to which nothing can refer, is told by what it says."""
    return rule_key(rule) or f"{rule.title} {correlation_hash(rule)[:16]}"


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
        rules=tuple(rule_key(reference.rule) or "" for reference in rule.referenced_rules),
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
        *(getattr(rule, name) for name in METADATA),
        (rule.type.name, rule.generate, rule.timespan.spec, rule.group_by, rule.aliases.to_dict()),
        [reference.reference for reference in rule.rules or ()],
        condition.expression
        if isinstance(condition, SigmaExtendedCorrelationCondition)
        else (condition.op.name, condition.count, condition.fieldref, condition.percentile),
    ]
    return hashlib.sha256(json.dumps(written, default=str, ensure_ascii=True).encode()).hexdigest()


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
        if isinstance(value, int) and not isinstance(value, bool):
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

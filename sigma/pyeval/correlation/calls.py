"""What a correlation rule says, as data; and the calls that it is written as (specification 2.1, "Correlation Types").

The calls are the second small grammar of emitted source: ``event_count(rules=('a', 'b'), group_by=('User',), timespan=600,
condition=('gte', 10))``. They check their arguments, so that no other correlation than one that can be run is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

OPERATORS: Final = ("lt", "lte", "gt", "gte", "eq", "neq")
RISING: Final = frozenset({"gt", "gte"})
"""Operators that more events can only help: decided at each event. The others are decided when a window closes."""
LONGEST_TIMESPAN: Final = 1_000 * 31_556_952
"""Seconds: a thousand years."""
MOST_RULES: Final = 62
MOST_WAYS: Final = 64
"""In so many ways, sets of rules seen and not seen, may a condition over ``temporal_ordered`` be true."""
_DEEPEST: Final = 50

Way = tuple[frozenset[str], frozenset[str]]
"""Rules that must have been seen, and rules that must not."""
Aliases = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class CorrelationError(ValueError):
    """A correlation cannot be run as it is written.

    Attributes:
        finding: What was found.
        remedy: What to do about it.
        subject: The key of the correlation rule, where it is known.
    """

    def __init__(self, finding: str, remedy: str = "", subject: str | None = None) -> None:
        self.finding = finding
        self.remedy = remedy
        self.subject = subject
        super().__init__(f"{finding}; {remedy}" if remedy else finding)


class Correlation(NamedTuple):
    """What a correlation rule says.

    Attributes:
        kind: The type: event_count, value_count, temporal, temporal_ordered, value_sum, value_avg, value_percentile or
            value_median.
        rules: The keys of the rules whose matches are correlated: id, or name where a rule has no id; in order.
        timespan: The length of the window, in seconds.
        condition: (operator, threshold), or for the temporal types also a rule's key, ``('and' | 'or', ...)`` of conditions
            and ``('not', condition)``.
        group_by: Fields or aliases; events with the same values there belong together.
        aliases: (alias, ((rule's key, field), ...)) each.
        fields: The fields whose values are counted or reckoned with.
        percentile: 0 to 100, for value_percentile.
    """

    kind: str
    rules: tuple[str, ...]
    timespan: int
    condition: Any
    group_by: tuple[str, ...] = ()
    aliases: Aliases = ()
    fields: tuple[str, ...] = ()
    percentile: int | float | None = None

    @property
    def is_extended(self) -> bool:
        """Whether the condition names rules rather than a threshold."""
        return isinstance(self.condition, str) or self.condition[0] not in OPERATORS

    @property
    def is_closing(self) -> bool:
        """Whether the condition is decided when a window closes: more events could still make it false."""
        if self.is_extended:
            return _has_not(self.condition)
        return self.condition[0] not in RISING

    @property
    def is_temporal(self) -> bool:
        """Whether it is about which rules match rather than about values."""
        return self.kind in ("temporal", "temporal_ordered")

    def field_of(self, name: str, rule: str) -> str:
        """Return the field that *name*, a field or an alias, stands for in events of *rule*."""
        if not self.aliases:
            return name
        for alias, fields in self.aliases:
            if alias == name:
                return dict(fields).get(rule, name)
        return name


def _has_not(condition: Any) -> bool:
    return not isinstance(condition, str) and (condition[0] == "not" or any(map(_has_not, condition[1:])))


def event_count(**said: Any) -> Correlation:
    """How many events match."""
    return _made("event_count", said)


def value_count(**said: Any) -> Correlation:
    """How many different values, or tuples of values, the fields of matching events have."""
    return _made("value_count", said)


def temporal(**said: Any) -> Correlation:
    """How many of the rules match, or which."""
    return _made("temporal", said)


def temporal_ordered(**said: Any) -> Correlation:
    """How many of the rules match in their order, or which."""
    return _made("temporal_ordered", said)


def value_sum(**said: Any) -> Correlation:
    """The sum of a field's numbers."""
    return _made("value_sum", said)


def value_avg(**said: Any) -> Correlation:
    """The mean of a field's numbers."""
    return _made("value_avg", said)


def value_median(**said: Any) -> Correlation:
    """The median of a field's numbers: of an even number of them the mean of the two in the middle."""
    return _made("value_median", said)


def value_percentile(**said: Any) -> Correlation:
    """The smallest of a field's numbers that *percentile* percent of them do not exceed."""
    return _made("value_percentile", said)


CORRELATION_CALLS: Final[dict[str, Callable[..., Correlation]]] = {
    made.__name__: made
    for made in (
        *(event_count, value_count, temporal, temporal_ordered),
        *(value_sum, value_avg, value_median, value_percentile),
    )
}
"""The calls by their names, which are the specification's types."""


def _made(kind: str, said: dict[str, Any]) -> Correlation:
    """Return the correlation that a call says; raises CorrelationError where that has no meaning."""
    missing = [name for name in ("rules", "timespan", "condition") if name not in said]
    unknown = sorted(said.keys() - {"rules", "timespan", "condition", "group_by", "aliases", "fields", "percentile"})
    if missing or unknown:
        finding = f"without {missing[0]}" if missing else f"with {unknown[0]!r:.60}, which it does not know"
        raise CorrelationError(f"{kind} {finding}", "write the call as it is emitted")
    made = Correlation(kind, **said)
    if not _are_texts(made.rules) or not made.rules:
        raise CorrelationError("no rules to correlate", "list the rules by id or name")
    if len(set(made.rules)) < len(made.rules) or len(made.rules) > MOST_RULES:
        raise CorrelationError(f"rules are named twice, or are more than {MOST_RULES}", "name each once")
    if type(made.timespan) is not int or not 0 < made.timespan <= LONGEST_TIMESPAN:
        raise CorrelationError("the timespan is no number of seconds, or too long", "write it as 30s, 5m, 1h or 7d")
    if not _are_texts(made.group_by):
        raise CorrelationError("group-by is no list of fields", "name fields or aliases")
    _check_aliases(made)
    _check_fields(made)
    if made.is_temporal and not _is_threshold(made.condition):
        _check_extended(made)
    elif not _is_threshold(made.condition):
        raise CorrelationError(
            f"the condition {made.condition!r:.80} has no meaning", f"one of {', '.join(OPERATORS)} with a number"
        )
    return made


def _are_texts(values: object) -> bool:
    return isinstance(values, tuple) and all(type(value) is str for value in values)


def _is_threshold(condition: object) -> bool:
    return (
        isinstance(condition, tuple)
        and len(condition) == 2
        and condition[0] in OPERATORS
        and isinstance(condition[1], (int, float))
        and not isinstance(condition[1], bool)
        and math.isfinite(condition[1])
    )


def _check_aliases(made: Correlation) -> None:
    try:
        named = {rule for _, fields in made.aliases for rule, _ in fields}
        texts = [
            text for alias, fields in made.aliases for text in (alias, *(part for pair in fields for part in pair))
        ]
    except (TypeError, ValueError) as error:
        raise CorrelationError("aliases are no pairs of an alias and its fields", "write rule: field") from error
    if not all(type(text) is str for text in texts):
        raise CorrelationError("an alias names something that is no field", "write the names as text")
    unknown = sorted(named - set(made.rules))
    if unknown:
        raise CorrelationError(f"an alias names rule {unknown[0]!r}, which is not correlated", "add it to the rules")


def _check_fields(made: Correlation) -> None:
    needs_value = made.kind.startswith("value_")
    if not _are_texts(made.fields) or bool(made.fields) != needs_value:
        finding = "without a field" if needs_value else "with a field"
        remedy = "name the field of the values in the condition" if needs_value else "leave the condition's field out"
        raise CorrelationError(f"{made.kind} {finding}", remedy)
    if len(made.fields) > 1 and made.kind != "value_count":
        raise CorrelationError(f"{made.kind} of several fields", "name one field")
    percentile = made.percentile
    if made.kind != "value_percentile":
        if percentile is not None:
            raise CorrelationError(f"{made.kind} with a percentile", "leave it out, or write value_percentile")
        return
    if percentile is None:
        raise CorrelationError(
            "value_percentile without percentile", "add 'percentile: 95' or another to the condition"
        )
    if not isinstance(percentile, (int, float)) or isinstance(percentile, bool) or not 0 <= percentile <= 100:
        raise CorrelationError(f"the percentile {percentile!r:.40} is none", "a number from 0 to 100")


def _check_extended(made: Correlation) -> None:
    named = set(_leaves_of(made.condition, 0))
    if named != set(made.rules):
        raise CorrelationError(
            "the condition names other rules than are listed", "name each in both, or leave the list out"
        )
    if made.kind == "temporal_ordered":
        ways_of(made.condition)


def _leaves_of(condition: object, depth: int) -> Iterator[str]:
    if type(condition) is str:
        yield condition
        return
    if depth > _DEEPEST:
        raise CorrelationError("the condition is nested too deeply", "split the rule")
    if (
        not isinstance(condition, tuple)
        or len(condition) < 2
        or condition[0] not in ("and", "or", "not")
        or (condition[0] == "not" and len(condition) > 2)
    ):
        raise CorrelationError(f"the condition {condition!r:.80} has no meaning", "join rules by and, or, not")
    for part in condition[1:]:
        yield from _leaves_of(part, depth + 1)


def ways_of(condition: Any, *, negated: bool = False) -> list[Way]:
    """Return the ways in which a condition over rules can be true (its disjunctive normal form).

    Raises:
        CorrelationError: There are more than ``MOST_WAYS``.
    """
    if isinstance(condition, str):
        one: frozenset[str] = frozenset({condition})
        return [(frozenset(), one)] if negated else [(one, frozenset())]
    if condition[0] == "not":
        return ways_of(condition[1], negated=not negated)
    parts = [ways_of(part, negated=negated) for part in condition[1:]]
    if (condition[0] == "or") is not negated:
        return _fewer([way for ways in parts for way in ways])
    found: list[Way] = [(frozenset(), frozenset())]
    for ways in parts:
        found = _fewer([(seen | more, unseen | less) for seen, unseen in found for more, less in ways])
    return found


def _fewer(ways: list[Way]) -> list[Way]:
    """Return *ways* without those that contradict themselves or say more than another."""
    possible = list(dict.fromkeys(way for way in ways if not way[0] & way[1]))
    kept = [
        way
        for way in possible
        if not any(other != way and other[0] <= way[0] and other[1] <= way[1] for other in possible)
    ]
    if len(kept) > MOST_WAYS:
        raise CorrelationError(f"the condition can be true in more than {MOST_WAYS} ways", "split the rule")
    return kept

"""References of correlation rules: found by id or name, ordered, and refused where they lead nowhere; pySigma fails at each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from sigma.correlations import SigmaCorrelationRule, SigmaExtendedCorrelationCondition, SigmaRuleReference
from sigma.rule import SigmaRule

from sigma.pyeval.correlation.calls import CorrelationError
from sigma.pyeval.correlation.graph import in_order

AnyRule = SigmaRule | SigmaCorrelationRule
Refuse = Callable[[SigmaCorrelationRule, str, str], None]


def rule_key(rule: AnyRule) -> str | None:
    """Return what correlations refer to a rule by: its id, or its name."""
    return str(rule.id) if rule.id is not None else rule.name


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

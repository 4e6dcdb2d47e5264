"""The plan of a set of rules: all that matching needs, as plain data and code that ``marshal`` can keep.

Building a plan reads every expression; loading a kept one does not. A kept plan is the program's own file: it holds code,
so it must come from where nobody else may write.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from types import CodeType
from typing import Any

from ..matchers import SEMANTICS_VERSION
from ..rules import LogSource, Rule
from ..version import __version__
from .predicates import Formula, PredicateTable, Reading, Tree, emit_tree
from .textcode import PARAMETERS, emit_text_form, has_text_form
from .witnesses import Witness, beyond_witness, proofs, witness, witness_cost

_FORMAT = 2
_OPEN_COST = 1000.0
_PER_COMPILATION = 256


class PlanError(ValueError):
    """Bytes are no plan that this installation can use; the rules have to be planned anew."""


@dataclass(frozen=True, slots=True)
class PlannedPredicate:
    """One predicate, ready to be looked for.

    Attributes:
        reading: The fields it reads; ``None``: the whole event.
        source: Its expression, for values that are not one text.
        literals: Its witness; empty for a predicate that is always evaluated.
        proofs: Those of *literals* that alone prove it.
        ascii_only: Whether the witness counts for ASCII text only.
    """

    reading: Reading
    source: str
    literals: tuple[str, ...]
    proofs: tuple[str, ...]
    ascii_only: bool

    @property
    def proved(self) -> bool:
        """Whether finding the witness is all there is to it."""
        return bool(self.literals) and len(self.proofs) == len(self.literals)


@dataclass(frozen=True, slots=True)
class Plan:
    """A set of rules, planned.

    Attributes:
        rules: The rules, in order.
        predicates: What they ask.
        text_functions: Code that evaluates to tuples of functions of a text, one for each predicate that its witness does
            not prove, in order.
        rule_functions: Code that evaluates to tuples of functions of a set of predicates, one a rule, in order.
        needed: For each rule, predicates of which one must hold for it to match; ``None`` where that is not so.
    """

    rules: tuple[Rule, ...]
    predicates: tuple[PlannedPredicate, ...]
    text_functions: tuple[CodeType, ...]
    rule_functions: tuple[CodeType, ...]
    needed: tuple[tuple[int, ...] | None, ...]


def plan_rules(rules: Sequence[Rule]) -> Plan:
    """Return the plan of *rules*, whose expressions are verified."""
    table = PredicateTable()
    formulas = [table.formula(rule.expression) for rule in rules]
    planned = tuple(_planned(predicate.reading, predicate.tree) for predicate in table.predicates)
    costs = [_cost(predicate) for predicate in planned]
    return Plan(
        rules=tuple(rules),
        predicates=planned,
        text_functions=_compiled(
            PARAMETERS,
            (
                emit_text_form(beyond_witness(predicate.tree, Witness(ready.literals, ready.ascii_only)))
                for predicate, ready in zip(table.predicates, planned, strict=True)
                if not ready.proved and has_text_form(ready.reading)
            ),
        ),
        rule_functions=_compiled("S", map(_emit_formula, formulas)),
        needed=tuple(None if need is None else need[1] for need in (_needed(formula, costs) for formula in formulas)),
    )


def _planned(reading: Reading, tree: Tree) -> PlannedPredicate:
    # A predicate of several fields has no one text in which a literal could be sought.
    found = (witness(tree) if reading is None or len(reading) == 1 else None) or Witness(())
    certain = proofs(tree).intersection(found.literals)
    return PlannedPredicate(reading, emit_tree(tree), found.literals, tuple(sorted(certain)), found.ascii_only)


def _cost(predicate: PlannedPredicate) -> float:
    """Return how often, roughly, a predicate holds."""
    if not predicate.literals:
        return _OPEN_COST
    return witness_cost(Witness(predicate.literals)) + _COMMON_FIELDS.get(predicate.reading, 0.0)


_COMMON_FIELDS: dict[Reading, float] = {
    (name,): 100.0 for name in ("EventID", "Channel", "Provider_Name", "type", "eventSource", "Initiated")
}
"""Fields that take few values: a rule is better looked for by another one."""


def _needed(formula: Formula, costs: list[float]) -> tuple[float, tuple[int, ...]] | None:
    """Return the cheapest predicates of which one must hold for *formula* to hold, with their cost, if there are any."""
    if isinstance(formula, int):
        return costs[formula], (formula,)
    if formula[0] == "not":
        return None
    found = [_needed(part, costs) for part in formula[1]]
    known = [one for one in found if one is not None]
    if formula[0] == "and":
        return min(known, default=None)
    if len(known) < len(found):
        return None
    return max(cost for cost, _ in known), tuple(dict.fromkeys(number for _, numbers in known for number in numbers))


def _emit_formula(formula: Formula) -> str:
    if isinstance(formula, int):
        return f"{formula} in S"
    if formula[0] == "not":
        return f"{formula[1]} not in S"
    return "(" + f" {formula[0]} ".join(map(_emit_formula, formula[1])) + ")"


def _compiled(parameters: str, bodies: Iterable[str]) -> tuple[CodeType, ...]:
    lines = [f"lambda {parameters}: {body},\n" for body in bodies]
    starts = range(0, len(lines), _PER_COMPILATION)
    return tuple(compile(f"({''.join(lines[i : i + _PER_COMPILATION])})", "<plan>", "eval") for i in starts)


def dump(plan: Plan) -> bytes:
    """Return *plan* as bytes that ``load`` reads on the same versions of Python and of this package."""
    body = marshal.dumps(
        (
            [rule_row(rule) for rule in plan.rules],
            [tuple(getattr(predicate, name) for name in _PREDICATE_FIELDS) for predicate in plan.predicates],
            plan.text_functions,
            plan.rule_functions,
            plan.needed,
        )
    )
    return _header() + hashlib.sha256(body).digest() + body


def load(data: bytes) -> Plan:
    """Return the plan that ``dump`` wrote.

    The digest tells damage apart, not malice: bytes from strangers must not be loaded.

    Raises:
        PlanError: The bytes are damaged, or were written by another version.
    """
    header = _header()
    if data[: len(header)] != header:
        raise PlanError("this plan was made by another version of Python or of sigma.pyeval")
    digest, body = data[len(header) : len(header) + 32], memoryview(data)[len(header) + 32 :]
    if hashlib.sha256(body).digest() != digest:
        raise PlanError("this plan is damaged")
    rules, predicates, text_functions, rule_functions, needed = marshal.loads(body)  # noqa: S302 - our own, whole
    return Plan(
        tuple(Rule(**rule_fields(*row)) for row in rules),
        tuple(PlannedPredicate(*row) for row in predicates),
        text_functions,
        rule_functions,
        needed,
    )


_PREDICATE_FIELDS = tuple(one.name for one in fields(PlannedPredicate))
_RULE_FIELDS = tuple(one.name for one in fields(Rule) if one.name != "logsource")


def rule_row(rule: Rule) -> tuple[Any, ...]:
    """Return a rule as plain data that ``marshal`` keeps."""
    source = rule.logsource
    return (source.category, source.product, source.service), tuple(getattr(rule, name) for name in _RULE_FIELDS)


def rule_fields(logsource: tuple[str | None, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    """Return what ``rule_row`` took apart as the arguments that make the rule."""
    return {"logsource": LogSource(*logsource), **dict(zip(_RULE_FIELDS, values, strict=True))}


def _header() -> bytes:
    made_by = f"sigma.pyeval plan {_FORMAT} {__version__} {SEMANTICS_VERSION} {sys.implementation.cache_tag} {sys.hexversion:x}"
    return made_by.encode() + b"\n"

"""Which cases belong to which rules; what names no rule, or a rule that could not be loaded, is a mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sigma.pyeval.errors import UnknownRuleError
from sigma.pyeval.output import counted
from sigma.pyeval.rules import CorrelationRule, Rule
from sigma.pyeval.ruleset import Ruleset

from .case_files import CaseDocument, case_files, read_cases, rule_files_beside
from .cases import Case, EventSequence, Log, Mistake
from .proof import proves_nothing
from .regression import regression_cases

_NOT_CORRELATED: Final = "a sequence of events is for a correlation rule; write a case with event for each of them"


@dataclass(frozen=True)
class RuleCase:
    """A case and the rule that it is about.

    Attributes:
        rule: The rule.
        case: The case.
        ruleset: Of a correlation rule, the rules among which are those that it builds on.
    """

    rule: Rule
    case: Case
    ruleset: Ruleset | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the case tells something of: its own, and those that a correlation rule builds on."""
        if self.ruleset is None or not isinstance(self.rule, CorrelationRule):
            return (self.rule,)
        return (self.rule, *self.ruleset.behind(self.rule))

    def with_rules(self, by_id: Mapping[str | None, Rule]) -> RuleCase:
        """Return the case with other rules in the places of those of the same ids, all at once."""
        if not isinstance(self.rule, CorrelationRule):
            return replace(self, rule=by_id[self.rule.id]) if self.rule.id in by_id else self
        if self.ruleset is None:
            return self
        rules = [by_id.get(one.id, one) for one in self.ruleset.rules]
        return replace(self, ruleset=Ruleset(rules, correlations=self.ruleset.correlations))


@dataclass(frozen=True)
class Suite:
    """Everything that can be run.

    Attributes:
        cases: In the order of the rules' files, then of regression tests.
        mistakes: What is wrong with files of cases.
        untested: The rules that no case is about. A case of a correlation rule is about the rules that this builds on too.
        absent: Folder of regression tests that are not here -> how many rules name it.
    """

    cases: tuple[RuleCase, ...]
    mistakes: tuple[Mistake, ...]
    untested: tuple[Rule, ...]
    absent: Mapping[str, int] = field(default_factory=dict)

    def notes(self) -> Iterator[str]:
        """Yield, for people, what is not run though rules speak of it."""
        for folder, number in self.absent.items():
            yield (
                f"{counted(number, 'rule')} {'names' if number == 1 else 'name'} regression tests in {folder}, "
                "which no directory above them has; they are not run"
            )


def collect_cases(ruleset: Ruleset, paths: Iterable[Path], more: Iterable[Path] = ()) -> Suite:
    """Return the cases about the rules of *ruleset*.

    Args:
        ruleset: The rules.
        paths: What they were loaded from; files of cases lie there too, and the rules may name regression tests.
        more: Further files of cases, or directories that hold some.
    """
    by_file: dict[Path, list[Rule]] = {}
    for rule in ruleset.all_rules:
        if rule.path is not None:
            by_file.setdefault(Path(rule.path).resolve(), []).append(rule)
    found: list[RuleCase] = []
    mistakes: list[Mistake] = []
    for file in case_files([*paths, *more]):
        for document in read_cases(file):
            mistakes += document.mistakes
            about = _rule_of(document, ruleset, by_file)
            if isinstance(about, Mistake):
                mistakes.append(about)
                continue
            for case in document.cases:
                mistake = _unsuited(case, about)
                if mistake is None:
                    found.append(RuleCase(about, case, ruleset))
                else:
                    mistakes.append(mistake)
    absent: Counter[str] = Counter()
    for tests in regression_cases(by_file):
        mistakes += tests.mistakes
        rules = [rule for rule in ruleset.all_rules if rule.id == tests.rule_id]
        found += (RuleCase(rule, case, ruleset) for rule in rules[:1] for case in tests.cases)
        absent.update([tests.absent] if tests.absent else ())
    tested = {id(rule) for one in {id(one.rule): one for one in found}.values() for rule in one.rules}
    untested = tuple(rule for rule in ruleset.all_rules if id(rule) not in tested)
    return Suite(tuple(found), tuple(mistakes), untested, absent)


def _unsuited(case: Case, rule: Rule) -> Mistake | None:
    """Return why a case is none for *rule*, or ``None``."""
    if isinstance(rule, CorrelationRule) or isinstance(case.subject, Log):
        return None
    if isinstance(case.subject, EventSequence):
        return Mistake(case.path, f"{case.place}.events", _NOT_CORRELATED)
    reason = "" if case.must_match else proves_nothing(rule, case.subject)
    return Mistake(case.path, f"{case.place}.event", reason) if reason else None


def _rule_of(document: CaseDocument, ruleset: Ruleset, by_file: dict[Path, list[Rule]]) -> Rule | Mistake:
    if document.rule is not None:
        try:
            return ruleset.find_rule(document.rule)
        except UnknownRuleError as error:
            return Mistake(document.path, "rule", str(error))
    beside = rule_files_beside(document.path)
    rules = [rule for file in beside for rule in by_file.get(file.resolve(), ())]
    loud = [rule for rule in rules if rule.generate] if len(rules) > 1 else rules
    if len(loud) == 1:
        return loud[0]
    return Mistake(document.path, "rule", _why_not_one(beside, rules, ruleset))


def _why_not_one(beside: Sequence[Path], rules: Sequence[Rule], ruleset: Ruleset) -> str:
    if len(rules) > 1:
        return f"{beside[0]} holds {len(rules)} rules; say by id or title which of them is meant"
    if not beside:
        return "no rule file of this name lies beside it; say by id or title which rule is meant"
    names = {file.resolve() for file in beside}
    refused = [one for one in ruleset.errors if one.path is not None and Path(one.path).resolve() in names]
    if refused:
        return f"the rule could not be loaded: {refused[0].reason}"
    return f"{beside[0]} is none of the rules that were loaded"

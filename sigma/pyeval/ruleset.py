"""Rules held against events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .correlation.source import parse_correlation
from .errors import RuleError, UnknownRuleError
from .events import holds
from .expression import Predicate, compile_expression
from .matchers.regexes import UNDECIDED
from .routing import recognise
from .rules import CorrelationRule, LogSource, Match, Rule, correlation_keys
from .selection import Note

if TYPE_CHECKING:
    from .correlation.correlator import Correlator
    from .engine.lines import LineResult, Problem
    from .engine.matcher import Engine
    from .engine.memos import Statistics
    from .engine.plan import Plan
    from .explain import Explanation

Router = Callable[[Mapping[str, Any]], LogSource]


class Ruleset:
    """An immutable set of rules, and the errors of those that could not be loaded.

    Args:
        rules: The rules in loading order.
        errors: What could not be loaded, and why.
        correlations: The correlation rules, in loading order; see ``correlator``.
        router: Tells an event's log source, in place of the built-in recogniser; see ``route``.
        memo_bytes: What ``match`` may remember of earlier events, in bytes; ``None`` for the default of 64 MiB.
        plan: The plan of just these rules, where one was kept; else it is made when first needed.
        unsafe_regex: Whether expressions may search for regular expressions without a bound; only for trusted rules.
        left_out: Reason -> how many rules were left out on purpose, see ``selection``.
        notes: What is odd about the choice of rules: (part of it, finding).

    Attributes:
        rules: The rules in loading order, correlation rules aside.
        errors: What could not be loaded, and why.
        left_out: As given.
        notes: As given.
        correlations: The correlation rules in loading order.
    """

    def __init__(  # noqa: PLR0913 - a caller names each
        self,
        rules: Iterable[Rule],
        errors: Iterable[RuleError] = (),
        *,
        correlations: Iterable[CorrelationRule] = (),
        router: Router | None = None,
        memo_bytes: int | None = None,
        plan: Plan | None = None,
        unsafe_regex: bool = False,
        left_out: Mapping[str, int] | None = None,
        notes: Iterable[Note] = (),
    ) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.errors: tuple[RuleError, ...] = tuple(errors)
        self.left_out: dict[str, int] = {reason: count for reason, count in (left_out or {}).items() if count}
        self.notes: tuple[Note, ...] = tuple(notes)
        self.correlations: tuple[CorrelationRule, ...] = tuple(correlations)
        self._all_generate = all(rule.generate for rule in self.rules)
        self._router = router
        self._memo_bytes = memo_bytes
        self._unsafe_regex = unsafe_regex
        if plan is not None:
            if plan.rules != self.rules:
                raise ValueError("the plan is that of other rules")
            self.__dict__["plan"] = plan

    def __len__(self) -> int:
        return len(self.rules)

    def __repr__(self) -> str:
        correlations = f", {len(self.correlations)} correlations" if self.correlations else ""
        return f"<Ruleset of {len(self.rules)} rules{correlations}, {len(self.errors)} errors>"

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The rules, and behind them the correlation rules."""
        return (*self.rules, *self.correlations)

    def match(
        self, event: Mapping[str, Any], logsource: LogSource | None = None, *, members: bool = False
    ) -> list[Match]:
        """Return the matches of *event*, in rule order; never raises, whatever the event holds.

        With *logsource*, rules whose log source conflicts with it are left out; unknown parts never exclude a rule.
        With *members*, those of rules that serve only correlations (not ``Rule.generate``) are among them. The
        answer is always that of ``scan``, and comes from what was learned of earlier events.
        """
        try:
            numbers = self._engine.match(event)
        except Exception:  # noqa: BLE001 - a foreign object may raise anything; the full scan knows what to do
            self._engine.statistics.full_scans += 1
            return self.scan(event, logsource, members=members)
        if not numbers:
            return []
        rules = self.rules
        if not (members or self._all_generate):
            numbers = tuple(number for number in numbers if rules[number].generate)
        if logsource is None:
            return [Match(rules[number], event) for number in numbers]
        return [Match(rules[one], event) for one in numbers if not rules[one].logsource.conflicts(logsource)]

    def match_many(self, events: Iterable[Mapping[str, Any]], *, route: bool = False) -> Iterator[list[Match]]:
        """Yield the matches of each event, in order; with *route*, each is held against the rules for its log source."""
        for event in events:
            yield self.match(event, self.route(event) if route else None)

    def match_lines(self, ndjson: bytes, *, route: bool = False) -> Iterator[LineResult | Problem]:
        """Yield what each line of JSON lines gives: its number and matches, or why it is no event; see ``LineResult``.

        Blank lines are passed over. With *route*, each event is held against the rules for its log source.
        """
        from .engine.lines import match_lines

        return match_lines(self, ndjson, route)

    def route(self, event: Mapping[str, Any]) -> LogSource:
        """Return the log source of *event*, unknown parts left out: by the ruleset's router, else as ``routing`` says."""
        if self._router is not None:
            return self._router(event)
        return recognise(event)

    def scan(
        self, event: Mapping[str, Any], logsource: LogSource | None = None, *, members: bool = False
    ) -> list[Match]:
        """Return what ``match`` returns, by evaluating every rule in turn: the slow, obvious path."""
        return [
            Match(rule, event)
            for rule, predicate in zip(self.rules, self._predicates, strict=True)
            if (rule.generate or members)
            and (logsource is None or not rule.logsource.conflicts(logsource))
            and holds(predicate, event)
        ]

    def correlator(self, refire: str = "each", *, state: bytes | None = None, **options: Any) -> Correlator:
        """Return what holds the correlation rules against a stream of events; see ``Correlator`` for all options.

        Args:
            refire: ``"each"`` event at which a condition is true raises a match, ``"once"`` a window, or ``"cooldown"``.
            state: What the ``snapshot`` of an earlier correlator of the same rules returned.
            options: ``cooldown``, ``lateness``, ``time_fields``, ``zone``, ``clock``, ``limits``.

        Raises:
            CorrelationError: A correlation rule refers to a rule that is not there, or to itself.
            StateError: *state* is damaged, or that of other rules.
        """
        from .correlation.correlator import Correlator

        return Correlator(
            [
                (key, rule, parse_correlation(rule.expression), rule.generate)
                for key, rule in zip(correlation_keys(self.correlations), self.correlations, strict=True)
            ],
            (rule.key for rule in self.rules if rule.key is not None),
            lambda event: self.match(event, members=True),
            lambda match: match.rule.key,
            refire=refire,
            state=state,
            **options,
        )

    def find_rule(self, name: str) -> Rule:
        """Return the rule whose id is *name*, or else the one whose title is.

        Raises:
            UnknownRuleError: There is none, it could not be loaded, or several have this id or title.
        """
        for kind, other in (("id", "title"), ("title", "id")):
            found = [rule for rule in self.rules if getattr(rule, kind) == name]
            if len(found) == 1:
                return found[0]
            if found:
                remedy = f"name one by its {other}, or load only one of their files"
                raise UnknownRuleError(f"{len(found)} rules have the {kind} {name!r}; {remedy}")
        for error in self.errors:
            if name in (error.id, error.title):
                raise UnknownRuleError(f"the rule {name!r} could not be loaded: {error.reason}")
        names = [known for rule in self.rules for known in (rule.id, rule.title) if known]
        import difflib  # only a mistake needs it

        near = difflib.get_close_matches(name, names, n=1)
        raise UnknownRuleError(
            f"no rule has the id or title {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def explain(self, event: Mapping[str, Any], rule: str | Rule, logsource: LogSource | None = None) -> Explanation:
        """Return why a rule, named by its id or title, matches *event* or why not; *logsource* as in ``match``.

        Its verdict is always that of ``match``. Print the result, look at it in a notebook, or take ``as_dict()``.

        Raises:
            UnknownRuleError: See ``find_rule``.
        """
        from .explain import explain_rule

        return explain_rule(self.find_rule(rule) if isinstance(rule, str) else rule, event, logsource)

    def statistics(self) -> Statistics:
        """Return what matching has cost so far: events, misses, bytes held; see ``Statistics``."""
        return self._engine.read_statistics()

    @cached_property
    def plan(self) -> Plan:
        """The compiled form of the rules, which ``engine.plan.dump`` can keep."""
        from .engine.plan import plan_rules

        return plan_rules(self.rules)

    @cached_property
    def _engine(self) -> Engine:
        from .engine.matcher import DEFAULT_MEMO_BYTES, Engine

        return Engine(self.plan, DEFAULT_MEMO_BYTES if self._memo_bytes is None else self._memo_bytes)

    @cached_property
    def _predicates(self) -> tuple[Predicate, ...]:
        return tuple(
            compile_expression(rule.expression, f"rule {rule.id}: {rule.title}", unsafe_regex=self._unsafe_regex)
            for rule in self.rules
        )

    @property
    def undecided(self) -> dict[str, int]:
        """For each regular expression of bounded search: in how many longer values it was not found within the bound.

        Counted since the process began, for all rule sets in it.
        """
        return dict(UNDECIDED)

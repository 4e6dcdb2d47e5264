"""Rules held against events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
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
    from .correlation.calls import Correlation
    from .correlation.clock import Timestamp
    from .correlation.correlator import Correlator
    from .engine.lines import LineResult, Problem
    from .engine.matcher import Engine
    from .engine.memos import Statistics
    from .engine.plan import Plan
    from .explain import Explanation
    from .explained_correlation import CorrelationExplanation

_MOST_NEAR = 3  # rules named where none has the name asked for

Router = Callable[[Mapping[str, Any]], LogSource]
CorrelatorParts = tuple[
    "list[tuple[str, CorrelationRule, Correlation, bool]]",
    list[str],
    Callable[[Mapping[str, Any]], list[Match]],
    Callable[[Match], str | None],
]


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

        return Correlator(*self.correlator_parts(), refire=refire, state=state, **options)

    def correlator_parts(self) -> CorrelatorParts:
        """Return the first arguments of ``Correlator``: the correlation rules, the other rules, and how events match."""
        rows = [
            (key, rule, parse_correlation(rule.expression), rule.generate)
            for key, rule in zip(correlation_keys(self.correlations), self.correlations, strict=True)
        ]
        keys = [rule.key for rule in self.rules if rule.key is not None]
        return rows, keys, lambda event: self.match(event, members=True), lambda match: match.rule.key

    def behind(self, rule: CorrelationRule) -> tuple[Rule, ...]:
        """Return all rules that a correlation rule builds on, itself or through others: plain ones, then correlation rules.

        Raises:
            UnknownRuleError: It is none of these rules.
        """
        if rule not in self.correlations:
            raise UnknownRuleError(f"correlation rule {rule.title!r} is not among these rules, on which it builds")
        by_key = dict(zip(correlation_keys(self.correlations), self.correlations, strict=True))
        keys = [next(key for key, one in by_key.items() if one == rule)]
        for key in keys:  # which grows meanwhile
            if key in by_key:
                keys += [one for one in parse_correlation(by_key[key].expression).rules if one not in keys]
        return (*(one for one in self.rules if one.key in keys), *(by_key[key] for key in keys[1:] if key in by_key))

    def correlated(self, rule: CorrelationRule) -> Ruleset:
        """Return a correlation rule and, behind it, all that it builds on; it alone raises matches (``generate``).

        Raises:
            UnknownRuleError: It is none of these rules.
        """
        behind = self.behind(rule)
        inner = [replace(one, generate=False) for one in behind if isinstance(one, CorrelationRule)]
        return Ruleset(
            [one for one in behind if not isinstance(one, CorrelationRule)],
            correlations=[replace(rule, generate=True), *inner],
            router=self._router,
            unsafe_regex=True,  # what was loaded may run
        )

    def find_rule(self, name: str) -> Rule:
        """Return the rule, or correlation rule, whose id is *name*, or else the one whose title is.

        Raises:
            UnknownRuleError: There is none, it could not be loaded, or several have this id or title.
        """
        for kind, other in (("id", "title"), ("title", "id")):
            found = [rule for rule in self.all_rules if getattr(rule, kind) == name]
            if len(found) == 1:
                return found[0]
            if found:
                remedy = f"name one by its {other}, or load only one of their files"
                raise UnknownRuleError(f"{len(found)} rules have the {kind} {name!r}; {remedy}")
        for error in self.errors:
            if name in (error.id, error.title):
                raise UnknownRuleError(f"the rule {name!r} could not be loaded: {error.reason}")
        names = [known for rule in self.all_rules for known in (rule.id, rule.title) if known]
        import difflib  # only a mistake needs it

        wanted = name.casefold()
        folded = dict(zip(map(str.casefold, reversed(names)), reversed(names), strict=True))  # of two, the first
        near = [one for one in map(str.casefold, names) if wanted.strip() and wanted in one][:_MOST_NEAR]
        near = near or difflib.get_close_matches(wanted, folded, n=1)
        hint = f"; did you mean {' or '.join(repr(folded[one]) for one in near)}?" if near else ""
        raise UnknownRuleError(f"no rule has the id or title {name!r}{hint}")

    def explain(
        self,
        event: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        rule: str | Rule,
        logsource: LogSource | None = None,
        *,
        timestamps: Sequence[Timestamp | None] | None = None,
    ) -> Explanation | CorrelationExplanation:
        """Return why a rule, named by its id or title, matches *event* or why not; *logsource* as in ``match``.

        Its verdict is always that of ``match``, of a correlation rule that of a correlator. Such a rule takes one event or a
        list of events, which happened when *timestamps* say, or they themselves. Print the result, look at it in a notebook,
        or take ``as_dict()``.

        Raises:
            UnknownRuleError: See ``find_rule``.
            CorrelationError, TypeError, ValueError: As ``explain_correlation``.
        """
        found = self.find_rule(rule) if isinstance(rule, str) else rule
        if isinstance(found, CorrelationRule):
            from .explain_correlation import explain_correlation

            events: Any = event if isinstance(event, (list, tuple)) else [event]
            return explain_correlation(self, found, events, logsource, timestamps)
        if timestamps is not None:
            raise TypeError(f"timestamps are for correlation rules, which {found.title!r} is not")
        from .explain import explain_rule

        return explain_rule(found, event, logsource)  # type: ignore[arg-type]  # a list is an event that nothing matches

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

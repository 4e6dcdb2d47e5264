"""The engine agrees with the definition: every type, random order, ties, lateness, aliases, chains, policies, restarts."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.correlation.calls import CORRELATION_CALLS
from sigma.pyeval.correlation.correlator import Correlator
from sigma.pyeval.correlation.source import emit_correlation, parse_correlation

from ..conftest import thorough
from .oracle import Found, Rule, correlate, typed

BASE = ("a", "b", "c")
NUMBERS = st.sampled_from([0, 1, -2, 3, 0.1, 0.2, -0.3, 2.5, 1e300, -1e300, 7, 10**30])
GROUPS = st.sampled_from(["x", "x", "x", 1, "1", True, 1.0, None])
MEMBERS = st.sampled_from(["a", "b", "c", "ab", "ac", "bc", "abc", "abc", ""]).map(frozenset)
FIELDS = st.fixed_dictionaries(
    {}, optional={"g": GROUPS, "h": st.sampled_from(["p", "q"]), "v": st.one_of(NUMBERS, GROUPS)}
)
FULL = st.fixed_dictionaries({"g": st.sampled_from(["x", "y"]), "h": st.just("p"), "v": NUMBERS})
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 1, 1, 2, 4, 11]),
        MEMBERS,
        st.one_of(FULL, FULL, FULL, FIELDS),
        st.sampled_from([0, 0, 0, 1, 3, 9]),
    ),
    min_size=6,
    max_size=22,
)


@st.composite
def streams(draw):
    """Events in order of arrival, which is not always that of time; often many in one window of one group."""
    time, rows = 0, []
    for step, members, event, delay in draw(STEPS):
        time += step
        rows.append((time + delay, (time, members, event)))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


@st.composite
def extended_conditions(draw, rules):
    """A condition over all of *rules*."""
    parts = [("not", one) if draw(st.integers(0, 3)) == 0 else one for one in rules]
    while len(parts) > 1:
        right, left = parts.pop(), parts.pop()
        parts.append((draw(st.sampled_from(["and", "or"])), left, right))
        if draw(st.integers(0, 7)) == 0:
            parts[-1] = ("not", parts[-1])
    return parts[0]


@st.composite
def correlations(draw, key, rules, names):
    """A rule about some of *rules*, grouped by some of *names*."""
    kind = draw(st.sampled_from(sorted(CORRELATION_CALLS)))
    members = tuple(draw(st.permutations(rules))[: draw(st.integers(1, len(rules)))])
    group_by = tuple(name for name in names if draw(st.integers(0, 5 if name == "v" else 2)) == 0)
    fields = ()
    if kind == "value_count":
        fields = tuple(draw(st.permutations(names))[: draw(st.integers(1, 2))]) if names else ()
    elif kind.startswith("value_"):
        fields = ("v",) if "v" in names else ()
    if kind.startswith("value_") and not fields:
        kind, fields = "event_count", ()
    if kind.startswith("temporal") and draw(st.booleans()):
        condition = draw(extended_conditions(members))
    else:
        condition = (
            draw(st.sampled_from(["lt", "lte", "gt", "gte", "gte", "gte", "gte", "eq", "neq"])),
            draw(st.sampled_from([0, 1, 1, 2, 2, 2.5, 3])),
        )
    aliases = ()
    if group_by and draw(st.integers(0, 2)) == 0:  # of the first group field, with another for one of the rules
        other = draw(st.sampled_from([name for name in names if name != "v"] or list(names)))
        aliases = (("who", tuple((one, other if one == members[0] else group_by[0]) for one in members)),)
        group_by = ("who", *group_by[1:])
    percentile = draw(st.sampled_from([0, 10, 50, 95, 99.5, 100])) if kind == "value_percentile" else None
    return Rule(key, kind, members, draw(st.integers(1, 12)), condition, group_by, aliases, fields, percentile)


@st.composite
def rule_sets(draw):
    """One rule, or two of which the second is about the first (too)."""
    first = draw(correlations("one", BASE, ("g", "h", "v")))
    if draw(st.booleans()):
        return [first]
    return [first, draw(correlations("two", ("one", *(BASE if not first.group_by else ())), first.group_by))]


def call_of(rule):
    """Return the rule as the engine takes it, by way of its source text."""
    said = {
        name: value for name, value in rule._asdict().items() if name not in ("key", "kind") and value not in ((), None)
    }
    return parse_correlation(emit_correlation(CORRELATION_CALLS[rule.kind](**said)))


def make(rules, **options):
    rows = [(rule.key, rule.key, call_of(rule), True) for rule in rules]
    return Correlator(rows, BASE, lambda event: event, lambda key: key, **options)


def plain(rules, match):
    """Return an engine's match as the oracle would."""
    rule = next(rule for rule in rules if rule.key == match.rule)
    group = tuple(typed(match.group[name]) for name in rule.group_by)
    return Found(match.rule, group, match.start_time / 10**6, match.end_time / 10**6, match.count, match.value)


def in_any_order(found):
    return sorted(found, key=repr)


def run(rules, stream, restarts=(), **options):
    """Return all matches of the engine, taken through a snapshot before the events numbered in *restarts*."""
    correlator = make(rules, **options)
    found = []
    for number, (time, members, event) in enumerate(stream):
        if number in restarts:
            state = correlator.snapshot()
            correlator = make(rules, state=state, **options)
            assert correlator.snapshot() == state
        found += correlator.observe(sorted(members), event, time)
    found += correlator.finish()
    assert correlator.statistics().pending == 0
    assert not any(groups.open for groups in correlator._engine.groups if groups.is_closing)
    return found


POLICIES = st.sampled_from([("each", None), ("once", None), ("cooldown", 4), ("cooldown", 0.5)])


@thorough
@given(
    rule_sets(),
    streams(),
    st.sampled_from([0, 0, 3, 8, math.inf]),
    POLICIES,
    st.sets(st.integers(0, 21), max_size=3),
)
def test_the_engine_agrees_with_the_definition(rules, stream, lateness, policy, restarts) -> None:
    """For any order of arrival and any lateness."""
    refire, cooldown = policy
    options = {"lateness": lateness, "refire": refire, "cooldown": cooldown}
    found = [plain(rules, match) for match in run(rules, stream, restarts, **options)]
    assert in_any_order(found) == in_any_order(correlate(rules, stream, lateness, refire, cooldown))


@given(rule_sets(), streams(), st.integers(1, 10), st.randoms(use_true_random=False))
def test_what_comes_within_the_lateness_counts_as_if_it_came_in_time(
    rules, stream, lateness, chance: random.Random
) -> None:
    """The same matches, in the same order, with the same ids (events with a source, equal times in order of arrival)."""
    ordered = sorted(stream, key=lambda row: row[0])
    shuffled = disordered(ordered, lateness, chance)

    def ids(rows, **options):
        correlator = make(rules, **options)
        found = [
            match
            for number, (time, members, event) in rows
            for match in correlator.observe(sorted(members), event, time, source=number)
        ]
        return [(match.rule, match.id) for match in [*found, *correlator.finish()]]

    numbered = list(enumerate(ordered))
    assert ids([numbered[number] for number in shuffled], lateness=lateness) == ids(numbered)


def disordered(ordered, lateness, chance):
    """Return the numbers of events in an order in which none comes later than allowed, equal times staying in order."""
    delayed = {}
    for time, _, _ in ordered:
        delayed.setdefault(time, chance.uniform(0, lateness))
    return sorted(range(len(ordered)), key=lambda number: (ordered[number][0] + delayed[ordered[number][0]], number))


@given(rule_sets(), streams(), st.sampled_from([0, 4, math.inf]))
def test_a_state_and_the_records_since_give_the_same_anew(rules, stream, lateness) -> None:
    """What a journal needs: records as JSON, taken in again behind an old snapshot, raise the same matches with the same ids."""
    import json

    from sigma.pyeval.correlation.observing import read_observation

    correlator = make(rules, lateness=lateness)
    half = len(stream) // 2
    for time, members, event in stream[:half]:
        correlator.observe(sorted(members), event, time)
    state, journal, first = correlator.snapshot(), [], []
    for time, members, event in stream[half:]:
        record = correlator.record(sorted(members), event, time)
        journal.append(json.dumps(record.as_json()))
        first += correlator.take(record)
    again = make(rules, lateness=lateness, state=state)
    second = [match for line in journal for match in again.take(read_observation(json.loads(line)))]
    assert [match.id for match in second] == [match.id for match in first]
    ends = [correlator.finish(), again.finish()]
    assert [match.as_dict() for match in ends[0]] == [match.as_dict() for match in ends[1]]


def run_alone(rule, rows, **options):
    return run([rule], rows, **options)


def test_the_oracle_sees_something() -> None:
    """So that agreement means something."""
    rule = Rule("one", "event_count", ("a",), 5, ("gte", 2), ("g",))
    rows = [(time, frozenset("a"), {"g": "x"}) for time in (0, 3, 20, 25)]
    assert [found.end for found in correlate([rule], rows)] == [3, 25]
    assert [match.end_time for match in run_alone(rule, rows)] == [3 * 10**6, 25 * 10**6]

"""Correlations by their definition: every event kept, every window made anew. Slow, obvious, and of no engine's code.

A stream is a list of (time, rules that match, event) in the order of arrival; times are whole seconds.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any, NamedTuple

OPERATORS = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


class Rule(NamedTuple):
    """A correlation rule; the fields are those of the emitted call."""

    key: str
    kind: str
    rules: tuple
    timespan: int
    condition: Any
    group_by: tuple = ()
    aliases: tuple = ()
    fields: tuple = ()
    percentile: Any = None


class Seen(NamedTuple):
    """Something that counts for a rule: when, its place among others of that time, the group, the rules, the value."""

    time: int
    place: tuple
    group: tuple
    rules: frozenset
    value: Any


class Found(NamedTuple):
    """A match: group as text that tells types apart, window, number of events, and what the condition compares."""

    key: str
    group: tuple
    start: int
    end: int
    count: int
    value: Any


def correlate(rules, stream, lateness=0, refire="each", cooldown=None):
    """Return all matches of *rules*, which stand in the order in which they build on each other, over the whole stream."""
    accepted = sorted(in_time(stream, lateness), key=lambda row: row[:2])
    matches = {}
    for rank, rule in enumerate(rules):
        seen = sorted(
            [*events_of(rule, accepted), *matches_of(rule, {one.key: one for one in rules}, matches)],
            key=lambda one: (one.time, one.place),
        )
        matches[rule.key] = quieted(rule, found_in(rule, rank, seen), refire, cooldown)
    return [found for rule in rules for found, _ in matches[rule.key]]


def in_time(stream, lateness):
    """Return (time, arrival, rules, event) of what does not come too late."""
    kept, newest = [], -math.inf
    for arrival, (time, rules, event) in enumerate(stream):
        if time >= newest - lateness:
            kept.append((time, arrival, rules, event))
        newest = max(newest, time)
    return kept


def events_of(rule, accepted):
    for time, arrival, rules, event in accepted:
        groups = {}
        for member in rule.rules:
            if member in rules:
                group = tuple(typed(event.get(field_of(rule, name, member))) for name in rule.group_by)
                value = value_of(rule, member, event)
                if None not in group and value is not None:
                    first, others = groups.get(group, (value, frozenset()))
                    groups[group] = first, others | {member}
        for group, (value, members) in groups.items():
            yield Seen(time, (0, arrival), group, members, value)


def matches_of(rule, rules, matches):
    for member in rule.rules:
        for found, place in matches.get(member, ()):
            carried = dict(zip(rules[member].group_by, found.group, strict=True))
            group = tuple(carried[field_of(rule, name, member)] for name in rule.group_by)
            values = tuple(carried[field_of(rule, name, member)] for name in rule.fields)
            if rule.kind not in ("value_count", "event_count", "temporal", "temporal_ordered"):
                values = number(values[0][1])
            if values is not None:
                yield Seen(found.end, place, group, frozenset({member}), values)


def field_of(rule, name, member):
    return dict(dict(rule.aliases).get(name, ())).get(member, name)


def typed(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return ("bool", value)
    return ("number", Fraction(value)) if isinstance(value, (int, float)) else ("text", value)


def value_of(rule, member, event):
    """Return what the rule needs of the event; None where it does not have it."""
    if not rule.fields:
        return ()
    values = tuple(event.get(field_of(rule, name, member)) for name in rule.fields)
    if rule.kind == "value_count":
        return None if None in values else tuple(map(typed, values))
    return number(values[0])


def number(value):
    """Return the number that a value is, digits as text included, or None."""
    if isinstance(value, str):
        return Fraction(value) if value.isdecimal() else None
    return Fraction(value) if isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) else None


def found_in(rule, rank, seen):
    """Yield (match, its place in time), policies aside, in order of time."""
    groups = {}
    for one in seen:
        groups.setdefault(one.group, []).append(one)
    found = []
    for order, (group, members) in enumerate(groups.items()):
        windows = closed_windows(rule, rank, order, members) if closes(rule) else sliding_windows(rule, rank, members)
        for start, end, window, raised_by, place in windows:
            if holds(rule, window):
                match = Found(rule.key, group, start, end, len(window), measure(rule, window))
                found.append((end, raised_by, match, place))
    return [(match, place) for _, _, match, place in sorted(found, key=lambda row: row[:2])]


def sliding_windows(rule, rank, members):
    """Each event ends a window."""
    for number, last in enumerate(members):
        window = [one for one in members[: number + 1] if one.time >= last.time - rule.timespan]
        yield last.time - rule.timespan, last.time, window, last.place, (*last.place, rank)


def closed_windows(rule, rank, order, members):
    """A window begins with the first event that no earlier window holds."""
    left = list(members)
    while left:
        end = left[0].time + rule.timespan
        window = [one for one in left if one.time <= end]
        place = (1, rank, left[0].time, left[0].place)
        yield left[0].time, end, window, place, place
        left = left[len(window) :]


def quieted(rule, found, refire, cooldown):
    kept, last = [], {}
    for match, place in found:
        since = match.end - last[match.group] if match.group in last else math.inf
        if (
            refire == "each"
            or (refire == "once" and since > rule.timespan)
            or (refire == "cooldown" and since >= cooldown)
        ):
            kept.append((match, place))
            last[match.group] = match.end
    return kept


def extended(rule):
    return isinstance(rule.condition, str) or rule.condition[0] not in OPERATORS


def closes(rule):
    if extended(rule):
        return "not" in str(rule.condition)  # no rule in these tests has that in its name
    return rule.condition[0] not in ("gt", "gte")


def holds(rule, window):
    if not extended(rule):
        return OPERATORS[rule.condition[0]](exact(rule, window), Fraction(rule.condition[1]))
    present = frozenset().union(*(one.rules for one in window))
    if rule.kind == "temporal":
        return true_of(rule.condition, present)
    # Some set of rules that makes the condition true has occurred in order, and none beside it that would make it false.
    return any(
        true_of(rule.condition, frozenset(chain))
        and follow(chain, window)
        and robust(rule.condition, frozenset(chain), present)
        for length in range(len(rule.rules) + 1)
        for chain in itertools.combinations(rule.rules, length)
    )


def robust(condition, chain, present):
    """Return whether no rule seen beside the chain speaks against the way in which the condition is true."""
    return all(true_of(condition, chain | frozenset(more)) for more in powerset(present - chain))


def powerset(values):
    values = sorted(values)
    return itertools.chain.from_iterable(itertools.combinations(values, length) for length in range(len(values) + 1))


def true_of(condition, present):
    if isinstance(condition, str):
        return condition in present
    word, *parts = condition
    if word == "not":
        return not true_of(parts[0], present)
    return (all if word == "and" else any)(true_of(part, present) for part in parts)


def follow(chain, window):
    """Return whether there are events of the chain's rules whose times do not fall."""
    times = [[one.time for one in window if rule in one.rules] for rule in chain]
    return any(list(one) == sorted(one) for one in itertools.product(*times))


def exact(rule, window):
    """Return what the condition compares."""
    values = sorted(one.value for one in window) if rule.kind[6:] in ("sum", "avg", "median", "percentile") else []
    match rule.kind:
        case "event_count":
            return len(window)
        case "value_count":
            return len({one.value for one in window})
        case "temporal":
            return len(frozenset().union(*(one.rules for one in window)))
        case "temporal_ordered":
            return max(
                length
                for length in range(len(rule.rules) + 1)
                if any(follow(chain, window) for chain in itertools.combinations(rule.rules, length))
            )
        case "value_sum":
            return sum(values)
        case "value_avg":
            return sum(values) / len(values)
        case "value_median":
            return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / Fraction(2)
        case _:
            share = Fraction(rule.percentile) / 100
            return next(
                value for value in values if Fraction(sum(other <= value for other in values), len(values)) >= share
            )


def measure(rule, window):
    if extended(rule):
        return None
    value = Fraction(exact(rule, window))
    return int(value) if value.denominator == 1 else float(value)

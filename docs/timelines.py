"""Draws what correlation rules see over time, as text, by running them: the timelines of docs/correlations.md (``make docs``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from sigma.pyeval.correlation.correlator import Correlator
from sigma.pyeval.correlation.source import parse_correlation


class Timeline(NamedTuple):
    """A correlation and what happens: the rules that match at each second, with a value; ``-`` lets time pass."""

    call: str
    events: Sequence[tuple[int, str, float | str]]


TIMELINES = {
    "event_count": Timeline(
        "event_count(rules=('a',), timespan=10, condition=('gte', 3))",
        [(2, "a", 0), (6, "a", 0), (9, "a", 0), (12, "a", 0), (25, "a", 0)],
    ),
    "value_count": Timeline(
        "value_count(rules=('a',), timespan=10, condition=('gte', 3), fields=('host',))",
        [(2, "a", "x"), (4, "a", "y"), (6, "a", "y"), (9, "a", "z"), (13, "a", "x"), (17, "a", "y")],
    ),
    "temporal": Timeline(
        "temporal(rules=('a', 'b'), timespan=10, condition=('gte', 2))",
        [(2, "b", 0), (7, "a", 0), (10, "a", 0), (15, "a", 0), (18, "b", 0)],
    ),
    "temporal_ordered": Timeline(
        "temporal_ordered(rules=('a', 'b'), timespan=10, condition=('gte', 2))",
        [(2, "b", 0), (7, "a", 0), (13, "b", 0), (22, "b", 0)],
    ),
    "extended": Timeline(
        "temporal(rules=('a', 'b'), timespan=10, condition=('and', 'a', ('not', 'b')))",
        [(2, "a", 0), (8, "b", 0), (16, "a", 0), (28, "-", 0)],
    ),
    "value_sum": Timeline(
        "value_sum(rules=('a',), timespan=10, condition=('gt', 100), fields=('bytes',))",
        [(2, "a", 60), (6, "a", 50), (14, "a", 40), (18, "a", 70)],
    ),
    "value_avg": Timeline(
        "value_avg(rules=('a',), timespan=10, condition=('gte', 50), fields=('ms',))",
        [(2, "a", 20), (6, "a", 90), (10, "a", 30), (14, "a", 60)],
    ),
    "value_median": Timeline(
        "value_median(rules=('a',), timespan=10, condition=('gte', 50), fields=('ms',))",
        [(2, "a", 20), (6, "a", 90), (10, "a", 30), (14, "a", 60)],
    ),
    "value_percentile": Timeline(
        "value_percentile(rules=('a',), timespan=10, condition=('gte', 90), fields=('ms',), percentile=75)",
        [(2, "a", 20), (4, "a", 90), (6, "a", 30), (8, "a", 10), (10, "a", 95)],
    ),
    "closing": Timeline(
        "event_count(rules=('a',), timespan=10, condition=('lt', 3))",
        [(2, "a", 0), (6, "a", 0), (15, "a", 0), (18, "a", 0), (21, "a", 0), (28, "-", 0)],
    ),
}


def draw(timeline: Timeline) -> str:
    """Return the call, a scale of seconds, a line for each rule, one for what is raised, and the windows."""
    correlation = parse_correlation(timeline.call)
    correlator = Correlator([("rule", "rule", correlation, True)], correlation.rules, lambda _: (), lambda name: name)
    length = max(time for time, _, _ in timeline.events) + 1
    rows = {rule: [" "] * length for rule in correlation.rules}
    raised = [" "] * length
    told: list[str] = []
    for time, rule, value in timeline.events:
        event = dict.fromkeys(correlation.fields, value)
        found = correlator.observe([] if rule == "-" else [rule], event, time)
        if rule != "-":
            rows[rule][time] = "o"
        for match in found:
            raised[time] = "^"
            start, end = max(match.start_time // 10**6, 0), match.end_time // 10**6
            window = " " * start + "[" + "=" * (end - start - 1) + "]"
            compared = "" if match.value is None else f", {match.value:g}"
            told.append(f"window    {window:{length + 2}}{match.count} events{compared}")
    scale = "".join(f"{second:<5}" for second in range(0, length, 5))
    lines = [timeline.call, "", f"seconds   {scale}"]
    values = [" "] * (length + 6)
    if correlation.fields:
        for time, _, value in timeline.events:
            values[time : time + len(str(value))] = str(value)
    lines += [f"{rule:10}{''.join(row)}" for rule, row in rows.items()]
    lines += [f"{correlation.fields[0]:10}{''.join(values)}"] if correlation.fields else []
    lines += [f"raised    {''.join(raised)}", *told]
    return "\n".join(line.rstrip() for line in lines)


def with_timelines(text: str) -> str:
    """Return *text* with each timeline between its marks drawn anew."""
    return re.sub(
        r"<!-- timeline (\w+) -->.*?<!-- /timeline -->",
        lambda found: f"<!-- timeline {found[1]} -->\n```text\n{draw(TIMELINES[found[1]])}\n```\n<!-- /timeline -->",
        text,
        flags=re.DOTALL,
    )

"""Counts: what adds up to what, in bounded memory."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.reports.tallies import MOST_BUCKETS, Tallies, TimeHistogram, level_of
from sigma.pyeval.rules import Match, Rule

from .samples import FINDINGS, LOGIN, SHELL

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(st.lists(st.tuples(MOMENTS, st.sampled_from(["low", "high"])), min_size=1, max_size=30))
def test_every_moment_is_in_one_bucket(moments: list[tuple[datetime, str]]) -> None:
    """Counts add up, buckets follow each other without gap, there are never too many, and each begins before its moments."""
    histogram = TimeHistogram()
    for moment, level in moments:
        histogram.add(moment, level)
    rows = histogram.rows()
    assert len(rows) <= MOST_BUCKETS
    assert sum((counts for _, counts in rows), Counter()) == Counter(level for _, level in moments)
    steps = {later - earlier for (earlier, _), (later, _) in pairwise(rows)}
    assert steps <= {timedelta(seconds=histogram.width)}
    assert rows[0][0] <= min(moments)[0]
    assert histogram.first == min(moments)[0]
    assert histogram.last == max(moments)[0]
    expected = Counter((int(moment.timestamp()) // histogram.width, level) for moment, level in moments)
    assert (
        Counter(
            {
                (int(begin.timestamp()) // histogram.width, level): n
                for begin, counts in rows
                for level, n in counts.items()
            }
        )
        == expected
    )


def test_an_empty_histogram_has_no_rows() -> None:
    """Nothing counted, nothing shown."""
    assert TimeHistogram().rows() == []


def test_tallies_count_each_finding_once() -> None:
    """By level, rule, host, log and time."""
    tallies = Tallies()
    for finding in (*FINDINGS, SHELL):
        tallies.add(finding)
    assert tallies.total == 6
    assert tallies.levels == Counter(high=2, medium=1, none=1, low=1, critical=1)
    assert [(row.rule.title, row.matches) for row in tallies.rules_down()][:2] == [
        ("Connection", 1),
        ("Shell Opens A Network Device File", 2),
    ]
    assert {host: counts.total() for host, counts in tallies.hosts.items()} == {"web-1": 3, "mail": 1}
    assert (tallies.without_host, tallies.other_hosts, tallies.without_time) == (2, 0, 2)
    assert tallies.paths["/var/log/1.log"] == 2
    assert (
        tallies.rules[SHELL.match.rule].first
        == tallies.rules[SHELL.match.rule].last
        == datetime(2026, 11, 20, 18, 40, 1, tzinfo=UTC)
    )


def test_techniques_are_counted_under_each_tactic_of_their_rule() -> None:
    """In ATT&CK's order; what names no technique or no tactic has a place too."""
    tallies = Tallies()
    for tags in (
        ("attack.impact", "attack.execution", "attack.t1059"),
        ("attack.t1059",),
        ("attack.zeal",),
        ("cve.2021-1",),
    ):
        tallies.add(SHELL._replace(match=Match(Rule(None, "x", "exists(event, 'x')", tags=tags), {})))
    assert tallies.matrix == {"T1059": Counter({"impact": 1, "execution": 1, "": 1}), "": Counter({"zeal": 1})}
    assert tallies.tactics() == ["execution", "impact", "zeal", ""]


def test_hosts_are_bounded() -> None:
    """Names are an attacker's choice; beyond the bound they are counted together."""
    from sigma.pyeval.reports import tallies as module

    tallies = Tallies()
    for n in range(module.MOST_HOSTS + 10):
        tallies.add(LOGIN._replace(match=Match(LOGIN.match.rule, {"_HOSTNAME": f"h{n}"}), path=f"p{n}"))
    assert len(tallies.hosts) == len(tallies.paths) == module.MOST_HOSTS
    assert tallies.other_hosts == 10
    assert tallies.total == module.MOST_HOSTS + 10


def test_unknown_levels_are_none() -> None:
    """Only Sigma's levels have a place."""
    assert [level_of(Rule(None, "x", "", level=level)) for level in ("high", "HIGH", None, "<b>")] == [
        "high",
        "none",
        "none",
        "none",
    ]

"""Noise counted in bounded memory, filters as narrow as the matches allow, and what they ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule, parse_rules
from sigma.pyeval.tuning import noise as noise_module
from sigma.pyeval.tuning.noise import NoiseCounter, RuleNoise, event_row
from sigma.pyeval.tuning.proposals import MOST_CONDITIONS, Proposal, filter_text, propose

from ..conftest import rule_yaml
from ..engine.strategies import events

ID = "11111111-1111-4111-8111-111111111111"
RULE = Rule(
    ID, "Curl", "contains(event, 'CommandLine', 'curl') and equals(event, 'Kind', 'start')", logsource=LogSource("test")
)


@pytest.mark.parametrize(
    ("event", "row"),
    [
        ({"A": "text", "B": {"C": "inner"}}, {"A": "text", "B.C": "inner"}),
        ({"A": ["one"], "B": ["one", "two"], "C": [], "D": None, "E": True}, {"A": "one", "E": "true"}),
        (
            {"pid": 4711, "time": "1700000000.123", "a": "0x1f", "h": "a" * 32, "t": "2026-01-01T00:00:00Z", "c": "x"},
            {},
        ),
        ({"_UID": "0", "EventID": 4688, "dest_port": 443}, {"_UID": "0", "EventID": "4688", "dest_port": "443"}),
        ({"A": "x" * 201, "B": ""}, {}),
    ],
)
def test_what_may_come_again_another_day(event: dict[str, Any], row: dict[str, str]) -> None:
    """Single short texts; no ids, times, hashes."""
    assert event_row(event) == row


@given(st.lists(events, max_size=5))
def test_any_event_can_be_counted(some: list[dict[str, Any]]) -> None:
    """Whatever it holds."""
    counter = NoiseCounter()
    for event in some:
        counter.add(event, [RULE], None)
    assert counter.matches == len(some)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, hosts and the background stop growing; counts go on."""
    monkeypatch.setattr(noise_module, "MOST_ROWS", 10)
    monkeypatch.setattr(noise_module, "MOST_HOSTS", 5)
    monkeypatch.setattr(noise_module, "BACKGROUND_ROWS", 20)
    counter = NoiseCounter()
    for number in range(1_000):
        counter.add({"Computer": f"host-{number}", "A": f"text {number}"}, [RULE] if number % 2 else [], None)
    [found] = counter.top(3)
    assert (found.matches, len(found.rows), len(found.hosts)) == (500, 10, 5)
    background = counter.background(RULE)
    assert len(background) < 40
    assert NoiseCounter().top(1) == []


def test_the_background_is_what_the_rule_is_for() -> None:
    """Events of other log sources, and the rule's own matches, say nothing of what is usual."""
    counter = NoiseCounter()
    rule = Rule(ID, "T", "exists(event, 'A')", logsource=LogSource(product="linux"))
    counter.add({"A": "one"}, [rule], LogSource(product="linux"))
    counter.add({"A": "two"}, [], LogSource(product="windows"))
    counter.add({"A": "three"}, [], LogSource(product="linux"))
    assert counter.background(rule) == [{"A": "three"}]


def proposed(
    rows: list[dict[str, str]],
    background: Sequence[dict[str, str]] = (),
    refuse: tuple[str, ...] = (),
    lost: tuple[str, ...] = (),
) -> Proposal | None:
    def keeps(rule: Rule, text: str) -> bool:
        return not any(value in text for value in lost)

    noise = RuleNoise(RULE, len(rows), rows=rows)
    return propose(noise, background, lambda rule, name: name not in refuse, keeps)


JOB = {"CommandLine": "curl -o /tmp/db", "Parent": "/usr/sbin/cron", "User": "backup", "Kind": "start"}
ROWS = [*[dict(JOB)] * 8, {"CommandLine": "curl evil", "Parent": "/bin/bash", "User": "www", "Kind": "start"}]
USUAL = [{"User": "backup", "Parent": "/sbin/init"}] * 3 + [{"User": "ann"}] * 7


def test_the_narrowest_filter_that_covers_the_most() -> None:
    """All that the matches share, the least usual first; nothing that the rule asks itself."""
    found = proposed(ROWS, USUAL)
    assert found is not None
    assert dict(found.selection) == {"CommandLine": "curl -o /tmp/db", "Parent": "/usr/sbin/cron", "User": "backup"}
    assert list(found.selection)[-1] == "User", "the most usual last"
    assert found.covered == 8
    wide = proposed([{f"field{n}": f"value {n}" for n in range(9)}] * 3)
    assert wide is not None
    assert len(wide.selection) == MOST_CONDITIONS


KINDS = [{"Kind": "start", "Sort": "new" if n % 4 == 0 else "old"} for n in range(40)] + [{"Kind": "stop"}] * 400


def test_a_filter_that_says_little_loses_against_a_narrow_one() -> None:
    """Though it covers more: what other events of the rule's kind have too would switch the rule off."""
    build = {"CommandLine": "curl -o /tmp/build", "Sort": "new", "Kind": "start"}
    others = [{"CommandLine": f"curl {n}", "Sort": "new", "Kind": "start"} for n in range(10)]
    found = proposed([*[build] * 6, *others], KINDS)
    assert found is not None
    assert (found.covered, found.selection["CommandLine"]) == (6, "curl -o /tmp/build")
    wide = proposed(others, KINDS)
    assert wide is not None
    assert (dict(wide.selection), wide.covered) == ({"Sort": "new"}, 10)


def test_what_is_usual_is_so_among_events_of_the_same_kind() -> None:
    """Not among all records of a log; but few of the kind tell nothing."""
    usual = [{"Kind": "start", "Sort": "new"}] * 30
    rows = [{"CommandLine": f"curl {n}", "Sort": "new", "Kind": "start"} for n in range(10)]
    assert proposed(rows, [*usual, *[{"Kind": "stop"}] * 400]) is None
    few = proposed(rows, [*usual[:3], *[{"Kind": "stop"}] * 400])
    assert few is not None
    assert dict(few.selection) == {"Sort": "new"}


def test_what_is_usual_or_refused_is_left_out() -> None:
    """Values of half of all other events, fields that the pipeline does not have."""
    found = proposed(ROWS, [{"User": "backup"}] * 9, refuse=("Parent",))
    assert found is not None
    assert list(found.selection) == ["CommandLine"]
    assert proposed(ROWS, refuse=("CommandLine", "Parent", "User")) is None


def test_a_filter_that_loses_a_case_is_not_proposed() -> None:
    """The next one is; none where all do."""
    two = [dict(JOB)] * 5 + [{"CommandLine": "curl other", "Parent": "/usr/bin/make"}] * 3
    found = proposed(two, lost=("cron",))
    assert found is not None
    assert found.selection["Parent"] == "/usr/bin/make"
    assert proposed(two, lost=("selection",)) is None
    assert proposed([{"A": f"text {n}"} for n in range(9)]) is None, "nothing shared"
    assert proposed([]) is None


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_. ]{0,10}", fullmatch=True), st.text(min_size=1), min_size=1, max_size=3
    )
)
def test_a_filter_filters_exactly_its_selection(selection: dict[str, str]) -> None:
    """Whatever characters the values hold: wildcards, backslashes, quotes, YAML's own."""
    rule = rule_yaml("sel: {Always: here}\ncondition: sel", extra=f"id: {ID}\n")
    text = filter_text(Rule(ID, "T: 'x'", "", logsource=LogSource("test")), selection)
    assert text.isascii()
    assert yaml.safe_load(text)["filter"]["rules"] == [ID]
    ruleset = parse_rules(f"{rule}---\n{text}", on_error="collect")
    if ruleset.errors:  # pySigma takes no empty or odd field name; then the filter is not proposed
        return
    event = {"Always": "here", **selection}
    assert ruleset.match({"Always": "here"})
    assert not ruleset.match(event)
    for field, value in selection.items():
        assert ruleset.match({**event, field: value + "!"})

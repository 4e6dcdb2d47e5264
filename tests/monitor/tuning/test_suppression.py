"""Suppression: which entry decides about an alert, and which alerts have one key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sigma.pyeval import parse_rules
from sigma.pyeval.alerts import make_alert
from sigma.pyeval.logs.records import Record
from sigma.pyeval.monitor.configuration import ConfigurationError, parse_configuration
from sigma.pyeval.monitor.tuning.settings import SuppressSettings
from sigma.pyeval.monitor.tuning.suppression import Suppression
from sigma.pyeval.monitor.tuning.windows import Claim
from sigma.pyeval.redaction import Redaction
from sigma.pyeval.rules import LogSource

RULE = """
title: {title}
{id}
level: {level}
tags: [attack.t1059.004]
logsource: {{product: linux}}
detection: {{s: {{A: '*'}}, condition: s}}
"""


def claim(
    entries: list[dict[str, Any]], event: dict[str, Any], *, title: str = "T", rule_id: str = "id: 5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10",
    level: str = "high", redact: tuple[str, ...] = (),
) -> Claim | None:  # fmt: skip
    (match,) = parse_rules(RULE.format(title=title, id=rule_id, level=level)).match({"A": "x", **event})
    record = Record(match.event, 1, LogSource())
    alert = make_alert(match, record, {"name": "s", "type": "t"}, datetime.now(UTC), Redaction(redact))
    suppression = Suppression([SuppressSettings.model_validate(one) for one in entries])
    return suppression.claim(match, alert, 7.0)


def test_a_claim_says_what_its_entry_says() -> None:
    found = claim([{"window": "10m", "most": 3}], {})
    assert found is not None
    assert (found.seconds, found.most, found.at) == (600.0, 3, 7.0)
    assert found.rule == "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"
    unnamed = claim([{"window": "10m"}], {}, rule_id="author: x")
    assert unnamed is not None
    assert unnamed.rule == "T"


@pytest.mark.parametrize(
    ("entries", "seconds"),
    [
        ([{"window": "1s"}, {"window": "2s"}], 1),
        ([{"rules": ["other"], "window": "1s"}, {"window": "2s"}], 2),
        ([{"tags": ["attack.t1059*"], "window": "1s"}, {"window": "2s"}], 1),
        ([{"min_level": "critical", "window": "1s"}, {"hosts": ["web*"], "window": "2s"}], 2),
        ([{"min_level": "critical", "window": "1s"}, {"hosts": ["db*"], "window": "2s"}], None),
        ([], None),
    ],
)
def test_the_first_entry_that_selects_an_alert_decides(entries: list[dict[str, Any]], seconds: float | None) -> None:
    found = claim(entries, {"_HOSTNAME": "web-1"})
    assert (None if found is None else found.seconds) == seconds


@pytest.mark.parametrize(
    ("key", "one", "same", "other"),
    [
        ([], {"B": "1"}, {"B": "2"}, None),
        (["B"], {"B": "1"}, {"B": "1", "C": "2"}, {"B": "2"}),
        (["B"], {"B": "1"}, {"B": 1}, {"B": ["1", "2"]}),
        (["B"], {}, {"C": "2"}, {"B": None}),
        (["B", "C"], {"B": "1", "C": "2"}, {"C": "2", "B": "1"}, {"B": "2", "C": "1"}),
        (["process.name"], {"process": {"name": "sh"}}, {"process.name": "sh"}, {"process": {"name": "zsh"}}),
        (["host"], {"_HOSTNAME": "web"}, {"node": "web"}, {"_HOSTNAME": "db"}),
        (["host"], {"_HOSTNAME": "web", "host": "a"}, {"_HOSTNAME": "web", "host": "b"}, {"host": "a"}),
        (["B"], {"B": "\ud800"}, {"B": "\ud800"}, {"B": "x"}),
    ],
)
def test_alerts_of_one_key(
    key: list[str], one: dict[str, Any], same: dict[str, Any], other: dict[str, Any] | None
) -> None:
    entries = [{"key": key, "window": "1s"}]
    first = claim(entries, one)
    assert first is not None
    assert claim(entries, same) == first
    if other is not None:
        assert claim(entries, other) != first
    of_another_rule = claim(entries, one, rule_id="id: 6d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10")
    assert of_another_rule is not None
    assert of_another_rule.key != first.key


def test_a_redacted_field_tells_things_apart_all_the_same() -> None:
    entries = [{"key": ["B"], "window": "1s"}]
    one, other = (claim(entries, {"B": value}, redact=("B",)) for value in ("1", "2"))
    assert one is not None
    assert other is not None
    assert one.key != other.key
    assert len(one.key) == 16  # and is not to be read in the store


def test_an_entry_that_says_the_same_is_the_same() -> None:
    entry = {"window": "10m", "rules": ["x", "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"]}
    first = claim([entry], {})
    assert claim([{"hosts": ["x"], "window": "1s"}, {**entry, "window": "600s"}], {}) == first
    changed = claim([{**entry, "most": 2}], {})
    assert first is not None
    assert changed is not None
    assert changed.entry != first.entry


@pytest.mark.parametrize(
    ("entry", "place", "finding"),
    [
        ({}, "suppress[0].window", "missing"),
        ({"window": 600}, "suppress[0].window", "write a time with its unit, as 30s, 15m, 2h or 1d"),
        ({"window": "10"}, "suppress[0].window", "write a time with its unit, as 30s, 15m, 2h or 1d"),
        ({"window": "0s"}, "suppress[0].window", "a time is longer than 0s and at most 3650d"),
        ({"window": "1m", "most": 0}, "suppress[0].most", "must be at least 1"),
        ({"window": "1m", "most": True}, "suppress[0].most", "a number is needed, not true or false"),
        ({"window": "1m", "key": "host"}, "suppress[0].key", "write a list: [...]"),
        ({"window": "1m", "min_level": "hgih"}, "suppress[0].min_level", "unknown; did you mean 'high'?"),
        ({"window": "1m", "keys": []}, "suppress[0].keys", "unknown; did you mean 'key'?"),
    ],
)
def test_mistakes(entry: dict[str, Any], place: str, finding: str) -> None:
    value = {"rules": {"paths": ["x"]}, "state": "s", "sources": [{"type": "stdin"}], "sinks": [{"type": "stdout"}]}
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration({**value, "suppress": [entry]}, {})
    assert caught.value.problems == ((place, finding),)

"""Alerts of correlation rules: nothing redacted is in them by another name, and no host is told that is not the event's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sigma.pyeval import Ruleset, parse_rules
from sigma.pyeval.alerts import make_correlation_alert
from sigma.pyeval.redaction import REDACTED, Redaction
from sigma.pyeval.rules import Match

from .conftest import rule_yaml

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
BASE = rule_yaml("s: {MESSAGE|contains: fail}\ncondition: s", "Base", extra="name: base\n")


def correlation(name: str, rules: str, group: str, more: str = "") -> str:
    return f"---\ntitle: {name}\nname: {name}\ncorrelation: {{type: event_count, rules: [{rules}], group-by: [{group}], timespan: 1h, condition: {{gte: 1}}{more}}}\n"  # fmt: skip


def alerts(
    ruleset: Ruleset, event: dict[str, Any], redact: tuple[str, ...] = (), reader: str | None = None
) -> list[dict[str, Any]]:
    """Return the alerts that one event raises."""
    found = ruleset.correlator().process(event, 1_700_000_000)
    redaction = Redaction(redact)
    return [
        make_correlation_alert(
            one, Match(one.rule, one.event), NOW, redaction, reader, correlations=ruleset.correlations
        )
        for one in found
    ]


@pytest.mark.parametrize(
    ("rules", "event", "redact"),
    [
        (correlation("one", "base", "_USER"), {"_USER": "s3cret"}, "_USER"),
        (correlation("one", "base", "user.name"), {"user": {"name": "s3cret"}}, "user"),
        (correlation("one", "base", "user.name"), {"user": {"name": "s3cret"}}, "*.name"),
        (correlation("one", "base", "who", ", aliases: {who: {base: _USER}}"), {"_USER": "s3cret"}, "_USER"),
        (correlation("one", "base", "_USER") + correlation("two", "one", "_USER"), {"_USER": "s3cret"}, "_USER"),
        (
            correlation("one", "base", "who", ", aliases: {who: {base: _USER}}") + correlation("two", "one", "who"),
            {"_USER": "s3cret"},
            "_USER",
        ),
        (
            correlation("one", "base", "who", ", aliases: {who: {base: _USER}}")
            + correlation("two", "one", "person", ", aliases: {person: {one: who}}"),
            {"_USER": "s3cret"},
            "_USER",
        ),
    ],
)
def test_nothing_redacted_is_told_by_another_name(rules: str, event: dict[str, Any], redact: str) -> None:
    """Groups, their aliases, and what a correlation of correlations says of the inner one; without redaction it is there."""
    ruleset = parse_rules(BASE + rules)
    event = {"MESSAGE": "fail", **event}
    told = alerts(ruleset, event, (redact,))
    assert told
    assert "s3cret" not in json.dumps(told)
    assert all(value == REDACTED for alert in told for value in alert["correlation"]["group"].values())
    assert "s3cret" in json.dumps(alerts(ruleset, event))


@pytest.mark.parametrize("group", [None, "s3cret", ["s3cret"], {"_USER": "s3cret"}])
def test_an_event_may_look_like_another_correlation(group: object) -> None:
    """Whoever writes to a log chooses the fields of a JSON event, and their kinds."""
    rules = rule_yaml("s: {count: 1}\ncondition: s", "Base", extra="name: base\n") + correlation("one", "base", "count")
    event = {"correlation": "x", "group": group, "count": 1, "value": 1}
    [alert] = alerts(parse_rules(rules), event, ("_USER",))
    assert alert["event"]["group"] == ({"_USER": REDACTED} if isinstance(group, dict) else group)


def test_an_alias_of_something_else_is_shown() -> None:
    """Only what stands for a hidden field is hidden."""
    ruleset = parse_rules(BASE + correlation("one", "base", "who", ", aliases: {who: {base: _COMM}}"))
    [alert] = alerts(ruleset, {"MESSAGE": "fail", "_COMM": "sh", "_USER": "s3cret"}, ("_USER",))
    assert alert["correlation"]["group"] == {"who": "sh"}


BY_HOST = correlation("one", "base", "_HOSTNAME")


@pytest.mark.parametrize(
    ("rules", "event", "redact", "host"),
    [
        (BY_HOST, {"_HOSTNAME": "web-1"}, (), "web-1"),
        (BY_HOST, {"_HOSTNAME": "web-1"}, ("_HOSTNAME",), REDACTED),
        (BY_HOST, {"_HOSTNAME": "web-1", "more": "x" * 9_000}, (), "web-1"),
        (BY_HOST, {"_HOSTNAME": "web-1", "more": "x" * 9_000}, ("_HOSTNAME",), REDACTED),
        (BY_HOST + correlation("two", "one", "_HOSTNAME"), {"_HOSTNAME": "web-1"}, (), "web-1"),
        (correlation("one", "base", "_USER"), {"_USER": "root"}, (), "here"),
        (correlation("one", "base", "_USER"), {"_USER": "root", "more": "x" * 9_000}, (), None),
        (correlation("one", "base", "_USER") + correlation("two", "one", "_USER"), {"_USER": "root"}, (), None),
    ],
)
def test_the_host_is_the_reader_only_where_the_event_is_known_to_name_none(
    rules: str, event: dict[str, Any], redact: tuple[str, ...], host: str | None
) -> None:
    """An event that is not kept, or another correlation's match, may have been of any host; the group may tell."""
    told = alerts(parse_rules(BASE + rules), {"MESSAGE": "fail", **event}, redact, "here")
    assert told[-1]["host"] == host

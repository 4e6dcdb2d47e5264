"""An event's own keys tell its log source; what they don't tell stays unknown and excludes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import LogSource, Rule, Ruleset
from sigma.pyeval.routing import FIELDS_ASKED, recognise

from .engine.strategies import events

SYSMON = "Microsoft-Windows-Sysmon/Operational"
CASES: list[tuple[dict[str, Any], LogSource]] = [
    ({}, LogSource()),
    ({"message": "Failed password"}, LogSource()),
    ({"Channel": SYSMON, "EventID": 1}, LogSource("process_creation", "windows", "sysmon")),
    ({"Channel": SYSMON, "EventID": "7"}, LogSource("image_load", "windows", "sysmon")),
    ({"Channel": SYSMON, "EventID": 13}, LogSource(None, "windows", "sysmon")),
    ({"Channel": SYSMON, "EventID": [1]}, LogSource(None, "windows", "sysmon")),
    ({"Channel": SYSMON}, LogSource(None, "windows", "sysmon")),
    (
        {"Provider_Name": "Microsoft-Windows-Sysmon", "EventID": 3},
        LogSource("network_connection", "windows", "sysmon"),
    ),
    ({"Channel": "Linux-Sysmon/Operational", "EventID": 11}, LogSource("file_event", "linux", "sysmon")),
    ({"Channel": "security", "EventID": 4688}, LogSource("process_creation", "windows", "security")),
    ({"Channel": "Security", "EventID": 4624}, LogSource(None, "windows", "security")),
    (
        {"Channel": "Microsoft-Windows-PowerShell/Operational", "EventID": 4104},
        LogSource("ps_script", "windows", "powershell"),
    ),
    (
        {"Channel": "Windows PowerShell", "EventID": 400},
        LogSource("ps_classic_start", "windows", "powershell-classic"),
    ),
    ({"Channel": "Vendor/Operational", "EventID": 1}, LogSource(None, "windows", None)),
    ({"_EXE": "/bin/sh", "_CMDLINE": "sh"}, LogSource("process_creation", "linux")),
    ({"_EXE": "/bin/sh", "_TARGET_FILE": "/tmp/x"}, LogSource("file_event", "linux")),
    ({"_EXE": "/bin/sh", "_DESTINATION_IP": "10.0.0.1"}, LogSource("network_connection", "linux")),
    ({"_EXE": "/usr/sbin/sshd", "MESSAGE": "x", "_TRANSPORT": "syslog"}, LogSource(None, "linux")),
    ({"MESSAGE": "x"}, LogSource()),
    ({"type": "EXECVE", "argc": "2", "a0": "ls"}, LogSource(None, "linux", "auditd")),
    ({"type": "USER_LOGIN", "msg": "op=login"}, LogSource(None, "linux", "auditd")),
    ({"type": "User", "name": "x"}, LogSource()),
    ({"type": "PATH"}, LogSource()),
    ({"cs-method": "GET", "cs-uri-stem": "/", "sc-status": "200"}, LogSource("webserver")),
    ({"cs-method": "GET", "cs-uri-stem": "/", "r-dns": "example.org"}, LogSource()),
    ({"eventSource": "s3.amazonaws.com", "eventName": "PutObject"}, LogSource(None, "aws", "cloudtrail")),
    (
        {"protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog"}},
        LogSource(None, "gcp", "gcp.audit"),
    ),
    ({"apiVersion": "audit.k8s.io/v1", "kind": "Event"}, LogSource(None, "kubernetes", "audit")),
    ({"category": "SignInLogs", "operationName": "Sign-in activity"}, LogSource(None, "azure", "signinlogs")),
    ({"category": "SignInLogs"}, LogSource()),
    ({"Workload": "Exchange", "RecordType": 1}, LogSource(None, "m365")),
]


@pytest.mark.parametrize(("event", "expected"), CASES)
def test_recognised(event: dict[str, Any], expected: LogSource) -> None:
    assert recognise(event) == expected


@given(events)
def test_unknown_shapes_exclude_nothing(event: dict[str, Any]) -> None:
    assert recognise(event) == LogSource()


def test_never_raises() -> None:
    class Hostile(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            raise RuntimeError

    assert recognise(Hostile({"Channel": "Security"})) == LogSource(None, "windows", "security")
    assert recognise(7) == LogSource()  # type: ignore[arg-type]


def test_router_overrides() -> None:
    rules = [
        Rule("1", "linux", "exists(event, 'x')", logsource=LogSource(None, "linux")),
        Rule("2", "any", "exists(event, 'x')"),
        Rule("3", "windows", "exists(event, 'x')", logsource=LogSource("process_creation", "windows")),
    ]
    event = {"x": 1}
    routed = Ruleset(rules, router=lambda event: LogSource(None, "LINUX"))
    assert routed.route(event) == LogSource(None, "LINUX")
    assert [match.rule.id for match in routed.match(event)] == ["1", "2", "3"]
    assert [match.rule.id for match in routed.match(event, routed.route(event))] == ["1", "2"]
    assert [[match.rule.id for match in one] for one in routed.match_many([event], route=True)] == [["1", "2"]]
    assert Ruleset(rules).route(event) == LogSource()


class Asked(dict[str, object]):
    """An event that notes which of its fields are asked."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__(fields)
        self.names: set[str] = set()

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> object:
        self.names.add(key)
        return super().__getitem__(key)


VALUES = ["Security", "Linux-Sysmon/Operational", "SYSCALL", "x.amazonaws.com", "SignInLogs", 1, None]


@given(st.dictionaries(st.sampled_from(sorted(FIELDS_ASKED)), st.sampled_from(VALUES), max_size=4))
def test_the_fields_it_depends_on(fields: dict[str, object]) -> None:
    """No other is ever looked at."""
    event = Asked(fields)
    recognise(event)
    assert event.names <= FIELDS_ASKED

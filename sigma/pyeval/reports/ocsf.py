"""Open Cybersecurity Schema Framework: a Detection Finding (class 2004) a finding, with that class's attributes only."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from sigma.pyeval.attack import TACTICS, parse_attack, tactic_title, tactic_url, technique_url
from sigma.pyeval.entities import Endpoint, Entities, Process, base_name, excerpt, parse_entities
from sigma.pyeval.event_time import event_time
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import json_line
from sigma.pyeval.rules import Rule
from sigma.pyeval.version import __version__

OCSF_VERSION: Final = "1.5.0"

# severity_id and its caption by level.
_SEVERITIES = {
    "informational": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
# observable.type_id and its caption.
_HOSTNAME, _IP_ADDRESS, _USER_NAME = (1, "Hostname"), (2, "IP Address"), (4, "User Name")
_PROCESS_NAME, _COMMAND_LINE, _USER_AGENT, _FILE_PATH = (
    (9, "Process Name"), (13, "Command Line"), (16, "HTTP User-Agent"), (45, "File Path")
)  # fmt: skip
_HOSTNAME_TEXT = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_FINDING_NAMESPACE = uuid.UUID("5b0f5b3e-6d0a-4d0e-9d57-0a5a3f4f2c11")
_LONGEST_MESSAGE = 1000


class OcsfWriter:
    """Writes one Detection Finding of JSON a line; holds nothing.

    Args:
        stream: Where to.
        now: The time of writing, which is the finding's own time; the event's is in ``start_time`` and
            ``finding_info.first_seen_time``.
    """

    def __init__(self, stream: BinaryIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now

    def write(self, finding: Finding) -> None:
        """Write the finding's object."""
        self._stream.write(json_line(ocsf_finding(finding, self._now())) + b"\n")

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def ocsf_finding(finding: Finding, now: datetime) -> dict[str, Any]:
    """Return the Detection Finding of a finding as nested dicts of JSON types; what has no value is left out."""
    rule, event = finding.match.rule, finding.match.event
    entities = parse_entities(event)
    moment = event_time(event, now=now)
    seen = None if moment is None else _milliseconds(moment)
    severity_id, severity = _SEVERITIES.get(rule.level or "", (0, "Unknown"))
    found: dict[str, Any] = _without_blanks(
        {
            "activity_id": 1,
            "activity_name": "Create",
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "type_uid": 200401,
            "type_name": "Detection Finding: Create",
            "time": _milliseconds(now),
            "start_time": seen,
            "end_time": seen,
            "severity_id": severity_id,
            "severity": severity,
            "status_id": 1,
            "status": "New",
            "is_alert": True,
            "message": f"{rule.title}: {excerpt(finding.match, _LONGEST_MESSAGE)}",
            "metadata": _metadata(finding),
            "finding_info": _finding_info(finding, _milliseconds(now), seen),
            "device": _device(entities),
            "resources": [{"name": entities.host, "type": "host", "hostname": _hostname(entities)}]
            if entities.host
            else [],
            "evidences": [_evidence(entities)],
            "observables": _observables(entities),
            "raw_data": json_line(event).decode(),
            "unmapped": _unmapped(finding),
        }
    )
    found.setdefault("evidences", [{}])[0]["data"] = event  # as it is, blanks included
    return found


def _metadata(finding: Finding) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "product": {"name": "sigma-pyeval", "vendor_name": "pySigma-backend-pyeval", "version": __version__},
        "log_name": finding.path,
        "log_provider": finding.logsource.service or finding.logsource.product,
        "labels": list(finding.match.rule.tags),
    }


def _finding_info(finding: Finding, now: int, seen: int | None) -> dict[str, Any]:
    rule = finding.match.rule
    return {
        "uid": _finding_uid(finding),
        "title": rule.title,
        "desc": rule.description,
        "types": ["Sigma rule"],
        "created_time": now,
        "first_seen_time": seen,
        "last_seen_time": seen,
        "src_url": next((url for url in rule.references if url.startswith(("http://", "https://"))), None),
        "data_sources": [finding.path],
        "analytic": {
            "uid": rule.id or rule.source_hash,
            "name": rule.title,
            "type_id": 1,
            "type": "Rule",
            "desc": rule.description,
            "category": " ".join(rule.logsource.as_dict().values()),
        },
        "attacks": _attacks(rule),
    }


def _finding_uid(finding: Finding) -> str:
    """Return the same id whenever the same rule is held against the same record of the same log."""
    rule = finding.match.rule
    place = [rule.id or rule.source_hash, rule.title, finding.path, finding.line, finding.serial, finding.match.event]
    return str(uuid.uuid5(_FINDING_NAMESPACE, json_line(place).decode()))


def _attacks(rule: Rule) -> list[dict[str, Any]]:
    """Return one object a technique, with the tactic where the tags name just one; else one a tactic as well."""
    attack = parse_attack(rule.tags)
    tactics = [
        {"name": tactic_title(tactic), "uid": TACTICS.get(tactic), "src_url": tactic_url(tactic)}
        for tactic in attack.tactics
    ]
    techniques = [_technique(technique) for technique in attack.techniques]
    if len(tactics) == 1 and techniques:
        return [{"tactic": tactics[0]} | technique for technique in techniques]
    return [{"tactic": tactic} for tactic in tactics] + techniques


def _technique(technique: str) -> dict[str, Any]:
    parent = technique.partition(".")[0]
    found: dict[str, Any] = {"technique": {"uid": parent, "src_url": technique_url(parent)}}
    if parent != technique:
        found["sub_technique"] = {"uid": technique, "src_url": technique_url(technique)}
    return found


def _device(entities: Entities) -> dict[str, Any] | None:
    if entities.host is None:
        return None
    return {"type_id": 0, "type": "Unknown", "name": entities.host, "hostname": _hostname(entities)}


def _hostname(entities: Entities) -> str | None:
    return entities.host if entities.host and _HOSTNAME_TEXT.fullmatch(entities.host) else None


def _evidence(entities: Entities) -> dict[str, Any]:
    request = entities.request
    url = {"path": request.path, "query_string": request.query, "url_string": request.target}
    found: dict[str, Any] = {
        "process": _process(entities.process, entities),
        "user": {"name": entities.user.name, "uid": entities.user.id},
        "device": _device(entities),
        "file": _file(entities.file_path, 0),
        "src_endpoint": _endpoint(entities.source),
        "dst_endpoint": _endpoint(entities.destination),
    }
    if entities.outbound is not None or entities.protocol:
        direction = {True: (2, "Outbound"), False: (1, "Inbound"), None: (0, "Unknown")}[entities.outbound]
        protocol = entities.protocol and entities.protocol.lower()
        found["connection_info"] = {"direction_id": direction[0], "direction": direction[1], "protocol_name": protocol}
    if request.method or request.target or request.path:
        found["http_request"] = {
            "http_method": request.method,
            "url": url | {"hostname": request.host} if request.target or request.path else None,
            "user_agent": request.user_agent,
            "referrer": request.referrer,
            "version": request.version,
        }
    if request.status is not None:
        found["http_response"] = {"code": request.status, "body_length": request.response_bytes}
    return found


def _process(process: Process, entities: Entities) -> dict[str, Any] | None:
    """Return the process; OCSF allows none without an id, and then its parts are observables and in the event."""
    if process.pid is None:
        return None
    found: dict[str, Any] = {
        "pid": process.pid,
        "name": process.name,
        "cmd_line": process.command_line,
        "file": _file(process.executable, 1),
        "working_directory": process.working_directory,
    }
    if process is entities.process:
        found["user"] = {"name": entities.user.name, "uid": entities.user.id}
        found["parent_process"] = _process(entities.parent, entities)
    return found


def _file(path: str | None, type_id: int) -> dict[str, Any] | None:
    if path is None:
        return None
    return {
        "path": path,
        "name": base_name(path) or path,
        "type_id": type_id,
        "type": ("Unknown", "Regular File")[type_id],
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.ip is None and endpoint.domain is None:
        return None
    return {"ip": endpoint.ip, "port": endpoint.port, "domain": endpoint.domain}


def _observables(entities: Entities) -> list[dict[str, Any]]:
    """Return the values that analysts search for, each with the attribute that holds it where there is one."""
    rows = (
        ("device.name", _HOSTNAME, entities.host),
        ("evidences[0].user.name", _USER_NAME, entities.user.name),
        ("evidences[0].process.name", _PROCESS_NAME, entities.process.name),
        ("evidences[0].process.cmd_line", _COMMAND_LINE, entities.process.command_line),
        ("evidences[0].process.file.path", _FILE_PATH, entities.process.executable),
        ("evidences[0].process.parent_process.cmd_line", _COMMAND_LINE, entities.parent.command_line),
        ("evidences[0].file.path", _FILE_PATH, entities.file_path),
        ("evidences[0].src_endpoint.ip", _IP_ADDRESS, entities.source.ip),
        ("evidences[0].dst_endpoint.ip", _IP_ADDRESS, entities.destination.ip),
        ("evidences[0].http_request.user_agent", _USER_AGENT, entities.request.user_agent),
    )
    return [
        {"name": name, "type_id": type_id, "type": caption, "value": value}
        for name, (type_id, caption), value in rows
        if value
    ]


def _unmapped(finding: Finding) -> dict[str, Any]:
    rule = finding.match.rule
    return {
        "level": rule.level,
        "rule_status": rule.status,
        "rule_author": rule.author,
        "rule_license": rule.license,
        "rule_references": list(rule.references),
        "rule_falsepositives": list(rule.falsepositives),
        "rule_source_hash": rule.source_hash,
        "logsource": finding.logsource.as_dict(),
        "line": finding.line,
        "serial": finding.serial,
    }


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _without_blanks(value: Any) -> Any:
    """Return *value* without members that are ``None``, empty text, or empty containers, at any depth."""
    if isinstance(value, dict):
        members = {name: _without_blanks(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not None and member not in ("", [], {})}
    if isinstance(value, list):
        return [member for member in map(_without_blanks, value) if member not in ({}, None, "")]
    return value

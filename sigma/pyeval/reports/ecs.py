"""Elastic Common Schema: an alert document a finding, with ECS's own field names and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from sigma.pyeval.attack import parse_attack, tactic_title, tactic_url, technique_url
from sigma.pyeval.entities import Endpoint, Entities, Process, excerpt, parse_entities
from sigma.pyeval.event_time import event_time
from sigma.pyeval.findings import Finding
from sigma.pyeval.output import json_line
from sigma.pyeval.rules import LogSource, Rule

ECS_VERSION: Final = "9.4.0"

# Elastic's own numbers for the severities of its detection rules, so that its pages sort and colour the alerts.
SEVERITY: Final = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}

# event.category and event.type by Sigma's log-source category; of each pair ECS expects the type in the category.
_CATEGORIES: Final[dict[str, tuple[str, str]]] = {
    "process_creation": ("process", "start"),
    "process_termination": ("process", "end"),
    "process_access": ("process", "access"),
    "file_event": ("file", "change"),
    "file_change": ("file", "change"),
    "file_rename": ("file", "change"),
    "file_delete": ("file", "deletion"),
    "file_access": ("file", "access"),
    "network_connection": ("network", "connection"),
    "firewall": ("network", "connection"),
    "dns_query": ("network", "protocol"),
    "dns": ("network", "protocol"),
    "webserver": ("web", "access"),
    "proxy": ("web", "access"),
    "image_load": ("library", "start"),
    "driver_load": ("driver", "start"),
    "registry_event": ("registry", "change"),
    "registry_set": ("registry", "change"),
    "registry_add": ("registry", "creation"),
    "registry_delete": ("registry", "deletion"),
    "database": ("database", "access"),
    "antivirus": ("malware", "info"),
}
_SERVICES: Final[dict[str, tuple[str, str]]] = dict.fromkeys(
    ("auth", "sshd", "sudo", "su", "login", "pam", "polkit"), ("authentication", "info")
) | {"cloudtrail": ("api", "info")}  # fmt: skip
_LONGEST_MESSAGE = 1000


class EcsWriter:
    """Writes one document of JSON a line, ready to be indexed; holds nothing.

    Args:
        stream: Where to.
        now: The time of writing: ``event.created``, and ``@timestamp`` of an event that names no time.
    """

    def __init__(self, stream: BinaryIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now

    def write(self, finding: Finding) -> None:
        """Write the finding's document."""
        self._stream.write(json_line(ecs_document(finding, self._now())) + b"\n")

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def ecs_document(finding: Finding, now: datetime) -> dict[str, Any]:
    """Return the alert document of a finding as nested dicts of JSON types; fields without a value are left out."""
    event = finding.match.event
    entities = parse_entities(event)
    moment = event_time(event, now=now)
    fields = {
        "@timestamp": _iso(moment or now),
        "ecs.version": ECS_VERSION,
        "message": f"{finding.match.rule.title}: {excerpt(finding.match, _LONGEST_MESSAGE)}",
        "tags": list(finding.match.rule.tags),
        "labels": _labels(finding),
        "log.file.path": finding.path,
    }
    fields |= _event_fields(finding, now) | _rule_fields(finding.match.rule) | _threat_fields(finding.match.rule)
    fields |= _host_fields(entities) | _network_fields(entities) | _request_fields(entities)
    return _nested(fields)


def _event_fields(finding: Finding, now: datetime) -> dict[str, Any]:
    level = finding.match.rule.level
    categories, types = _categories(finding.match.rule.logsource, finding.logsource)
    return {
        "event.kind": "alert",
        "event.category": categories,
        "event.type": types,
        "event.severity": SEVERITY.get(level or ""),
        "event.created": _iso(now),
        "event.module": "sigma",
        "event.provider": "sigma-pyeval",
        "event.id": finding.serial,
        "event.original": json_line(finding.match.event).decode(),
    }


def _categories(*logsources: LogSource) -> tuple[list[str], list[str]]:
    for logsource in logsources:
        found = _CATEGORIES.get(logsource.category or "") or _SERVICES.get(logsource.service or "")
        if found is not None:
            return ["intrusion_detection", found[0]], list(dict.fromkeys(["info", found[1]]))
    return ["intrusion_detection"], ["info"]


def _rule_fields(rule: Rule) -> dict[str, Any]:
    return {
        "rule.id": rule.id or rule.source_hash,
        "rule.uuid": rule.id,
        "rule.name": rule.title,
        "rule.description": rule.description,
        "rule.reference": rule.references[0] if rule.references else None,
        "rule.author": [rule.author] if rule.author else [],
        "rule.license": rule.license,
        "rule.ruleset": "Sigma",
    }


def _threat_fields(rule: Rule) -> dict[str, Any]:
    attack = parse_attack(rule.tags)
    if not (attack.tactics or attack.techniques):
        return {}
    known = [tactic for tactic in attack.tactics if tactic_url(tactic)]
    parents = list(dict.fromkeys(technique.partition(".")[0] for technique in attack.techniques))
    children = [technique for technique in attack.techniques if "." in technique]
    return {
        "threat.framework": "MITRE ATT&CK",
        "threat.tactic.id": [url.rstrip("/").rpartition("/")[2] for url in map(tactic_url, known) if url],
        "threat.tactic.name": [tactic_title(tactic) for tactic in attack.tactics],
        "threat.tactic.reference": [tactic_url(tactic) for tactic in known],
        "threat.technique.id": parents,
        "threat.technique.reference": [technique_url(technique) for technique in parents],
        "threat.technique.subtechnique.id": children,
        "threat.technique.subtechnique.reference": [technique_url(technique) for technique in children],
        "threat.group.id": attack.groups[0] if attack.groups else None,
        "threat.software.id": attack.software[0] if attack.software else None,
    }


def _labels(finding: Finding) -> dict[str, str]:
    """Return what ECS has no field for; labels are keywords, so each is text."""
    rule = finding.match.rule
    labels = {
        "line": str(finding.line),
        "level": rule.level,
        "rule_status": rule.status,
        "rule_references": "\n".join(rule.references[1:]),
        "rule_falsepositives": "\n".join(rule.falsepositives),
        "rule_source_hash": rule.source_hash,
    } | {f"logsource_{part}": value for part, value in finding.logsource.as_dict().items()}
    return {name: value for name, value in labels.items() if value}


def _host_fields(entities: Entities) -> dict[str, Any]:
    return {
        "host.name": entities.host,
        "user.name": entities.user.name,
        "user.id": entities.user.id,
        "file.path": entities.file_path,
        **_process_fields("process", entities.process),
        **_process_fields("process.parent", entities.parent),
        "log.syslog.appname": entities.program,
        "log.syslog.facility.code": entities.facility,
        "log.syslog.severity.code": entities.priority,
    }


def _process_fields(prefix: str, process: Process) -> dict[str, Any]:
    return {
        f"{prefix}.executable": process.executable,
        f"{prefix}.command_line": process.command_line,
        f"{prefix}.name": process.name,
        f"{prefix}.pid": process.pid,
        f"{prefix}.working_directory": process.working_directory,
    }


def _network_fields(entities: Entities) -> dict[str, Any]:
    direction = {True: "egress", False: "ingress", None: None}[entities.outbound]
    return {
        **_endpoint_fields("source", entities.source),
        **_endpoint_fields("destination", entities.destination),
        "network.transport": entities.protocol and entities.protocol.lower(),
        "network.direction": direction,
    }


def _endpoint_fields(prefix: str, endpoint: Endpoint) -> dict[str, Any]:
    return {
        f"{prefix}.address": endpoint.ip or endpoint.domain,
        f"{prefix}.ip": endpoint.ip,
        f"{prefix}.domain": endpoint.domain,
        f"{prefix}.port": endpoint.port,
    }


def _request_fields(entities: Entities) -> dict[str, Any]:
    request = entities.request
    return {
        "http.request.method": request.method,
        "http.request.referrer": request.referrer,
        "http.response.status_code": request.status,
        "http.response.body.bytes": request.response_bytes,
        "http.version": request.version,
        "url.domain": request.host,
        "url.original": request.target,
        "url.path": request.path,
        "url.query": request.query,
        "user_agent.original": request.user_agent,
    }


def _iso(moment: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, what Elasticsearch's type ``date`` reads without a format."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted *fields* as nested dicts, without those that have no value."""
    document: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None or value in ("", [], {}):
            continue
        *parents, last = name.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return document

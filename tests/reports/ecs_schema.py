"""Elastic Common Schema 9.4.0: field names and types, as published in the npm package ``@elastic/ecs`` 9.4.0.

The sets event, rule, http, url, log and threat (framework, tactic, technique, group, software) are whole; of the others the
fields that an alert about a log can hold. ``[]`` is an array by definition.
"""

from __future__ import annotations

VERSION = "9.4.0"

_NAMES = {
    "date": """
        @timestamp event.created event.end event.ingested event.start process.parent.start process.start
    """,
    "flattened": """
        log.syslog.structured_data
    """,
    "float": """
        event.risk_score event.risk_score_norm
    """,
    "ip": """
        destination.ip network.forwarded_ip source.ip
    """,
    "ip[]": """
        host.ip
    """,
    "keyword": """
        destination.address destination.domain destination.mac ecs.version event.action event.agent_id_status
        event.code event.dataset event.hash event.id event.kind event.module event.original event.outcome
        event.provider event.reason event.reference event.timezone event.url file.directory file.name file.path
        host.hostname host.id host.name http.request.id http.request.method http.request.mime_type
        http.request.referrer http.response.mime_type http.version log.file.path log.level log.logger
        log.origin.file.name log.origin.function log.syslog.appname log.syslog.facility.name log.syslog.hostname
        log.syslog.msgid log.syslog.procid log.syslog.severity.name log.syslog.version network.application
        network.community_id network.direction network.iana_number network.name network.protocol network.transport
        network.type process.executable process.name process.parent.executable process.parent.name
        process.parent.title process.parent.working_directory process.title process.working_directory rule.category
        rule.description rule.id rule.license rule.name rule.reference rule.ruleset rule.uuid rule.version
        source.address source.domain source.mac threat.framework threat.group.id threat.group.name
        threat.group.reference threat.software.id threat.software.name threat.software.reference threat.software.type
        url.domain url.extension url.fragment url.password url.query url.registered_domain url.scheme url.subdomain
        url.top_level_domain url.username user.domain user.full_name user.id user.name user_agent.original
    """,
    "keyword[]": """
        event.category event.type process.args process.parent.args rule.author tags threat.group.alias
        threat.software.alias threat.software.platforms threat.tactic.id threat.tactic.name threat.tactic.reference
        threat.technique.id threat.technique.name threat.technique.reference threat.technique.subtechnique.id
        threat.technique.subtechnique.name threat.technique.subtechnique.reference
    """,
    "long": """
        destination.bytes destination.packets destination.port event.duration event.sequence event.severity
        http.request.body.bytes http.request.bytes http.response.body.bytes http.response.bytes
        http.response.status_code log.origin.file.line log.syslog.facility.code log.syslog.priority
        log.syslog.severity.code network.bytes network.packets process.args_count process.exit_code
        process.parent.args_count process.parent.exit_code process.parent.pid process.pid source.bytes source.packets
        source.port url.port
    """,
    "match_only_text": """
        message
    """,
    "object": """
        labels log.syslog network.inner
    """,
    "wildcard": """
        http.request.body.content http.response.body.content process.command_line process.parent.command_line url.full
        url.original url.path
    """,
}
FIELDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}

# event.category with the event.type values expected in it.
CATEGORIES = {
    "api": "access admin allowed change creation deletion denied end info start user",
    "authentication": "start end info",
    "configuration": "access change creation deletion info",
    "database": "access change info error",
    "driver": "change end info start",
    "email": "info",
    "file": "access change creation deletion info",
    "host": "access change end info start",
    "iam": "admin change creation deletion group info user",
    "intrusion_detection": "allowed denied info",
    "library": "start",
    "malware": "info",
    "network": "access allowed connection denied end info protocol start",
    "package": "access change deletion info installation start",
    "process": "access change end info start",
    "registry": "access change creation deletion",
    "session": "start end info",
    "threat": "indicator",
    "vulnerability": "info",
    "web": "access error info",
}
KINDS = "alert asset enrichment event metric state pipeline_error signal"

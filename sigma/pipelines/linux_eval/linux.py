"""The Linux event schema: what this package's parsers of journald, syslog, audit, Sysmon and access logs write."""

from __future__ import annotations

from dataclasses import replace

from .fields import FIELD_TABLES
from .log_sources import LINUX_LOG_SOURCES, supported_log_sources
from .schema import EventSchema
from .scopes import ACCESS_LOG_FIELDS, PEER_FIELDS, Kind

_PROCESS_CREATION = Kind(("Image", "CommandLine"), ("MESSAGE", "type", "TargetFilename", *PEER_FIELDS))

LINUX = EventSchema(
    name="linux_eval",
    title="Linux and web server logs: journald, syslog, auditd, access logs",
    tables=FIELD_TABLES,
    log_sources=LINUX_LOG_SOURCES,
    supported=supported_log_sources(),
    kinds={
        "process_creation": _PROCESS_CREATION,
        "file_event": Kind(("TargetFilename",)),
        "network_connection": Kind(PEER_FIELDS),
        "auditd": Kind(("type",)),
        "syslog": Kind(("MESSAGE",)),
        "webserver": Kind(ACCESS_LOG_FIELDS),
        "linux": None,
    },
)

# A journald line counts as an event of the process that wrote it.
LINUX_WITH_JOURNALD_PROCESSES = replace(
    LINUX,
    kinds={**LINUX.kinds, "process_creation": replace(_PROCESS_CREATION, lacks=_PROCESS_CREATION.lacks[1:])},
)

"""The Elastic Common Schema, as Auditbeat, Filebeat, Elastic Defend and Elastic's integrations fill it on Linux.

Names are those of the ECS field reference 8, and of the modules auditd (Auditbeat: ``auditd.data``, ``auditd.paths``; Filebeat:
``auditd.log``), system, nginx, apache and journald for what ECS has no field for.
"""

from __future__ import annotations

from .fields import AUDIT, AUDIT_ARGUMENTS, AUDIT_ENRICHED, FieldTable, Names, renamed, unchanged
from .log_sources import LINUX_LOG_SOURCES, supported_log_sources
from .schema import EventSchema
from .scopes import ACCESS_LOG_FIELDS, PEER_FIELDS, Kind

# What says of which kind an event is, in every table so that a caller may map it.
_ORIGIN = {
    **unchanged("event.category event.type event.action event.dataset event.module event.outcome host.name"),
    **renamed(_HOSTNAME="host.name"),
}
_PROCESS = renamed(
    Image="process.executable",
    # Auditbeat has no command line, only its beginning, as the process shows it, and a list of arguments.
    CommandLine="process.command_line process.title",
    CurrentDirectory="process.working_directory",
    ProcessId="process.pid",
    ParentProcessId="process.parent.pid",
    User="user.name",
    UserId="user.id",
    LogonId="user.id",  # Sysmon for Linux writes the numeric user id there
    TerminalSessionId="auditd.session",
    _COMM="process.name",
    md5="process.hash.md5",
    sha1="process.hash.sha1",
    sha256="process.hash.sha256",
)
_PARENT = renamed(ParentImage="process.parent.executable", ParentCommandLine="process.parent.command_line")
_FILE = renamed(TargetFilename="file.path")
_NETWORK = renamed(
    DestinationIp="destination.ip",
    DestinationPort="destination.port",
    DestinationHostname="destination.domain",
    SourceIp="source.ip",
    SourcePort="source.port",
    SourceHostname="source.domain",
    Protocol="network.transport",
    Initiated="network.direction event.action",
)
# Sigma asks whether this host opened the connection. ECS says in which direction it goes, Elastic Defend what happened.
_NETWORK_VALUES: dict[str, Names] = {
    "Initiated": {
        "true": ("egress", "outbound", "outgoing", "connection_attempted", "connected-to"),
        "false": ("ingress", "inbound", "incoming", "connection_accepted", "accepted-connection-from"),
    }
}

_LOG_LINE = renamed(
    MESSAGE="message",
    # log.syslog is ECS, syslog is Filebeat's journald input, process.name its module system.
    SYSLOG_IDENTIFIER="log.syslog.appname syslog.identifier process.name",
    SYSLOG_PID="log.syslog.procid syslog.pid process.pid",
    SYSLOG_FACILITY="log.syslog.facility.code log.syslog.facility.name syslog.facility",
    PRIORITY="log.syslog.severity.code syslog.priority",
    _COMM="process.name",
    _SYSTEMD_UNIT="systemd.unit",
    _TRANSPORT="systemd.transport",
)
_SUDO = renamed(
    USER="system.auth.sudo.user",
    TTY="system.auth.sudo.tty",
    PWD="system.auth.sudo.pwd",  # noqa: S106 - a directory
    COMMAND="system.auth.sudo.command",
)

# Auditbeat joins the records of an event; Filebeat has one event a record. Both move some fields to ECS names.
_AUDIT_DATA = {name: (f"auditd.data.{name}", f"auditd.log.{name}") for name in (*AUDIT, *AUDIT_ENRICHED)}
_AUDIT = {
    **_AUDIT_DATA,
    **renamed(
        _AUDIT_ID="auditd.sequence auditd.log.sequence",
        type="auditd.message_type event.action auditd.log.record_type",
        SYSCALL="auditd.data.syscall auditd.log.SYSCALL auditd.log.syscall",
        name="auditd.paths.name auditd.log.name",
        nametype="auditd.paths.nametype auditd.log.nametype",
        mode="auditd.paths.mode auditd.log.mode",
        inode="auditd.paths.inode auditd.log.inode",
        key="tags auditd.log.key",
        exe="process.executable",
        comm="process.name",
        proctitle="process.title auditd.log.proctitle",
        cwd="process.working_directory",
        pid="process.pid",
        ppid="process.parent.pid process.ppid",
        exit="auditd.data.exit process.exit_code",
        acct="auditd.data.acct user.name",
        uid="user.id",
        gid="user.group.id",
        euid="user.effective.id",
        egid="user.effective.group.id",
        suid="user.saved.id",
        sgid="user.saved.group.id",
        fsuid="user.filesystem.id",
        fsgid="user.filesystem.group.id",
        auid="user.audit.id",
        UID="user.name",
        EUID="user.effective.name",
        AUID="user.audit.name",
        ses="auditd.session auditd.log.ses",
        res="auditd.result event.outcome",
        success="auditd.result auditd.log.success",
    ),
}
# To Auditbeat, an event of several records is of the type of its first: a system call.
_JOINED_RECORDS = ("execve", "path", "cwd", "proctitle", "sockaddr")
_AUDIT_VALUES: dict[str, Names] = {
    "type": {name: (name, "syscall") for name in _JOINED_RECORDS},
    "success": {"yes": ("yes", "success"), "no": ("no", "fail")},
}
_AUDIT_NUMBERED = ("auditd.data.{name}", "auditd.log.{name}", "process.args.{number}")

_WEB = {
    rule_name: tuple(names.split())
    for rule_name, names in {
        "cs-method": "http.request.method",
        "cs-uri-stem": "url.path",
        # Rules mean the text after `?`, or the whole request target.
        "cs-uri-query": "url.query url.original",
        "c-uri": "url.original",
        "cs-uri": "url.original",
        "c-uri-stem": "url.path",
        "c-uri-query": "url.query",
        "c-uri-extension": "url.extension",
        "sc-status": "http.response.status_code",
        "sc-bytes": "http.response.body.bytes",
        "cs-bytes": "http.request.bytes",
        "cs-version": "http.version",
        "cs-user-agent": "user_agent.original",
        "c-useragent": "user_agent.original",
        "cs-referer": "http.request.referrer",
        "cs-referrer": "http.request.referrer",
        "cs-content-type": "http.request.mime_type",
        "cs-username": "user.name",
        "cs-host": "url.domain destination.domain",
        "c-ip": "source.ip",
        "s-ip": "destination.ip",
        "s-port": "destination.port",
        "s-computername": "host.name",
    }.items()
}

_PROCESS_CREATION = {**_PROCESS, **_PARENT, **_ORIGIN}
_FILE_EVENT = {**_PROCESS, **_FILE, **_ORIGIN}
_NETWORK_CONNECTION = {**_PROCESS, **_NETWORK, **_ORIGIN}
_SUDO_LINE = {**_LOG_LINE, **_SUDO, **_ORIGIN}
_AUDIT_RECORD = {**_AUDIT, **_ORIGIN}
_WEB_EVENT = {**_WEB, **_ORIGIN}

_PROCESS_FIELDS = ("Image", "CommandLine")

ECS = EventSchema(
    name="linux_eval_ecs",
    title="Linux and web server logs in the Elastic Common Schema: Auditbeat, Filebeat, Elastic Defend",
    tables={
        "process_creation": FieldTable(_PROCESS_CREATION),
        "file_event": FieldTable(_FILE_EVENT),
        "network_connection": FieldTable(_NETWORK_CONNECTION, values=_NETWORK_VALUES),
        "auditd": FieldTable(_AUDIT_RECORD, AUDIT_ARGUMENTS, "a0, a1, ...", _AUDIT_NUMBERED, _AUDIT_VALUES),
        "log_line": FieldTable({**_LOG_LINE, **_ORIGIN}),
        "sudo_line": FieldTable(_SUDO_LINE),
        "webserver": FieldTable(_WEB_EVENT),
        "web_log": FieldTable({**_WEB_EVENT, **_LOG_LINE}),
        "any": FieldTable(
            {**_AUDIT_RECORD, **_WEB_EVENT, **_SUDO_LINE, **_NETWORK_CONNECTION, **_FILE_EVENT, **_PROCESS_CREATION},
            AUDIT_ARGUMENTS,
            "a0, a1, ...",
            _AUDIT_NUMBERED,
            {**_NETWORK_VALUES, **_AUDIT_VALUES},
        ),
    },
    log_sources=LINUX_LOG_SOURCES,
    supported=supported_log_sources(),
    kinds={
        "process_creation": Kind(
            _PROCESS_FIELDS,
            ("MESSAGE", "_AUDIT_ID", "TargetFilename", *PEER_FIELDS),
            (("event.category", ("process",)), ("event.type", ("start",))),
        ),
        "file_event": Kind(
            ("TargetFilename",),
            says=(("event.category", ("file",)), ("event.type", ("creation", "change", "info"))),
        ),
        "network_connection": Kind(PEER_FIELDS, ACCESS_LOG_FIELDS, (("event.category", ("network",)),)),
        "auditd": Kind(("_AUDIT_ID",)),
        "syslog": Kind(("MESSAGE",), _PROCESS_FIELDS),
        "webserver": Kind(ACCESS_LOG_FIELDS),
        "linux": None,
    },
    line_lacks=_PROCESS_FIELDS,
)

"""Which log an event came from, told by its own keys: the built-in answer of ``Ruleset.route``.

The answer names only what the event makes plain. An unknown part excludes no rule, so whatever is not listed here is held
against all rules; guessing is never needed.

=================================================  =====================================================================
What the event has                                 Its log source
=================================================  =====================================================================
``Channel`` of Windows                             product windows, the channel's service where Sigma names one
 .. of Sysmon, with ``EventID``                    .. and the category of that number, where it is only one
 .. ``Security`` with ``EventID`` 4688             .. and category process_creation
 .. of PowerShell, 4103 and 4104                   .. and category ps_module, ps_script
 .. ``Windows PowerShell``, 400 and 600            .. and category ps_classic_start, ps_classic_provider_start
``Channel: Linux-Sysmon/Operational``              product linux, service sysmon, the category of ``EventID``
no ``Channel``, a Sysmon provider                  the same by ``Provider_Name`` or ``SourceName``
``_TARGET_FILE``                                   product linux, category file_event
``_DESTINATION_IP``                                product linux, category network_connection
``type``, that of an audit record                  product linux, service auditd
``_EXE`` or ``_CMDLINE`` without ``MESSAGE``       product linux, category process_creation
``MESSAGE`` with a field of the journal            product linux
``cs-method`` and ``cs-uri-stem``                  category webserver, unless fields of a proxy are there
``eventSource: *.amazonaws.com``                   product aws, service cloudtrail
``protoPayload`` of an audit log of Google         product gcp, service gcp.audit
``apiVersion: audit.k8s.io/...``                   product kubernetes, service audit
``operationName`` and Azure's ``category``         product azure, service signinlogs, auditlogs or activitylogs
``Workload`` and ``RecordType``                    product m365
=================================================  =====================================================================

Names of channels and numbers of events are those of the Sigma appendix "Taxonomy" and of Microsoft's documentation. Sysmon's
12, 13 and 14 are events of several categories (registry_event beside registry_set ...), so theirs is left unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .events import plain_event
from .rules import LogSource

UNKNOWN = LogSource()

_SYSMON = {
    1: "process_creation",
    2: "file_change",
    3: "network_connection",
    4: "sysmon_status",
    5: "process_termination",
    6: "driver_load",
    7: "image_load",
    8: "create_remote_thread",
    9: "raw_access_thread",
    10: "process_access",
    11: "file_event",
    15: "create_stream_hash",
    16: "sysmon_status",
    17: "pipe_created",
    18: "pipe_created",
    19: "wmi_event",
    20: "wmi_event",
    21: "wmi_event",
    22: "dns_query",
    23: "file_delete",
    24: "clipboard_capture",
    25: "process_tampering",
    26: "file_delete",
    27: "file_block_executable",
    28: "file_block_shredding",
    29: "file_executable_detected",
    255: "sysmon_error",
}
_CATEGORIES: dict[str, dict[int, str]] = {
    "sysmon": _SYSMON,
    "security": {4688: "process_creation"},
    "powershell": {4103: "ps_module", 4104: "ps_script"},
    "powershell-classic": {400: "ps_classic_start", 600: "ps_classic_provider_start"},
}
_SERVICES = {
    "application": "application",
    "security": "security",
    "system": "system",
    "windows powershell": "powershell-classic",
    "powershellcore/operational": "powershell",
    "dns server": "dns-server",
    "openssh/operational": "openssh",
    "msexchange management": "msexchange-management",
    **{
        f"microsoft-windows-{channel}": service
        for channel, service in {
            "applocker/exe and dll": "applocker",
            "applocker/msi and script": "applocker",
            "applocker/packaged app-deployment": "applocker",
            "applocker/packaged app-execution": "applocker",
            "appmodel-runtime/admin": "appmodel-runtime",
            "appxdeploymentserver/operational": "appxdeployment-server",
            "appxpackaging/operational": "appxpackaging-om",
            "bits-client/operational": "bits-client",
            "capi2/operational": "capi2",
            "certificateservicesclient-lifecycle-system/operational": "certificateservicesclient-lifecycle-system",
            "codeintegrity/operational": "codeintegrity-operational",
            "diagnosis-scripted/operational": "diagnosis-scripted",
            "dhcp-server/operational": "dhcp",
            "dns client events/operational": "dns-client",
            "dns-client/operational": "dns-client",
            "dns-server/analytical": "dns-server-analytic",
            "driverframeworks-usermode/operational": "driver-framework",
            "iis-configuration/operational": "iis-configuration",
            "ldap-client/debug": "ldap",
            "lsa/operational": "lsa-server",
            "ntlm/operational": "ntlm",
            "powershell/operational": "powershell",
            "printservice/admin": "printservice-admin",
            "printservice/operational": "printservice-operational",
            "security-mitigations/kernel mode": "security-mitigations",
            "security-mitigations/user mode": "security-mitigations",
            "shell-core/operational": "shell-core",
            "smbclient/connectivity": "smbclient-connectivity",
            "smbclient/security": "smbclient-security",
            "smbserver/connectivity": "smbserver-connectivity",
            "sysmon/operational": "sysmon",
            "taskscheduler/operational": "taskscheduler",
            "terminalservices-localsessionmanager/operational": "terminalservices-localsessionmanager",
            "windows defender/operational": "windefend",
            "windows firewall with advanced security/firewall": "firewall-as",
            "wmi-activity/operational": "wmi",
        }.items()
    },
}
_LINUX_SYSMON = "linux-sysmon"
_AUDIT_TYPE = re.compile(
    r"SYSCALL|EXECVE|PATH|CWD|PROCTITLE|SOCKADDR|SOCKETCALL|TTY|LOGIN|AVC|SECCOMP|MMAP|OBJ_PID|IPC|FD_PAIR|BPF|KERN_MODULE"
    r"|NETFILTER_CFG|CONFIG_CHANGE|BPRM_FCAPS|CAPSET|EOE|KERNEL_OTHER|AUOMS_[A-Z]+"
    r"|(USER|CRED|ADD|DEL|GRP|ACCT|ANOM|CHUSER|CRYPTO|DAEMON|INTEGRITY|MAC|ROLE|SERVICE|SYSTEM|VIRT|LABEL|RESP)_[A-Z0-9_]+"
)
_AUDIT_FIELDS = frozenset(
    (
        "msg",
        "audit_id",
        "serial",
        "node",
        "auid",
        "syscall",
        "SYSCALL",
        "argc",
        "a0",
        "exe",
        "cwd",
        "name",
        "proctitle",
        "saddr",
        "op",
    )
)
_JOURNAL_FIELDS = ("SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_TRANSPORT", "_HOSTNAME", "__REALTIME_TIMESTAMP")
_PROXY_FIELDS = ("r-dns", "c-uri-extension", "c-uri-tld", "cs-mime-type")
_AZURE = {"signinlogs": "signinlogs", "auditlogs": "auditlogs", "administrative": "activitylogs"}

FIELDS_ASKED = frozenset({
    "Channel", "Provider_Name", "SourceName", "EventID", "type", "MESSAGE", "_TARGET_FILE", "_DESTINATION_IP", "_EXE", "_CMDLINE",
    "cs-method", "cs-uri-stem", "eventSource", "protoPayload", "apiVersion", "category", "operationName", "Workload",
    "RecordType", *_AUDIT_FIELDS, *_JOURNAL_FIELDS, *_PROXY_FIELDS,
})  # fmt: skip
"""All that the answer depends on."""


def recognise(event: Mapping[str, Any]) -> LogSource:
    """Return the log source of *event* as far as its keys tell it; never raises."""
    try:
        return _recognised(event)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything; plain data doesn't
        return _recognised(plain_event(event))


def _recognised(event: Mapping[str, Any]) -> LogSource:
    channel = _text(event, "Channel")
    if channel:
        return _windows(channel.lower(), event)
    provider = (_text(event, "Provider_Name") or _text(event, "SourceName")).lower()
    if provider in ("microsoft-windows-sysmon", _LINUX_SYSMON):
        return _windows(provider + "/operational", event)
    return _linux(event) or _web(event) or _cloud(event) or UNKNOWN


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def _windows(channel: str, event: Mapping[str, Any]) -> LogSource:
    if channel.startswith(_LINUX_SYSMON):
        return LogSource(_SYSMON.get(_event_id(event)), "linux", "sysmon")
    service = _SERVICES.get(channel)
    return LogSource(_CATEGORIES.get(service or "", {}).get(_event_id(event)), "windows", service)


def _event_id(event: Mapping[str, Any]) -> int:
    value = event.get("EventID")
    if type(value) is int:
        return value
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _linux(event: Mapping[str, Any]) -> LogSource | None:
    if _AUDIT_TYPE.fullmatch(_text(event, "type")) and any(name in event for name in _AUDIT_FIELDS):
        return LogSource(None, "linux", "auditd")
    if "MESSAGE" in event:
        return LogSource(None, "linux") if any(name in event for name in _JOURNAL_FIELDS) else None
    for name, category in (
        ("_TARGET_FILE", "file_event"),
        ("_DESTINATION_IP", "network_connection"),
        ("_EXE", "process_creation"),
        ("_CMDLINE", "process_creation"),
    ):
        if name in event:
            return LogSource(category, "linux")
    return None


def _web(event: Mapping[str, Any]) -> LogSource | None:
    if "cs-method" in event and "cs-uri-stem" in event and not any(name in event for name in _PROXY_FIELDS):
        return LogSource("webserver")
    return None


def _cloud(event: Mapping[str, Any]) -> LogSource | None:
    if _text(event, "eventSource").lower().endswith(".amazonaws.com"):
        return LogSource(None, "aws", "cloudtrail")
    payload = event.get("protoPayload")
    if isinstance(payload, Mapping) and "cloud.audit" in _text(payload, "@type"):
        return LogSource(None, "gcp", "gcp.audit")
    if _text(event, "apiVersion").startswith("audit.k8s.io/"):
        return LogSource(None, "kubernetes", "audit")
    azure = _AZURE.get(_text(event, "category").lower())
    if azure and "operationName" in event:
        return LogSource(None, "azure", azure)
    return LogSource(None, "m365") if "Workload" in event and "RecordType" in event else None

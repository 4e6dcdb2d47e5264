"""Records of the Windows event schema (Sysmon for Linux has it too) made flat, and their log source."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sigma.pyeval.rules import LogSource

SYSMON_CATEGORIES: dict[int, str] = {
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
    25: "process_tampering",
    26: "file_delete",
    27: "file_block_executable",
    28: "file_block_shredding",
    29: "file_executable_detected",
    255: "sysmon_error",
}
"""Sysmon's EventID to Sigma's category. 12 to 14 (registry) have several categories each and are left out."""

SERVICES_BY_CHANNEL: dict[str, str] = {
    "application": "application",
    "dns server": "dns-server",
    "microsoft-windows-appxdeploymentserver/operational": "appxdeployment-server",
    "microsoft-windows-applocker/exe and dll": "applocker",
    "microsoft-windows-applocker/msi and script": "applocker",
    "microsoft-windows-applocker/packaged app-deployment": "applocker",
    "microsoft-windows-applocker/packaged app-execution": "applocker",
    "microsoft-windows-bitlocker/bitlocker management": "bitlocker",
    "microsoft-windows-bits-client/operational": "bits-client",
    "microsoft-windows-codeintegrity/operational": "codeintegrity-operational",
    "microsoft-windows-dns client events/operational": "dns-client",
    "microsoft-windows-driverframeworks-usermode/operational": "driver-framework",
    "microsoft-windows-ldap-client/debug": "ldap",
    "microsoft-windows-ntlm/operational": "ntlm",
    "microsoft-windows-powershell/operational": "powershell",
    "microsoft-windows-printservice/admin": "printservice-admin",
    "microsoft-windows-printservice/operational": "printservice-operational",
    "microsoft-windows-smbclient/security": "smbclient-security",
    "microsoft-windows-sysmon/operational": "sysmon",
    "microsoft-windows-taskscheduler/operational": "taskscheduler",
    "microsoft-windows-terminalservices-localsessionmanager/operational": ("terminalservices-localsessionmanager"),
    "microsoft-windows-windows defender/operational": "windefend",
    "microsoft-windows-windows firewall with advanced security/firewall": "firewall-as",
    "microsoft-windows-wmi-activity/operational": "wmi",
    "msexchange management": "msexchange-management",
    "openssh/operational": "openssh",
    "powershellcore/operational": "powershell",
    "security": "security",
    "system": "system",
    "windows powershell": "powershell-classic",
    "linux-sysmon/operational": "sysmon",
}
"""Channel (lower case) to the service that Sigma's log source taxonomy names for it."""

_ATTRIBUTES, _TEXT = "#attributes", "#text"


def flatten_windows(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the flat event of *record*, or ``None`` if it is not ``{"Event": {"System": {...}, ...}}``.

    The shape is that of the ``evtx`` library (attributes under ``#attributes``, text under ``#text``):

    - a child of System under its own name; its attributes as ``Provider_Name``, ``Execution_ProcessID``,
      ``Security_UserID``; ``TimeCreated`` is its SystemTime; a child without a value is left out;
    - EventData by the names of its fields, Data without a name as a list under ``Data``;
    - UserData's inner element opened, its fields by name. EventData and UserData win over System.
    """
    event = record.get("Event")
    if not isinstance(event, Mapping) or not isinstance(event.get("System"), Mapping):
        return None
    flat: dict[str, Any] = {}
    for name, child in event["System"].items():
        if name != _ATTRIBUTES:
            _add_system_child(flat, name, child)
    user_data = event.get("UserData")
    if isinstance(user_data, Mapping):
        for name, inner in user_data.items():
            if name != _ATTRIBUTES and isinstance(inner, Mapping):
                _add_fields(flat, inner)
    if isinstance(event.get("EventData"), Mapping):
        _add_fields(flat, event["EventData"])
    return flat


def windows_logsource(event: Mapping[str, Any]) -> LogSource:
    """Return the log source of a flat event, from its Channel, Provider_Name and EventID."""
    channel, provider = event.get("Channel"), event.get("Provider_Name")
    linux = provider == "Linux-Sysmon" or channel == "Linux-Sysmon/Operational"
    service = SERVICES_BY_CHANNEL.get(channel.lower()) if isinstance(channel, str) else None
    if linux or provider == "Microsoft-Windows-Sysmon":
        service = "sysmon"
    category = SYSMON_CATEGORIES.get(_number(event.get("EventID"))) if service == "sysmon" else None
    return _logsource(category, "linux" if linux else "windows", service)


_logsource = lru_cache(maxsize=256)(LogSource)


def _number(value: object) -> int:
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10 else -1


def _add_system_child(flat: dict[str, Any], name: str, child: object) -> None:
    if not isinstance(child, Mapping):
        if child is not None:
            flat[name] = child
        return
    attributes = child.get(_ATTRIBUTES)
    if child.get(_TEXT) is not None:
        flat[name] = child[_TEXT]
    if isinstance(attributes, Mapping):
        for attribute, value in attributes.items():
            if name == "TimeCreated" and attribute == "SystemTime":
                flat[name] = value
            elif value is not None:
                flat[f"{name}_{'UserID' if attribute == 'UserId' else attribute}"] = value


def _add_fields(flat: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name == _ATTRIBUTES:
            continue
        text = value.get(_TEXT) if isinstance(value, Mapping) and _TEXT in value else value
        if name == "Data":
            text = text if isinstance(text, list) else [text]
        flat[name] = text

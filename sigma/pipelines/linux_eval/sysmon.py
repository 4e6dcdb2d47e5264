"""The schema of Sysmon for Linux: its own names, which are Sigma's, and a number for each kind of event.

Names are those of SysmonForLinux's event schema and of the Sigma taxonomy. Left out are fields that it never fills on Linux
(``Hashes``, ``OriginalFileName``, ``Company``, ... are always ``-``): a rule that asks for one could never match.
"""

from __future__ import annotations

from collections.abc import Mapping

from .fields import FieldTable, unchanged
from .log_sources import sysmon_log_sources
from .schema import EventSchema
from .scopes import PEER_FIELDS, Kind

_SYSTEM = unchanged(
    """
    EventID Channel Computer Provider_Name Provider_Guid Version Level Task Opcode Keywords TimeCreated
    EventRecordID Execution_ProcessID Execution_ThreadID Security_UserID RuleName UtcTime
    """
)
_PROCESS = unchanged("Image ProcessId ProcessGuid User")
_FIELDS: Mapping[str, dict[str, tuple[str, ...]]] = {
    "process_creation": _PROCESS
    | unchanged(
        """
        CommandLine CurrentDirectory LogonGuid LogonId TerminalSessionId ParentImage ParentCommandLine
        ParentProcessId ParentProcessGuid ParentUser
        """
    ),
    "network_connection": _PROCESS
    | unchanged(
        """
        DestinationIp DestinationPort DestinationHostname DestinationIsIpv6 SourceIp SourcePort SourceHostname
        SourceIsIpv6 Protocol Initiated
        """
    ),
    "process_termination": _PROCESS,
    "raw_access_thread": _PROCESS | unchanged("Device"),
    "process_access": unchanged(
        """
        SourceImage SourceUser SourceProcessId SourceProcessGUID SourceThreadId TargetImage TargetUser
        TargetProcessId TargetProcessGUID GrantedAccess CallTrace
        """
    ),
    "file_event": _PROCESS | unchanged("TargetFilename CreationUtcTime"),
    "file_delete": _PROCESS | unchanged("TargetFilename IsExecutable Archived"),
}

SYSMON = EventSchema(
    name="linux_eval_sysmon",
    title="Sysmon for Linux, with its own field names",
    tables={
        **{category: FieldTable({**fields, **_SYSTEM}) for category, fields in _FIELDS.items()},
        "any": FieldTable({name: names for fields in (*_FIELDS.values(), _SYSTEM) for name, names in fields.items()}),
    },
    log_sources=sysmon_log_sources(_FIELDS),
    supported=f"product linux with category {', '.join(_FIELDS)}, service sysmon or none; product linux, service sysmon; "
    "product linux alone",
    kinds={
        "process_creation": Kind(("Image", "CommandLine"), ("TargetFilename", *PEER_FIELDS), (("EventID", (1,)),)),
        "network_connection": Kind(PEER_FIELDS, (), (("EventID", (3,)),)),
        "process_termination": Kind(says=(("EventID", (5,)),)),
        "raw_access_thread": Kind(says=(("EventID", (9,)),)),
        "process_access": Kind(says=(("EventID", (10,)),)),
        "file_event": Kind(("TargetFilename",), (), (("EventID", (11,)),)),
        "file_delete": Kind(says=(("EventID", (23, 26)),)),
        "sysmon": Kind(("EventID",)),
        "linux": None,
    },
)

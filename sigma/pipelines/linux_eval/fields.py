"""Field tables: which names a rule may use for each kind of log, and what an event calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

Names = Mapping[str, tuple[str, ...]]


def unchanged(names: str) -> dict[str, tuple[str, ...]]:
    """Return the mapping of *names*, written with blanks between, that stay as they are."""
    return {name: (name,) for name in names.split()}


def renamed(**names: str) -> dict[str, tuple[str, ...]]:
    """Return the mapping of names to the event's; several names of an event are written with blanks between."""
    return {name: tuple(targets.split()) for name, targets in names.items()}


@dataclass(frozen=True)
class FieldTable:
    """The fields of one kind of log.

    Attributes:
        mapping: Name in a rule -> the event's name or names for it. Several names mean that an event has the
            value under one of them. Names that stay as they are map to themselves.
        numbered: A regular expression for further names, or ``None``.
        numbered_text: What ``numbered`` stands for, to be read by people.
        numbered_targets: The event's names for those, with ``{name}`` for the name and ``{number}`` for the
            first group of ``numbered``.
        values: Name in a rule -> value in lower case -> what events have for it. Values that are not listed
            stay as they are.
    """

    mapping: Names
    numbered: str | None = None
    numbered_text: str = ""
    numbered_targets: tuple[str, ...] = ("{name}",)
    values: Mapping[str, Names] = field(default_factory=dict)

    def targets(self, field: str) -> tuple[str, ...] | None:
        """Return the event's names for *field* of a rule, or ``None`` where this log has no such field.

        The event's own names are good too: rules written for the event schema pass, and so does a rule whose
        fields were already mapped (a Sigma filter's detections are shared by rules in pySigma 1.5).
        """
        if field in self.mapping:
            return self.mapping[field]
        if any(field in targets for targets in self.mapping.values()):
            return (field,)
        if self.numbered is not None and (found := re.fullmatch(self.numbered, field)):
            return tuple(target.format(name=field, number=found[1]) for target in self.numbered_targets)
        return (field,) if any(pattern.fullmatch(field) for pattern in self._numbered_names()) else None

    def _numbered_names(self) -> list[re.Pattern[str]]:
        """Return what matches the event's own names of numbered fields."""
        if self.numbered is None:
            return []
        parts = (re.escape(target).replace(r"\{name\}", self.numbered) for target in self.numbered_targets)
        return [re.compile(part.replace(r"\{number\}", "[0-9]+")) for part in parts]

    def supported(self) -> str:
        """Return the supported names in one line."""
        names = dict.fromkeys(chain(self.mapping, *self.mapping.values()))
        return ", ".join(chain([self.numbered_text] if self.numbered_text else [], names))

    def extended(self, mapping: Names) -> FieldTable:
        """Return the same table with *mapping* added, replacing what it had for these names."""
        values = {name: values for name, values in self.values.items() if name not in mapping}
        return replace(self, mapping={**self.mapping, **mapping}, values=values)


# Sigma taxonomy 2.1.0, "Process Creation Events", as far as Linux has the value.
_PROCESS = renamed(
    Image="_EXE",
    CommandLine="_CMDLINE",
    ProcessId="_PID",
    ParentProcessId="_PPID",
    User="_USER",
    UserId="_UID",
    LogonId="_UID",  # Sysmon for Linux writes the numeric user id there; the session is its TerminalSessionId
    TerminalSessionId="_AUDIT_SESSION",
    CurrentDirectory="_CWD",
)
_PARENT = renamed(ParentImage="_PARENT_EXE", ParentCommandLine="_PARENT_CMDLINE")
_PROCESS_EXTRA = unchanged("_COMM _GID _AUDIT_LOGINUID")
# Where an event comes from and when it happened: every kind of event may have these.
_ORIGIN = unchanged("_HOSTNAME _SOURCE_REALTIME_TIMESTAMP")

# Sysmon events 11 (FileCreate) and 3 (NetworkConnect), which the taxonomy takes these categories' names from.
_FILE = renamed(TargetFilename="_TARGET_FILE")
_NETWORK = renamed(
    DestinationIp="_DESTINATION_IP",
    DestinationPort="_DESTINATION_PORT",
    DestinationHostname="_DESTINATION_HOSTNAME",
    SourceIp="_SOURCE_IP",
    SourcePort="_SOURCE_PORT",
    Protocol="_PROTOCOL",
    Initiated="_INITIATED",
)

# systemd.journal-fields(7). A line of a syslog file has the SYSLOG_ ones, MESSAGE, PRIORITY and _HOSTNAME.
_JOURNAL = unchanged(
    """
    MESSAGE MESSAGE_ID PRIORITY CODE_FILE CODE_LINE CODE_FUNC ERRNO INVOCATION_ID USER_INVOCATION_ID
    SYSLOG_FACILITY SYSLOG_IDENTIFIER SYSLOG_PID SYSLOG_TIMESTAMP SYSLOG_RAW DOCUMENTATION TID UNIT
    USER_UNIT _PID _UID _GID _COMM _EXE _CMDLINE _CAP_EFFECTIVE _AUDIT_SESSION _AUDIT_LOGINUID
    _SYSTEMD_CGROUP _SYSTEMD_SLICE _SYSTEMD_UNIT _SYSTEMD_USER_UNIT _SYSTEMD_USER_SLICE _SYSTEMD_SESSION
    _SYSTEMD_OWNER_UID _SYSTEMD_INVOCATION_ID _SELINUX_CONTEXT _SOURCE_REALTIME_TIMESTAMP
    _SOURCE_BOOTTIME_TIMESTAMP _BOOT_ID _MACHINE_ID _HOSTNAME _TRANSPORT _STREAM_ID _LINE_BREAK
    _NAMESPACE _RUNTIME_SCOPE _KERNEL_DEVICE _KERNEL_SUBSYSTEM _UDEV_SYSNAME _UDEV_DEVNODE _UDEV_DEVLINK
    __CURSOR __REALTIME_TIMESTAMP __MONOTONIC_TIMESTAMP COREDUMP_UNIT COREDUMP_USER_UNIT OBJECT_PID
    OBJECT_UID OBJECT_GID OBJECT_COMM OBJECT_EXE OBJECT_CMDLINE OBJECT_AUDIT_SESSION
    OBJECT_AUDIT_LOGINUID OBJECT_SYSTEMD_CGROUP OBJECT_SYSTEMD_SESSION OBJECT_SYSTEMD_OWNER_UID
    OBJECT_SYSTEMD_UNIT OBJECT_SYSTEMD_USER_UNIT
    """
)
# sudoers(5), "LOG FORMAT".
_SUDO = unchanged("HOST TTY CHROOT PWD USER GROUP TSID ENV SIGNAL EXIT COMMAND")

# The field dictionary of the Linux audit documentation, and names that kernel, AppArmor, SELinux and fanotify
# records carry beyond it. Names keep the spelling of the record.
AUDIT = unchanged(
    """
    type node acct acl action added addr apparmor arch argc audit_backlog_limit audit_backlog_wait_time
    audit_enabled audit_failure auid banners bool bus capability cap_fe cap_fi cap_fp cap_frootid
    cap_fver cap_pa cap_pe cap_pi cap_pp capname category cause cgroup changed cipher class cmd code comm
    compat cwd daddr data default-context denied denied_mask dev device dir direction dmac dport egid
    enforcing entries errno error euid exe exit fam family fan_info fan_type fd fe feature fi file flags
    format fp frootid fsgid fsuid fver gid gpg_res grantors grp hash hook hostname icmp_type id igid
    img-ctx info inif ino inode inode_gid inode_uid invalid_context ioctlcmd ip ipid ipx-net item items
    iuid kernel key key_enforce kind ksize laddr len list lport mac macproto maj major minor mode model
    msg name namespace nametype nargs net new new-chardev new-disk new-enabled new-fs new-level
    new-log_passwd new-mem new-net new-range new-rng new-role new-seuser new-vcpu new_gid new_lock new_pa
    new_pe new_pi new_pp newcontext nlnk-fam nlnk-grp nlnk-pid nsec oauid obj obj_gid obj_trust obj_uid
    objtype ocomm oflag ogid old old-auid old-chardev old-disk old-enabled old-fs old-level
    old-log_passwd old-mem old-net old-range old-rng old-role old-ses old-seuser old-vcpu old_enforcing
    old_lock old_pa old_pe old_pi old_pp old_prom old_val oldcontext op operation opid oses ouid outif pa
    parent path pe peer per perm perm_mask permissive pfs pi pid pp ppid printer proctitle profile
    prog-id prom proto qbytes range rdev reason removed requested requested_mask res resp resrc result
    role root_dir rport saddr saddr_fam sauid scontext sec selected-context seperm seperms seqno seresult
    ses session seuser sgid sig sigev_signo smac spid sport state subj subj_trust success suid sw sw_type
    syscall table target tclass tcontext terminal tty uid unit uri user uuid val ver virt vm vm-ctx
    vm-pid watch xattr
    """
)
# What auditd adds in log_format=ENRICHED (auditd.conf(5)): the same name in capitals, interpreted.
AUDIT_ENRICHED = unchanged(
    """
    ARCH SYSCALL SADDR AUID UID GID EUID SUID FSUID EGID SGID FSGID OUID OGID OAUID IUID IGID SAUID ID
    OBJ_UID OBJ_GID INODE_UID INODE_GID OLD-AUID NEW_GID
    """
)
# `a0`..`a3` of a system call, `a0`.. of EXECVE, and `a1[0]`, `a1_len` of an argument cut into pieces.
AUDIT_ARGUMENTS = r"a([0-9]+)(?:\[[0-9]+\]|_len)?"

# Sigma taxonomy 2.1.0, categories webserver and proxy (W3C extended log file format), without what only IIS
# writes.
_WEB = unchanged(
    """
    cs-method cs-uri-stem cs-uri-query c-uri sc-status cs-user-agent cs-referer c-ip cs-username cs-host
    cs-version cs-cookie cs-content-type sc-bytes cs-bytes time-taken date time s-ip s-port
    s-computername cs-uri c-uri-stem c-uri-query c-uri-extension c-useragent cs-referrer
    """
)

_LOG_LINE = {**_JOURNAL, **_ORIGIN}
_SUDO_LINE = {**_LOG_LINE, **_SUDO}
_PROCESS_CREATION = {**_PROCESS, **_PARENT, **_PROCESS_EXTRA, **_ORIGIN}
_FILE_EVENT = {**_FILE, **_PROCESS, **_PROCESS_EXTRA, **_ORIGIN}
_NETWORK_CONNECTION = {**_NETWORK, **_PROCESS, **_PROCESS_EXTRA, **_ORIGIN}
_AUDIT_RECORD = {**AUDIT, **AUDIT_ENRICHED, **_ORIGIN}
_WEB_EVENT = {**_WEB, **_ORIGIN}

# Kind of log -> its fields. "any" is a rule for Linux as such, which any event may answer.
FIELD_TABLES: Mapping[str, FieldTable] = {
    "process_creation": FieldTable(_PROCESS_CREATION),
    "file_event": FieldTable(_FILE_EVENT),
    "network_connection": FieldTable(_NETWORK_CONNECTION),
    "auditd": FieldTable(_AUDIT_RECORD, AUDIT_ARGUMENTS, "a0, a1, ..."),
    "log_line": FieldTable(_LOG_LINE),
    "sudo_line": FieldTable(_SUDO_LINE),
    "webserver": FieldTable(_WEB_EVENT),
    "web_log": FieldTable({**_WEB_EVENT, **_LOG_LINE}),
    "any": FieldTable(
        {
            **_PROCESS_CREATION,
            **_FILE_EVENT,
            **_NETWORK_CONNECTION,
            **_SUDO_LINE,
            **_AUDIT_RECORD,
            **_WEB_EVENT,
        },
        AUDIT_ARGUMENTS,
        "a0, a1, ...",
    ),
}

"""Which Sigma log source a program's lines belong to, and the fields that its messages hold."""

from __future__ import annotations

from functools import lru_cache

from sigma.pyeval.logs.pam import parse_pam
from sigma.pyeval.logs.sudo import parse_sudo
from sigma.pyeval.programs import ACCOUNT_PROGRAMS, PROGRAMS
from sigma.pyeval.rules import LogSource

OTHER_SERVICE = "syslog"
"""The service of a program without one of its own: rules for ``service: syslog`` mean named, init ..."""

PROGRAMS_BY_SERVICE: dict[str, tuple[str, ...]] = {
    **PROGRAMS,
    "auditd": ("audispd", "audisp-syslog", "auditd"),
    "auth": ACCOUNT_PROGRAMS,
}
"""Sigma's names for Linux services, and the programs (process name or syslog tag) that write their lines."""

_SERVICE_OF = {program: service for service, programs in PROGRAMS_BY_SERVICE.items() for program in programs}


@lru_cache(maxsize=4096)
def service_of(program: str) -> str | None:
    """Return the Sigma service of *program*, or ``None`` where it has none of its own.

    Directories (``/usr/sbin/cron``), a PAM module in parentheses (``su(pam_unix)``), a ``.service`` suffix
    and case (``CRON``) do not matter.
    """
    name = program.partition("(")[0].rpartition("/")[2].lower()
    return _SERVICE_OF.get(name.removesuffix(".service"))


@lru_cache(maxsize=4096)
def linux_logsource(*programs: str | None) -> LogSource:
    """Return the log source of a line written by the first of *programs* that has a Sigma service.

    Programs are given from the most to the least telling (identifier, process name, unit). If none has a
    service, the line belongs to ``syslog``; if no program is known at all, the service stays unknown, which
    excludes no rule.
    """
    known = [program for program in programs if program]
    services = (service_of(program) for program in known)
    service = next((service for service in services if service), OTHER_SERVICE if known else None)
    return LogSource(product="linux", service=service)


def message_fields(program: str, message: str) -> dict[str, str | list[str]]:
    """Return what sudo or PAM say in *message*, by the names they write; empty for every other message.

    *program* is the syslog tag as written: old PAM modules name themselves there (``su(pam_unix)``).
    """
    if "pam_" in program or message.startswith("pam_"):
        return dict(parse_pam(program, message))
    if service_of(program) == "sudo":
        return parse_sudo(message)
    return {}

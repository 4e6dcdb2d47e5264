"""Services: under which names, facilities and files the programs of a Linux service log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sigma.pyeval.programs import ACCOUNT_PROGRAMS, PROGRAMS


@dataclass(frozen=True)
class Service:
    """How to know the log lines of a service. All texts are in lower case: matchers ignore case.

    Attributes:
        programs: Names under which it logs (``SYSLOG_IDENTIFIER``, ``_COMM``).
        prefixes: Beginnings of ``SYSLOG_IDENTIFIER``, for services that log as ``name/part``.
        facilities: Syslog facilities of its own: numbers of RFC 5424, section 6.2.1, and their names.
        messages: Beginnings of ``MESSAGE`` that only it writes.
        own_file: It usually logs into a file of its own whose lines don't name the program, so a line that
            names none may be its.
        access_log: It writes access logs too.
    """

    programs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    facilities: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    own_file: bool = False
    access_log: bool = False


def _programs(names: str) -> tuple[str, ...]:
    return tuple(names.split())


def _with_pam(programs: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """Return *programs* with the signatures of Linux-PAM before 1.0: it wrote a program's lines as ``name(pam_unix)``."""
    return (*programs, *(f"{name}(pam_unix)" for name in names))


SERVICES: Mapping[str, Service] = {
    "sshd": Service(_with_pam(PROGRAMS["sshd"], "sshd")),
    "sudo": Service(_with_pam(PROGRAMS["sudo"], "sudo")),
    "su": Service(_with_pam(("su",), "su")),
    "cron": Service(_with_pam(PROGRAMS["cron"], "cron", "crond"), facilities=("9", "cron")),
    # What writes the facilities auth (4) and authpriv (10). PAM modules do so on behalf of any program.
    "auth": Service(
        _with_pam((*PROGRAMS["sshd"], *PROGRAMS["sudo"], *ACCOUNT_PROGRAMS), "sshd", "sudo", "su", "login"),
        facilities=("4", "10", "auth", "authpriv"),
        messages=("pam_",),
    ),
    "login": Service(_with_pam(("login", "systemd-logind"), "login")),
    "polkit": Service(_programs("polkitd pkexec polkit-agent-helper-1")),
    "kernel": Service(("kernel",), facilities=("0", "kern")),
    "systemd": Service(("systemd",), prefixes=("systemd-",)),
    "vsftpd": Service(_with_pam(PROGRAMS["vsftpd"], "vsftpd"), own_file=True),
    "proftpd": Service(("proftpd",), own_file=True),
    "clamav": Service(PROGRAMS["clamav"], own_file=True),
    "guacamole": Service(PROGRAMS["guacamole"], own_file=True),
    "postfix": Service(("postfix",), prefixes=("postfix/", "postfix-")),
    "dovecot": Service(_programs("dovecot dovecot-auth")),
    "named": Service(("named",)),
    "mysql": Service(_programs("mysqld mariadbd mysqld_safe mysql mariadb"), own_file=True),
    "postgresql": Service(_programs("postgres postgresql postmaster"), own_file=True),
    "samba": Service(_programs("smbd nmbd winbindd samba smbd_audit"), own_file=True),
    "docker": Service(_programs("dockerd docker containerd containerd-shim")),
    "apache": Service(PROGRAMS["apache"], own_file=True, access_log=True),
    "nginx": Service(PROGRAMS["nginx"], own_file=True, access_log=True),
}

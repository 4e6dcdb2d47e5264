"""Services: under which names, facilities and files the programs of a Linux service log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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


# Linux-PAM before 1.0 signed the lines that it wrote for a program as `program(pam_unix)`.
SERVICES: Mapping[str, Service] = {
    "sshd": Service(_programs("sshd sshd-session sshd-auth sshd(pam_unix)")),
    "sudo": Service(_programs("sudo sudo(pam_unix)")),
    "su": Service(_programs("su su(pam_unix)")),
    # crontab(1) reports changes of a table under its own name.
    "cron": Service(
        _programs("cron crond anacron crontab fcron cron(pam_unix) crond(pam_unix)"), facilities=("9", "cron")
    ),
    # What writes the facilities auth (4) and authpriv (10). PAM modules do so on behalf of any program.
    "auth": Service(
        _programs(
            """
            sshd sshd-session sshd-auth sudo su runuser doas login rlogin systemd-logind polkitd pkexec
            polkit-agent-helper-1 unix_chkpwd faillock useradd userdel usermod groupadd groupdel groupmod
            groupmems newusers adduser deluser addgroup delgroup passwd chpasswd chgpasswd chage chfn chsh
            gpasswd newgrp vipw vigr gdm-password gdm-session-worker lightdm sddm
            sshd(pam_unix) sudo(pam_unix) su(pam_unix) login(pam_unix)
            """
        ),
        facilities=("4", "10", "auth", "authpriv"),
        messages=("pam_",),
    ),
    "login": Service(_programs("login login(pam_unix) systemd-logind")),
    "polkit": Service(_programs("polkitd pkexec polkit-agent-helper-1")),
    "kernel": Service(("kernel",), facilities=("0", "kern")),
    "systemd": Service(("systemd",), prefixes=("systemd-",)),
    "vsftpd": Service(_programs("vsftpd vsftpd(pam_unix)"), own_file=True),
    "proftpd": Service(("proftpd",), own_file=True),
    "clamav": Service(
        _programs("clamd clamav clamav-daemon clamscan clamdscan clamonacc clamav-milter freshclam clamav-freshclam"),
        own_file=True,
    ),
    "guacamole": Service(_programs("guacd guacamole guacamole-client"), own_file=True),
    "postfix": Service(("postfix",), prefixes=("postfix/", "postfix-")),
    "dovecot": Service(_programs("dovecot dovecot-auth")),
    "named": Service(("named",)),
    "mysql": Service(_programs("mysqld mariadbd mysqld_safe mysql mariadb"), own_file=True),
    "postgresql": Service(_programs("postgres postgresql postmaster"), own_file=True),
    "samba": Service(_programs("smbd nmbd winbindd samba smbd_audit"), own_file=True),
    "docker": Service(_programs("dockerd docker containerd containerd-shim")),
    "apache": Service(_programs("apache2 httpd apache"), own_file=True, access_log=True),
    "nginx": Service(("nginx",), own_file=True, access_log=True),
}

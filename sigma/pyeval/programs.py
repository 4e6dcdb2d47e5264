"""The programs of Linux services: the names under which each logs, as syslog tag or process name, in lower case."""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ACCOUNT_PROGRAMS = _names(
    """
    su runuser doas login rlogin sulogin systemd-logind polkitd pkexec polkit-agent-helper-1 unix_chkpwd faillock
    useradd userdel usermod groupadd groupdel groupmod groupmems newusers adduser deluser addgroup delgroup
    passwd chpasswd chgpasswd chage chfn chsh gpasswd newgrp vipw vigr gdm-password gdm-session-worker lightdm sddm
    """
)
"""What writes the facilities auth and authpriv beside sshd and sudo: logins and the tools that change accounts."""

PROGRAMS: dict[str, tuple[str, ...]] = {
    "sshd": _names("sshd sshd-session sshd-auth"),
    "sudo": _names("sudo sudoedit"),
    # crontab(1) reports changes of a table under its own name.
    "cron": _names("cron crond anacron crontab fcron fcrontab run-parts"),
    "vsftpd": _names("vsftpd"),
    "clamav": _names(
        "clamd clamav clamav-daemon clamscan clamdscan clamonacc clamav-milter freshclam clamav-freshclam"
    ),
    "guacamole": _names("guacd guacamole guacamole-client"),
    "apache": _names("apache2 httpd apache"),
    "nginx": _names("nginx"),
}
"""Sigma's services whose lines are told apart by their programs alone."""

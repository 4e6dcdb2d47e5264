"""Which service a program's lines belong to."""

from __future__ import annotations

import pytest

from sigma.pyeval.logs.services import linux_logsource, message_fields, service_of
from sigma.pyeval.rules import LogSource


@pytest.mark.parametrize(
    ("program", "service"),
    [
        ("sshd", "sshd"),
        ("sshd-session", "sshd"),
        ("sshd(pam_unix)", "sshd"),
        ("/usr/sbin/sshd", "sshd"),
        ("CRON", "cron"),
        ("crond", "cron"),
        ("crond.service", "cron"),
        ("run-parts(/etc/cron.hourly)", "cron"),
        ("clamav-daemon", "clamav"),
        ("sudo", "sudo"),
        ("su", "auth"),
        ("pkexec", "auth"),
        ("clamd", "clamav"),
        ("guacd", "guacamole"),
        ("vsftpd", "vsftpd"),
        ("named", None),
        ("sshdx", None),
        ("", None),
    ],
)
def test_service_of_a_program(program: str, service: str | None) -> None:
    assert service_of(program) == service


@pytest.mark.parametrize(
    ("programs", "service"),
    [
        (("sshd",), "sshd"),
        (("my-app", "sudo"), "sudo"),
        ((None, None, "cron.service"), "cron"),
        (("named", None), "syslog"),
        (("kernel",), "syslog"),
        ((None,), None),
        ((), None),
    ],
)
def test_log_source_of_a_line(programs: tuple[str | None, ...], service: str | None) -> None:
    assert linux_logsource(*programs) == LogSource(product="linux", service=service)


def test_only_the_own_messages_of_sudo_and_pam_are_taken_apart() -> None:
    text = "ann : USER=root ; COMMAND=/bin/id"
    assert message_fields("sudo", text)["USER"] == "root"
    assert message_fields("my-app", text) == {}
    assert message_fields("sudo", "pam_unix(sudo:session): session closed for user root")["user"] == "root"

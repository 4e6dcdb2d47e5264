"""Which rules an event's log source leaves out."""

from __future__ import annotations

import pytest

from sigma.pyeval.rules import LogSource

LINUX = LogSource(product="linux")
SSHD = LogSource(product="linux", service="sshd")
AUDITD = LogSource(product="linux", service="auditd")


def service(name: str) -> LogSource:
    return LogSource(product="linux", service=name)


@pytest.mark.parametrize(
    ("rule", "event", "conflicts"),
    [
        (LINUX, SSHD, False),
        (SSHD, LINUX, False),  # an unknown part never excludes
        (LogSource(), LogSource("webserver"), False),
        (LogSource("webserver"), LogSource(), False),
        (SSHD, SSHD, False),
        (service("SSHD"), SSHD, False),
        (SSHD, service("sudo"), True),
        (LogSource("webserver"), LogSource("process_creation", "linux"), True),
        (LogSource(product="windows"), LINUX, True),
        (LogSource("process_creation", "linux"), LogSource("file_event", "linux"), True),
    ],
)
def test_only_what_both_sides_know_excludes(rule: LogSource, event: LogSource, conflicts: bool) -> None:
    assert rule.conflicts(event) is conflicts


@pytest.mark.parametrize("log", ["syslog", "messages", "journald", "auth", "authpriv", "secure", "AUTH"])
@pytest.mark.parametrize("program", ["sshd", "sudo", "cron", "auth", "syslog", "vsftpd"])
def test_a_log_of_many_programs_has_the_lines_of_each(log: str, program: str) -> None:
    assert not service(log).conflicts(service(program))


@pytest.mark.parametrize(
    ("rule", "event"),
    [
        (SSHD, service("syslog")),  # the line of another program
        (service("sudo"), service("auth")),
        (service("syslog"), AUDITD),  # a record or an event, not a line
        (service("auth"), service("sysmon")),
        (service("auth"), LogSource(product="windows", service="security")),
    ],
)
def test_a_log_of_many_programs_is_not_everything(rule: LogSource, event: LogSource) -> None:
    assert rule.conflicts(event)

"""Which rules an event's log source leaves out."""

from __future__ import annotations

import pytest

from sigma.pipelines.linux_eval.services import SERVICES
from sigma.pyeval.logs.formats import create_parser
from sigma.pyeval.logs.records import Record
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


PROGRAMS = [
    (name, program)
    for name, known in SERVICES.items()
    for program in (*known.programs, *known.prefixes)
    if program[-1:] != "-"
]
OTHER_NAMES = [
    ("ssh", "sshd"), ("openssh", "sshd"), ("crond", "CRON"), ("kern", "kernel"), ("clamd", "clamd"), ("guacd", "guacd"),
    ("bind", "named"), ("mariadb", "mysqld"), ("postgres", "postgres"), ("apache2", "apache2"), ("httpd", "httpd"),
    ("systemd", "systemd-networkd"), ("postfix", "postfix/smtpd"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "program"), PROGRAMS + OTHER_NAMES)
def test_a_rule_for_a_service_meets_the_lines_of_its_programs(name: str, program: str) -> None:
    """Whatever names the pipeline serves: the log source of a line must not keep its own rules away."""
    (record,) = create_parser("syslog").feed(1, f"Nov 14 22:13:20 srv1 {program}[7]: x".encode())
    assert isinstance(record, Record)
    assert not service(name).conflicts(record.logsource)

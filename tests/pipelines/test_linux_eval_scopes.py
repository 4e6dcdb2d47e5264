"""Which events a log source is for: the scope expressions, run on events."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pipelines.linux_eval import linux_eval_pipeline
from sigma.pipelines.linux_eval.log_sources import log_sources


def scope_of(make_rule, logsource, **options):
    pipeline = linux_eval_pipeline(**options)
    pipeline.apply(make_rule(logsource, ["keyword"]))
    return pipeline.state.get("scope")


def text(event, field):
    return str(event[field]).lower() if field in event else None


# The matchers that scopes call, as plainly as they can be said.
MATCHERS = {
    "exists": lambda event, field: field in event,
    "equals": lambda event, field, value: text(event, field) == value.lower(),
    "equals_any": lambda event, field, values: text(event, field) in [value.lower() for value in values],
    "startswith": lambda event, field, value: (text(event, field) or "").startswith(value.lower()),
}


def in_scope(scope, event):
    return bool(eval(scope, {"__builtins__": {}, **MATCHERS}, {"event": event}))


PROCESS = {"category": "process_creation", "product": "linux"}
PROCESS_EVENT = {"_EXE": "/usr/bin/id", "_CMDLINE": "id -u", "_PID": "7"}
FILE_EVENT = {"_EXE": "/usr/bin/touch", "_TARGET_FILE": "/etc/cron.d/x"}
NETWORK_EVENT = {"_EXE": "/usr/bin/nc", "_DESTINATION_IP": "192.0.2.1", "_DESTINATION_PORT": 443}
AUDIT_RECORD = {"type": "EXECVE", "a0": "id"}
JOURNAL_LINE = {
    "MESSAGE": "session opened",
    "_EXE": "/usr/sbin/sshd",
    "_CMDLINE": "sshd: root",
    "_COMM": "sshd",
}
ACCESS_LINE = {"cs-method": "GET", "cs-uri-stem": "/", "sc-status": 200}
PLAIN_LINE = {"MESSAGE": "a line of which nobody knows who wrote it"}


def line(identifier, **more):
    return {"MESSAGE": "text", "SYSLOG_IDENTIFIER": identifier, **more}


def service(name):
    return {"product": "linux", "service": name}


# log source, events in its scope, events outside
SCOPES = [
    (
        PROCESS,
        [PROCESS_EVENT, {"_EXE": "/bin/true"}, {"_CMDLINE": "true"}],
        [
            JOURNAL_LINE,
            FILE_EVENT,
            NETWORK_EVENT,
            AUDIT_RECORD,
            {**PROCESS_EVENT, "type": "SYSCALL"},
            ACCESS_LINE,
            {},
        ],
    ),
    (
        {"category": "file_event", "product": "linux"},
        [FILE_EVENT, {"_TARGET_FILE": "/tmp/x"}],
        [PROCESS_EVENT, NETWORK_EVENT, AUDIT_RECORD, JOURNAL_LINE],
    ),
    (
        {"category": "network_connection", "product": "linux"},
        [NETWORK_EVENT, {"_DESTINATION_HOSTNAME": "host.example"}],
        [PROCESS_EVENT, FILE_EVENT, AUDIT_RECORD, JOURNAL_LINE],
    ),
    (service("auditd"), [AUDIT_RECORD, {"type": ""}], [PROCESS_EVENT, FILE_EVENT, JOURNAL_LINE, ACCESS_LINE]),
    (
        {"category": "webserver"},
        [ACCESS_LINE, {"cs-uri-query": "x"}, {"c-uri": "/"}, {"sc-status": 408}],
        [PROCESS_EVENT, JOURNAL_LINE, AUDIT_RECORD, {}],
    ),
    (
        service("syslog"),
        [JOURNAL_LINE, PLAIN_LINE, line("kernel")],
        [PROCESS_EVENT, AUDIT_RECORD, ACCESS_LINE],
    ),
    (
        service("sshd"),
        [
            line("sshd"),
            line("SSHD"),
            line("sshd-session"),
            line("sshd-auth"),
            line("sshd(pam_unix)"),
            JOURNAL_LINE,
        ],
        [
            line("ssh"),
            line("sshd2"),
            line("cron", SYSLOG_FACILITY=4),
            PLAIN_LINE,
            PROCESS_EVENT,
            {"_COMM": "ssh"},
        ],
    ),
    (
        service("sudo"),
        [line("sudo"), {"MESSAGE": "x", "_COMM": "sudo"}, {"SYSLOG_IDENTIFIER": "sudo", "USER": "root"}],
        [line("sshd"), line("sudoers"), PLAIN_LINE],
    ),
    (service("su"), [line("su"), line("su(pam_unix)")], [line("sudo"), line("sum"), PLAIN_LINE]),
    (
        service("cron"),
        [
            line("CRON"),
            line("cron"),
            line("crond"),
            line("anacron"),
            line("crontab"),
            line("x", SYSLOG_FACILITY="9"),
        ],
        [
            line("chronyd"),
            line("x", SYSLOG_FACILITY="90"),
            PLAIN_LINE,
            {"_EXE": "/usr/bin/crontab", "_CMDLINE": "crontab -r", "_COMM": "crontab"},
        ],
    ),
    (
        service("auth"),
        [
            *(line(name) for name in ("sshd", "sudo", "su", "pkexec", "useradd", "systemd-logind", "passwd")),
            *(line("other", SYSLOG_FACILITY=facility) for facility in (4, "4", "10", "authpriv")),
            {"MESSAGE": "x", "_COMM": "polkit-agent-he"},
            {"SYSLOG_IDENTIFIER": "vsftpd", "MESSAGE": "pam_unix(vsftpd:auth): authentication failure"},
        ],
        [line("kernel"), line("named", SYSLOG_FACILITY="3"), PLAIN_LINE, PROCESS_EVENT, AUDIT_RECORD],
    ),
    (service("vsftpd"), [line("vsftpd"), PLAIN_LINE], [line("proftpd"), PROCESS_EVENT]),
    (service("clamav"), [line("clamd"), line("freshclam"), line("clamscan"), PLAIN_LINE], [line("sshd")]),
    (service("guacamole"), [line("guacd"), PLAIN_LINE], [line("sshd"), JOURNAL_LINE]),
    (
        service("kernel"),
        [line("kernel"), {"MESSAGE": "x", "SYSLOG_FACILITY": "0"}],
        [line("sshd"), PLAIN_LINE],
    ),
    (service("systemd"), [line("systemd"), line("systemd-logind")], [line("sshd"), line("systemctl")]),
    (service("postfix"), [line("postfix/smtpd"), line("postfix")], [line("smtpd"), line("dovecot")]),
    (
        {"service": "apache"},
        [line("apache2"), line("httpd"), ACCESS_LINE, PLAIN_LINE],
        [line("nginx"), JOURNAL_LINE, PROCESS_EVENT],
    ),
    ({"service": "nginx"}, [line("nginx"), ACCESS_LINE, PLAIN_LINE], [line("apache2"), PROCESS_EVENT]),
]


@pytest.mark.parametrize(("logsource", "inside", "outside"), SCOPES)
def test_a_scope_tells_its_events_from_others(make_rule, logsource, inside, outside):
    scope = scope_of(make_rule, logsource)
    assert [event for event in inside if not in_scope(scope, event)] == []
    assert [event for event in outside if in_scope(scope, event)] == []


def test_a_rule_for_linux_as_such_has_no_scope(make_rule):
    assert scope_of(make_rule, {"product": "linux"}) is None


def test_the_scope_of_one_rule_does_not_stay_for_the_next(make_rule):
    pipeline = linux_eval_pipeline()
    pipeline.apply(make_rule(service("sshd"), ["x"]))
    pipeline.apply(make_rule({"product": "linux"}, ["x"]))
    assert "scope" not in pipeline.state


def test_the_text_of_a_scope(make_rule):
    assert scope_of(make_rule, PROCESS) == (
        "(exists(event, '_EXE') or exists(event, '_CMDLINE')) and not (exists(event, 'MESSAGE') or "
        "exists(event, 'type') or exists(event, '_TARGET_FILE') or exists(event, '_DESTINATION_IP') or "
        "exists(event, '_DESTINATION_HOSTNAME'))"
    )
    assert scope_of(make_rule, service("named")) == (
        "(equals(event, 'SYSLOG_IDENTIFIER', 'named') or exists(event, 'MESSAGE') and equals(event, '_COMM', 'named'))"
    )


def test_journald_lines_are_processes_on_request(make_rule):
    without, with_lines = scope_of(make_rule, PROCESS), scope_of(make_rule, PROCESS, journald_processes=True)
    assert (in_scope(without, JOURNAL_LINE), in_scope(with_lines, JOURNAL_LINE)) == (False, True)
    assert in_scope(with_lines, PROCESS_EVENT)
    assert not in_scope(with_lines, FILE_EVENT)
    assert not in_scope(with_lines, PLAIN_LINE)


@pytest.mark.parametrize(
    ("mappings", "logsource", "inside", "outside"),
    [
        ({"Image": "process.executable"}, PROCESS, {"process.executable": "x"}, {"_EXE": "x"}),
        (
            {"Image": "process.executable"},
            PROCESS,
            {"_CMDLINE": "x"},
            {"process.executable": "x", "MESSAGE": "y"},
        ),
        ({"Image": ["exe", "_EXE"]}, PROCESS, {"exe": "x"}, {"_COMM": "x"}),
        (
            {"TargetFilename": "file.path"},
            {"category": "file_event"},
            {"file.path": "x"},
            {"_TARGET_FILE": "x"},
        ),
        ({"TargetFilename": "file.path"}, PROCESS, {"_EXE": "x"}, {"_EXE": "x", "file.path": "y"}),
        ({"type": "record"}, service("auditd"), {"record": "x"}, {"type": "x"}),
        ({"SYSLOG_IDENTIFIER": "it's"}, service("sshd"), {"it's": "sshd"}, {"SYSLOG_IDENTIFIER": "sshd"}),
    ],
)
def test_scopes_follow_the_mappings_of_the_caller(make_rule, mappings, logsource, inside, outside):
    scope = scope_of(make_rule, logsource, field_mappings=mappings)
    assert in_scope(scope, inside)
    assert not in_scope(scope, outside)


ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Constant,
)


def every_scope(**options):
    items = linux_eval_pipeline(**options).items
    return [item.transformation.val for item in items if item.identifier.startswith("linux_eval_scope_")]


@pytest.mark.parametrize("options", [{}, {"journald_processes": True}, {"field_mappings": {"Image": "a') or evil('"}}])
def test_scopes_are_calls_of_matchers_with_literals(options):
    scopes = every_scope(**options)
    assert len(scopes) == len(log_sources()) - 1
    for scope in scopes:
        assert scope.isascii()
        tree = ast.parse(scope, mode="eval")
        assert {type(node) for node in ast.walk(tree)} - {*ALLOWED, ast.Tuple} == set()
        assert not isinstance(tree.body, ast.BoolOp) or isinstance(tree.body.op, ast.And) or scope.startswith("(")
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            assert call.func.id in MATCHERS
            assert call.args[0].id == "event"
            assert [ast.literal_eval(argument) for argument in call.args[1:]]


def test_a_scope_joins_by_and_without_changing_its_meaning():
    for scope in every_scope():
        joined = ast.parse(f"{scope} and (False)", mode="eval").body
        assert isinstance(joined, ast.BoolOp)
        assert isinstance(joined.op, ast.And)


@given(name=st.text(st.characters(), min_size=1).filter(str.strip))
def test_any_name_of_the_caller_stays_a_literal(name):
    """Lone surrogates, quotes, newlines and invisible characters come back as they were."""
    for scope in every_scope(field_mappings={"Image": name, "MESSAGE": [name, "MESSAGE"]}):
        assert scope.isascii()
        assert len(scope.splitlines()) == 1
        ast.parse(scope, mode="eval")
    process = ast.parse(every_scope(field_mappings={"Image": name})[0], mode="eval")
    first = next(node for node in ast.walk(process) if isinstance(node, ast.Call))
    assert ast.literal_eval(first.args[1]) == name

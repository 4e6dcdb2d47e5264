"""linux_eval_ecs: the names of the Elastic Common Schema, and which ECS events a rule is for."""

import json

import pytest
from sigma.exceptions import SigmaConfigurationError, SigmaTransformationError

from sigma.pipelines.linux_eval import linux_eval_ecs_pipeline
from sigma.pyeval import parse_rules

PROCESS = {"category": "process_creation", "product": "linux"}
FILE = {"category": "file_event", "product": "linux"}
NETWORK = {"category": "network_connection", "product": "linux"}
AUDITD = {"product": "linux", "service": "auditd"}
SSHD = {"product": "linux", "service": "sshd"}
SUDO = {"product": "linux", "service": "sudo"}
LINUX = {"product": "linux"}
WEB = {"category": "webserver"}

MAPPED = [
    (PROCESS, "Image", "process.executable"),
    (PROCESS, "CommandLine", "process.command_line process.title"),
    (PROCESS, "ParentImage", "process.parent.executable"),
    (PROCESS, "ParentCommandLine", "process.parent.command_line"),
    (PROCESS, "CurrentDirectory", "process.working_directory"),
    (PROCESS, "ProcessId", "process.pid"),
    (PROCESS, "ParentProcessId", "process.parent.pid"),
    (PROCESS, "User", "user.name"),
    (PROCESS, "LogonId", "user.id"),
    (PROCESS, "sha256", "process.hash.sha256"),
    (PROCESS, "process.executable", "process.executable"),
    (FILE, "TargetFilename", "file.path"),
    (FILE, "Image", "process.executable"),
    (NETWORK, "DestinationIp", "destination.ip"),
    (NETWORK, "DestinationPort", "destination.port"),
    (NETWORK, "DestinationHostname", "destination.domain"),
    (NETWORK, "SourceIp", "source.ip"),
    (NETWORK, "Protocol", "network.transport"),
    (AUDITD, "type", "auditd.message_type event.action auditd.log.record_type"),
    (AUDITD, "a1", "auditd.data.a1 auditd.log.a1 process.args.1"),
    (AUDITD, "name", "auditd.paths.name auditd.log.name"),
    (AUDITD, "exe", "process.executable"),
    (AUDITD, "key", "tags auditd.log.key"),
    (AUDITD, "euid", "user.effective.id"),
    (AUDITD, "unit", "auditd.data.unit auditd.log.unit"),
    (SSHD, "MESSAGE", "message"),
    (SUDO, "USER", "system.auth.sudo.user"),
    (SUDO, "COMMAND", "system.auth.sudo.command"),
    (WEB, "cs-method", "http.request.method"),
    (WEB, "cs-uri-stem", "url.path"),
    (WEB, "cs-uri-query", "url.query url.original"),
    (WEB, "c-uri", "url.original"),
    (WEB, "sc-status", "http.response.status_code"),
    (WEB, "cs-user-agent", "user_agent.original"),
    (WEB, "cs-referer", "http.request.referrer"),
    (WEB, "c-ip", "source.ip"),
    (LINUX, "CommandLine", "process.command_line process.title"),
    (LINUX, "a2", "auditd.data.a2 auditd.log.a2 process.args.2"),
]


def fields_of(detection):
    for item in detection.detection_items:
        yield from [item.field] if hasattr(item, "field") else fields_of(item)


@pytest.mark.parametrize(("logsource", "field", "targets"), MAPPED)
def test_a_field_is_mapped_and_a_second_time_unchanged(make_rule, logsource, field, targets):
    rule, pipeline = make_rule(logsource, {field: "x"}), linux_eval_ecs_pipeline()
    for _ in range(2):
        pipeline.apply(rule)
        assert list(fields_of(rule.detection.detections["sel"])) == targets.split()


REFUSED = [
    (PROCESS, "Hashes"),
    (PROCESS, "IntegrityLevel"),
    (PROCESS, "_EXE"),
    (FILE, "ParentImage"),
    (AUDITD, "CommandLine"),
    (SSHD, "Image"),
    (WEB, "cs-cookie"),
    (WEB, "time-taken"),
    (LINUX, "EventID"),
]


@pytest.mark.parametrize(("logsource", "field"), REFUSED)
def test_a_field_that_ecs_lacks_is_refused_by_name(make_rule, logsource, field):
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_ecs_pipeline().apply(make_rule(logsource, {field: "x"}))
    message = str(error.value)
    assert message.startswith(f"rule 'Test rule' uses field {field!r}, which ")
    assert "supported fields: " in message
    assert message.endswith("linux_eval_ecs_pipeline(field_mappings={name: event's name}) adds one")
    assert "\n" not in message


@pytest.mark.parametrize("logsource", [{"category": "process_creation", "product": "windows"}, {"category": "dns"}])
def test_another_log_source_is_refused(make_rule, logsource):
    with pytest.raises(SigmaTransformationError, match="is not supported; supported: product linux with category"):
        linux_eval_ecs_pipeline().apply(make_rule(logsource, ["x"]))


EXEC = {
    "event": {"category": ["process"], "type": ["start"], "action": "exec"},
    "message": "Endpoint process event",
    "process": {
        "executable": "/usr/bin/curl",
        "command_line": "curl -o /tmp/x http://192.0.2.1/x",
        "name": "curl",
        "parent": {"executable": "/usr/bin/bash", "command_line": "bash -i"},
    },
    "user": {"name": "www-data", "id": "33"},
}
AUDITBEAT_EXEC = {
    "event": {"category": ["process"], "type": ["start"], "action": "executed", "module": "auditd"},
    "auditd": {
        "sequence": 7,
        "message_type": "syscall",
        "data": {"a0": "10812c8", "syscall": "execve", "argc": "2"},
        "paths": [{"name": "/sbin/insmod", "nametype": "NORMAL"}],
    },
    "process": {"executable": "/sbin/insmod", "title": "insmod /tmp/rk.ko", "args": ["/sbin/insmod", "/tmp/rk.ko"]},
    "file": {"path": "/sbin/insmod"},
}
FLAT_EXEC = {"process.executable": "/usr/bin/curl", "process.command_line": "curl http://192.0.2.1/x"}
END = {**EXEC, "event": {"category": ["process"], "type": ["end"]}}
FORK_TO_END = {**EXEC, "event": {"category": ["process"], "type": ["start", "end"]}}
CREATED = {"event": {"category": ["file"], "type": ["creation"]}, "file": {"path": "/etc/cron.d/x"}, "process": {"executable": "/usr/bin/tee"}}  # fmt: skip
DELETED = {**CREATED, "event": {"category": "file", "type": "deletion"}}
CONNECTED = {
    "event": {"category": ["network"], "type": ["start"], "action": "connection_attempted"},
    "destination": {"ip": "192.0.2.1", "port": 4444},
    "process": {"executable": "/usr/bin/nc"},
}
SUDO_LINE = {
    "event": {"category": ["session"]},
    "message": "deploy : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
    "process": {"name": "sudo", "pid": 7},
    "system": {"auth": {"sudo": {"user": "root", "command": "/bin/sh"}}},
}
SSHD_LINE = {"message": "Accepted password for root", "log": {"syslog": {"appname": "sshd"}}}
JOURNALD_LINE = {"message": "Accepted password for root", "syslog": {"identifier": "sshd"}, "journald": {"process": {"executable": "/usr/sbin/sshd"}}}  # fmt: skip
NAMELESS = {"message": "a line of which nobody knows who wrote it"}
FILEBEAT_RECORD = {
    "event": {"module": "auditd", "action": "execve", "kind": "event"},
    "auditd": {"log": {"sequence": 8, "a0": "insmod", "a1": "/tmp/rk.ko"}},
}
FILEBEAT_SYSCALL = {
    "event": {"module": "auditd", "action": "syscall"},
    "auditd": {"log": {"sequence": 8, "syscall": "open"}},
    "process": {"executable": "/usr/bin/cat"},
}
ACCESS = {
    "event": {"category": ["web"], "type": ["access"]},
    "http": {"request": {"method": "GET"}, "response": {"status_code": 200}},
    "url": {"original": "/a?f=../../etc/passwd", "path": "/a", "query": "f=../../etc/passwd"},
    "source": {"ip": "192.0.2.9"},
    "destination": {"ip": "192.0.2.1"},
}
EVENTS = [EXEC, AUDITBEAT_EXEC, FLAT_EXEC, END, FORK_TO_END, CREATED, DELETED, CONNECTED, SUDO_LINE, SSHD_LINE]
EVENTS += [JOURNALD_LINE, NAMELESS, FILEBEAT_RECORD, FILEBEAT_SYSCALL, ACCESS]


def ruleset(logsource, detection):
    rule = {
        "title": "Test",
        "logsource": logsource,
        "detection": {"sel": detection, "condition": "not sel" if detection == ["never"] else "sel"},
    }
    return parse_rules(json.dumps(rule), pipeline="linux_eval_ecs")


def service(name):
    return {"product": "linux", "service": name}


@pytest.mark.parametrize(
    ("logsource", "inside"),
    [
        (PROCESS, [EXEC, AUDITBEAT_EXEC, FLAT_EXEC, FORK_TO_END]),
        (FILE, [CREATED]),
        (NETWORK, [CONNECTED]),
        (AUDITD, [AUDITBEAT_EXEC, FILEBEAT_RECORD, FILEBEAT_SYSCALL]),
        (SUDO, [SUDO_LINE]),
        (SSHD, [SSHD_LINE, JOURNALD_LINE]),
        (service("syslog"), [SUDO_LINE, SSHD_LINE, JOURNALD_LINE, NAMELESS]),
        (service("vsftpd"), [NAMELESS]),
        (WEB, [ACCESS]),
        ({"service": "nginx"}, [NAMELESS, ACCESS]),
        (LINUX, EVENTS),
    ],
)
def test_a_scope_tells_its_events_from_others(logsource, inside):
    rules = ruleset(logsource, ["never"])  # matches whatever is in the scope
    assert [event for event in EVENTS if rules.match(event)] == inside


FIRES = [
    (PROCESS, {"Image|endswith": "/curl", "CommandLine|contains": "/tmp/"}, EXEC, FLAT_EXEC),
    (PROCESS, {"ParentImage|endswith": "/bash", "User": "www-data", "LogonId": 33}, EXEC, AUDITBEAT_EXEC),
    (PROCESS, {"CommandLine|startswith": "insmod /tmp/"}, AUDITBEAT_EXEC, EXEC),
    (PROCESS, {"CommandLine|exists": False}, {"process": {"executable": "/bin/id"}}, AUDITBEAT_EXEC),
    (FILE, {"TargetFilename|startswith": "/etc/cron.d/"}, CREATED, DELETED),
    (NETWORK, {"Initiated": "true", "DestinationPort": 4444}, CONNECTED, ACCESS),
    (NETWORK, {"Initiated": True}, {"destination.ip": "192.0.2.1", "network.direction": "egress"}, EXEC),
    (NETWORK, {"Initiated": "false"}, {"destination.ip": "192.0.2.1", "network.direction": "ingress"}, CONNECTED),
    (AUDITD, {"type": "EXECVE", "a0|endswith": "insmod", "a1|startswith": "/tmp/"}, AUDITBEAT_EXEC, FILEBEAT_SYSCALL),
    (AUDITD, {"type": "EXECVE", "a0|endswith": "insmod", "a1|startswith": "/tmp/"}, FILEBEAT_RECORD, FILEBEAT_SYSCALL),
    (AUDITD, {"type": "PATH", "name": "/sbin/insmod"}, AUDITBEAT_EXEC, FILEBEAT_RECORD),
    (AUDITD, {"type": "SYSCALL", "SYSCALL": "open"}, FILEBEAT_SYSCALL, AUDITBEAT_EXEC),
    (SUDO, {"USER": "root"}, SUDO_LINE, SSHD_LINE),
    (SSHD, ["Accepted password"], SSHD_LINE, SUDO_LINE),
    (WEB, {"cs-method": "GET", "cs-uri-query|contains": "../..", "sc-status": 200}, ACCESS, EXEC),
    (WEB, {"cs-uri-query|startswith": "/a?"}, ACCESS, CONNECTED),
]


@pytest.mark.parametrize(("logsource", "detection", "event", "other"), FIRES)
def test_a_rule_fires_on_its_event_and_not_on_another(logsource, detection, event, other):
    rules = ruleset(logsource, detection)
    assert [len(rules.match(event)), len(rules.match(other))] == [1, 0]


@pytest.mark.parametrize("detection", [{"Initiated|contains": "tr"}, {"Initiated|re": "^t"}, {"Initiated": 1}])
def test_a_pattern_for_values_that_are_written_otherwise_is_refused(make_rule, detection):
    with pytest.raises(
        SigmaTransformationError, match="asks field 'Initiated' for more than plain values, of which true"
    ):
        linux_eval_ecs_pipeline().apply(make_rule(NETWORK, detection))


def test_the_caller_maps_fields_scopes_and_values():
    mappings = {"Initiated": "opened", "event.category": "kind", "DestinationIp": "peer"}
    rule = {"title": "t", "logsource": NETWORK, "detection": {"sel": {"Initiated": "true"}, "condition": "sel"}}
    rules = parse_rules(json.dumps(rule), pipeline=linux_eval_ecs_pipeline(mappings))
    assert rules.match({"kind": "network", "peer": "192.0.2.1", "opened": True})
    assert not rules.match({"kind": "web", "peer": "192.0.2.1", "opened": True})
    with pytest.raises(SigmaConfigurationError, match="linux_eval_ecs field_mappings: '' is no field name"):
        linux_eval_ecs_pipeline({"": "x"})

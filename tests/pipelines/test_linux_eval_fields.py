"""Which fields the log sources have, what they are mapped to, and how a missing one is refused."""

import pytest
from sigma.backends.test import TextQueryTestBackend
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaConfigurationError, SigmaTransformationError

from sigma.pipelines.linux_eval import linux_eval_pipeline

PROCESS = {"category": "process_creation", "product": "linux"}
FILE = {"category": "file_event", "product": "linux"}
NETWORK = {"category": "network_connection", "product": "linux"}
AUDITD = {"product": "linux", "service": "auditd"}
SSHD = {"product": "linux", "service": "sshd"}
SUDO = {"product": "linux", "service": "sudo"}
LINUX = {"product": "linux"}
WEB = {"category": "webserver"}


def mapped_fields(pipeline, rule):
    pipeline.apply(rule)
    return [item.field for item in rule.detection.detections["sel"].detection_items]


MAPPED = [
    (PROCESS, "Image", "_EXE"),
    (PROCESS, "CommandLine", "_CMDLINE"),
    (PROCESS, "ProcessId", "_PID"),
    (PROCESS, "ParentProcessId", "_PPID"),
    (PROCESS, "ParentImage", "_PARENT_EXE"),
    (PROCESS, "ParentCommandLine", "_PARENT_CMDLINE"),
    (PROCESS, "User", "_USER"),
    (PROCESS, "UserId", "_UID"),
    (PROCESS, "LogonId", "_UID"),
    (PROCESS, "TerminalSessionId", "_AUDIT_SESSION"),
    (PROCESS, "CurrentDirectory", "_CWD"),
    (PROCESS, "_COMM", "_COMM"),
    (PROCESS, "_EXE", "_EXE"),
    (FILE, "TargetFilename", "_TARGET_FILE"),
    (FILE, "Image", "_EXE"),
    (FILE, "User", "_USER"),
    (NETWORK, "Image", "_EXE"),
    (NETWORK, "DestinationIp", "_DESTINATION_IP"),
    (NETWORK, "DestinationPort", "_DESTINATION_PORT"),
    (NETWORK, "DestinationHostname", "_DESTINATION_HOSTNAME"),
    (NETWORK, "SourceIp", "_SOURCE_IP"),
    (NETWORK, "SourcePort", "_SOURCE_PORT"),
    (NETWORK, "Protocol", "_PROTOCOL"),
    (NETWORK, "Initiated", "_INITIATED"),
    *((AUDITD, name, name) for name in ("type", "a0", "a17", "a1[0]", "exe", "SYSCALL", "key", "old-auid", "AUID")),
    *((SSHD, name, name) for name in ("MESSAGE", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_HOSTNAME")),
    *((SUDO, name, name) for name in ("USER", "TTY", "PWD", "COMMAND", "MESSAGE")),
    *((WEB, name, name) for name in ("cs-method", "cs-uri-query", "c-uri", "sc-status", "cs-user-agent", "c-ip")),
    (LINUX, "CommandLine", "_CMDLINE"),
    (LINUX, "TargetFilename", "_TARGET_FILE"),
    (LINUX, "MESSAGE", "MESSAGE"),
    (LINUX, "a3", "a3"),
    ({"category": "process_creation"}, "Image", "_EXE"),
    ({"category": "process_creation", "product": "Linux"}, "Image", "_EXE"),
    ({"category": "process_creation", "product": "linux", "service": "auditd"}, "Image", "_EXE"),
    ({"category": "webserver", "product": "apache"}, "cs-method", "cs-method"),
    ({"product": "apache", "service": "access"}, "sc-status", "sc-status"),
    ({"service": "nginx"}, "MESSAGE", "MESSAGE"),
]


@pytest.mark.parametrize(("logsource", "field", "target"), MAPPED)
def test_a_field_is_mapped(make_rule, logsource, field, target):
    rule = make_rule(logsource, {f"{field}|contains": "x"})
    assert mapped_fields(linux_eval_pipeline(), rule) == [target]


REFUSED = [
    (PROCESS, "IntegrityLevel"),
    (PROCESS, "Hashes"),
    (PROCESS, "OriginalFileName"),
    (PROCESS, "image"),
    (PROCESS, "TargetFilename"),
    (PROCESS, "MESSAGE"),
    (FILE, "ParentImage"),
    (FILE, "CreationUtcTime"),
    (NETWORK, "TargetFilename"),
    (NETWORK, "SourceHostname"),
    (AUDITD, "CommandLine"),
    (AUDITD, "Type"),
    (AUDITD, "ab"),
    (SSHD, "Image"),
    (SSHD, "USER"),
    (SUDO, "User"),
    (WEB, "CommandLine"),
    (WEB, "c-win32-status"),
    (LINUX, "EventID"),
]


@pytest.mark.parametrize(("logsource", "field"), REFUSED)
def test_a_field_that_the_log_source_lacks_is_refused_by_name(make_rule, logsource, field):
    rule = make_rule(logsource, {field: "x"}, id="8f0c2f5e-0b8f-4b43-9d0e-3f1f6d8a7c11")
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_pipeline().apply(rule)
    message = str(error.value)
    assert "'Test rule' (8f0c2f5e-0b8f-4b43-9d0e-3f1f6d8a7c11)" in message
    assert f"field {field!r}" in message
    assert all(repr(part) in message for part in logsource.values())
    assert "supported fields: " in message
    assert "\n" not in message


def test_the_message_lists_what_the_log_source_supports(make_rule):
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_pipeline().apply(make_rule(FILE, {"Nope": "x"}))
    supported = str(error.value).split("supported fields: ")[1].split(";")[0].split(", ")
    assert {"TargetFilename", "_TARGET_FILE", "Image", "_EXE"} <= set(supported)
    assert "ParentImage" not in supported
    assert len(supported) == len(set(supported))


def test_every_unknown_field_is_named_also_in_nested_detections(make_rule):
    rule = make_rule(PROCESS, [{"Nope": 1, "Image": "x"}, {"AlsoNot|contains|all": ["a", "b"]}])
    with pytest.raises(SigmaTransformationError, match=r"fields 'Nope', 'AlsoNot'"):
        linux_eval_pipeline().apply(rule)


def test_a_title_cannot_break_the_message_into_lines(make_rule):
    rule = make_rule(PROCESS, {"Nope": "x"}, title="one\ntwo\u2028three")
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_pipeline().apply(rule)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("logsource", [PROCESS, FILE, NETWORK, AUDITD, SSHD, LINUX, WEB, {"service": "apache"}])
def test_keywords_have_no_field_and_stay_as_they_are(make_rule, logsource):
    rule = make_rule(logsource, ["curl", "wget *"])
    assert mapped_fields(linux_eval_pipeline(), rule) == [None]
    assert [str(value) for value in rule.detection.detections["sel"].detection_items[0].value] == [
        "curl",
        "wget *",
    ]


def test_field_references_are_mapped(make_rule):
    rule = make_rule(PROCESS, {"CommandLine|fieldref|contains": "ParentImage"})
    linux_eval_pipeline().apply(rule)
    [item] = rule.detection.detections["sel"].detection_items
    assert (item.field, item.value[0].field, item.value[0].starts_with) == ("_CMDLINE", "_PARENT_EXE", True)


def test_field_references_are_checked(make_rule):
    with pytest.raises(SigmaTransformationError, match="field 'OriginalFileName'"):
        linux_eval_pipeline().apply(make_rule(PROCESS, {"Image|fieldref": "OriginalFileName"}))


def test_the_list_of_fields_to_show_is_mapped_and_not_checked(make_rule):
    rule = make_rule(PROCESS, {"Image": "x"}, fields=["CommandLine", "Hashes"])
    linux_eval_pipeline().apply(rule)
    assert rule.fields == ["_CMDLINE", "Hashes"]


def test_applying_it_twice_changes_nothing_more(make_rule):
    pipeline = linux_eval_pipeline({"Hashes": "sha"})
    rule = make_rule(PROCESS, {"Image": "x", "Hashes": "y"})
    assert mapped_fields(pipeline, rule) == ["_EXE", "sha"]
    assert mapped_fields(pipeline, rule) == ["_EXE", "sha"]


def test_a_filter_that_two_rules_share_is_mapped_and_checked(make_rule):
    """pySigma 1.5 gives both rules the same detection, which is thus mapped already for the second one."""
    sigma_filter = {
        "title": "Without root",
        "logsource": PROCESS,
        "filter": {"rules": "any", "root": {"User": "root"}, "condition": "not root"},
    }
    rules = [make_rule(PROCESS, {"Image": "x"}, name=name).to_dict() for name in ("one", "two")]
    collection = SigmaCollection.from_dicts([*rules, sigma_filter])
    queries = TextQueryTestBackend(linux_eval_pipeline()).convert(collection)
    assert queries == ['_EXE="x" and not _USER="root"'] * 2


# Mappings of the caller ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mappings", "logsource", "field", "target"),
    [
        ({"Image": "process.executable"}, PROCESS, "Image", "process.executable"),
        ({"Image": "process.executable"}, FILE, "Image", "process.executable"),
        ({"Image": "process.executable"}, PROCESS, "CommandLine", "_CMDLINE"),
        ({"Hashes": "file.hash"}, PROCESS, "Hashes", "file.hash"),
        ({"Hashes": "file.hash"}, PROCESS, "file.hash", "file.hash"),
        ({"process.name": "_COMM"}, SSHD, "process.name", "_COMM"),
        ({"exe": "audit.exe"}, AUDITD, "exe", "audit.exe"),
        ({"a0": "argv"}, AUDITD, "a0", "argv"),
        ({"cs-method": ["http.method"]}, WEB, "cs-method", "http.method"),
        ({"with 'quotes'": "in 'it'"}, LINUX, "with 'quotes'", "in 'it'"),
    ],
)
def test_callers_add_and_replace_mappings(make_rule, mappings, logsource, field, target):
    assert mapped_fields(linux_eval_pipeline(field_mappings=mappings), make_rule(logsource, {field: "x"})) == [target]


TWO_NAMES = {"Image": ["exe", "path"]}
SEVERAL_NAMES = [
    ({"Image": "x"}, 'exe="x" or path="x"'),
    ({"Image": "x", "User": "y"}, '(exe="x" or path="x") and _USER="y"'),
    (
        {"Image|contains|all": ["x", "y"]},
        'exe contains-all ("*x*", "*y*") or path contains-all ("*x*", "*y*")',
    ),
    ({"Image|neq": "x"}, 'not exe="x" and not path="x"'),
    ({"Image": None}, "exe is null and path is null"),
    ({"Image|neq": None}, "not exe is null or not path is null"),
    ({"Image|exists": True}, "exists(exe) or exists(path)"),
    ({"Image|exists": False}, "notexists(exe) and notexists(path)"),
    ({"Image|fieldref": "CommandLine"}, "exe=fieldref(_CMDLINE) or path=fieldref(_CMDLINE)"),
    ({"CommandLine|fieldref": "Image"}, "_CMDLINE=fieldref(exe) or _CMDLINE=fieldref(path)"),
    (
        {"CommandLine|fieldref|neq": "Image"},
        "not (_CMDLINE=fieldref(exe) or _CMDLINE=fieldref(path))",
    ),
]


@pytest.mark.parametrize(("detection", "query"), SEVERAL_NAMES)
def test_a_field_with_several_names_is_absent_only_under_all_of_them(make_rule, detection, query):
    """pySigma alone links the names by OR, also where the rule asks for absence."""
    backend = TextQueryTestBackend(linux_eval_pipeline(TWO_NAMES))
    assert backend.convert(SigmaCollection([make_rule(PROCESS, detection)])) == [query]


def test_null_beside_other_values_of_a_field_with_several_names_is_refused(make_rule):
    rule = make_rule(PROCESS, {"Image": [None, "x"]})
    with pytest.raises(SigmaTransformationError, match=r"'Test rule' asks field 'Image', mapped to exe, path"):
        linux_eval_pipeline(TWO_NAMES).apply(rule)
    linux_eval_pipeline().apply(make_rule(PROCESS, {"Image": [None, "x"]}))


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        ({"": "x"}, "'' is no field name"),
        ({" ": "x"}, "' ' is no field name"),
        ({None: "x"}, "None is no field name"),
        ({3: "x"}, "3 is no field name"),
        ({"Image": ""}, "'Image' is mapped to '', which is no field name"),
        ({"Image": None}, "'Image' is mapped to None"),
        ({"Image": 7}, "'Image' is mapped to 7"),
        ({"Image": []}, "'Image' is mapped to no name at all"),
        ({"Image": ["a", ""]}, "'Image' is mapped to ''"),
        ({"Image": {"a": "b"}}, "'Image' is mapped to {'a': 'b'}"),
        ({"": "x", "Image": 7}, "'' is no field name; 'Image' is mapped to 7"),
        ("Image", "expected a mapping of names to names, got 'Image'"),
        ([("Image", "x")], "expected a mapping of names to names"),
    ],
)
def test_mappings_that_are_none_are_a_configuration_error(mappings, message):
    with pytest.raises(SigmaConfigurationError) as error:
        linux_eval_pipeline(field_mappings=mappings)
    assert message in str(error.value)

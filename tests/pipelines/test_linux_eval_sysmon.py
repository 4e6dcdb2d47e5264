"""linux_eval_sysmon: Sysmon for Linux under its own names, told by EventID; linux_eval sees its parser's events too."""

import json
import os
from pathlib import Path

import pytest
from sigma.exceptions import SigmaTransformationError

from sigma.pipelines.linux_eval import linux_eval_sysmon_pipeline
from sigma.pyeval import parse_rules
from sigma.pyeval.logs.json_lines import JsonLinesParser
from sigma.pyeval.logs.sysmon_linux import SysmonXmlParser

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[2] / ".." / "shared"))


def category(name):
    return {"category": name, "product": "linux"}


MAPPED = [
    ("process_creation", "Image CommandLine ParentImage ParentCommandLine User LogonId CurrentDirectory ParentUser"),
    ("network_connection", "Image DestinationIp DestinationPort DestinationHostname Initiated SourceIp Protocol"),
    ("file_event", "TargetFilename Image User EventID RuleName"),
    ("file_delete", "TargetFilename Image"),
    ("process_termination", "Image"),
    ("process_access", "SourceImage TargetImage GrantedAccess"),
    ("raw_access_thread", "Image Device"),
]


@pytest.mark.parametrize(("name", "fields"), MAPPED)
def test_fields_keep_their_names(make_rule, name, fields):
    rule = make_rule(category(name), dict.fromkeys(fields.split(), "x"))
    linux_eval_sysmon_pipeline().apply(rule)
    assert [item.field for item in rule.detection.detections["sel"].detection_items] == fields.split()


@pytest.mark.parametrize(
    ("logsource", "field"),
    [
        (category("process_creation"), "Hashes"),
        (category("process_creation"), "IntegrityLevel"),
        (category("process_creation"), "_EXE"),
        (category("file_event"), "ParentImage"),
        (category("network_connection"), "TargetFilename"),
        ({"product": "linux"}, "MESSAGE"),
    ],
)
def test_a_field_that_sysmon_never_fills_is_refused(make_rule, logsource, field):
    with pytest.raises(SigmaTransformationError, match=f"uses field '{field}', which .*; supported fields: Image"):
        linux_eval_sysmon_pipeline().apply(make_rule(logsource, {field: "x"}))


@pytest.mark.parametrize(
    "logsource",
    [
        {"category": "process_creation", "product": "windows"},
        {"product": "windows", "service": "sysmon"},
        {"product": "linux", "service": "auditd"},
        {"category": "process_creation", "product": "linux", "service": "auditd"},
        {"category": "webserver"},
    ],
)
def test_another_log_source_is_refused(make_rule, logsource):
    with pytest.raises(SigmaTransformationError) as error:
        linux_eval_sysmon_pipeline().apply(make_rule(logsource, ["x"]))
    assert "is not supported; supported: product linux with category process_creation, " in str(error.value)


PROCESS = {"EventID": 1, "Image": "/usr/bin/id", "CommandLine": "id -u"}
PROCESS_TEXT = {"EventID": "1", "Image": "/usr/bin/id"}
NETWORK = {"EventID": 3, "Image": "/usr/bin/nc", "DestinationIp": "192.0.2.1", "Initiated": "true"}
FILE = {"EventID": 11, "Image": "/usr/bin/tee", "TargetFilename": "/etc/cron.d/x"}
DELETED = {"EventID": 23, "Image": "/usr/bin/rm", "TargetFilename": "/var/log/x"}
ENDED = {"EventID": 5, "Image": "/usr/bin/id"}
NAMELESS_PROCESS = {"Image": "/usr/bin/id", "CommandLine": "id"}
NAMELESS_FILE = {"Image": "/usr/bin/tee", "TargetFilename": "/etc/cron.d/x"}
OTHER = {"_EXE": "/usr/bin/id", "MESSAGE": "text"}
EVENTS = [PROCESS, PROCESS_TEXT, NETWORK, FILE, DELETED, ENDED, NAMELESS_PROCESS, NAMELESS_FILE, OTHER]


def ruleset(logsource, detection, condition="sel", pipeline="linux_eval_sysmon"):
    rule = {"title": "Test", "logsource": logsource, "detection": {"sel": detection, "condition": condition}}
    return parse_rules(json.dumps(rule), pipeline=pipeline)


@pytest.mark.parametrize(
    ("logsource", "inside"),
    [
        (category("process_creation"), [PROCESS, PROCESS_TEXT, NAMELESS_PROCESS]),
        (category("network_connection"), [NETWORK]),
        (category("file_event"), [FILE, NAMELESS_FILE]),
        (category("file_delete"), [DELETED]),
        (category("process_termination"), [ENDED]),
        ({"product": "linux", "service": "sysmon"}, EVENTS[:6]),
        ({"product": "linux"}, EVENTS),
    ],
)
def test_an_event_is_of_the_kind_that_its_number_says(logsource, inside):
    rules = ruleset(logsource, ["never"], "not sel")
    assert [event for event in EVENTS if rules.match(event)] == inside


# From raw XML to a match, with both pipelines. ---------------------------------------------------------------


def xml(number, **data):
    items = "".join(f'<Data Name="{name}">{value}</Data>' for name, value in data.items())
    system = f'<Provider Name="Linux-Sysmon" Guid="{{1}}"/><EventID>{number}</EventID><Computer>box</Computer>'
    return f"<Event><System>{system}</System><EventData>{items}</EventData></Event>".encode()


CASES = [
    (
        category("process_creation"),
        {"Image|endswith": "/curl", "CommandLine|contains": " -o ", "User": "root", "ParentImage|endswith": "/sh"},
        xml(1, Image="/usr/bin/curl", CommandLine="curl -o /tmp/x", User="root", ParentImage="/bin/sh"),
        xml(1, Image="/usr/bin/curl", CommandLine="curl -o /tmp/x", User="root", ParentImage="-"),
    ),
    (
        category("file_event"),
        {"TargetFilename|startswith": "/etc/cron.d/"},
        xml(11, Image="/usr/bin/tee", TargetFilename="/etc/cron.d/x"),
        xml(23, Image="/usr/bin/rm", TargetFilename="/etc/cron.d/x"),
    ),
    (
        category("network_connection"),
        {"Initiated": "true", "DestinationPort": 4444, "DestinationIp|cidr": "192.0.2.0/24"},
        xml(3, Image="/usr/bin/nc", DestinationIp="192.0.2.1", DestinationPort="4444", Initiated="true"),
        xml(3, Image="/usr/bin/nc", DestinationIp="192.0.2.1", DestinationPort="4444", Initiated="false"),
    ),
    (
        category("process_creation"),
        {"Image|endswith": "/id"},
        xml(1, Image="/usr/bin/id", CommandLine="id"),
        xml(5, Image="/usr/bin/id"),
    ),
]


@pytest.mark.parametrize("pipeline", ["linux_eval", "linux_eval_sysmon"])
@pytest.mark.parametrize(("logsource", "detection", "fires", "does_not"), CASES)
def test_raw_xml_matches_with_both_pipelines(pipeline, logsource, detection, fires, does_not):
    rules = ruleset(logsource, detection, pipeline=pipeline)
    records = [next(iter(SysmonXmlParser().feed(1, raw))) for raw in (fires, does_not)]
    assert [len(rules.match(record.event, record.logsource)) for record in records] == [1, 0]


def test_json_of_sysmon_matches_with_both_pipelines():
    """Flat, as forwarders write it, with a number as text."""
    event = {"Channel": "Linux-Sysmon/Operational", "EventID": "1", "Image": "/usr/bin/id", "CommandLine": "id -u"}
    (record,) = JsonLinesParser().feed(1, json.dumps(event).encode())
    for pipeline in ("linux_eval", "linux_eval_sysmon"):
        rules = ruleset(category("process_creation"), {"CommandLine|endswith": " -u"}, pipeline=pipeline)
        assert len(rules.match(record.event, record.logsource)) == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data is not here (PYEVAL_SHARED)")
@pytest.mark.parametrize(
    ("logsource", "detection"),
    [
        (category("process_creation"), {"Image|endswith": "/whoami", "User": "www-data", "ParentImage|contains": "sh"}),
        (category("file_event"), {"TargetFilename|startswith": "/etc/", "Image|endswith": "/bash"}),
        (category("network_connection"), {"Initiated": "true", "DestinationPort": 1389}),
    ],
)
def test_events_published_by_others_match_with_both_pipelines(logsource, detection):
    lines = b"\n".join(path.read_bytes() for path in sorted((SHARED / "data/linux/sysmon_linux").glob("*.xml")))
    parser = SysmonXmlParser()
    records = [record for number, line in enumerate(lines.split(b"\n"), 1) for record in parser.feed(number, line)]
    found = [
        [record.line for record in records if ruleset(logsource, detection, pipeline=name).match(record.event)]
        for name in ("linux_eval", "linux_eval_sysmon")
    ]
    assert found[0] == found[1] != []
    assert len(found[0]) < len(records)

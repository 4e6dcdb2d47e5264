"""Windows records made flat, and their log sources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import SHARED, events, feed_all, needs_shared_data, problems

from sigma.pyeval.logs.json_lines import JsonLinesParser
from sigma.pyeval.logs.windows import flatten_windows, windows_logsource
from sigma.pyeval.rules import LogSource

SYSTEM = {
    "Provider": {"#attributes": {"Name": "P", "Guid": "G", "EventSourceName": None}},
    "EventID": {"#attributes": {"Qualifiers": 16384}, "#text": 7045},
    "TimeCreated": {"#attributes": {"SystemTime": "2024-01-02T03:04:05Z"}},
    "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 8}},
    "Correlation": None,
    "Security": {"#attributes": {"UserID": "S-1-5-18"}},
    "Channel": "System",
}
FLAT_SYSTEM = {
    "Provider_Name": "P",
    "Provider_Guid": "G",
    "EventID": 7045,
    "EventID_Qualifiers": 16384,
    "TimeCreated": "2024-01-02T03:04:05Z",
    "Execution_ProcessID": 4,
    "Execution_ThreadID": 8,
    "Security_UserID": "S-1-5-18",
    "Channel": "System",
}


@pytest.mark.parametrize(
    ("rest", "fields"),
    [
        (
            {"EventData": {"Image": "x", "Empty": "", "Flag": True, "Null": None}},
            {"Image": "x", "Empty": "", "Flag": True, "Null": None},
        ),
        ({"EventData": {"#attributes": {"Name": "n"}, "Channel": "wins"}}, {"Channel": "wins"}),
        ({"EventData": {"Data": "alone"}}, {"Data": ["alone"]}),
        ({"EventData": {"Data": {"#text": ["a", "b"]}}}, {"Data": ["a", "b"]}),
        ({"EventData": {"Data": {"#text": "a"}, "Binary": None}}, {"Data": ["a"], "Binary": None}),
        ({"EventData": None}, {}),
        (
            {"UserData": {"Operation": {"#attributes": {"xmlns": "x"}, "User": "u", "Channel": "wins"}}},
            {"User": "u", "Channel": "wins"},
        ),
        ({"UserData": None}, {}),
    ],
)
def test_flattening(rest: dict[str, Any], fields: dict[str, Any]) -> None:
    assert flatten_windows({"Event": {"#attributes": {}, "System": SYSTEM, **rest}}) == FLAT_SYSTEM | fields


@pytest.mark.parametrize("record", [{}, {"Event": 1}, {"Event": {}}, {"Event": {"System": None}}])
def test_what_is_no_record(record: dict[str, Any]) -> None:
    assert flatten_windows(record) is None


@pytest.mark.parametrize(
    ("event", "logsource"),
    [
        ({"Channel": "Security", "EventID": 4688}, LogSource("process_creation", "windows", "security")),
        (
            {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 3},
            LogSource("network_connection", "windows", "sysmon"),
        ),
        (
            {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": "1"},
            LogSource("process_creation", "windows", "sysmon"),
        ),
        (
            {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 13},
            LogSource(None, "windows", "sysmon"),
        ),
        ({"Channel": "Linux-Sysmon/Operational", "EventID": 11}, LogSource("file_event", "linux", "sysmon")),
        ({"Provider_Name": "Linux-Sysmon", "EventID": 23}, LogSource("file_delete", "linux", "sysmon")),
        ({"Channel": "Somebody/Operational", "EventID": 1}, LogSource(None, "windows", None)),
        ({"Channel": 5, "EventID": []}, LogSource(None, "windows", None)),
    ],
)
def test_log_source(event: dict[str, Any], logsource: LogSource) -> None:
    assert windows_logsource(event) == logsource


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "Event",
                    "System",
                    "EventData",
                    "UserData",
                    "Data",
                    "#attributes",
                    "#text",
                    "EventID",
                    "Channel",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=15,
)


@given(JSON, JSON)
def test_records_of_any_shape(system: Any, data: Any) -> None:
    flat = flatten_windows({"Event": {"System": system, "EventData": data, "UserData": data}})
    if flat is not None:
        windows_logsource(flat)
        assert "#attributes" not in flat


@needs_shared_data
def test_regression_records_of_sigma_rules() -> None:
    seen = 0
    for line in (SHARED / "data/regression/regression.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        printed = "\n".join(json.dumps(record, indent=2) for record in row["original"])
        found = feed_all(JsonLinesParser(), *printed.encode().split(b"\n"))
        assert (events(found), problems(found)) == (row["events"], [])
        seen += len(found)
    assert seen > 100

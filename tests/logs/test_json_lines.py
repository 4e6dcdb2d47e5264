"""JSON logs: lines, arrays, printed objects, envelopes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import check_invariants, damaged, events, feed_all, problems

from sigma.pyeval.logs import json_lines
from sigma.pyeval.logs.json_lines import CLOUDTRAIL, JsonLinesParser
from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.rules import LogSource

A, B, C = {"a": 1}, {"b": {"x": ["}", '{"']}}, {"c": [{"d": 2}, 3]}
OBJECTS = [A, B, C]


def read(text: str | bytes, **options: Any) -> list[Record | Problem]:
    raw = text.encode() if isinstance(text, str) else text
    return feed_all(JsonLinesParser(**options), *raw.split(b"\n"))


FORMS = {
    "lines": "\n".join(map(json.dumps, OBJECTS)),
    "lines with commas": ",\n".join(map(json.dumps, OBJECTS)),
    "printed": "\n".join(json.dumps(value, indent=2) for value in OBJECTS),
    "printed with commas": ",\n".join(json.dumps(value, indent=2) for value in OBJECTS),
    "array on a line": json.dumps(OBJECTS),
    "array over lines": "[\n" + ",\n".join(map(json.dumps, OBJECTS)) + "\n]",
    "array printed": json.dumps(OBJECTS, indent=2),
    "array printed with tabs": json.dumps(OBJECTS, indent="\t"),
    "array opened and closed beside objects": "[" + ",\n".join(map(json.dumps, OBJECTS)) + "]",
    "array of printed objects": "[" + ", ".join(json.dumps(value, indent=2) for value in OBJECTS) + "]",
    "side by side": " ".join(map(json.dumps, OBJECTS)),
    "side by side without blanks": "".join(map(json.dumps, OBJECTS)),
    "byte order mark": "\ufeff" + "\n".join(map(json.dumps, OBJECTS)),
    "blank lines and carriage returns": "\r\n\r\n".join(map(json.dumps, OBJECTS)) + "\r\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_objects_in_every_form(form: str) -> None:
    found = read(FORMS[form])
    assert events(found) == OBJECTS
    assert problems(found) == []


def test_the_line_of_an_object_is_its_first() -> None:
    found = read('{\n "a": 1\n}\n{"b": 2}\n\n{\n "c":\n 3\n}')
    assert [item.line for item in found] == [1, 4, 6]


@pytest.mark.parametrize(
    ("text", "expected", "lines_with_problems"),
    [
        ('{"a": 1}\n{"b": "cut\n{"c": 3}', [{"a": 1}, {"c": 3}], [2]),
        ('{"a": [1,\n{"b": 2}\n{"c": 3}', [{"b": 2}, {"c": 3}], [1]),
        ('{"a": {\n "b": 1\n', [], [1]),
        ('{\n "a": 1,\n}\n{"b": 2}', [{"b": 2}], [1]),
        ('{"a": 1} rest\n{"b": 2}', [{"b": 2}], [1]),
        ('text\n{"b": 2}\n"text"\n17\n[1, {"c": 3}]', [{"b": 2}, {"c": 3}], [1, 3, 4, 5]),
        ("}\n]\n{}", [{}], [1, 2]),
    ],
)
def test_broken_text_is_reported_and_the_rest_is_read(
    text: str, expected: list[dict[str, Any]], lines_with_problems: list[int]
) -> None:
    found = read(text)
    assert events(found) == expected
    assert [line for line, _ in problems(found)] == lines_with_problems


def test_an_object_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_OBJECT_BYTES", 100)
    found = read('{"a": [\n' + " 1,\n" * 50 + '{"b": 2}')
    assert events(found) == [{"b": 2}]
    assert problems(found)[0] == (1, "object longer than 100 bytes")


@pytest.mark.parametrize(
    ("path", "text", "expected", "reason"),
    [
        ("log", r'{"log": "{\"a\": 1}"}', [{"a": 1}], None),
        ("log", '{"log": {"a": 1}, "stream": "stdout"}', [{"a": 1}], None),
        ("Records[]", '{"Records": [{"a": 1}, {"b": 2}]}', [{"a": 1}, {"b": 2}], None),
        ("a.b[].c", '{"a": {"b": [{"c": {"x": 1}}, {"c": [{"y": 2}]}]}}', [{"x": 1}, {"y": 2}], None),
        ("message.detail", r'{"message": "{\"detail\": {\"a\": 1}}"}', [{"a": 1}], None),
        ("log", '{"x": 1}', [], "the envelope has no 'log'"),
        ("log[]", '{"log": 1}', [], "the envelope has a number where the path says '[]'"),
        ("log", '{"log": 1}', [], "not an object but a number"),
        ("log", '{"log": "plain"}', [], "the text in the envelope is not JSON: "),
        ("log.x", '{"log": "plain"}', [], "the text before 'x' is not JSON: "),
    ],
)
def test_envelopes(path: str, text: str, expected: list[dict[str, Any]], reason: str | None) -> None:
    found = read(text, path=path)
    assert events(found) == expected
    assert [found_reason.startswith(reason or "") for _, found_reason in problems(found)] == [True] * (
        reason is not None
    )


TRAIL = {"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "awsRegion": "us-east-1"}
WINDOWS = {
    "Event": {
        "System": {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational"},
        "EventData": {"Image": "x"},
    }
}


@pytest.mark.parametrize(
    ("value", "expected", "logsource"),
    [
        (TRAIL, [TRAIL], CLOUDTRAIL),
        ({"Records": [TRAIL, TRAIL]}, [TRAIL, TRAIL], CLOUDTRAIL),
        (
            WINDOWS,
            [{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "x"}],
            LogSource("process_creation", "windows", "sysmon"),
        ),
        (
            {"Channel": "Security", "EventID": 4624},
            [{"Channel": "Security", "EventID": 4624}],
            LogSource(None, "windows", "security"),
        ),
        ({"Event": "text"}, [{"Event": "text"}], LogSource(product="x")),
        ({"Records": [1]}, [{"Records": [1]}], LogSource(product="x")),
        (A, [A], LogSource(product="x")),
    ],
)
def test_objects_of_known_shape(value: Any, expected: list[Any], logsource: LogSource) -> None:
    found = read(json.dumps(value), logsource=LogSource(product="x"))
    assert events(found) == expected
    assert {item.logsource for item in found if isinstance(item, Record)} == {logsource}


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.text(max_size=8),
        st.sampled_from(['"', "{", "]", "\\"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.text(max_size=4).filter(lambda key: key not in {"Event", "Records"}), VALUES, min_size=1),
        max_size=4,
    ),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_what_is_written_is_read_back(objects: list[dict[str, Any]], indent: Any, in_array: bool) -> None:
    text = (
        json.dumps(objects, indent=indent)
        if in_array
        else "\n".join(json.dumps(value, indent=indent) for value in objects)
    )
    found = read(text)
    assert events(found) == objects
    assert problems(found) == []


@given(
    damaged(
        *(json.dumps(value).encode() for value in (A, B, C, WINDOWS, {"Records": [TRAIL]})),
        b"{",
        b"}",
        b"[",
        b"],",
        b'"a": [',
    )
)
def test_no_line_breaks_the_parser(lines: list[bytes]) -> None:
    check_invariants(JsonLinesParser(), lines)
    check_invariants(JsonLinesParser("Records[].a"), lines)


@given(damaged(b'{"a": "cut', b'{"a": [1,', b"{", b' "x": {', b"}"), damaged(b"{"))
def test_whole_objects_survive_whatever_is_around_them(before: list[bytes], after: list[bytes]) -> None:
    marker = b'{"marker": 1}'
    lines = [line for line in before if marker[:4] not in line]
    found = feed_all(JsonLinesParser(), *lines, b"", marker, *after)
    assert {"marker": 1} in events(found) or any(b'{"a": [1,' in line or b"[" in line for line in lines)

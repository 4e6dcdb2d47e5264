"""Detections, the expression each becomes, and events on both sides of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from sigma.collection import SigmaCollection

from sigma.backends.pyeval import PyEvalBackend
from sigma.pyeval import compile_expression, parse_rules

from ..conftest import Exercises, rule_yaml


@dataclass
class Case:
    """One row: a detection section, the expression, events that match, events that don't."""

    detection: str
    expression: str
    match: list[dict[str, Any]]
    no_match: list[dict[str, Any]] = field(default_factory=lambda: [{}])


def case(item: str, expression: str, match: list[Any], no_match: list[Any]) -> Case:
    """Return the case of a single detection item under the condition ``sel``."""
    return Case(f"sel:\n    {item}\ncondition: sel", expression, match, no_match)


ITEMS = [
    # plain values
    case("A: Curl", "equals(event, 'A', 'Curl')", [{"A": "curl"}, {"A": ["x", "CURL"]}], [{}, {"A": None}, {"A": "curl "}]),
    case("A: [a, b]", "equals_any(event, 'A', ('a', 'b'))", [{"A": "B"}], [{"A": "c"}, {"A": "ab"}, {}]),
    case("A: 4688", "equals(event, 'A', 4688)", [{"A": 4688}, {"A": "4688"}, {"A": 4688.0}], [{"A": "4688.0"}, {"A": True}]),
    case("A: 1", "equals(event, 'A', 1)", [{"A": 1}, {"A": "1"}], [{"A": True}, {"A": "true"}, {"A": "01"}, {"A": "1e0"}]),
    case("A: [1, b]", "equals_any(event, 'A', (1, 'b'))", [{"A": 1}, {"A": "B"}], [{"A": True}, {"A": 2}]),
    case("A: -1.5", "equals(event, 'A', -1.5)", [{"A": -1.5}, {"A": "-1.5"}], [{"A": 1.5}, {"A": "-1.50"}]),
    case("A: true", "equals(event, 'A', 'true')", [{"A": True}, {"A": "True"}], [{"A": 1}, {"A": "1"}, {"A": False}]),
    case("A: 'false'", "equals(event, 'A', 'false')", [{"A": False}, {"A": "FALSE"}], [{"A": 0}, {"A": None}, {}]),
    case("A: ''", "equals(event, 'A', '')", [{"A": ""}], [{}, {"A": None}, {"A": " "}]),
    case("A: null", "is_null(event, 'A')", [{}, {"A": None}, {"A": ["x", None]}], [{"A": ""}, {"A": "null"}, {"A": []}]),
    case("A: '*'", "has_value(event, 'A')", [{"A": ""}, {"A": 0}, {"A": {"b": 1}}], [{}, {"A": None}, {"A": []}]),
    case("A: [x, null]", "equals(event, 'A', 'x') or is_null(event, 'A')", [{}, {"A": "X"}], [{"A": "y"}]),
    # wildcards and escapes
    case("A: 'x*'", "startswith(event, 'A', 'x')", [{"A": "x"}, {"A": "Xyz"}], [{"A": "yx"}, {"A": ""}]),
    case("A: '*x'", "endswith(event, 'A', 'x')", [{"A": "yx"}], [{"A": "xy"}]),
    case("A: '*x*'", "contains(event, 'A', 'x')", [{"A": "yxy"}], [{"A": "y"}]),
    case("A: 'a*c'", "wildcard(event, 'A', 'a*c')", [{"A": "ac"}, {"A": "A\nbC"}], [{"A": "acd"}, {"A": "bac"}]),
    case("A: 'a?c'", "wildcard(event, 'A', 'a?c')", [{"A": "abc"}, {"A": "a\nc"}], [{"A": "ac"}, {"A": "abbc"}]),
    case(r"A: 'a\*c'", "equals(event, 'A', 'a*c')", [{"A": "a*c"}], [{"A": "abc"}]),
    case(r"A: 'a\\*c'", r"wildcard(event, 'A', 'a\\\\*c')", [{"A": "a\\bc"}], [{"A": "abc"}, {"A": "a*c"}]),
    case(r"A: 'C:\temp\x'", r"equals(event, 'A', 'C:\\temp\\x')", [{"A": "c:\\TEMP\\x"}], [{"A": "c:tempx"}]),
    case(r"A: 'a?\*b'", r"wildcard(event, 'A', 'a?\\*b')", [{"A": "ax*b"}], [{"A": "axxb"}]),
    case(r"A|endswith: '\'", r"endswith(event, 'A', '\\')", [{"A": "x\\"}], [{"A": "x"}]),
    case("A: ['a*c', 'd?f']", "wildcard_any(event, 'A', ('a*c', 'd?f'))", [{"A": "def"}], [{"A": "df"}]),
    # affixes, lists, |all
    case("A|contains: Curl", "contains(event, 'A', 'Curl')", [{"A": "x CURL"}], [{}, {"A": None}, {"A": 7}, {"A": "cur l"}]),
    case("A|contains: [a, b]", "contains_any(event, 'A', ('a', 'b'))", [{"A": "xB"}], [{"A": "c"}]),
    case("A|contains|all: [a, b]", "contains_all(event, 'A', ('a', 'b'))", [{"A": "ba"}, {"A": ["a", "b"]}], [{"A": "a"}]),
    case("A|startswith: [a, b]", "startswith_any(event, 'A', ('a', 'b'))", [{"A": "bc"}], [{"A": "cb"}]),
    case("A|startswith|all: [a, ab]", "startswith_all(event, 'A', ('a', 'ab'))", [{"A": "abc"}], [{"A": "ac"}]),
    case("A|endswith: [a, b]", "endswith_any(event, 'A', ('a', 'b'))", [{"A": "cb"}], [{"A": "bc"}]),
    case("A|endswith|all: [a, ba]", "endswith_all(event, 'A', ('a', 'ba'))", [{"A": "cba"}], [{"A": "ca"}]),
    case("A|all: [a, b]", "equals_all(event, 'A', ('a', 'b'))", [{"A": ["b", "a"]}], [{"A": "a"}]),
    case("A|contains: '5'", "contains(event, 'A', '5')", [{"A": 151}], [{"A": 1}]),
    # cased
    case("A|cased: Ab", "equals_cased(event, 'A', 'Ab')", [{"A": "Ab"}], [{"A": "ab"}]),
    case("A|cased: [Ab, Cd]", "equals_cased_any(event, 'A', ('Ab', 'Cd'))", [{"A": "Cd"}], [{"A": "cd"}]),
    case("A|contains|cased: [Ab, C]", "contains_cased_any(event, 'A', ('Ab', 'C'))", [{"A": "xC"}], [{"A": "ab c"}]),
    case("A|startswith|cased: Ab", "startswith_cased(event, 'A', 'Ab')", [{"A": "Abc"}], [{"A": "abc"}]),
    case("A|endswith|cased: bC", "endswith_cased(event, 'A', 'bC')", [{"A": "abC"}], [{"A": "abc"}]),
    case("A|cased: 'a*C'", "wildcard_cased(event, 'A', 'a*C')", [{"A": "abC"}], [{"A": "abc"}]),
    # encodings
    case("A|base64: foobar", "equals(event, 'A', 'Zm9vYmFy')", [{"A": "Zm9vYmFy"}], [{"A": "foobar"}]),
    case(
        "A|base64offset|contains: foo",
        "contains_any(event, 'A', ('Zm9v', 'Zvb', 'mb2'))",
        [{"A": "xxZm9vxx"}, {"A": "AGZvbwA="}],
        [{"A": "foo"}],
    ),
    case(
        "A|wide|base64offset|contains: Hi",
        "contains_any(event, 'A', ('SABpA', 'gAaQ', 'IAGkA'))",
        [{"A": "SABpAA=="}],
        [{"A": "Hi"}],
    ),
    case("A|utf16le|base64: Hi", "equals(event, 'A', 'SABpAA==')", [{"A": "SABpAA=="}], [{"A": "Hi"}]),
    case("A|utf16|base64: Hi", "equals(event, 'A', '//5IAGkA')", [{"A": "//5IAGkA"}], [{"A": "77u/SABpAA=="}]),
    case("A|utf16be|base64: Hi", "equals(event, 'A', 'AEgAaQ==')", [{"A": "AEgAaQ=="}], [{"A": "SABpAA=="}]),
    case("A|wide|contains: Hi", r"contains(event, 'A', 'H\x00i\x00')", [{"A": "h\0i\0"}], [{"A": "hi"}]),
    # windash: each of the five dashes stands for any other, also where it is written in the rule
    case(
        "A|windash|contains: ' -x'",
        r"contains_any(event, 'A', (' -x', ' /x', ' \u2013x', ' \u2014x', ' \u2015x'))",
        [{"A": "a /x"}, {"A": "a \u2015x"}],
        [{"A": "a x"}],
    ),
    case(
        "A|contains|windash: '\u2013x'",
        r"contains_any(event, 'A', ('-x', '/x', '\u2013x', '\u2014x', '\u2015x'))",
        [{"A": "a /x"}, {"A": "a \u2014x"}],
        [{"A": "a x"}],
    ),
    # re
    case(r"A|re: '^\d+$'", r"regex(event, 'A', '^\\d+$')", [{"A": "12"}, {"A": 12}], [{"A": "x1"}, {}]),
    case("A|re|i|s: 'a.c'", "regex(event, 'A', 'a.c', 'is')", [{"A": "xA\nCx"}], [{"A": "ac"}]),
    case("A|re|m: '^b'", "regex(event, 'A', '^b', 'm')", [{"A": "a\nb"}], [{"A": "ab"}]),
    case("A|re|ignorecase|multiline|dotall: '^b.c'", "regex(event, 'A', '^b.c', 'ims')", [{"A": "a\nB\nC"}], [{"A": "abxc"}]),
    case("A|re: [a, b]", "regex(event, 'A', 'a') or regex(event, 'A', 'b')", [{"A": "b"}], [{"A": "B"}]),
    # cidr, comparisons
    case("A|cidr: 10.0.0.0/8", "cidr(event, 'A', '10.0.0.0/8')", [{"A": "10.1.2.3"}], [{"A": "11.0.0.1"}, {"A": "10.1"}, {"A": 1}]),
    case(
        "A|cidr: [10.0.0.0/8, 'fe80::/10']",
        "cidr_any(event, 'A', ('10.0.0.0/8', 'fe80::/10'))",
        [{"A": "fe80::1"}],
        [{"A": "::1"}, {"A": "fe80::1%eth0"}, {"A": "10.0.0.1:80"}],
    ),
    case("A|lt: 5", "lt(event, 'A', 5)", [{"A": 4}, {"A": "4.9"}], [{"A": 5}, {"A": "x"}, {"A": True}, {"A": "1e0"}, {}]),
    case("A|lte: 5", "lte(event, 'A', 5)", [{"A": 5}], [{"A": 6}]),
    case("A|gt: 5", "gt(event, 'A', 5)", [{"A": "6"}], [{"A": 5}]),
    case("A|gte: 5.5", "gte(event, 'A', 5.5)", [{"A": 5.5}], [{"A": 5}]),
    case("A|neq: x", "not equals(event, 'A', 'x')", [{"A": "y"}, {}, {"A": None}], [{"A": "X"}, {"A": ["y", "x"]}]),
    case("A|contains|neq: [x, y]", "not contains_any(event, 'A', ('x', 'y'))", [{"A": "z"}, {}], [{"A": "ay"}]),
    case("A|exists: true", "exists(event, 'A')", [{"A": None}, {"A": ""}], [{}, {"B": 1}]),
    case("A|exists: false", "not exists(event, 'A')", [{}], [{"A": None}]),
    # fieldref
    case("A|fieldref: B", "equals_field(event, 'A', 'B')", [{"A": "x", "B": "X"}, {"A": 1, "B": 1.0}], [{"A": "x"}, {"A": 1, "B": True}]),
    case("A|fieldref|startswith: B", "startswith_field(event, 'A', 'B')", [{"A": "xy", "B": "X"}], [{"A": "yx", "B": "x"}]),
    case("A|fieldref|endswith: B", "endswith_field(event, 'A', 'B')", [{"A": "yx", "B": "x"}], [{"A": "xy", "B": "x"}]),
    case("A|fieldref|contains: B", "contains_field(event, 'A', 'B')", [{"A": "axa", "B": "x"}], [{"A": "a", "B": "x"}]),
    # parts of a date
    case("A|hour: 3", "time_part(event, 'A', 'hour', '==', 3)", [{"A": "2024-01-02T03:04:05Z"}, {"A": 10800}], [{"A": "x"}, {"A": 0}]),
    case(
        "A|hour|gte: 18",
        "time_part(event, 'A', 'hour', '>=', 18)",
        [{"A": "2024-01-02 19:00:00"}],
        [{"A": "2024-01-02 17:59:59"}],
    ),
    case("A|week: 1", "time_part(event, 'A', 'week', '==', 1)", [{"A": "2024-12-30"}], [{"A": "2024-12-29"}]),
    case("A|minute: 30", "time_part(event, 'A', 'minute', '==', 30)", [{"A": "2024-01-02 03:30"}], [{"A": "2024-01-02 03:31"}]),
    case("A|day: 29", "time_part(event, 'A', 'day', '==', 29)", [{"A": "2024-02-29"}], [{"A": "2024-02-28"}]),
    case("A|month: 2", "time_part(event, 'A', 'month', '==', 2)", [{"A": "2024-02-29"}], [{"A": "2024-03-02"}, {"A": 2}]),
    case("A|year: 2024", "time_part(event, 'A', 'year', '==', 2024)", [{"A": "2024-02-29"}], [{"A": 2024}, {"A": "2023-12-31"}]),
    case("A|hour|lt: 6", "time_part(event, 'A', 'hour', '<', 6)", [{"A": "2024-01-02 05:59"}], [{"A": "2024-01-02 06:00"}, {}]),
    case("A|hour|lte: 6", "time_part(event, 'A', 'hour', '<=', 6)", [{"A": "2024-01-02 06:59"}], [{"A": "2024-01-02 07:00"}]),
    case("A|hour|gt: 18", "time_part(event, 'A', 'hour', '>', 18)", [{"A": "2024-01-02 19:00"}], [{"A": "2024-01-02 18:59"}]),
    # field names
    case("'it''s a.b': x", '''equals(event, "it's a.b", 'x')''', [{"it's a": {"b": "x"}}, {"it's a.b": "X"}], [{"it's a": "x"}]),
]  # fmt: skip

KEYWORDS = [
    case("- Evil", "keyword(event, 'Evil')", [{"m": "an EVIL b"}, {"a": {"b": ["evil"]}}], [{"evil": "x"}, {}]),
    case("[evil, bad]", "keyword_any(event, ('evil', 'bad'))", [{"m": "BAD"}], [{"m": "good"}]),
    case("'|all': [evil, bad]", "keyword_all(event, ('evil', 'bad'))", [{"a": "evil", "b": "bad"}], [{"a": "evil"}]),
    case("- 42", "keyword(event, '42')", [{"a": 142}, {"a": "42"}], [{"a": 4}]),
    case("- 'a*b?c'", "keyword_wildcard(event, 'a*b?c')", [{"m": "x A--b.C y"}], [{"m": "bca"}]),
    case("- '*evil*'", "keyword(event, 'evil')", [{"m": "an evil b"}], [{"m": "good"}]),
    case("'|cased': Evil", "keyword_cased(event, 'Evil')", [{"m": "Evil"}], [{"m": "evil"}]),
    case("'|re': 'e.il$'", "keyword_regex(event, 'e.il$')", [{"m": "an evil"}], [{"m": "EVIL"}, {"m": "evil x"}]),
    case("'|contains': evil", "keyword(event, 'evil')", [{"m": "an EVIL b"}], [{"m": "good"}]),
    case("'|startswith': evil", "keyword_whole(event, 'evil*')", [{"m": "EVIL b"}], [{"m": "an evil"}]),
    case("'|endswith': evil", "keyword_whole(event, '*evil')", [{"m": "an EVIL"}], [{"m": "evil b"}]),
    case(
        "'|base64offset|contains': foo", "keyword_any(event, ('Zm9v', 'Zvb', 'mb2'))", [{"m": "xZm9vx"}], [{"m": "foo"}]
    ),
    case("'|base64': foobar", "keyword(event, 'Zm9vYmFy')", [{"m": "xZm9vYmFyx"}], [{"m": "foobar"}]),
    case("'|wide': Hi", r"keyword(event, 'H\x00i\x00')", [{"m": "h\0i\0"}], [{"m": "hi"}]),
    case(
        "'|windash': ' -x'",
        r"keyword_any(event, (' -x', ' /x', ' \u2013x', ' \u2014x', ' \u2015x'))",
        [{"m": "a /x"}],
        [{"m": "a x"}],
    ),
    case("'|neq': [evil, bad]", "not keyword_any(event, ('evil', 'bad'))", [{"m": "good"}, {}], [{"m": "too bad"}]),
    Case("sel: [{A: x}, evil]\ncondition: sel", "equals(event, 'A', 'x') or keyword(event, 'evil')", [{"A": "x"}, {"m": "evil"}], [{"A": "y"}]),
]  # fmt: skip

CONDITIONS = [
    Case("a: {A: x}\nb: {B: y}\ncondition: a and b", "equals(event, 'A', 'x') and equals(event, 'B', 'y')", [{"A": "x", "B": "y"}], [{"A": "x"}]),
    Case("a: {A: x}\nb: {B: y}\ncondition: a or b", "equals(event, 'A', 'x') or equals(event, 'B', 'y')", [{"B": "y"}], [{"A": "y"}]),
    Case(
        "a: {A: x}\nb: {B: y}\nc: {C: z}\ncondition: (a or b) and not c",
        "(equals(event, 'A', 'x') or equals(event, 'B', 'y')) and not equals(event, 'C', 'z')",
        [{"A": "x"}],
        [{"A": "x", "C": "z"}, {"C": "z"}],
    ),
    Case(
        "a: {A: x}\nb: {B: y}\nc: {C: z}\ncondition: a or b and c",
        "equals(event, 'A', 'x') or equals(event, 'B', 'y') and equals(event, 'C', 'z')",
        [{"A": "x"}, {"B": "y", "C": "z"}],
        [{"B": "y"}],
    ),
    Case("a: {A|windash: '-p'}\ncondition: not a", "not equals_any(event, 'A', ('-p', '/p', '\\u2013p', '\\u2014p', '\\u2015p'))", [{"A": "p"}, {}], [{"A": "/p"}]),
    Case("a: {A: x}\ncondition: not not a", "equals(event, 'A', 'x')", [{"A": "x"}], [{}]),
    Case("a: {A: x}\nb: {A: y}\ncondition: a or b", "equals_any(event, 'A', ('x', 'y'))", [{"A": "y"}], [{"A": "z"}]),
    Case(
        "a: {A|contains: x}\nb: {B: 1, A|contains: y}\ncondition: not (a or b)",
        "not (contains(event, 'A', 'x') or equals(event, 'B', 1) and contains(event, 'A', 'y'))",
        [{"A": "y"}],
        [{"A": "x"}, {"A": "y", "B": 1}],
    ),
    Case("s_1: {A: x}\ns_2: {B: y}\no: {C: z}\ncondition: 1 of s_*", "equals(event, 'A', 'x') or equals(event, 'B', 'y')", [{"B": "y"}], [{"C": "z"}]),
    Case("s_1: {A: x}\ns_2: {B: y}\ncondition: all of s_*", "equals(event, 'A', 'x') and equals(event, 'B', 'y')", [{"A": "x", "B": "y"}], [{"B": "y"}]),
    Case("a: {A: x}\n_b: {B: y}\ncondition: any of them", "equals(event, 'A', 'x')", [{"A": "x"}], [{"B": "y"}]),
    Case("s_1: {A: x}\ns_2: {B: y}\no: {C: z}\ncondition: any of s_*", "equals(event, 'A', 'x') or equals(event, 'B', 'y')", [{"A": "x"}], [{"C": "z"}]),
    Case("a: {A: x}\nb: {B: y}\n_c: {C: z}\ncondition: 1 of them", "equals(event, 'A', 'x') or equals(event, 'B', 'y')", [{"B": "y"}], [{"C": "z"}]),
    Case("a: {A: x}\nb: {B: y}\n_c: {C: z}\ncondition: all of them", "equals(event, 'A', 'x') and equals(event, 'B', 'y')", [{"A": "x", "B": "y"}], [{"A": "x"}]),
    Case("note: {A: 1}\nnot_b: {B: 1}\ncondition: note and not not_b", "equals(event, 'A', 1) and not equals(event, 'B', 1)", [{"A": 1}], [{"A": 1, "B": 1}]),
    Case("sel:\n  - {A: x, B: y}\n  - {C: z}\ncondition: sel", "equals(event, 'A', 'x') and equals(event, 'B', 'y') or equals(event, 'C', 'z')", [{"C": "z"}], [{"A": "x"}]),
    Case("a: {A: x}\nb: {B: y}\ncondition: [a, b]", "equals(event, 'A', 'x') or equals(event, 'B', 'y')", [{"A": "x"}, {"B": "y"}], [{}]),
]  # fmt: skip


@pytest.mark.parametrize("row", [*ITEMS, *KEYWORDS, *CONDITIONS], ids=lambda row: row.detection.replace("\n", " ")[:70])
def test_detection_becomes_expression(row: Case, exercises: Exercises) -> None:
    """A detection gives exactly this expression; it holds for these events and for none of those."""
    text = rule_yaml(row.detection)
    assert PyEvalBackend().convert(SigmaCollection.from_yaml(text)) == [row.expression]
    predicate = compile_expression(row.expression)
    assert [event for event in row.match if not predicate(event)] == []
    assert [event for event in row.no_match if predicate(event)] == []
    exercises(text)


@dataclass
class File:
    """One row: the text of a rule file, the expressions of its rules, events that match some rule, events that don't."""

    text: str
    expressions: list[str]
    match: list[dict[str, Any]]
    no_match: list[dict[str, Any]]


GLOBAL = "action: global\ntitle: All\nlogsource: {category: test}\n---\ndetection: {sel: {A: x}, condition: sel}\n"
FILTER = "title: F\nlogsource: {category: test}\nfilter: {rules: any, known: {Host: build}, condition: not known}\n"
PLACEHOLDERS: dict[str, str | list[str | int]] = {"admins": ["root", "adm*"], "port": [22]}
FILES = {
    "several documents": File(
        "---\n".join(rule_yaml(f"sel: {{A: {value}}}\ncondition: sel") for value in "xy"),
        ["equals(event, 'A', 'x')", "equals(event, 'A', 'y')"],
        [{"A": "x"}, {"A": "y"}],
        [{"A": "z"}],
    ),
    "global": File(
        GLOBAL + "---\ndetection: {sel: {A: y}, condition: sel}\n",
        ["equals(event, 'A', 'x')", "equals(event, 'A', 'y')"],
        [{"A": "x"}, {"A": "y"}],
        [{}],
    ),
    "repeat": File(
        GLOBAL + "---\naction: repeat\ndetection: {sel: {B: y}}\n",
        ["equals(event, 'A', 'x')", "equals(event, 'A', 'x') and equals(event, 'B', 'y')"],
        [{"A": "x"}],
        [{"B": "y"}],
    ),
    "reset": File(
        GLOBAL + "---\naction: reset\n---\n" + rule_yaml("other: {A: y}\ncondition: other"),
        ["equals(event, 'A', 'x')", "equals(event, 'A', 'y')"],
        [{"A": "x"}, {"A": "y"}],
        [{}],
    ),
    "filter": File(
        rule_yaml("sel: {A: x}\ncondition: sel") + "---\n" + FILTER,
        ["equals(event, 'A', 'x') and not equals(event, 'Host', 'build')"],
        [{"A": "x"}, {"A": "x", "Host": "other"}],
        [{"A": "x", "Host": "BUILD"}, {}],
    ),
    "placeholders": File(
        rule_yaml("sel: {A|expand: '%admins%', B|contains|expand: 'p%port%'}\ncondition: sel"),
        ["(equals(event, 'A', 'root') or startswith(event, 'A', 'adm')) and contains(event, 'B', 'p22')"],
        [{"A": "ROOT", "B": "xp22"}, {"A": "admin", "B": "p22"}],
        [{"A": "%admins%", "B": "p22"}, {"A": "root", "B": "p%port%"}],
    ),
    "placeholders in keywords": File(
        rule_yaml("sel: {'|expand': 'by %admins%'}\ncondition: sel"),
        ["keyword_any(event, ('by root', 'by adm'))"],
        [{"m": "done by Root"}, {"m": "by admin"}],
        [{"m": "by me"}],
    ),
}


@pytest.mark.parametrize("row", FILES.values(), ids=FILES)
def test_file_becomes_rules(row: File, exercises: Exercises) -> None:
    """A file gives exactly these rules; one of them matches each of these events, and none any of those."""
    ruleset = parse_rules(row.text, placeholders=PLACEHOLDERS)
    assert [rule.expression for rule in ruleset.rules] == row.expressions
    assert [event for event in row.match if not ruleset.match(event)] == []
    assert [event for event in row.no_match if ruleset.match(event)] == []
    exercises(row.text)


@pytest.mark.parametrize(
    ("detection", "words"),
    [
        ("sel: {A|expand: '%admins%'}\ncondition: sel", "field 'A': placeholder %admins% has no value; give it values"),
        (
            "selection: {A: 1}\ncondition: selectoin",
            "'selectoin' is not defined in the detection; did you mean 'selection'?",
        ),
        ("sel: {A: 1}\ncondition: sel AND sel", "operators are written in lower case: 'and'"),
        ("sel: {A: 1}\ncondition: 1 of filter_*", "'1 of filter_*' selects nothing; the rule defines 'sel'"),
        ("sel: {A: 1}\ncondition: 2 of them", "'2' is no quantifier; write '1 of', 'any of' or 'all of'"),
        ("sel: {A: []}\ncondition: sel", "field 'A': an empty list of values; write null"),
        ("sel: {A|re|startswith: x}\ncondition: sel", "field 'A': re with startswith or endswith; write ^ or $"),
        ("sel: {A: 9007199254740993}\ncondition: sel", "cannot be held exactly; write it as quoted text"),
        ("sel: {A|contains: x}\ncondition: sel and", "condition 'sel and' cannot be read; join search identifiers"),
        ("sel: {A|contains: 5}\ncondition: sel", "contains cannot take the value '5'"),
        ("sel:\n  - null\ncondition: sel", "a keyword cannot be"),
        ("sel: {'|cidr': 10.0.0.0/8}\ncondition: sel", "a keyword cannot be"),
        ("sel: {'|hour': 3}\ncondition: sel", "a keyword cannot be a part of a date; name the field"),
    ],
)
def test_what_has_no_meaning_is_refused_with_a_remedy(detection: str, words: str) -> None:
    """A refusal names the rule and the finding on one line, as an exception and as data."""
    ruleset = parse_rules(rule_yaml(detection, title="Odd"), on_error="collect")
    assert not ruleset.rules
    [error] = ruleset.errors
    assert error.title == "Odd"
    assert words in str(error)
    assert "\n" not in str(error)

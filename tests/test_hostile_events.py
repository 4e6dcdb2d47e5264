"""No event, whatever it holds, makes a matcher raise; globs mean what a plain reading of them means."""

from __future__ import annotations

import datetime
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval import parse_rules
from sigma.pyeval.events import holds, plain_event
from sigma.pyeval.matchers import MATCHERS, keyword_wildcard
from sigma.pyeval.matchers.text import compile_glob

from .conftest import rule_yaml


class BoomError(Exception):
    pass


def boom(*_: Any, **__: Any) -> Any:
    raise BoomError


def hostile(*bases: type, hashable: bool = False, **members: Any) -> type:
    """Return a class of which every method that a matcher could call raises."""
    names = [
        "__eq__",
        "__ne__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
        "__str__",
        "__repr__",
        "__iter__",
        "__len__",
        "__bool__",
        "__contains__",
        "__getitem__",
        "__float__",
        "__index__",
        "__int__",
        "__format__",
        "lower",
        "startswith",
        "endswith",
        "get",
        "items",
        "keys",
        "values",
        "decode",
        "isoformat",
        "isocalendar",
        "bit_length",
        "utcoffset",
        "tzname",
        "dst",
    ]
    return type("Hostile", bases, dict.fromkeys(names, boom) | ({} if hashable else {"__hash__": boom}) | members)


class LiesAboutItsClass:
    __class__ = str  # type: ignore[assignment]


class ClassRaises:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise BoomError


class HalfReadable(Mapping[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        return {"A": "x"}[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(("A", 3, None))

    def __len__(self) -> int:
        return 3


def nested(make: Callable[[Any], Any], depth: int = 10_000) -> Any:
    value = make("x")
    for _ in range(depth):
        value = make(value)
    return value


ZONE = hostile(datetime.tzinfo)()
MOMENT = (2020, 2, 3)
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 10**5000, 2**70, 10**400, 1e308, -0.0, math.nan, math.inf, -math.inf),
    *("", "x", "\ud800", "1" * 5000, "0." + "1" * 3900, "2024-13-45", "0001-01-01T00:00:00+23:59", "٣"),
    *(
        b"ab\xff",
        bytearray(b"x"),
        memoryview(b"x"),
        {1, 2},
        frozenset("a"),
        (1, "x"),
        1j,
        range(3),
        object(),
        type,
        len,
    ),
    *(datetime.datetime(*MOMENT), datetime.datetime(*MOMENT, tzinfo=ZONE), datetime.time(1, tzinfo=ZONE)),
    *(datetime.date(1, 1, 1), datetime.time(1), datetime.datetime.max, -62135596801, 253402300800),
    *(hostile()(), hostile(str)("x"), hostile(int)(3), hostile(float)(2.5), hostile(bytes)(b"x")),
    *(hostile(dict)(A="x"), hostile(list)(["x"]), hostile(set, hashable=True)(), hostile(tuple)("x")),
    *(hostile(Mapping)(), hostile(datetime.datetime)(*MOMENT), hostile(datetime.date)(*MOMENT)),
    *(LiesAboutItsClass(), ClassRaises(), HalfReadable(), [hostile()(), "x"], {"B": hostile()()}, {1: 2}),
    *(nested(lambda value: [value]), nested(lambda value: {"A": value}), nested(lambda value: (value,))),
]
EVENTS: list[Any] = [
    *VALUES,
    *({"A": value, "B": "x"} for value in VALUES),
    *({"A": 3, "B": [value]} for value in VALUES[:-3]),
]
ARGUMENTS: dict[str, list[Any]] = {
    "field": ["A", "A.B.0"],
    "other": ["B"],
    "value": ["x"],
    "values": [("x", "y")],
    "glob": ["*x?"],
    "globs": [("a*", "?")],
    "number": [10**400],
    "network": ["10.0.0.0/8"],
    "networks": [("::/0", "10.0.0.0/8")],
    "pattern": ["^x"],
    "flags": ["i"],
    "characters": [10],
    "part": ["week"],
    "comparison": [">="],
}


@pytest.mark.parametrize("name", MATCHERS)
def test_no_event_makes_a_matcher_raise(name: str) -> None:
    matcher = MATCHERS[name]
    arguments = [ARGUMENTS[parameter] for parameter in list(inspect.signature(matcher).parameters)[1:]]
    for chosen in itertools.product(*arguments):
        for event in EVENTS:
            assert type(holds(lambda event, chosen=chosen: matcher(event, *chosen), event)) is bool


@pytest.mark.parametrize("value", [3, 2.5, "x"])
def test_a_value_of_a_hostile_sub_class_is_what_its_type_says(value: Any) -> None:
    event = {"A": hostile(type(value))(value)}
    assert holds(lambda event: MATCHERS["equals_any"](event, "A", (value,)), event)
    assert not holds(lambda event: MATCHERS["equals_any"](event, "A", (4,)), event)


def test_what_can_be_read_of_a_foreign_object_is_read() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=1))
    event = {
        "moment": hostile(datetime.datetime)(*MOMENT, 4, 5, 6, 7, zone),
        "unzoned": datetime.time(1, 2, tzinfo=ZONE),
        "day": hostile(datetime.date)(*MOMENT),
        "list": hostile(list)([hostile()(), hostile(bytes)(b"x")]),
        "half": HalfReadable(),
        1: "no field has such a name",
    }
    assert plain_event(event) == {
        "moment": datetime.datetime(*MOMENT, 4, 5, 6, 7, zone),
        "unzoned": datetime.time(1, 2),
        "day": datetime.date(*MOMENT),
        "list": [None, b"x"],
        "half": {"A": "x"},
    }
    assert plain_event("no mapping") == {}


# -- globs -----------------------------------------------------------------------------------------------------------


def fits(glob: str, text: str) -> bool:
    """Return whether *text* fits *glob*, read character by character; nothing is escaped in it."""
    reached = {0}
    for part in glob:
        if part == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and part in ("?", text[at])}
    return len(text) in reached


_GLOBS = st.text(alphabet="aab*?\n.(", max_size=10)
_TEXTS = st.text(alphabet="aab\n.(", max_size=14)


@given(_GLOBS, st.lists(_TEXTS, max_size=12))
def test_a_glob_fits_what_it_says(glob: str, values: list[str]) -> None:
    pattern = compile_glob(glob)
    assert [bool(pattern.fullmatch(text)) for text in values] == [fits(glob, text) for text in values]


@given(_GLOBS, st.lists(_TEXTS, max_size=12))
def test_a_keyword_with_wildcards_fits_a_part(glob: str, values: list[str]) -> None:
    for text in values:
        assert keyword_wildcard({"A": text}, glob) is fits(f"*{glob}*", text)


@pytest.mark.parametrize(
    ("glob", "text", "expected"),
    [
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\\*b", "a\\xb", True),
        (r"a\b", r"a\b", True),
        ("a\\", "a\\", True),
        ("*" * 50 + "b", "a" * 3000, False),
        ("a*" * 30 + "b", "a" * 3000, False),
        ("a?*" * 30 + "a", "a" * 3000, True),
    ],
)
def test_escapes_and_many_wildcards(glob: str, text: str, expected: bool) -> None:
    assert bool(compile_glob(glob).fullmatch(text)) is expected


def endless() -> dict[str, Any]:
    """Return an event that contains itself, in a list and in a mapping, and a list that stands in many places."""
    loop: list[Any] = ["x"]
    loop.append(loop)
    event: dict[str, Any] = {"A": loop, "B": {"c": "y"}}
    event["B"]["d"] = event
    shared: list[Any] = ["z"]
    for _ in range(40):
        shared = [shared, shared]
    event["C"] = shared
    return event


def test_an_event_that_contains_itself_is_read_once() -> None:
    """Such events cannot come from JSON; a caller's objects can be anything."""
    event = endless()
    assert MATCHERS["equals"](event, "A", "x")
    assert MATCHERS["equals"](event, "B.d.B.c", "y")
    assert MATCHERS["equals"](event, "C", "z")
    assert MATCHERS["keyword_all"](event, ("x", "y", "z"))
    assert not MATCHERS["keyword"](event, "none")
    for detection, matches in (("[z]", True), ("[none]", False), ("{B.d.B.c: y}", True), ("{C.0.0: z}", True)):
        ruleset = parse_rules(rule_yaml(f"s: {detection}\ncondition: s"))
        assert len(ruleset.match(event)) == len(ruleset.scan(event)) == matches
    plain = plain_event(event)
    assert plain["A"][0] == "x"
    assert plain["A"][1] is plain["A"]

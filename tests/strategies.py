"""Hypothesis strategies for Sigma rules and for events that have something to do with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import yaml
from hypothesis import strategies as st

from .vocabulary import (
    ADDRESSES,
    CHAINS,
    FIELD_KINDS,
    FIELDS,
    KEYWORD_KINDS,
    MOMENTS,
    NAMES,
    PATTERNS,
    REGEXES,
    VALUES,
    integers,
    numbers,
    plain_text,
    wild_text,
)

Draw = st.DrawFn
T = TypeVar("T")


@dataclass(frozen=True)
class Clue:
    """What a detection item was made of: a field (``None`` for keywords), the kind of values, the values."""

    field: str | None
    kind: str
    chain: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A rule as YAML, and events near it."""

    rule: str
    events: tuple[dict[str, Any], ...]


BOOLEANS = st.booleans()
NOISE = st.one_of(plain_text, st.none(), numbers, st.booleans())
KEYWORDS: st.SearchStrategy[Any] = st.one_of(wild_text, integers)
MAP_FIELDS = (*FIELDS, *FIELDS, *FIELDS, None, None)
NAME_LISTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)


def choose(draw: Draw, options: Sequence[T]) -> T:
    """Draw one of *options*; much faster than a strategy made for the occasion."""
    return options[draw(_index(len(options)))]


@cache
def _index(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


# -- rules -------------------------------------------------------------------------------------------------------------


def draw_item(draw: Draw, field: str | None, clues: list[Clue]) -> tuple[str, Any]:
    """Draw a key with its modifiers, and its value or values."""
    kind = choose(draw, FIELD_KINDS if field is not None else KEYWORD_KINDS)
    chain = choose(draw, CHAINS[kind])
    single = kind == "exists" or draw(BOOLEANS)
    values = [draw(VALUES[kind]) for _ in range(1 if single else choose(draw, (1, 2, 2, 3, 3)))]
    clues.append(Clue(field, kind, chain, tuple(values)))
    extra = [] if kind == "exists" else choose(draw, ([], [], ["all"], ["neq"], ["all", "neq"]))
    parts = [chain] if chain else [] if field is not None else ["contains"]  # a keyword in a map has a modifier
    # A list modifier may stand before or behind the others; ``re`` and ``cidr`` must come first.
    front = kind not in ("regex", "network") and draw(BOOLEANS)
    modifiers = [*extra, *parts] if front else [*parts, *extra]
    return "|".join([field or "", *modifiers]), values[0] if single else values


def draw_map(draw: Draw, clues: list[Clue]) -> dict[str, Any]:
    """Draw a detection that is a map: all of its items must hold."""
    found: dict[str, Any] = {}
    for _ in range(choose(draw, range(1, 4))):
        field = choose(draw, MAP_FIELDS)
        key, value = draw_item(draw, field, clues)
        found.setdefault(key, value)
    return found


def draw_detection(draw: Draw, clues: list[Clue]) -> Any:
    """Draw a detection: a map, a list of maps, keywords, or a list of both."""
    shape = choose(draw, ("map", "map", "map", "maps", "keywords", "keyword", "mixed"))
    keywords: st.SearchStrategy[Any] = KEYWORDS if shape != "mixed" else wild_text
    if shape == "map":
        return draw_map(draw, clues)
    if shape == "keyword":
        keyword = draw(keywords)
        clues.append(Clue(None, "wild", "", (keyword,)))
        return keyword
    found: list[Any] = []
    for _ in range(choose(draw, range(1, 4))):
        if shape == "maps" or (shape == "mixed" and draw(BOOLEANS)):
            found.append(draw_map(draw, clues))
        else:
            found.append(draw(keywords))
            clues.append(Clue(None, "wild", "", (found[-1],)))
    return found


def draw_condition(draw: Draw, names: list[str], depth: int = 3) -> str:
    """Draw a condition over *names* in which no selector is empty."""
    selectors = [
        f"{word} of {pattern}" for pattern in PATTERNS if _chosen(pattern, names) for word in ("1", "any", "all")
    ]
    choices = ["name"] * 2 + ["selector"] * bool(selectors) + ["not", "and", "or", "group"] * (depth > 0)
    match choose(draw, choices):
        case "name":
            return choose(draw, names)
        case "selector":
            return choose(draw, selectors)
        case "not":
            return "not " + draw_condition(draw, names, depth - 1)
        case "group":
            return f"({draw_condition(draw, names, depth - 1)})"
        case word:
            return f"{draw_condition(draw, names, depth - 1)} {word} {draw_condition(draw, names, depth - 1)}"


def _chosen(pattern: str, names: list[str]) -> bool:
    """Return whether one of the patterns above names any of *names*; a leading underscore must be asked for."""
    tests = {
        "selection*": lambda name: name.startswith("selection"),
        "sel*": lambda name: name.startswith("sel"),
        "*": lambda name: not name.startswith("_"),
        "them": lambda name: not name.startswith("_"),
        "*_*": lambda name: "_" in name[1:],
        "f*r": lambda name: name == "filter",
        "_h*": lambda name: name == "_hidden",
    }
    return any(map(tests[pattern], names))


def draw_rule(draw: Draw, clues: list[Clue]) -> dict[str, Any]:
    """Draw a rule as a mapping, and leave in *clues* what its detections look for."""
    names = draw(NAME_LISTS)
    detection: dict[str, Any] = {name: draw_detection(draw, clues) for name in names}
    listed = choose(draw, range(6)) == 0
    if listed:
        detection["condition"] = [draw_condition(draw, names, 1) for _ in range(choose(draw, range(1, 4)))]
    else:
        detection["condition"] = draw_condition(draw, names)
    return {"title": "Generated", "logsource": {"product": "linux"}, "detection": detection}


# -- events ------------------------------------------------------------------------------------------------------------


def draw_value(draw: Draw, clue: Clue) -> Any:
    """Draw an event's value that is close to what *clue* looks for."""
    value = choose(draw, clue.values)
    match clue.kind:
        case "regex":
            return choose(draw, REGEXES[value])
        case "network":
            return choose(draw, ADDRESSES)
        case "time":
            return choose(draw, MOMENTS)
        case "exists" | "field":
            return draw(NOISE)
        case "encoded" | "bytes":
            return draw_encoded(draw, clue.chain, value)
        case "placeholder":
            return choose(draw, ("root", "admin", "ADMIN", "xKy", "k7", "C:\\x", "abc", value))
    if not isinstance(value, str):
        return draw_number(draw, value)
    return mutate(draw, draw_text(draw, value, dashes=clue.kind == "dash"))


def draw_text(draw: Draw, pattern: str, dashes: bool) -> str:
    """Draw a text that fits *pattern* mostly: wildcards filled in, dashes exchanged."""
    text = ""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and pattern[position + 1 : position + 2] in ("\\", "*", "?"):
            position += 1
            text += pattern[position]
        elif character == "*":
            text += choose(draw, ("", "", "zz", "\n", "*", "-"))
        elif character == "?":
            text += choose(draw, ("q", "?", "\n", "İ", ""))
        elif dashes and character in "-/–—―":
            text += choose(draw, "-/–—―")
        else:
            text += character
        position += 1
    return text


def mutate(draw: Draw, text: str) -> str:
    """Draw *text* as it is, or changed in one way."""
    match choose(draw, ("same", "same", "same", "upper", "lower", "swap", "before", "behind", "around", "cut")):
        case "upper":
            return text.upper()
        case "lower":
            return text.lower()
        case "swap":
            return text.swapcase()
        case "before":
            return draw(plain_text) + text
        case "behind":
            return text + draw(plain_text)
        case "around":
            return draw(plain_text) + text + draw(plain_text)
        case "cut":
            return text[choose(draw, range(2)) : len(text) - choose(draw, range(2))]
    return text


def draw_number(draw: Draw, value: Any) -> Any:
    """Draw a form of a number, boolean or null: itself, its neighbours, its texts."""
    if value is None or isinstance(value, bool):
        return choose(draw, (value, not value, str(value), str(value).lower(), None, "", 0, 1, "null"))
    forms = (
        value,
        value,
        value + 1,
        value - 1,
        float(value),
        str(value),
        f"{value}.0",
        f"0{value}",
        f" {value}",
        f"{value}e0",
    )
    return choose(draw, (*forms, str(float(value)), f"+{value}", f"x{value}", True, None, float("nan")))


def draw_encoded(draw: Draw, chain: str, value: str) -> str:
    """Draw text that holds *value* encoded as *chain* says, at any offset."""
    data = value.replace("\\*", "*").encode()
    for modifier in chain.split("|"):
        match modifier:
            case "wide" | "utf16le":
                data = data.decode().encode("utf-16-le")
            case "utf16":
                data = b"\xff\xfe" + data.decode().encode("utf-16-le")
            case "utf16be":
                data = data.decode().encode("utf-16-be")
            case "base64":
                data = base64.b64encode(data)
            case "base64offset":
                around = (b"", b"x", b"xy", b"xyz")
                data = base64.b64encode(choose(draw, around) + data + choose(draw, around))
    return mutate(draw, data.decode(errors="replace"))


def draw_event(draw: Draw, clues: list[Clue]) -> dict[str, Any]:
    """Draw an event that holds values near those which *clues* look for, most of the time."""
    event: dict[str, Any] = {}
    for clue in clues:
        if choose(draw, range(10)) == 0:
            continue
        value = shape(draw, draw_value(draw, clue))
        if len(clue.values) > 1 and draw(BOOLEANS):  # something for each value, as ``all`` wants
            value = [draw_value(draw, replace(clue, values=(wanted,))) for wanted in clue.values]
        if clue.kind == "field" and draw(BOOLEANS):
            _place(event, clue.values[0], mutate(draw, str(value)), choose(draw, range(4)))
        field = clue.field or choose(draw, ("message", "log.line", "CommandLine"))
        _place(event, field, value, choose(draw, range(4)))
    if choose(draw, range(6)) == 0:
        event[choose(draw, FIELDS)] = draw(NOISE)
    return event


def shape(draw: Draw, value: Any) -> Any:
    """Draw *value* alone, in a list, or within a map."""
    match choose(draw, ("alone",) * 8 + ("list", "several", "nested list", "map", "empty list", "null")):
        case "list":
            return [value]
        case "several":
            return [draw(plain_text), value, draw(NOISE)]
        case "nested list":
            return [[value], []]
        case "map":
            return {"inner": value}
        case "empty list":
            return []
        case "null":
            return None
    return value


def _place(event: dict[str, Any], field: str, value: Any, way: int) -> None:
    """Put *value* under *field*: as a literal key, or along its dotted path, through a list of maps as well."""
    first, _, rest = field.partition(".")
    if not rest or way == 0:
        event.setdefault(field, value)
        return
    inner: dict[str, Any] = {}
    _place(inner, rest, value, way)
    if isinstance(event.get(first), list) and way == 3:
        event[first].append(inner)
    elif isinstance(event.get(first), dict):
        _place(event[first], rest, value, way)
    else:
        event.setdefault(first, [{"other": 1}, inner] if way == 3 else inner)


@st.composite
def cases(draw: Draw, number_of_events: int = 3) -> Case:
    """Draw a rule and events near it."""
    clues: list[Clue] = []
    rule = draw_rule(draw, clues)
    return Case(dump(rule), tuple(draw_event(draw, clues) for _ in range(number_of_events)))


def dump(rule: dict[str, Any]) -> str:
    """Return *rule* as YAML that reads back as itself."""
    return yaml.dump(rule, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True, sort_keys=False)


def show(event: dict[str, Any]) -> str:
    """Return *event* on one line of ASCII."""
    return json.dumps(event, sort_keys=True)

"""A second, obvious evaluator of Sigma rules: reads a rule's YAML and walks it for each event.

It shares no code with the product and does not use pySigma either: the rule's written values and modifiers are interpreted
by the Sigma specification 2.1 (sections "Values", "Modifiers", "Condition") and, where that is silent, by the project's
documented choices. Slow and plain on purpose: every verdict can be followed by eye.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import yaml

DASHES = "-/–—―"
FLAGS = {
    "i": re.IGNORECASE,
    "ignorecase": re.IGNORECASE,
    "m": re.MULTILINE,
    "multiline": re.MULTILINE,
    "s": re.DOTALL,
    "dotall": re.DOTALL,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
TIME_PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "week": lambda moment: moment.isocalendar()[1],
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}
ENCODINGS = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16-le"}


class Refused(ValueError):
    """The rule has no meaning."""


class Wild(Enum):
    """The wildcards."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True)
class Placeholder:
    """``%name%`` under ``|expand``."""

    name: str


@dataclass(frozen=True)
class Text:
    """Text with wildcards: a tuple of single characters, wildcards and placeholders."""

    parts: tuple[str | Wild | Placeholder, ...]
    cased: bool = False
    raw: str = ""
    anchored: bool = False
    marked: bool = False  # begins with a byte order mark


@dataclass(frozen=True)
class Number:
    value: int | float


@dataclass(frozen=True)
class Null:
    pass


@dataclass(frozen=True)
class Regex:
    pattern: str
    flags: int = 0


@dataclass(frozen=True)
class Network:
    text: str


@dataclass(frozen=True)
class Compare:
    """A comparison with a number, of a part of a date where *part* is given."""

    name: str | None
    value: int | float
    part: str | None = None


@dataclass(frozen=True)
class OtherField:
    name: str
    prefix: bool = False
    suffix: bool = False


@dataclass(frozen=True)
class Exists:
    wanted: bool


@dataclass(frozen=True)
class AnyForm:
    """Several forms of one written value."""

    forms: tuple[Any, ...]


# -- the rule ----------------------------------------------------------------------------------------------------------


class Reference:
    """One rule (one YAML document), ready to be held against events.

    Args:
        text: The rule.
        placeholders: Values for ``|expand``.

    Raises:
        Refused: The rule has no meaning.
    """

    def __init__(self, text: str, placeholders: Mapping[str, Any] | None = None) -> None:
        rule = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        detection = dict(rule["detection"])
        conditions = detection.pop("condition")
        detection.pop("timeframe", None)
        self.detections = detection
        self.placeholders = dict(placeholders or {})
        self.conditions = conditions if isinstance(conditions, list) else [conditions]
        self.trees = [Condition(text, list(detection)).parse() for text in self.conditions]
        self.prepared = {name: self.prepare(definition) for name, definition in detection.items()}

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Return whether any of the rule's conditions holds for *event*."""
        return any(self.holds(tree, event) for tree in self.trees)

    def holds(self, tree: Any, event: Mapping[str, Any]) -> bool:
        kind, *arguments = tree
        if kind == "and":
            return all(self.holds(argument, event) for argument in arguments)
        if kind == "or":
            return any(self.holds(argument, event) for argument in arguments)
        if kind == "not":
            return not self.holds(arguments[0], event)
        return self.detected(self.prepared[arguments[0]], event)

    # A detection: a map is AND, a list is OR, anything else is a keyword.

    def prepare(self, definition: Any) -> Any:
        if isinstance(definition, Mapping):
            if not definition:
                raise Refused("an empty detection")
            return ("and", [("item", self.item(key, value)) for key, value in definition.items()])
        if isinstance(definition, list):
            if not definition:
                raise Refused("an empty detection")
            if any(isinstance(element, (dict, list)) for element in definition):
                return ("or", [self.prepare(element) for element in definition])
        return ("item", self.item("", definition))

    def detected(self, prepared: Any, event: Mapping[str, Any]) -> bool:
        kind, content = prepared
        if kind == "and":
            return all(self.detected(part, event) for part in content)
        if kind == "or":
            return any(self.detected(part, event) for part in content)
        return content.matches(event)

    def item(self, key: str, written: Any) -> Item:
        field, *modifiers = key.split("|")
        values = written if isinstance(written, list) else [written]
        typed = [interpret(value, "re" in modifiers) for value in values] or [Null()]
        for modifier in modifiers:
            if modifier not in ("all", "neq"):
                typed = [apply(modifier, value) for value in typed]
        expanded = [form for value in typed for form in self.expand(value)]
        return Item(field or None, tuple(expanded), "all" in modifiers, "neq" in modifiers)

    def expand(self, value: Any) -> Iterable[Any]:
        """Yield *value* once for each combination of its placeholders' values."""
        names = (
            [part for part in value.parts if isinstance(part, Placeholder)] if isinstance(value, Text) else []
        )
        if not names:
            yield value
            return
        choices = []
        for placeholder in names:
            if placeholder.name not in self.placeholders:
                raise Refused(f"no value for placeholder {placeholder.name}")
            given = self.placeholders[placeholder.name]
            choices.append(given if isinstance(given, (list, tuple)) else [given])
        for combination in itertools.product(*choices):
            remaining = iter(combination)
            parts: list[str | Wild | Placeholder] = []
            for part in value.parts:
                parts += parse_text(str(next(remaining))) if isinstance(part, Placeholder) else [part]
            yield replace(value, parts=tuple(parts))


@dataclass(frozen=True)
class Item:
    """A detection item: values of one field, or of none (keywords)."""

    field: str | None
    values: tuple[Any, ...]
    every: bool
    negated: bool

    def matches(self, event: Mapping[str, Any]) -> bool:
        if self.field is None:
            verdicts = [keyword_matches(value, event) for value in self.values]
        else:
            verdicts = [field_matches(value, self.field, event) for value in self.values]
        verdict = all(verdicts) if self.every else any(verdicts)
        return verdict is not self.negated


# -- values and modifiers ----------------------------------------------------------------------------------------------


def interpret(value: Any, is_regex: bool) -> Any:
    """Return a written YAML value as one of the value types."""
    if is_regex:
        return Text((), raw=str(value))
    if value is None:
        return Null()
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return Number(int(value) if value == int(value) else value)
    if isinstance(value, str):
        return Text(tuple(parse_text(value)), raw=value)
    raise Refused(f"a {type(value).__name__} is no value")


def parse_text(text: str) -> list[str | Wild | Placeholder]:
    r"""Return the parts of *text*: ``\\``, ``\*`` and ``\?`` are literal characters, any other backslash is itself."""
    parts: list[str | Wild | Placeholder] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in ("\\", "*", "?"):
            position += 1
            parts.append(text[position])
        else:
            parts.append(Wild(character) if character in "*?" else character)
        position += 1
    return parts


def apply(modifier: str, value: Any) -> Any:
    """Return *value* with one modifier applied to it; modifiers apply from left to right."""
    if isinstance(value, AnyForm):
        return AnyForm(tuple(apply(modifier, form) for form in value.forms))
    function = MODIFIERS.get(modifier)
    if function is None:
        raise Refused(f"unknown modifier {modifier}")
    return function(modifier, value)


def _affix(modifier: str, value: Any) -> Any:
    if isinstance(value, Regex):
        return value  # a search needs no wildcards around the pattern
    if isinstance(value, OtherField):
        prefix, suffix = modifier != "endswith", modifier != "startswith"
        return replace(value, prefix=value.prefix or prefix, suffix=value.suffix or suffix)
    parts = _text(modifier, value).parts
    if modifier in ("contains", "endswith"):
        parts = (Wild.MANY, *parts)
    if modifier in ("contains", "startswith"):
        parts = (*parts, Wild.MANY)
    return replace(value, parts=parts, anchored=True)


def _text(modifier: str, value: Any) -> Text:
    if not isinstance(value, Text):
        raise Refused(f"{modifier} is for text")
    return value


def _cased(modifier: str, value: Any) -> Text:
    return replace(_text(modifier, value), cased=True)


def _plain(modifier: str, value: Any) -> str:
    parts = _text(modifier, value).parts
    if any(isinstance(part, Wild) for part in parts):
        raise Refused(f"{modifier} takes no wildcards")
    return "".join(str(part) for part in parts)


def _bytes(modifier: str, value: Any) -> bytes:
    text = _plain(modifier, value)
    return b"\xff\xfe" + text[1:].encode() if value.marked else text.encode()


def _encode(modifier: str, value: Any) -> Text:
    """UTF-16 in its bytes, which then stand for characters (so that ``a`` is ``a`` and NUL)."""
    marked = modifier == "utf16"
    parts: list[str | Wild | Placeholder] = ["\ufeff"] if marked else []
    for part in _text(modifier, value).parts:
        if not isinstance(part, str):
            parts.append(part)
        elif not part.isascii():
            raise Refused(f"{modifier} is for ASCII text")
        else:
            parts += part.encode(ENCODINGS[modifier]).decode("ascii")
    return replace(value, parts=tuple(parts), marked=marked)


def _base64(modifier: str, value: Any) -> Text:
    encoded = base64.b64encode(_bytes(modifier, value)).decode()
    return replace(value, parts=tuple(encoded), marked=False)


def _base64offset(modifier: str, value: Any) -> AnyForm:
    """The characters that the bytes alone decide, wherever they begin within a group of three bytes."""
    data = _bytes(modifier, value)
    forms = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        first = (0, 2, 3)[offset]
        last = (offset + len(data)) * 8 // 6  # sextets that hold no bit behind the data
        forms.append(replace(value, parts=tuple(encoded[first:last]), marked=False))
    return AnyForm(tuple(forms))


def _windash(modifier: str, value: Any) -> AnyForm:
    """Each dash that begins a word (no word character before it, one behind it) stands for all five."""
    parts = _text(modifier, value).parts
    choices: list[Sequence[str | Wild | Placeholder]] = []
    for index, part in enumerate(parts):
        before = parts[index - 1] if index else None
        behind = parts[index + 1] if index + 1 < len(parts) else None
        is_dash = isinstance(part, str) and part in DASHES and not _in_word(before) and _in_word(behind)
        choices.append(DASHES if is_dash else (part,))
    return AnyForm(tuple(replace(value, parts=form) for form in itertools.product(*choices)))


def _in_word(part: object) -> bool:
    return isinstance(part, str) and (part.isalnum() or part == "_")


def _regex(modifier: str, value: Any) -> Regex:
    return Regex(_text(modifier, value).raw)


def _flag(modifier: str, value: Any) -> Regex:
    if not isinstance(value, Regex):
        raise Refused(f"{modifier} follows re")
    return replace(value, flags=value.flags | FLAGS[modifier])


def _cidr(modifier: str, value: Any) -> Network:
    return Network(_text(modifier, value).raw)


def _compare(modifier: str, value: Any) -> Compare:
    if isinstance(value, Compare):
        return replace(value, name=modifier)
    if not isinstance(value, Number):
        raise Refused(f"{modifier} is for numbers")
    return Compare(modifier, value.value)


def _time_part(modifier: str, value: Any) -> Compare:
    if not isinstance(value, Number):
        raise Refused(f"{modifier} is for numbers")
    return Compare(None, int(value.value), modifier)


def _fieldref(modifier: str, value: Any) -> OtherField:
    return OtherField(_plain(modifier, value))


def _exists(modifier: str, value: Any) -> Exists:
    if not isinstance(value, bool):
        raise Refused("exists is true or false")
    return Exists(value)


def _expand(modifier: str, value: Any) -> Text:
    parts = list(_text(modifier, value).parts)
    found: list[str | Wild | Placeholder] = []
    while parts:
        if parts[0] == "%" and "%" in parts[1:]:
            end = parts.index("%", 1)
            name = parts[1:end]
            if name and all(isinstance(character, str) for character in name):
                found.append(Placeholder("".join(str(character) for character in name)))
                del parts[: end + 1]
                continue
        found.append(parts.pop(0))
    return replace(value, parts=tuple(found))


MODIFIERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("contains", "startswith", "endswith"), _affix),
    **dict.fromkeys(ENCODINGS, _encode),
    **dict.fromkeys(FLAGS, _flag),
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(TIME_PARTS, _time_part),
    "cased": _cased,
    "base64": _base64,
    "base64offset": _base64offset,
    "windash": _windash,
    "re": _regex,
    "cidr": _cidr,
    "fieldref": _fieldref,
    "exists": _exists,
    "expand": _expand,
}


# -- the event ---------------------------------------------------------------------------------------------------------


def look_up(event: Mapping[str, Any], field: str) -> list[Any] | None:
    """Return the field's values, lists taken apart; ``None`` where the field is missing."""
    if field in event:
        return flat(event[field])
    found: list[Any] = [event]
    for name in field.split("."):
        following: list[Any] = []
        for parent in found:
            if isinstance(parent, Mapping):
                following += [parent[name]] if name in parent else []
            elif isinstance(parent, list):
                following += [item[name] for item in flat(parent) if isinstance(item, Mapping) and name in item]
                if re.fullmatch("[0-9]{1,9}", name) and int(name) < len(parent):
                    following.append(parent[int(name)])
        found = following
    return [value for child in found for value in flat(child)] if found else None


def flat(value: Any) -> list[Any]:
    """Return the elements of nested lists, or the value alone."""
    return [leaf for element in value for leaf in flat(element)] if isinstance(value, list) else [value]


def leaves(value: Any) -> list[Any]:
    """Return every value within maps and lists."""
    if isinstance(value, Mapping):
        return [leaf for child in value.values() for leaf in leaves(child)]
    if isinstance(value, list):
        return [leaf for child in value for leaf in leaves(child)]
    return [value]


def text_of(value: Any) -> str | None:
    """Return the text by which a value is compared."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    return None


def number_of(value: Any) -> int | float | None:
    """Return the number that a value is, or is written as."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        return float(value) if "." in value else int(value)
    return None


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# -- a value against an event ------------------------------------------------------------------------------------------


def field_matches(value: Any, field: str, event: Mapping[str, Any]) -> bool:  # noqa: C901 - one row per value type
    """Return whether ``field: value`` holds."""
    found = look_up(event, field)
    match value:
        case AnyForm(forms):
            return any(field_matches(form, field, event) for form in forms)
        case Exists(wanted):
            return (found is not None) is wanted
        case Null():
            return found is None or None in found
        case _ if found is None:
            return False
        case Text(parts) if parts and all(part is Wild.MANY for part in parts):
            return any(candidate is not None for candidate in found)
        case Text():
            return any(fits(value, text_of(candidate)) for candidate in found)
        case bool():
            return any(_same_text(str(value), text_of(candidate)) for candidate in found)
        case Number(amount):
            return any(
                candidate == amount if is_number(candidate) else text_of(candidate) == str(amount)
                for candidate in found
            )
        case Regex(pattern, flags):
            return any(
                text is not None and re.search(pattern, text, flags) is not None for text in map(text_of, found)
            )
        case Network(network):
            return any(_within(network, text_of(candidate)) for candidate in found)
        case Compare():
            return any(compares(value, candidate) for candidate in found)
        case OtherField(name):
            others = look_up(event, name) or []
            return any(_related(value, mine, other) for mine in found for other in others)
    raise Refused(f"{value!r} is no value of a field")


def keyword_matches(value: Any, event: Mapping[str, Any]) -> bool:
    """Return whether some value of the event holds the keyword."""
    texts = [text for text in map(text_of, leaves(event)) if text is not None]
    match value:
        case AnyForm(forms):
            return any(keyword_matches(form, event) for form in forms)
        case Text(parts):
            # A keyword is searched anywhere, unless an affix modifier says where in the value it stands.
            around = value if value.anchored else replace(value, parts=(Wild.MANY, *parts, Wild.MANY))
            return any(fits(around, text) for text in texts)
        case Number(amount):
            return any(str(amount).lower() in text.lower() for text in texts)
        case Regex(pattern, flags):
            return any(re.search(pattern, text, flags) is not None for text in texts)
    raise Refused(f"{value!r} is no keyword")


def fits(pattern: Text, text: str | None) -> bool:
    """Return whether the whole *text* fits the pattern: keeps the set of places that the parts so far can reach."""
    if text is None:
        return False
    text = text if pattern.cased else text.lower()
    places = {0}
    for part in pattern.parts if pattern.cased else _lowered(pattern.parts):
        if part is Wild.MANY:
            places = set(range(min(places), len(text) + 1))
        elif part is Wild.ONE:
            places = {place + 1 for place in places if place < len(text)}
        else:
            places = {place + 1 for place in places if text[place : place + 1] == part}
        if not places:
            return False
    return len(text) in places


def _lowered(parts: Iterable[str | Wild | Placeholder]) -> list[str | Wild]:
    """Lower whole runs of text, as the form of some letters depends on their neighbours."""
    lowered: list[str | Wild] = []
    for literal, run in itertools.groupby(parts, key=lambda part: isinstance(part, str)):
        lowered += "".join(map(str, run)).lower() if literal else run  # type: ignore[arg-type]
    return lowered


def _same_text(a: str, b: str | None) -> bool:
    return b is not None and a.lower() == b.lower()


def _within(network: str, text: str | None) -> bool:
    try:
        return text is not None and "%" not in text and ipaddress.ip_address(text) in ipaddress.ip_network(network)
    except ValueError:
        return False


def compares(wanted: Compare, candidate: Any) -> bool:
    if wanted.part is None:
        amount = number_of(candidate)
    else:
        moment = moment_of(candidate)
        amount = None if moment is None else TIME_PARTS[wanted.part](moment)
    if amount is None:
        return False
    return amount == wanted.value if wanted.name is None else COMPARISONS[wanted.name](amount, wanted.value)


def moment_of(value: Any) -> datetime | None:
    """Return the date in ISO 8601 text as written, or of seconds (milli-, micro-, nanoseconds) since the epoch in UTC."""
    number = number_of(value)
    try:
        if number is None:
            return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        for power in (17, 14, 11):
            if abs(number) >= 10**power:
                return datetime.fromtimestamp(number / 10 ** (power - 8), UTC)
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _related(reference: OtherField, mine: Any, other: Any) -> bool:
    a, b = text_of(mine), text_of(other)
    if a is None or b is None:
        return False
    a, b = a.lower(), b.lower()
    if reference.prefix and reference.suffix:
        return b in a
    if reference.prefix:
        return a.startswith(b)
    if reference.suffix:
        return a.endswith(b)
    return a == b or (is_number(mine) and is_number(other) and mine == other)


# -- the condition -----------------------------------------------------------------------------------------------------


class Condition:
    """A recursive-descent parser of conditions: ``or`` binds loosest, then ``and``, then ``not``."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.words = re.findall(r"\(|\)|[^\s()]+", text)
        self.names = names

    def parse(self) -> Any:
        tree = self.either()
        if self.words:
            raise Refused(f"{self.words[0]!r} is not expected here")
        return tree

    def take(self, word: str) -> bool:
        if self.words[:1] == [word]:
            del self.words[0]
            return True
        return False

    def either(self) -> Any:
        tree = self.both()
        while self.take("or"):
            tree = ("or", tree, self.both())
        return tree

    def both(self) -> Any:
        tree = self.negated()
        while self.take("and"):
            tree = ("and", tree, self.negated())
        return tree

    def negated(self) -> Any:
        return ("not", self.negated()) if self.take("not") else self.operand()

    def operand(self) -> Any:
        if self.take("("):
            tree = self.either()
            if not self.take(")"):
                raise Refused("a parenthesis is not closed")
            return tree
        if not self.words:
            raise Refused("the condition ends too early")
        word = self.words.pop(0)
        if word in ("1", "any", "all") and self.take("of"):
            return self.selector(word, self.words.pop(0))
        if word not in self.names:
            raise Refused(f"{word!r} is not defined")
        return ("name", word)

    def selector(self, quantifier: str, pattern: str) -> Any:
        glob = Text(tuple(Wild.MANY if c == "*" else c for c in ("*" if pattern == "them" else pattern)), cased=True)
        chosen = [
            ("name", name)
            for name in self.names
            if fits(glob, name) and (pattern.startswith("_") or not name.startswith("_"))
        ]
        if not chosen:
            raise Refused(f"{pattern!r} names no detection")
        return ("and" if quantifier == "all" else "or", *chosen)

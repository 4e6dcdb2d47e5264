"""What is written in a rule as a value, and what each modifier makes of it."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

DASHES = "-/–—―"
FLAGS = {
    "i": re.IGNORECASE,
    "ignorecase": re.IGNORECASE,
    "m": re.MULTILINE,
    "multiline": re.MULTILINE,
    "s": re.DOTALL,
    "dotall": re.DOTALL,
}
ENCODINGS = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16-le"}


COMPARISON_NAMES = ("lt", "lte", "gt", "gte")
TIME_PART_NAMES = ("minute", "hour", "day", "week", "month", "year")


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


def _text(modifier: str, value: object) -> Text:
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
    return replace(_text(modifier, value), parts=tuple(parts), marked=marked)


def _base64(modifier: str, value: Any) -> Text:
    encoded = base64.b64encode(_bytes(modifier, value)).decode()
    return replace(_text(modifier, value), parts=tuple(encoded), marked=False)


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
    return replace(_text(modifier, value), parts=tuple(found))


MODIFIERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("contains", "startswith", "endswith"), _affix),
    **dict.fromkeys(ENCODINGS, _encode),
    **dict.fromkeys(FLAGS, _flag),
    **dict.fromkeys(COMPARISON_NAMES, _compare),
    **dict.fromkeys(TIME_PART_NAMES, _time_part),
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

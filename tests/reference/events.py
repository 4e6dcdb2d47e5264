"""How fields are looked up, and whether an event holds a value."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .values import AnyForm, Compare, Exists, Network, Null, Number, OtherField, Placeholder, Refused, Regex, Text, Wild

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
            return any(text is not None and re.search(pattern, text, flags) is not None for text in map(text_of, found))
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
    for is_text, run in itertools.groupby(parts, key=lambda part: isinstance(part, str)):
        found = list(run)
        lowered += "".join(map(str, found)).lower() if is_text else [part for part in found if isinstance(part, Wild)]
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

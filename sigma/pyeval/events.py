"""A predicate's verdict on any event: plain data as it is, foreign objects by the plain data in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timezone, tzinfo
from typing import Any

# How a value of each type, or of a sub-class, becomes one of the type itself without calling anything it defines.
_SCALARS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (bool, bool),
    (int, int.__pos__),
    (float, float.__pos__),
    (bytes, lambda value: memoryview(value).tobytes()),
    (bytearray, lambda value: memoryview(value).tobytes()),
    (datetime, lambda value: datetime.combine(_plain_date(value), _plain_clock(datetime, value))),
    (date, lambda value: _plain_date(value)),  # noqa: PLW0108 - defined below
    (time, lambda value: _plain_clock(time, value)),
)
_KINDS: tuple[tuple[type, type], ...] = ((dict, dict), (list, list), (tuple, list), (set, list), (frozenset, list))


def plain_event(event: object) -> dict[str, Any]:
    """Return *event* as a dict of plain JSON-like data, leaving out whatever raises when it is looked at.

    Dicts and their sub-classes are read through ``dict`` itself, other mappings through their own methods; keys that are
    not text are dropped, as no field name can equal them. Anything that is no mapping is an event without fields.
    """
    root: dict[str, Any] = {}
    pending: list[tuple[object, Any]] = [(event, root)]
    read: dict[int, tuple[object, Any]] = {id(event): (event, root)}
    while pending:
        source, target = pending.pop()
        for key, value in _items(source):
            # A container that stands in several places, or within itself, is made once.
            made = read[id(value)][1] if id(value) in read else _plain_value(value)
            if isinstance(made, (dict, list)) and id(value) not in read:
                read[id(value)] = (value, made)
                pending.append((value, made))
            if isinstance(target, dict):
                target[str.__str__(key)] = made
            else:
                target.append(made)
    return root


def _items(source: object) -> list[tuple[Any, object]]:
    kind = type(source)
    if issubclass(kind, dict):
        pairs: Any = dict.items(source)  # type: ignore[arg-type]  # issubclass tells mypy nothing
        return [(key, value) for key, value in pairs if issubclass(type(key), str)]
    if issubclass(kind, (list, tuple, set, frozenset)):
        base = next(base for base, _ in _KINDS if issubclass(kind, base))
        return [("", value) for value in base.__iter__(source)]  # type: ignore[attr-defined]
    if issubclass(kind, Mapping):
        try:
            return [(key, source[key]) for key in source if issubclass(type(key), str)]  # type: ignore[index, attr-defined]
        except Exception:  # noqa: BLE001 - a foreign mapping may raise anything; it then has no readable fields
            return []
    return []


def _plain_value(value: object) -> Any:
    """Return an empty container for a container, a scalar as one of Python's own types, ``None`` for anything else."""
    kind = type(value)
    for base, plain in _KINDS:
        if issubclass(kind, base):
            return plain()
    if issubclass(kind, Mapping):
        return {}
    for scalar, read in _SCALARS:
        if issubclass(kind, scalar):
            return read(value)
    return None


def _plain_date(value: object) -> date:
    year, month, day = (date.__dict__[part].__get__(value) for part in ("year", "month", "day"))
    return date(year, month, day)


def _plain_clock(kind: type, value: object) -> time:
    """Return the time of day; a time zone is kept where it is a fixed offset, any other runs code that may raise."""
    hour, minute, second, microsecond = (
        kind.__dict__[part].__get__(value) for part in ("hour", "minute", "second", "microsecond")
    )
    zone: tzinfo | None = kind.__dict__["tzinfo"].__get__(value)
    return time(hour, minute, second, microsecond, zone if type(zone) is timezone else None)


def holds(predicate: Callable[[Any], bool], event: Any) -> bool:
    """Return the predicate's verdict on *event*; never raises.

    Only foreign objects can raise when they are compared or looked into; the matchers cannot on plain data. Such an event
    is judged by the plain data in it.
    """
    try:
        return predicate(event)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        return predicate(plain_event(event))

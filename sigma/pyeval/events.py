"""A predicate's verdict on any event: plain data as it is, foreign objects by the plain data in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any

_SCALARS = (str, int, float, bytes, bytearray, date, time)
_KINDS: tuple[tuple[type, type], ...] = (
    (dict, dict),
    (list, list),
    (tuple, list),
    (set, list),
    (frozenset, list),
)


def plain_event(event: object) -> dict[str, Any]:
    """Return *event* as a dict of plain JSON-like data, leaving out whatever raises when it is looked at.

    Dicts and their sub-classes are read through ``dict`` itself, other mappings through their own methods; keys that are
    not text are dropped, as no field name can equal them. Anything that is no mapping is an event without fields.
    """
    root: dict[str, Any] = {}
    pending: list[tuple[object, Any]] = [(event, root)]
    while pending:
        source, target = pending.pop()
        for key, value in _items(source):
            made = _plain_value(value)
            if isinstance(made, (dict, list)):
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
    """Return an empty container for a container, the value itself for a scalar, ``None`` for anything else."""
    kind = type(value)
    for base, plain in _KINDS:
        if issubclass(kind, base):
            return plain()
    if issubclass(kind, Mapping):
        return {}
    return value if kind is bool or issubclass(kind, _SCALARS) else None


def holds(predicate: Callable[[Any], bool], event: Any) -> bool:
    """Return the predicate's verdict on *event*; never raises.

    Only foreign objects can raise when they are compared or looked into; the matchers cannot on plain data. Such an event
    is judged by the plain data in it.
    """
    try:
        return predicate(event)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        return predicate(plain_event(event))

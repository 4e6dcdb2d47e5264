"""Fields of events that are not to be shown: where they stand, and events without their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .marks import Path, children, elements

REDACTED: Final = "[redacted]"
"""What stands where a value is not shown."""

ANY: Final = "*"
"""As one name of a path: every key of a mapping."""


class Redaction:
    """The fields whose values are not shown.

    A field is named as rules name it: the literal key, or names joined by dots through nested mappings, where a list stands
    for all its members and a number for one. Where an event has both, both are redacted. ``*`` stands for any one name
    (``user.*.mail``). A field with members is redacted as a whole.

    Args:
        fields: The fields' names.

    Raises:
        ValueError: A name is empty, or has an empty part.
    """

    def __init__(self, fields: Iterable[str] = ()) -> None:
        self.fields = tuple(dict.fromkeys(fields))
        for field in self.fields:
            if not all(field.split(".")):
                raise ValueError(f"{field!r} is no field: a name stands on both sides of a dot")
        self._names = tuple((field, tuple(field.split("."))) for field in self.fields)

    def places(self, event: Mapping[str, Any]) -> set[Path]:
        """Return where the fields stand in *event*; of a field within another one that is named, only the outer."""
        found: set[Path] = set()
        for field, names in self._names:
            if field in event:
                found.add((field,))
            if names[0] in event or names[0] == ANY:
                found.update(_places(event, names))
        return {place for place in found if not any(place[:end] in found for end in range(1, len(place)))}

    def hides(self, field: str) -> bool:
        """Return whether the values of *field*, as rules name it, are not shown: it is one of the fields, or lies within one."""
        parts = field.split(".")
        named = [part for part in parts if not part.isdecimal()]  # a list stands for all its members
        return field in self.fields or any(_begins(parts, names) or _begins(named, names) for _, names in self._names)


def _begins(parts: list[str], names: tuple[str, ...]) -> bool:
    return len(parts) >= len(names) and all(name in (ANY, part) for name, part in zip(names, parts, strict=False))


def _places(event: Mapping[str, Any], names: tuple[str, ...]) -> list[Path]:
    found: list[tuple[Path, object]] = [((), event)]
    for name in names:
        found = [child for path, parent in found for child in _named(path, parent, name)]
    return [path for path, _ in found]


def _named(path: Path, parent: object, name: str) -> list[tuple[Path, object]]:
    if name != ANY:
        return list(children(path, parent, name))
    mappings = [(place, member) for place, member in elements(path, parent) if isinstance(member, dict)]
    return [((*place, key), value) for place, mapping in mappings for key, value in mapping.items()]


def without(event: Mapping[str, Any], places: Iterable[Path]) -> dict[str, Any]:
    """Return *event* with ``REDACTED`` at *places*, none of which lies within another; *event* itself stays as it is."""
    redacted: dict[str, Any] = dict(event)
    copied: dict[Path, Any] = {(): redacted}
    for place in places:
        parent: Any = redacted
        for end, part in enumerate(place[:-1], 1):
            if (copy := copied.get(place[:end])) is None:
                copy = copied[place[:end]] = parent[part] = parent[part].copy()
            parent = copy
        parent[place[-1]] = REDACTED
    return redacted


def is_within(path: Path, places: set[Path]) -> bool:
    """Return whether *path* is one of *places* or lies within one."""
    return any(path[:end] in places for end in range(1, len(path) + 1))

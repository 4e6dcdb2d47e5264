"""The shape of an event: what its keys alone say about how to judge it.

Events of one kind have the same keys. For each combination of keys it is worked out once which of them rules read, where
dotted fields can lead into nested data, and which comparisons of fields can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ..matchers.values import lookup
from .fields import PLAIN_COLLECTIONS, PLAIN_SCALARS, Foreign, TextFunction, check_plain
from .memos import FieldMemo

Getter = Callable[[Mapping[str, Any]], tuple[Any, ...]]

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A predicate of several fields.

    Attributes:
        number: The predicate's number.
        reading: The fields.
        test: Its function of an event.
        text_test: Its function of two texts in lower case, and the event; used where both fields are text.
    """

    number: int
    reading: tuple[str, ...]
    test: Callable[[dict[str, Any]], bool]
    text_test: TextFunction | None

    def holds(self, event: dict[str, Any]) -> bool:
        """Return whether it holds for *event*, in which the fields' values are plain data."""
        if self.text_test is not None:
            one, other = map(event.get, self.reading)
            if type(one) is str and type(other) is str:
                return self.text_test(one.lower(), other.lower(), event)
        return self.test(event)


class Shape:
    """How to judge events with certain keys.

    Attributes:
        keys: The keys that rules read.
        values: Returns the values of these keys.
        memos: The memo of each of these keys.
        other_values: Returns the values of the other keys.
        all_text: Whether all of those have been text so far.
        nested: Whether dotted fields begin at one of the keys.
        comparisons: Predicates of several fields that can hold.
    """

    __slots__ = ("all_text", "comparisons", "keys", "memos", "nested", "other_values", "paths", "values")

    def __init__(
        self,
        keys: list[str],
        other_keys: list[str],
        memos: list[FieldMemo],
        paths: list[tuple[str, FieldMemo]],
        comparisons: list[Comparison],
    ) -> None:
        self.keys = keys
        self.values = _getter(keys)
        self.memos = memos
        self.other_values = _getter(other_keys)
        self.all_text = True
        self.paths = [(name, name.split("."), memo) for name, memo in paths]
        self.nested = bool(paths)
        self.comparisons = comparisons

    def classes(self, event: dict[str, Any]) -> tuple[int, ...]:
        """Return the classes of all values that rules read, whatever their types; raises Foreign for unknown types."""
        found = [memo.of_any(event[key]) for key, memo in zip(self.keys, self.memos, strict=True)]
        found += [_nested_class(event, name, path, memo) for name, path, memo in self.paths]
        return tuple(filter(None, found))


def _getter(keys: list[str]) -> Getter:
    if len(keys) > 1:
        return itemgetter(*keys)
    if keys:
        only = keys[0]
        return lambda event: (event[only],)
    return lambda event: ()  # noqa: ARG005 - called with an event as the others are


def _nested_class(event: dict[str, Any], name: str, path: list[str], memo: FieldMemo) -> int:
    value: Any = event
    for part in path:
        kind = type(value)
        if kind is dict:
            value = value.get(part, _MISSING)
            if value is _MISSING:
                return 0
        elif kind in PLAIN_COLLECTIONS:
            check_plain(event[path[0]])
            values = lookup(event, name)
            return 0 if values is None else memo.of_values(values)
        elif kind in PLAIN_SCALARS:
            return 0
        else:
            raise Foreign
    return memo.of_any(value)

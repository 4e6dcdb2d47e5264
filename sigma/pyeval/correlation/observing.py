"""What correlation rules take from an event: for each rule that it is about, the group and the value. Plain data, JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..events import plain_event
from ..matchers.values import text_of
from .calls import Correlation
from .groups import Counts
from .keys import Key, field_key, field_number, from_json, key_number
from .results import Contribution, CorrelationMatch

LONGEST_EVENT: Final = 8_192
"""Characters of JSON: larger events are not kept for the matches that name them."""
_LARGEST_INT: Final = 14_000

Place = tuple[int, tuple[Key, ...], Any]
"""The number of a correlation, the group, and the value that its window takes."""


class Observation(NamedTuple):
    """All that correlation rules take from one event.

    Attributes:
        time: When it happened, in microseconds since the epoch.
        places: Where it counts; empty for an event that only lets time pass.
        contribution: The event for matches that name it; ``None`` where it counts nowhere.
    """

    time: int
    places: tuple[Place, ...] = ()
    contribution: Contribution | None = None

    def as_json(self) -> list[Any]:
        """Return the observation as JSON types, which ``from_json`` of ``read_observation`` takes."""
        return [self.time, list(self.places), None if self.contribution is None else list(self.contribution)]


def read_observation(data: Sequence[Any]) -> Observation:
    """Return the observation that ``as_json`` wrote."""
    time, places, contribution = data
    return Observation(
        int(time),
        tuple((int(number), tuple(map(from_json, group)), from_json(value)) for number, group, value in places),
        None if contribution is None else read_contribution(contribution),
    )


def read_contribution(data: Sequence[Any]) -> Contribution:
    """Return the contribution that was written as a list."""
    time, by_arrival, rules, name, source, text = data
    return Contribution(int(time), bool(by_arrival), tuple(rules), name, source, text)


class Lack(NamedTuple):
    """What a match had not that a correlation asks for, so that it was not counted there. There are no more than rules say.

    Attributes:
        number: The number of the correlation.
        rule: The key of the rule that matched.
        field: The field of the event, or of the group of a correlation's match.
        groups: Whether it is one of group-by; else the condition's.
    """

    number: int
    rule: str
    field: str
    groups: bool


class Observer:
    """Takes from events what the correlations need.

    Args:
        correlations: In the engine's order.
        keys: Their keys.
        counts: What is counted.

    Attributes:
        lacks: How many matches were not counted, and for want of what.
    """

    def __init__(self, correlations: Sequence[Correlation], keys: Sequence[str], counts: Counts) -> None:
        self._correlations = correlations
        self._counts = counts
        self.lacks: Counter[Lack] = Counter()
        self._about: dict[str, list[tuple[int, int]]] = {}
        for number, correlation in enumerate(correlations):
            for bit, rule in enumerate(correlation.rules):
                self._about.setdefault(rule, []).append((number, 1 << bit))
        self._carried = {key: dict(self._carries(number, key)) for number, key in enumerate(keys)}

    def rules(self) -> frozenset[str]:
        """Return the keys of all that is correlated."""
        return frozenset(self._about)

    def observe(  # noqa: PLR0913, PLR0917 - the engine names each
        self, rules: Sequence[str], event: Mapping[str, Any], time: int, by_arrival: bool, source: Any, serial: int
    ) -> Observation:
        """Return what is taken from an event that matches *rules*; *serial* tells it from others without a source."""
        about = [rule for rule in dict.fromkeys(rules) if rule in self._about] if rules else ()
        if not about:
            return Observation(time)
        self._counts.events += 1
        try:
            places = self._places(about, event)
        except Exception:  # noqa: BLE001 - a foreign object may raise anything when it is looked into
            event = plain_event(event)
            places = self._places(about, event)
        if not places:
            return Observation(time)
        text = event_text(event)
        identity = str(serial) if source is None else json.dumps(source, sort_keys=True, default=str)
        name = hashlib.sha256(f"{identity}\0{text}".encode()).hexdigest()[:32]
        kept = text if text is not None and len(text) <= LONGEST_EVENT else None
        return Observation(time, tuple(places), Contribution(time, by_arrival, tuple(about), name, source, kept))

    def about_match(
        self, key: str, match: CorrelationMatch, group: tuple[Key, ...]
    ) -> Iterable[tuple[Place, Contribution]]:
        """Yield where the match of correlation *key*, whose group is *group*, counts itself."""
        if key not in self._about:
            return
        contribution = Contribution(
            match.end_time, match.by_arrival, (key,), match.id, match.source, _summary(key, match)
        )
        for number, bit in self._about[key]:
            groups, values = self._carried[key][number]
            value = self._value(self._correlations[number], tuple(group[place] for place in values), bit)
            if value is None:
                self._counts.without_value += 1
                outer = self._correlations[number]
                self.lacks[Lack(number, key, outer.field_of(outer.fields[0], key), False)] += 1
            else:
                yield (number, tuple(group[place] for place in groups), value), contribution

    def _carries(self, inner: int, key: str) -> Iterable[tuple[int, tuple[tuple[int, ...], tuple[int, ...]]]]:
        """Yield for each correlation of *key*'s matches where in their group stand its group-by fields and its value's."""
        carried = self._correlations[inner].group_by
        for number, _ in self._about.get(key, ()):
            outer = self._correlations[number]
            yield (
                number,
                (
                    tuple(carried.index(outer.field_of(name, key)) for name in outer.group_by),
                    tuple(carried.index(outer.field_of(name, key)) for name in outer.fields),
                ),
            )

    def _places(self, about: Sequence[str], event: Mapping[str, Any]) -> list[Place]:
        found: dict[tuple[int, tuple[Key, ...]], Any] = {}
        for rule in about:
            for number, bit in self._about[rule]:
                correlation = self._correlations[number]
                group = tuple([field_key(event, correlation.field_of(name, rule)) for name in correlation.group_by])
                if None in group:
                    self._counts.without_group += 1
                    name = correlation.group_by[group.index(None)]
                    self.lacks[Lack(number, rule, correlation.field_of(name, rule), True)] += 1
                    continue
                value = self._event_value(correlation, rule, event, bit)
                if value is None:
                    self._counts.without_value += 1
                    self.lacks[Lack(number, rule, self._field_without(correlation, rule, event), False)] += 1
                elif correlation.is_temporal:
                    found[number, group] = found.get((number, group), 0) | bit
                else:
                    found.setdefault((number, group), value)
        return [(number, group, value) for (number, group), value in found.items()]

    def _event_value(self, correlation: Correlation, rule: str, event: Mapping[str, Any], bit: int) -> Any:
        if not correlation.fields:
            return bit
        fields = [correlation.field_of(name, rule) for name in correlation.fields]
        if correlation.kind != "value_count":
            return field_number(event, fields[0])
        return self._value(correlation, tuple(field_key(event, field) for field in fields), bit)

    @staticmethod
    def _field_without(correlation: Correlation, rule: str, event: Mapping[str, Any]) -> str:
        """Return the first of the condition's fields without a value: of one, that it is no number is enough."""
        fields = [correlation.field_of(name, rule) for name in correlation.fields]
        return next((field for field in fields if field_key(event, field) is None), fields[0])

    @staticmethod
    def _value(correlation: Correlation, keys: tuple[Key, ...], bit: int) -> Any:
        """Return what a window takes of the values under *keys*; ``None`` where one of them is missing."""
        if not correlation.fields:
            return bit
        if None in keys:
            return None
        return keys if correlation.kind == "value_count" else key_number(keys[0])


def event_text(event: Mapping[str, Any]) -> str | None:
    """Return *event* as JSON that reads back, what JSON does not have as text; ``None`` where it is nested too deeply."""
    try:
        return _ENCODER.encode(event)
    except (TypeError, ValueError):  # keys that are no text, integers of thousands of digits, circles
        pass
    except RecursionError:
        return None
    try:
        return _ENCODER.encode(_plain(plain_event(event)))
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, int) and value.bit_length() >= _LARGEST_INT:
        return hex(value)
    return value


def _as_text(value: object) -> str | None:
    return text_of(value)


_ENCODER: Final = json.JSONEncoder(default=_as_text)


_SUMMARY: Final = {"correlation", "group", "count", "value"}


def _summary(key: str, match: CorrelationMatch) -> str:
    said = {"correlation": key, "group": dict(match.group), "count": match.count, "value": match.value}
    return _ENCODER.encode(said)


def is_summary(event: Mapping[str, Any]) -> bool:
    """Return whether a contribution's event says what another correlation raised, as far as its form tells."""
    return event.keys() == _SUMMARY and isinstance(event["group"], Mapping)

"""The explanation of a correlation rule in words, as lines within lines, the same for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sigma.pyeval.correlation.calls import Correlation
from sigma.pyeval.correlation.results import time_text
from sigma.pyeval.correlation.watching import Reached
from sigma.pyeval.explain import Explanation
from sigma.pyeval.explained_correlation import (
    CorrelatedEvent,
    CorrelationExplanation,
    ExplainedCorrelation,
    Member,
)
from sigma.pyeval.output import counted, printable

LONGEST_SHOWN: Final = 200
"""So many characters of a group's fields are written out."""

_SIGNS: Final = {"lt": "<", "lte": "≤", "gt": ">", "gte": "≥", "eq": "=", "neq": "≠"}
_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Line:
    """A line with what stands under it.

    Attributes:
        text: Safe to be shown on a terminal.
        holds: Whether it says that something is true, or false; ``None`` where it says neither.
        under: The lines under it; a plain rule's explanation stands for its own.
    """

    text: str
    holds: bool | None = None
    under: tuple[Line | Explanation, ...] = ()


def correlation_conclusion(explanation: CorrelationExplanation) -> str:
    """Return in one line whether the rule matches and, if not, what is wanting."""
    if explanation.matched:
        return f"matches, {counted(explanation.raised, 'time')}"
    title_of = _titles(explanation)
    silent = [printable(member.rule.title) for member in explanation.members if not member.matched]
    parts = [f"no event matches {' or '.join(silent)}"] if silent else []
    for one in explanation.correlations:
        if one.groups and not one.raised:
            prefix = f"{title_of[one.key]}: " if one is not explanation.correlations[0] else ""
            reached = one.groups[0]
            came = f"{_group(reached.group)} comes to {_came_to(one.correlation, reached, title_of)}"
            parts.append(f"{prefix}{came}, asked is {_condition(one.correlation, title_of)}")
    lacking = dict.fromkeys(out.missing.field for event in explanation.events for out in event.left_out)
    if lacking and not any(event.counted for event in explanation.events):
        parts.append(f"events that match lack {printable(', '.join(lacking))}")
    return "no match: " + ("; ".join(parts) or "the events do not come together")


def correlation_lines(explanation: CorrelationExplanation) -> Iterator[Line]:
    """Yield what the rule and those it builds on ask and what groups came to, what its rules match, and the events."""
    title_of = _titles(explanation)
    for one in explanation.correlations:
        yield _correlation(one, title_of, is_own=one is explanation.correlations[0])
    yield from map(_member, explanation.members)
    if explanation.events:
        lines = [_event(event, title_of) for event in explanation.events]
        if explanation.more:
            lines.append(Line(f"and {counted(explanation.more, 'event')} more"))
        yield Line("events", under=tuple(lines))


def _titles(explanation: CorrelationExplanation) -> Mapping[str, str]:
    both: tuple[Member | ExplainedCorrelation, ...] = (*explanation.members, *explanation.correlations)
    return {one.key: printable(one.rule.title) for one in both}


def _correlation(one: ExplainedCorrelation, title_of: Mapping[str, str], *, is_own: bool) -> Line:
    said = one.correlation
    group = f", by {printable(', '.join(said.group_by))}" if said.group_by else ""
    asks = f"asks: {_condition(said, title_of)} within {_span(said.timespan)}{group}"
    lines = [_reached(said, reached, title_of) for reached in one.groups]
    if one.more:
        lines.append(Line(f"and {counted(one.more, 'group')} more"))
    if is_own:
        return Line(asks, under=tuple(lines))
    verdict = f"matches, {counted(one.raised, 'time')}" if one.raised else "no match"
    return Line(f"{title_of[one.key]}: {verdict}", one.raised > 0, (Line(asks, under=tuple(lines)),))


def _reached(said: Correlation, reached: Reached, title_of: Mapping[str, str]) -> Line:
    when = f"{counted(reached.count, 'event')} up to {_time(reached.end_time)}"
    return Line(f"{_group(reached.group)}: {_came_to(said, reached, title_of)} ({when})", reached.holds)


def _came_to(said: Correlation, reached: Reached, title_of: Mapping[str, str]) -> str:
    seen = " and ".join(title_of[rule] for rule in reached.seen)
    if reached.value is None:
        return seen
    return f"{reached.value} ({seen})" if said.is_temporal else _cut(str(reached.value))


def _condition(said: Correlation, title_of: Mapping[str, str]) -> str:
    if said.is_extended:
        return _joined(said.condition, title_of) + (", in their order" if said.kind == "temporal_ordered" else "")
    operator, number = said.condition
    return f"{_measured(said, title_of)} {_SIGNS[operator]} {number}"


def _measured(said: Correlation, title_of: Mapping[str, str]) -> str:
    fields = printable(", ".join(said.fields))
    match said.kind:
        case "event_count":
            return "events"
        case "value_count":
            return f"different values of {fields}"
        case "temporal" | "temporal_ordered":
            order = " in this order" if said.kind == "temporal_ordered" else ""
            return f"rules{order} ({', '.join(title_of[rule] for rule in said.rules)})"
        case "value_percentile":
            return f"percentile {said.percentile} of {fields}"
    return f"{said.kind.removeprefix('value_')} of {fields}"


def _joined(condition: Any, title_of: Mapping[str, str], *, is_inner: bool = False) -> str:
    if isinstance(condition, str):
        return title_of[condition]
    word, *parts = condition
    if word == "not":
        return f"not {_joined(parts[0], title_of, is_inner=True)}"
    text = f" {word} ".join(_joined(part, title_of, is_inner=True) for part in parts)
    return f"({text})" if is_inner else text


def _member(member: Member) -> Line:
    title = printable(member.rule.title)
    if member.matched:
        under = () if member.explanation is None else (member.explanation,)
        return Line(f"{title}: matches {counted(member.matched, 'event')}", True, under)
    if member.explanation is None:
        return Line(f"{title}: there are no events", False)
    return Line(f"{title}: no event matches, the nearest is event {member.event}", False, (member.explanation,))


def _event(event: CorrelatedEvent, title_of: Mapping[str, str]) -> Line:
    when = _time(event.time) + (" (on arrival)" if event.by_arrival else "")
    place = f" {_place(event.source)}" if event.source is not None else ""
    rules = ", ".join(title_of[rule] for rule in event.rules)
    counts = dict.fromkeys(_group(one.group) + _value(one.value) for one in event.counted)
    text = "; ".join(filter(None, (rules, *counts)))
    return Line(f"{event.number}{place} {when} {text}", under=tuple(_left_out(event, title_of)))


def _left_out(event: CorrelatedEvent, title_of: Mapping[str, str]) -> Iterator[Line]:
    for one in event.left_out:
        near = f"; the nearest name is {one.missing.nearest}" if one.missing.nearest is not None else ""
        lacks = f"nothing in {one.missing.field} that could be used{near}"
        yield Line(printable(f"does not count for {title_of[one.correlation]}: {lacks}"), False)


def _place(source: Any) -> str:
    if isinstance(source, Mapping) and "line" in source:
        return printable(f"{source.get('path', '')}:{source['line']}")
    return _cut(str(source))


def _group(group: Mapping[str, Any]) -> str:
    return _cut(", ".join(f"{name}={value}" for name, value in group.items()) or "all events")


def _value(value: Any) -> str:
    return "" if value is None else f": {_cut(str(value))}"


def _cut(text: str) -> str:
    return printable(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "...")


def _time(time: int) -> str:
    return time_text(time).replace(".000000Z", "Z")


def _span(seconds: int) -> str:
    return next(f"{seconds // size}{unit}" for unit, size in _SECONDS if seconds % size == 0)

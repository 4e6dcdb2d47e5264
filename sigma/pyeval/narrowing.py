"""What is done to parsed rules before they are converted: filters applied, and the fields noted that they ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .literals import literal
from .rules import Rule
from .selection import Note

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule
    from sigma.filters import SigmaFilter
    from sigma.rule import SigmaRule

    Parsed = SigmaRule | SigmaCorrelationRule


def apply_filters(rules: Sequence[Parsed], filters: Sequence[SigmaFilter]) -> tuple[list[Parsed], list[Note]]:
    """Return *rules* narrowed by the filters for them (Sigma filters specification), and which filters are for none."""
    from sigma.rule import SigmaRule

    used: set[int] = set()
    narrowed: list[Parsed] = []
    for rule in rules:
        result = rule
        for one in filters if isinstance(rule, SigmaRule) else ():
            before = len(result.detection.detections)  # type: ignore[union-attr]
            result = one.apply_on_rule(result)
            if len(result.detection.detections) > before:  # type: ignore[union-attr]
                used.add(id(one))
        narrowed.append(result)
    return narrowed, [("filters", _unused(one)) for one in filters if id(one) not in used]


def _unused(one: SigmaFilter) -> str:
    place = f"{one.source.path}: " if one.source is not None else ""
    return f"{place}filter {one.title!r} applies to no rule that is loaded; look at its rules and its logsource"


class FieldsAsked:
    """The fields that rules name, before pipelines rename them: a mapping for another field does nothing.

    Args:
        mappings: Field as rules name it -> the events' names; nothing is noted where there is none.
        rules: The rules, not converted yet.
    """

    def __init__(self, mappings: Mapping[str, tuple[str, ...]], rules: Iterable[Parsed]) -> None:
        self._mappings = mappings
        self._asked: set[str] = set()
        if mappings:
            for rule in rules:
                self._asked.update(_fields(rule))

    def notes(self, converted: Iterable[Rule]) -> list[Note]:
        """Return which mappings neither a rule nor the scope of a converted one has a use for."""
        unused = [field for field in self._mappings if field not in self._asked]
        scopes = {rule.scope for rule in converted if rule.scope is not None} if unused else set()
        return [
            ("field_mappings", self._finding(field))
            for field in unused
            if not any(literal(name) in scope for name in self._mappings[field] for scope in scopes)
        ]

    def _finding(self, field: str) -> str:
        near = difflib.get_close_matches(field, self._asked, 1, 0.6)
        return f"no rule asks for the field {field!r}" + (f"; the nearest is {near[0]!r}" if near else "")


def _fields(rule: Parsed) -> Iterator[str]:
    from sigma.rule import SigmaRule
    from sigma.types import SigmaFieldReference

    if not isinstance(rule, SigmaRule):
        return
    pending: list[Any] = list(rule.detection.detections.values())
    while pending:
        part = pending.pop()
        if hasattr(part, "detection_items"):
            pending.extend(part.detection_items)
            continue
        if part.field is not None:
            yield part.field
        yield from (value.field for value in part.value if isinstance(value, SigmaFieldReference))

"""A rule: its detections, held against events as its condition says."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from .conditions import Condition
from .events import field_matches, keyword_matches
from .values import Null, Placeholder, Refused, Text, Wild, apply, interpret, parse_text

__all__ = ["Reference", "Refused"]


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
        verdict: bool = content.matches(event)
        return verdict

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
        names = [part for part in value.parts if isinstance(part, Placeholder)] if isinstance(value, Text) else []
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

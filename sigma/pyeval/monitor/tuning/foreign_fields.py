"""Fields in exceptions that only rules have: events have other names for them, so that the exception would never hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sigma.pyeval.conditions import fields_read
from sigma.pyeval.loading import parse_rules
from sigma.pyeval.pipelines import FieldMappings
from sigma.pyeval.rules import LogSource, Rule

from ..configuration_errors import Problem
from ..rules_settings import RulesSettings
from .exceptions import is_for
from .settings import ExceptionSettings

_MOST_ASKED = 2_000
"""Combinations of field and log source that are looked at: about a millisecond each."""


def foreign_fields(
    placed: Sequence[tuple[str, ExceptionSettings]], rules: Sequence[Rule], settings: RulesSettings
) -> list[Problem]:
    """Return the fields of exceptions that the pipelines give another name in every rule they are for.

    Args:
        placed: The exceptions, each with its place.
        rules: The rules that run.
        settings: How they were loaded.
    """
    asked = [
        (place, field, source)
        for place, one in placed
        for field in dict.fromkeys(_fields(one.match))
        for source in {rule.logsource: None for rule in rules if is_for(one, rule)}
    ]
    wanted = list(dict.fromkeys((field, source) for _, field, source in asked))[:_MOST_ASKED]
    names = _names_in_events(wanted, settings)
    found: dict[tuple[str, str], set[str] | None] = {}
    for place, field, source in asked:
        others = names.get((field, source), set())
        known = found.get((place, field), set())
        # One log source that has the field as it stands is enough: the exception can hold.
        found[place, field] = None if field in others or known is None else known | others
    return [
        (f"{place}.match", f"events have {', '.join(sorted(others))} for what rules call {field!r}; write that name")
        for (place, field), others in found.items()
        if others
    ]


def _fields(match: dict[str, Any] | list[dict[str, Any]]) -> Iterator[str]:
    for one in match if isinstance(match, list) else [match]:
        for key in one:
            name = str(key).partition("|")[0]
            if name:
                yield name


def _names_in_events(
    wanted: Sequence[tuple[str, LogSource]], settings: RulesSettings
) -> dict[tuple[str, LogSource], set[str]]:
    """Return the names that the pipelines give each field; nothing for one that they refuse."""
    if not wanted or not (settings.pipelines or settings.field_mappings):
        return {}
    import yaml

    documents = [
        {
            "title": str(number),
            "logsource": source.as_dict(),
            "detection": {"match": {field: "x"}, "condition": "match"},
        }
        for number, (field, source) in enumerate(wanted)
    ]
    ruleset = parse_rules(
        yaml.safe_dump_all(documents),
        pipeline=[FieldMappings.of(settings.field_mappings), *settings.pipelines],
        on_error="collect",
    )
    found = {}
    for rule in ruleset.rules:
        scope = set(fields_read(rule.scope, unsafe_regex=True) or ()) if rule.scope else set()
        read = set(fields_read(rule.expression, unsafe_regex=True) or ())
        field, source = wanted[int(rule.title)]
        found[field, source] = {field} if field in read else read - scope
    return found

"""The pipeline linux_eval: Sigma rules for Linux and web servers onto one event schema."""

from __future__ import annotations

from collections.abc import Mapping

from sigma.exceptions import SigmaConfigurationError
from sigma.processing.conditions import (
    IsSigmaCorrelationRuleCondition,
    RuleProcessingCondition,
    RuleProcessingItemAppliedCondition,
)
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation
from sigma.processing.transformations.base import PreprocessingTransformation

from .fields import FIELD_TABLES, FieldTable
from .log_sources import log_sources, supported_log_sources
from .scopes import emit_scope
from .transformations import (
    CorrelationFieldTransformation,
    FieldCheckTransformation,
    LinuxLogSourceCondition,
    NamesOfFieldTransformation,
    UnsupportedLogSourceTransformation,
)


def linux_eval_pipeline(
    field_mappings: Mapping[str, str | list[str] | tuple[str, ...]] | None = None,
    *,
    journald_processes: bool = False,
) -> ProcessingPipeline:
    """Return a new pipeline that maps rules for Linux and web servers onto the Linux event schema.

    A rule's scope, the expression that says which events its log source is for, is left in the pipeline state
    under ``scope``; a rule without one is for every event. ``docs/events.md`` lists fields, scopes and
    what is refused.

    Args:
        field_mappings: Name of a field in rules -> the event's name for it, or several names of which an
            event has one. Adds to the built-in mappings of every log source and replaces those for the same
            name; scopes follow.
        journald_processes: Whether process_creation rules look at journald lines as well, whose ``_EXE`` and
            ``_CMDLINE`` are those of the process that wrote the line.

    Raises:
        SigmaConfigurationError: ``field_mappings`` holds something that is no field name.
    """
    extra = _parse_field_mappings({} if field_mappings is None else field_mappings)
    tables = {name: table.extended(extra) for name, table in FIELD_TABLES.items()}
    items: list[ProcessingItem] = []
    for name, table in tables.items():
        items += _field_items(name, table)
    for log_source in log_sources():
        scope = emit_scope(log_source.name, tables["any"], journald_processes=journald_processes)
        if scope is not None:
            setter = SetStateTransformation("scope", scope)
            items.append(_item(f"scope_{log_source.name}", setter, _served_as({log_source.name})))
    by_log_source = {log_source.name: tables[log_source.fields] for log_source in log_sources()}
    correlation = CorrelationFieldTransformation(by_log_source)
    items.append(_item("correlation_fields", correlation, IsSigmaCorrelationRuleCondition()))
    items.append(_unsupported_item(list(tables)))
    return ProcessingPipeline(
        items=items,
        name="Linux and web server logs: journald, syslog, auditd, access logs",
        priority=20,
        allowed_backends=frozenset({"pyeval"}),
    )


def _field_items(name: str, table: FieldTable) -> list[ProcessingItem]:
    served = {log_source.name for log_source in log_sources() if log_source.fields == name}
    mapping: dict[str | None, str | list[str]] = {
        field: names[0] if len(names) == 1 else list(names) for field, names in table.mapping.items()
    }
    return [
        _item(f"check_{name}", FieldCheckTransformation(table), _served_as(served)),
        _item(f"map_{name}", NamesOfFieldTransformation(mapping), _served_as(served)),
    ]


def _unsupported_item(tables: list[str]) -> ProcessingItem:
    """Return the last item: it fails a plain rule to which no mapping item applied."""
    return ProcessingItem(
        identifier="linux_eval_unsupported",
        transformation=UnsupportedLogSourceTransformation(supported_log_sources()),
        rule_condition_linking=any,
        rule_condition_negation=True,
        rule_conditions=[
            IsSigmaCorrelationRuleCondition(),
            *(RuleProcessingItemAppliedCondition(f"linux_eval_map_{name}") for name in tables),
        ],
    )


def _item(name: str, transformation: PreprocessingTransformation, condition: RuleProcessingCondition) -> ProcessingItem:
    return ProcessingItem(identifier=f"linux_eval_{name}", transformation=transformation, rule_conditions=[condition])


def _served_as(names: set[str]) -> LinuxLogSourceCondition:
    return LinuxLogSourceCondition(frozenset(names))


def _parse_field_mappings(field_mappings: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(field_mappings, Mapping):
        raise SigmaConfigurationError(
            f"linux_eval field_mappings: expected a mapping of names to names, got {field_mappings!r}"
        )
    parsed: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for field, names in field_mappings.items():
        listed = tuple(names) if isinstance(names, (list, tuple)) else (names,)
        if not _is_name(field):
            problems.append(f"{field!r} is no field name")
        elif not listed:
            problems.append(f"{field!r} is mapped to no name at all")
        elif wrong := [name for name in listed if not _is_name(name)]:
            problems.append(f"{field!r} is mapped to {', '.join(map(repr, wrong))}, which is no field name")
        else:
            parsed[field] = tuple(dict.fromkeys(listed))
    if problems:
        raise SigmaConfigurationError(f"linux_eval field_mappings: {'; '.join(problems)}")
    return parsed


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.strip() != ""

"""The pipelines: Sigma rules for Linux and web servers onto one event schema each."""

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

from .ecs import ECS
from .linux import LINUX, LINUX_WITH_JOURNALD_PROCESSES
from .schema import EventSchema
from .sysmon import SYSMON
from .transformations import (
    CorrelationFieldTransformation,
    FieldCheckTransformation,
    FieldValuesTransformation,
    LinuxLogSourceCondition,
    NamesOfFieldTransformation,
    UnsupportedLogSourceTransformation,
)

FieldMappings = Mapping[str, str | list[str] | tuple[str, ...]]


def linux_eval_pipeline(
    field_mappings: FieldMappings | None = None, *, journald_processes: bool = False
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
    return _build_pipeline(LINUX_WITH_JOURNALD_PROCESSES if journald_processes else LINUX, field_mappings)


def linux_eval_ecs_pipeline(field_mappings: FieldMappings | None = None) -> ProcessingPipeline:
    """Return a new pipeline that maps the same rules onto events in the Elastic Common Schema.

    Arguments, state and errors as of ``linux_eval_pipeline``.
    """
    return _build_pipeline(ECS, field_mappings)


def linux_eval_sysmon_pipeline(field_mappings: FieldMappings | None = None) -> ProcessingPipeline:
    """Return a new pipeline for rules on events of Sysmon for Linux that keep its names, which are Sigma's.

    Arguments, state and errors as of ``linux_eval_pipeline``.
    """
    return _build_pipeline(SYSMON, field_mappings)


def _build_pipeline(schema: EventSchema, field_mappings: FieldMappings | None) -> ProcessingPipeline:
    schema = schema.extended(_parse_field_mappings(schema, {} if field_mappings is None else field_mappings))
    items: list[ProcessingItem] = []
    for name in schema.tables:
        items += _field_items(schema, name)
    for log_source in schema.served():
        scope = schema.scope(log_source)
        if scope is not None:
            setter = SetStateTransformation("scope", scope)
            items.append(_item(schema, f"scope_{log_source.name}", setter, _served_as(schema, {log_source.name})))
    correlation = CorrelationFieldTransformation(schema)
    items.append(_item(schema, "correlation_fields", correlation, IsSigmaCorrelationRuleCondition()))
    items.append(_unsupported_item(schema))
    return ProcessingPipeline(items=items, name=schema.title, priority=20, allowed_backends=frozenset({"pyeval"}))


def _field_items(schema: EventSchema, name: str) -> list[ProcessingItem]:
    table = schema.tables[name]
    steps: dict[str, PreprocessingTransformation] = {"check": FieldCheckTransformation(table, schema.remedy)}
    if table.values:
        steps["values"] = FieldValuesTransformation(table)
    steps["map"] = NamesOfFieldTransformation(table)
    served = {log_source.name for log_source in schema.served() if log_source.fields == name}
    return [_item(schema, f"{step}_{name}", made, _served_as(schema, served)) for step, made in steps.items()]


def _unsupported_item(schema: EventSchema) -> ProcessingItem:
    """Return the last item: it fails a plain rule to which no mapping item applied."""
    return ProcessingItem(
        identifier=f"{schema.name}_unsupported",
        transformation=UnsupportedLogSourceTransformation(schema.supported),
        rule_condition_linking=any,
        rule_condition_negation=True,
        rule_conditions=[
            IsSigmaCorrelationRuleCondition(),
            *(RuleProcessingItemAppliedCondition(f"{schema.name}_map_{name}") for name in schema.tables),
        ],
    )


def _item(
    schema: EventSchema, name: str, transformation: PreprocessingTransformation, condition: RuleProcessingCondition
) -> ProcessingItem:
    identifier = f"{schema.name}_{name}"
    return ProcessingItem(identifier=identifier, transformation=transformation, rule_conditions=[condition])


def _served_as(schema: EventSchema, names: set[str]) -> LinuxLogSourceCondition:
    return LinuxLogSourceCondition(schema, frozenset(names))


def _parse_field_mappings(schema: EventSchema, field_mappings: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(field_mappings, Mapping):
        raise SigmaConfigurationError(
            f"{schema.name} field_mappings: expected a mapping of names to names, got {field_mappings!r}"
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
        raise SigmaConfigurationError(f"{schema.name} field_mappings: {'; '.join(problems)}")
    return parsed


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.strip() != ""

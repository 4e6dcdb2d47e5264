"""The steps of the pipeline: check fields by name, map them, refuse what is not served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sigma.conditions import ConditionAND
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule, SigmaRuleReference
from sigma.exceptions import SigmaTransformationError
from sigma.processing.conditions import RuleProcessingCondition
from sigma.processing.transformations import RuleFailureTransformation
from sigma.processing.transformations.base import FieldMappingTransformationBase, PreprocessingTransformation
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaLogSource, SigmaRule
from sigma.types import SigmaBool, SigmaExists, SigmaFieldReference, SigmaNull, SigmaString, SigmaType

from .fields import FieldTable, Names
from .schema import EventSchema


@dataclass
class LinuxLogSourceCondition(RuleProcessingCondition):
    """True for a plain rule whose log source the schema serves under one of these names."""

    schema: EventSchema
    names: frozenset[str]

    def match(self, rule: SigmaRule | SigmaCorrelationRule) -> bool:
        """Return whether the item is for *rule*; never for a correlation rule."""
        if not isinstance(rule, SigmaRule):
            return False
        log_source = self.schema.find(rule.logsource)
        return log_source is not None and log_source.name in self.names


@dataclass
class FieldCheckTransformation(PreprocessingTransformation):
    """Refuse a rule that uses a field which its log source cannot have. Comes before the mapping."""

    table: FieldTable
    remedy: str

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Check detection items and field references; keywords have no field.

        Raises:
            SigmaTransformationError: Names the rule, all such fields and the supported ones. Also for
                ``null`` beside other values of a field with several names: no condition says that.
        """
        super().apply(rule)
        if not isinstance(rule, SigmaRule):
            return
        items = [item for detection in rule.detection.detections.values() for item in _items(detection)]
        names = dict.fromkeys(name for item in items for name in _field_names(item))
        unknown = [name for name in names if self.table.targets(name) is None]
        if unknown:
            raise SigmaTransformationError(
                f"{describe_rule(rule)} uses {_quoted(unknown)}, which {describe_logsource(rule.logsource)} "
                f"does not have; supported fields: {self.table.supported()}; {self.remedy}",
                source=rule.source,
            )
        for item in items:
            targets = self.table.targets(item.field) if item.field is not None else None
            absent = {_asks_for_absence(value) for value in item.value}
            if targets is not None and len(targets) > 1 and len(absent) > 1:
                raise SigmaTransformationError(
                    f"{describe_rule(rule)} asks field {item.field!r}, mapped to {', '.join(targets)}, for "
                    "null beside other values; write null as a detection of its own",
                    source=rule.source,
                )


@dataclass
class FieldValuesTransformation(PreprocessingTransformation):
    """Replace values that the events of a log source write otherwise. Comes before the mapping of the fields."""

    table: FieldTable

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Replace plain values in place.

        Raises:
            SigmaTransformationError: The rule asks such a field for something that is no plain value (a
                pattern, a number, another field), which nothing stands for.
        """
        super().apply(rule)
        if not isinstance(rule, SigmaRule):
            return
        for detection in rule.detection.detections.values():
            for item in _items(detection):
                if item.field is not None and item.field in self.table.values:
                    self._replace(item, self.table.values[item.field], rule)

    def _replace(self, item: SigmaDetectionItem, values: Names, rule: SigmaRule) -> None:
        replaced: list[SigmaType] = []
        for value in item.value:
            if isinstance(value, (SigmaNull, SigmaExists)):
                replaced.append(value)
                continue
            if not isinstance(value, (SigmaString, SigmaBool)) or (
                isinstance(value, SigmaString) and value.contains_special()
            ):
                raise SigmaTransformationError(
                    f"{describe_rule(rule)} asks field {item.field!r} for more than plain values, of which "
                    f"{', '.join(values)} stand for other values in these events",
                    source=rule.source,
                )
            named = values.get(str(value).lower())
            replaced += [value] if named is None else [SigmaString(name) for name in named]
        item.value = replaced


@dataclass
class NamesOfFieldTransformation(FieldMappingTransformationBase):
    """Map fields as pySigma does, with the right meaning where a field has several names.

    pySigma links the names by OR. For "is not", "does not exist" and "is null" that is true as soon as
    one name is missing; the value is absent only when it is under none of the names.
    """

    table: FieldTable

    def apply_field_name(self, field: str | None) -> str | list[str] | None:
        """Return the event's name or names for *field*; ``None`` leaves it as it is."""
        names = None if field is None else self.table.targets(field)
        if names is None:
            return None
        return names[0] if len(names) == 1 else list(names)

    def apply_detection_item(self, detection_item: SigmaDetectionItem) -> SigmaDetection | SigmaDetectionItem | None:
        """Return the replacement of *detection_item*, or ``None`` where nothing changes."""
        asks_for_absence = all(map(_asks_for_absence, detection_item.value))
        result = super().apply_detection_item(detection_item)
        if isinstance(result, SigmaDetection) and asks_for_absence != detection_item.negated:
            result.item_linking = ConditionAND
        return result


@dataclass
class CorrelationFieldTransformation(PreprocessingTransformation):
    """Check and map the fields of a correlation rule by the log sources of the rules that it refers to.

    A group-by or condition field needs one name for all of these rules; where they differ, it needs an alias.
    """

    schema: EventSchema

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Map group-by, alias targets and the condition's field of a correlation rule, in place.

        Raises:
            SigmaTransformationError: A member's log source is not served, lacks the field or names it
                otherwise.
        """
        super().apply(rule)
        if not isinstance(rule, SigmaCorrelationRule):
            return
        aliases = {alias.alias for alias in rule.aliases}
        members = _resolved(rule.referenced_rules)
        for alias in rule.aliases:  # their references are never resolved by pySigma
            for reference, field in alias.mapping.items():
                named = [m for m in members if reference.reference in (m.name, str(m.id))]
                alias.mapping[reference] = self._map(rule, field, named)
        if rule.group_by is not None:
            rule.group_by = [f if f in aliases else self._map(rule, f, members) for f in rule.group_by]
        condition = rule.condition
        if isinstance(condition, SigmaCorrelationCondition) and condition.fieldref is not None:
            listed = condition.fieldref if isinstance(condition.fieldref, list) else [condition.fieldref]
            mapped = [f if f in aliases else self._map(rule, f, members) for f in listed]
            condition.fieldref = mapped if isinstance(condition.fieldref, list) else mapped[0]

    def _map(self, rule: SigmaCorrelationRule, field: str, members: Iterable[SigmaRule | SigmaCorrelationRule]) -> str:
        names = {name for member in members for name in self._names(field, member, (rule,))}
        if not names:  # references that are not resolved yet, or an alias for a rule that is no member
            names.update(self.schema.tables["any"].targets(field) or (field,))
        if len(names) > 1:
            raise SigmaTransformationError(
                f"{describe_rule(rule)}: field {field!r} has several names in the events of its rules: "
                f"{', '.join(sorted(names))}; use one of these, or give each rule its own by an alias",
                source=rule.source,
            )
        return names.pop()

    def _names(
        self, field: str, member: SigmaRule | SigmaCorrelationRule, within: tuple[SigmaCorrelationRule, ...]
    ) -> tuple[str, ...]:
        """Return the names of *field* in the events of *member*; *within*: the rules that led to it."""
        rule = within[0]
        if isinstance(member, SigmaCorrelationRule):
            if any(member is outer for outer in within):
                raise SigmaTransformationError(f"{describe_rule(rule)} refers to itself", source=rule.source)
            # What a correlation finds carries its group, and aliases under their own names.
            if field in {alias.alias for alias in member.aliases}:
                return (field,)
            inner_rules = _resolved(member.referenced_rules)
            return tuple(name for inner in inner_rules for name in self._names(field, inner, (*within, member)))
        log_source = self.schema.find(member.logsource)
        if log_source is None:
            raise SigmaTransformationError(
                f"{describe_rule(rule)} refers to {describe_rule(member)}, whose log source "
                f"({describe_logsource(member.logsource)}) is not supported",
                source=rule.source,
            )
        table = self.schema.tables[log_source.fields]
        names = table.targets(field)
        if names is None:
            raise SigmaTransformationError(
                f"{describe_rule(rule)} uses {_quoted([field])}, which {describe_rule(member)} with "
                f"{describe_logsource(member.logsource)} does not have; an alias gives it another field; "
                f"supported fields: {table.supported()}; {self.schema.remedy}",
                source=rule.source,
            )
        return names


@dataclass
class UnsupportedLogSourceTransformation(RuleFailureTransformation):
    """Refuse a rule by its log source; ``message`` says what is supported."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Raise.

        Raises:
            SigmaTransformationError: Always; names the rule, its log source and the supported ones.
        """
        which = describe_logsource(rule.logsource) if isinstance(rule, SigmaRule) else "a correlation"
        raise SigmaTransformationError(
            f"{describe_rule(rule)}: log source {which} is not supported; supported: {self.message}",
            source=rule.source,
        )


def describe_rule(rule: SigmaRule | SigmaCorrelationRule) -> str:
    """Return kind, title and id of *rule* in one line, whatever the title holds."""
    kind = "rule" if isinstance(rule, SigmaRule) else "correlation rule"
    name = rule.id or rule.name
    return f"{kind} {rule.title!r} ({name})" if name else f"{kind} {rule.title!r}"


def describe_logsource(logsource: SigmaLogSource) -> str:
    """Return the known parts of *logsource* in one line: ``category 'process_creation', product 'linux'``."""
    parts = (("category", logsource.category), ("product", logsource.product), ("service", logsource.service))
    return ", ".join(f"{name} {value!r}" for name, value in parts if value)


def _items(detection: SigmaDetection) -> Iterator[SigmaDetectionItem]:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            yield from _items(item)
        else:
            yield item


def _field_names(item: SigmaDetectionItem) -> Iterator[str]:
    if item.field is not None:
        yield item.field
    yield from (value.field for value in item.value if isinstance(value, SigmaFieldReference))


def _asks_for_absence(value: SigmaType) -> bool:
    return isinstance(value, SigmaNull) or (isinstance(value, SigmaExists) and not value.exists)


def _resolved(references: Iterable[SigmaRuleReference]) -> list[SigmaRule | SigmaCorrelationRule]:
    """Return the rules referred to; a reference has one only after its collection has resolved it."""
    return [reference.rule for reference in references if hasattr(reference, "rule")]


def _quoted(names: list[str]) -> str:
    return f"{'field' if len(names) == 1 else 'fields'} {', '.join(map(repr, names))}"

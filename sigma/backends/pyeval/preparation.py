"""What is put right in a rule before any pipeline sees it, so that every way of converting it agrees."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from sigma.conditions import SigmaCondition
from sigma.exceptions import SigmaConditionError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule
from sigma.types import SigmaBool, SigmaNull, SigmaNumber, SigmaString, SigmaType

from .conditions import rewrite_condition
from .errors import Unsupported
from .modifiers import correct_values

# pySigma names the detections of an applied filter at random.
_FILTER_NAME = re.compile(r"_filt_[a-z]{10}_")
_LARGEST_EXACT = 2**53
METADATA = (
    *("title", "id", "name", "status", "level", "tags", "author", "date", "modified", "license"),
    *("description", "references", "falsepositives", "fields", "taxonomy", "related", "scope", "custom_attributes"),
)
"""What rules of all kinds say beside what they detect."""


def prepare_rule(rule: SigmaRule) -> str:
    """Correct *rule* in place and return the SHA-256, hexadecimal, of what it was.

    Raises:
        SigmaError: The rule says something that has no meaning, or that pySigma has lost a part of.
    """
    detections = rule.detection.detections
    for detection in detections.values():
        for item in _items(detection):
            _check_item(item)
    source_hash = _source_hash(rule)
    for name, detection in detections.items():
        if _FILTER_NAME.match(name):  # pySigma 1.5 shares a filter's detections between rules; pipelines change them
            detections[name] = copy.deepcopy(detection)
    for detection in detections.values():
        for item in _items(detection):
            correct_values(item)
    _rewrite_conditions(rule)
    return source_hash


def _source_hash(rule: SigmaRule) -> str:
    """Return the hash of what is written in *rule*; not of where it was read from, nor of how pySigma holds it."""
    source = rule.logsource
    written = [
        *(getattr(rule, name) for name in METADATA),
        (source.category, source.product, source.service, source.definition),
        {name: _written(detection) for name, detection in rule.detection.detections.items()},
        rule.detection.condition,
    ]
    text = json.dumps(written, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(_FILTER_NAME.sub("_filt_", text).encode()).hexdigest()


def _written(part: SigmaDetection | SigmaDetectionItem) -> list[Any]:
    if isinstance(part, SigmaDetection):
        return [_written(inner) for inner in part.detection_items]
    values = part.value if part.original_value is None else part.original_value
    return [part.field, [modifier.__name__ for modifier in part.modifiers], [_plain(value) for value in values]]


def _plain(value: SigmaType) -> Any:
    match value:
        case SigmaString():
            return value.original
        case SigmaNumber():
            return value.number
        case SigmaBool():
            return value.boolean
        case SigmaNull():
            return None
        case _:  # made by a transformation, not written
            return type(value).__name__


def _items(detection: SigmaDetection) -> Iterator[SigmaDetectionItem]:
    pending: list[SigmaDetection | SigmaDetectionItem] = [detection]
    while pending:
        part = pending.pop()
        if isinstance(part, SigmaDetectionItem):
            yield part
        else:
            pending.extend(part.detection_items)


def _check_item(item: SigmaDetectionItem) -> None:
    """Refuse what pySigma has already lost a part of."""
    if not item.value:
        raise Unsupported("an empty list of values", "write null where the field shall be absent", item.field)
    for value in item.original_value or ():
        number = value.number if isinstance(value, SigmaNumber) else 0
        if isinstance(number, float) and abs(number) >= _LARGEST_EXACT:
            raise Unsupported(f"the number {number:.0f} cannot be held exactly", "write it as quoted text", item.field)
        if isinstance(value, SigmaString):
            _check_text(item, value)
        if item.field is None and isinstance(value, SigmaNull):
            raise Unsupported("a keyword cannot be null", "name the field that shall be absent")


def _check_text(item: SigmaDetectionItem, text: SigmaString) -> None:
    """Make a regular expression of digits text: pySigma takes any YAML value under ``re`` as if it were."""
    written: object = text.original
    if isinstance(written, int) and not isinstance(written, bool):
        text.s, text.original = [str(written)], str(written)
    elif not isinstance(written, str):
        finding = f"re cannot take the value {written!r}"
        raise Unsupported(finding, "write the regular expression as text, in quotes", item.field)


def _rewrite_conditions(rule: SigmaRule) -> None:
    """Check and rewrite the conditions; a list of them becomes one, as the rule matches, once, if any holds."""
    detection = rule.detection
    rewritten: list[str] = []
    renamed: dict[str, str] = {}
    for condition in detection.condition:
        if not isinstance(condition, str):
            raise Unsupported(f"the condition is {type(condition).__name__}, not text", "write it as text")
        text, renamed = rewrite_condition(condition, detection.detections)
        # Each must stand on its own before parentheses are put around it.
        _check_syntax(text, condition, detection)
        rewritten.append(text)
    detection.detections = {renamed.get(name, name): value for name, value in detection.detections.items()}
    joined = rewritten[0] if len(rewritten) == 1 else " or ".join(f"({text})" for text in rewritten)
    detection.condition = [joined]
    detection.parsed_condition = [SigmaCondition(joined, detection, detection.source)]


def _check_syntax(text: str, written: str, detection: SigmaDetections) -> None:
    try:
        SigmaCondition(text, detection, detection.source).parse(postprocess=False)
    except SigmaConditionError as error:
        remedy = "join search identifiers by and, or, not and parentheses"
        raise Unsupported(f"condition {written!r} cannot be read", remedy) from error
    except RecursionError as error:
        raise Unsupported("the condition is nested too deeply", "split the rule") from error

"""What is put right in a rule before any pipeline sees it, so that every way of converting it agrees."""

from __future__ import annotations

import hashlib
import json
import re

from sigma.conditions import SigmaCondition
from sigma.rule import SigmaRule

# pySigma names the detections of an applied filter at random.
_FILTER_NAME = re.compile(r"_filt_[a-zA-Z0-9]{10}_")


def prepare_rule(rule: SigmaRule) -> str:
    """Correct *rule* in place and return the SHA-256, hexadecimal, of what it was."""
    source_hash = _source_hash(rule)
    _join_conditions(rule)
    return source_hash


def _source_hash(rule: SigmaRule) -> str:
    text = json.dumps(rule.to_dict(), sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(_FILTER_NAME.sub("_filt_", text).encode()).hexdigest()


def _join_conditions(rule: SigmaRule) -> None:
    """Make a list of conditions one: the rule matches, once, if any of them holds."""
    conditions = rule.detection.condition
    if len(conditions) < 2:
        return
    for condition in rule.detection.parsed_condition:
        condition.parse(postprocess=False)  # each must stand on its own before parentheses are put around it
    joined = " or ".join(f"({condition})" for condition in conditions)
    rule.detection.condition = [joined]
    rule.detection.parsed_condition = [SigmaCondition(joined, rule.detection, rule.detection.source)]

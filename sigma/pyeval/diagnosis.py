"""pySigma's refusal of a rule becomes a finding that names the field, and a remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from .documents import regex_policy

_WORDS_AND_REMEDIES: tuple[tuple[str, str], ...] = (
    (r"Regular expression .* is invalid", "correct it; positions count from 0"),
    (r"Invalid CIDR .* has host bits set", "write the network's own address, as 10.0.0.0/8"),
    (r"Invalid CIDR", "write an IPv4 or IPv6 network, as 10.0.0.0/8"),
    (r"must contain at least one condition", "add a condition to the detection, as 'condition: selection'"),
    (r"must have a log source", "add a logsource with category, product or service"),
    (r"log source can't be empty", "give category, product or service"),
    (r"must have a title", "add a title"),
    (r"title must be a string", "write the title as text"),
    (r"not a valid Sigma rule level", "one of informational, low, medium, high, critical"),
    (r"not a valid Sigma rule status", "one of stable, test, experimental, deprecated, unsupported"),
    (r"identifier must be an UUID", "write a UUID, as uuidgen makes one"),
    (r"tags fields must be a list", "write the tags as a list"),
    (r"tag must start with namespace", "write tags as namespace.name, as attack.t1059"),
    (r"Detection is empty", "give the detection at least one field or keyword"),
    (r"Unsupported type: <class 'dict'>", "write nested fields with dots, as parent.child"),
    (r"Unsupported type: <class 'datetime", "quote the value to make it text"),
    (r"of strings with wildcards is not allowed", "escape * and ? with a backslash where they are meant literally"),
    (r"Wide modifier only allowed for ascii", "encode the text yourself and use re or base64offset"),
    (r"only applicable to unmodified", "put this modifier first"),
    (r"Field references must not contain wildcards", "name one field"),
    (r"must have a detection definitions?", "add a detection"),
)
_INCOMPATIBLE = re.compile(r"Modifier \w+ incompatible to value type of (.*)")
_TAKES = {
    **dict.fromkeys(("lt", "lte", "gt", "gte"), "a number, without quotes"),
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), "a number, without quotes"),
    "exists": "true or false, without quotes",
    **dict.fromkeys(("i", "m", "s"), "a regular expression; put re before it"),
}


def diagnose(words: str, document: dict[str, Any] | None = None) -> tuple[str, str]:
    """Return (finding, remedy) for pySigma's *words* about the rule in *document*.

    The remedy is empty where nothing better can be said than the finding itself.
    """
    item = _culprit(words, document)
    field, key = item if item is not None else (None, "")
    modifiers = key.split("|")[1:]
    place = f"field {field!r}: " if field else ""
    if unknown := re.fullmatch(r"Unknown modifier '(.*)'", words):
        return f"{place}modifier {unknown[1]!r} is unknown", _nearest_modifier(unknown[1])
    if incompatible := _INCOMPATIBLE.fullmatch(words):
        return f"{place}{'|'.join(modifiers) or 'a modifier'} cannot take the value {incompatible[1]}", _taken(
            modifiers
        )
    remedy = next((remedy for pattern, remedy in _WORDS_AND_REMEDIES if re.search(pattern, words)), "")
    return place + words, remedy


def _taken(modifiers: list[str]) -> str:
    return "write " + next((_TAKES[modifier] for modifier in modifiers if modifier in _TAKES), "text, in quotes")


def _nearest_modifier(name: str) -> str:
    from sigma.modifiers import modifier_mapping

    near = difflib.get_close_matches(name, modifier_mapping, n=1)
    return f"did you mean {near[0]!r}?" if near else f"one of {', '.join(sorted(modifier_mapping))}"


def _culprit(words: str, document: dict[str, Any] | None) -> tuple[str | None, str] | None:
    """Return (field, key) of the first detection item that pySigma refuses with *words* when it stands alone."""
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaDetectionItem

    for key, value in _items((document or {}).get("detection")):
        try:
            SigmaDetectionItem.from_mapping(key, value, **regex_policy())
        except SigmaError as error:
            if str(error.args[0] if error.args else "") == words:
                return key.split("|")[0] or None, key
        except (TypeError, ValueError, AttributeError, KeyError):
            continue  # another mistake in the same rule, which pySigma does not even refuse
    return None


def _items(detection: object) -> Iterator[tuple[str, Any]]:
    """Yield every (key, value) of a detection section below its search identifiers."""
    pending = list(detection.values()) if isinstance(detection, dict) else []
    while pending:
        part = pending.pop(0)
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            yield from ((key, value) for key, value in part.items() if isinstance(key, str))

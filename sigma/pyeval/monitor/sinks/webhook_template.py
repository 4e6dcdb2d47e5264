"""Bodies of webhooks: a JSON structure whose strings hold places of the alert; filled in as values, never as code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sigma.pyeval.output import json_line

from ..batches import Json

ALERT_KEYS: Final = frozenset(
    {
        "schema_version",
        "id",
        "rule",
        "attack",
        "event",
        "event_time",
        "detected",
        "host",
        "logsource",
        "source",
        "matched",
    }
)
"""What a path may begin with."""

_PLACEHOLDER = re.compile(r"\{\{\s*([\w@$-]+(?:\.[\w@$-]+)*)\s*\}\}")


def check_template(template: Json) -> None:
    """Look at every placeholder of *template*.

    Raises:
        ValueError: One is malformed, stands in a key, or names no part of an alert.
    """
    for text in _strings(template):
        for path in _PLACEHOLDER.findall(text):
            first = path.partition(".")[0]
            if first not in ALERT_KEYS:
                close = difflib.get_close_matches(first, ALERT_KEYS, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(ALERT_KEYS))}"
                raise ValueError(f"an alert has no {first!r}; {hint}")
        if "{{" in _PLACEHOLDER.sub("", text):
            raise ValueError(f"'{{{{' in {text!r} begins no placeholder; write '{{{{ rule.title }}}}'")


def fill(template: Json, alert: Mapping[str, Json]) -> Json:
    """Return *template* with its placeholders replaced by what *alert* holds.

    A string that is one placeholder becomes the value with its type, ``None`` where there is none. Within other text a
    string stands as it is, nothing for what is missing, and anything else as JSON. What is filled in is not looked at again.
    """
    if isinstance(template, dict):
        return {key: fill(value, alert) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, alert) for value in template]
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole is not None:
        return look_up(alert, whole[1].split("."))
    return _PLACEHOLDER.sub(lambda found: _text(look_up(alert, found[1].split("."))), template)


def look_up(value: Json, path: Sequence[str]) -> Json:
    """Return what stands at *path* in *value*, or ``None``; numbers count the elements of arrays from 0.

    Names of fields may hold dots themselves (``process.name``): the shortest name that exists is followed.
    """
    if not path:
        return value
    if isinstance(value, Mapping):
        for length in range(1, len(path) + 1):
            name = ".".join(path[:length])
            if name in value:
                return look_up(value[name], path[length:])
    elif isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
        return look_up(value[int(path[0])], path[1:])
    return None


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_line(value).decode()


def _strings(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, list):
        for value in template:
            yield from _strings(value)
    elif isinstance(template, dict):
        for key, value in template.items():
            if "{{" in key:
                raise ValueError(f"a key cannot hold a placeholder: {key!r}")
            yield from _strings(value)

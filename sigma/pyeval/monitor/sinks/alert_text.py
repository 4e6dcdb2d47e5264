"""Pieces of an alert as text that holds no control character; any part of an alert may be missing or null."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from sigma.pyeval.output import counted, printable

from ..batches import Json

MOST_VALUES: Final = 20
"""So many of the values that rules matched on are named in a short text."""

MOST_CHARACTERS: Final = 400
"""A value is cut there in a short text."""

_DELETE = re.compile("\x7f")


def part(alert: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return the object *name* of an alert, empty where it has none."""
    found = alert.get(name)
    return found if isinstance(found, Mapping) else {}


def ascii_json(value: Json) -> str:
    """Return *value* as JSON of visible ASCII; every other character is written as its escape."""
    return _DELETE.sub(r"\\u007f", json.dumps(value, separators=(",", ":"), default=str, skipkeys=True))


def correlated(alert: Mapping[str, Json]) -> str:
    """Return the window and group that a correlation rule found, ``3 events from ... to ..., host=web-1``; else nothing."""
    found = part(alert, "correlation")
    if not found:
        return ""
    group = (f", {name}={str(value)[:MOST_CHARACTERS]}" for name, value in part(found, "group").items())
    return f"{counted(int(found.get('count') or 0), 'event')} from {found.get('start')} to {found.get('end')}{''.join(group)}"


def found_values(alert: Mapping[str, Json]) -> str:
    """Return the fields and values that the rule matched on, ``Image=/usr/bin/curl, CommandLine=...``, each once.

    Of a correlation rule it is what ``correlated`` says.
    """
    if correlation := correlated(alert):
        return correlation
    found: dict[str, None] = {}
    for match in alert.get("matched") or ():
        for one in match.get("found") or ():
            name = ".".join(map(str, one.get("path") or ())) or match.get("field") or "keyword"
            value = one.get("value")
            text = "null" if value is None else str(value)
            text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
            found[f"{name}={text}"] = None
    return ", ".join(list(found)[:MOST_VALUES])


def text_message(alert: Mapping[str, Json], room: int) -> str:
    """Return *alert* for people, in one line of at most *room* bytes of UTF-8: level, title, host, what matched."""
    rule = part(alert, "rule")
    text = f"{rule.get('level') or 'unknown level'}: {rule.get('title') or 'untitled rule'}"
    text += f" on {alert['host']}" if alert.get("host") else ""
    values = found_values(alert)
    return shortened(printable(f"{text}: {values}" if values else text), room)


def shortened(text: str, size: int) -> str:
    """Return *text* in at most *size* bytes of UTF-8; where it is cut, it ends in ``...``."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= size else data[: size - 3].decode("utf-8", "ignore") + "..."


def json_message(alert: Mapping[str, Json], room: int) -> str:
    """Return *alert* as JSON of at most *room* bytes of ASCII (from 760 on); ``left_out`` names what had no room."""
    text = ascii_json(alert)
    for left_out in _LEFT_OUT:
        if len(text) <= room:
            return text
        kept = {name: value for name, value in alert.items() if name not in left_out}
        text = ascii_json({**kept, "left_out": list(left_out)})
    if len(text) <= room:
        return text
    rule = part(alert, "rule")
    least = {
        "id": shortened(str(alert.get("id")), 64),
        "rule": {name: shortened(str(rule.get(name)), size) for name, size in _LEAST_RULE.items()},
        "left_out": ["everything but id and rule"],
    }
    return ascii_json(least)


_LEFT_OUT: Final = (("event",), ("event", "matched"))
_LEAST_RULE: Final = {"id": 64, "title": 100, "level": 16}

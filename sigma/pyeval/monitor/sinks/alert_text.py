"""Pieces of an alert as text that holds no control character; any part of an alert may be missing or null."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from sigma.pyeval.entities import event_headline
from sigma.pyeval.event_time import TIME_FIELDS
from sigma.pyeval.excerpts import LONGEST_EXCERPT
from sigma.pyeval.output import counted, printable

from ..batches import Json

MOST_VALUES: Final = 20
"""So many of the values that rules matched on are named in a short text."""

MOST_CHARACTERS: Final = 400
"""A value is cut there in a short text."""

LONGEST_LINE: Final = 240
"""Characters of an event's line, where it stands among other things."""

_LONGEST_VALUES: Final = 200
_SHORT_VALUE: Final = 80
_RAW: Final = "SYSLOG_RAW"
_KEYWORDS_TELL_NOTHING: Final = frozenset(
    {*TIME_FIELDS, _RAW, "_AUDIT_ID", "__CURSOR", "__MONOTONIC_TIMESTAMP", "__SEQNUM", "__SEQNUM_ID",
     "_SOURCE_MONOTONIC_TIMESTAMP", "_BOOT_ID", "_SOURCE_BOOTTIME_TIMESTAMP", "EventRecordID"}
)  # fmt: skip
"""A keyword in the whole line, a time or a serial stands in what says more, or stands there by chance."""

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
    found = (f"{name}={_cut('null' if value is None else str(value))}" for name, value in matched_values(alert))
    return ", ".join(list(dict.fromkeys(found))[:MOST_VALUES])


def matched_values(alert: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """Return names and values of the fields that the rule matched on, as ``matched`` has them.

    Keywords found in the whole line, in a time or a serial are left out where they, or something else, were found elsewhere.
    """
    found = list(_found(alert))
    telling = [(name, value) for name, value, tells in found if tells]
    return telling or [(name, value) for name, value, _ in found]


def _found(alert: Mapping[str, Json]) -> Iterator[tuple[str, Json, bool]]:
    for match in alert.get("matched") or ():
        field = match.get("field")
        for one in match.get("found") or ():
            name = ".".join(map(str, one.get("path") or ())) or field or "keyword"
            yield name, one.get("value"), name != _RAW and (bool(field) or name not in _KEYWORDS_TELL_NOTHING)


def headline_of(alert: Mapping[str, Json]) -> str:
    """Return what a person would look at first in an alert's event; without such a thing, what the rule matched on."""
    return _event_line(alert) or found_values(alert)


def _event_line(alert: Mapping[str, Json]) -> str | None:
    fields = part(alert, "rule").get("fields")
    named = [str(field) for field in fields] if isinstance(fields, list) else []
    return event_headline(part(alert, "event"), named)


def text_message(alert: Mapping[str, Json], room: int) -> str:
    """Return *alert* for people, in one line of at most *room* bytes of UTF-8.

    It is level, title, host, the event's line as lists show it, and in parentheses what matched beside it.
    """
    rule = part(alert, "rule")
    text = f"{rule.get('level') or 'unknown level'}: {rule.get('title') or 'untitled rule'}"
    text += f" on {alert['host']}" if alert.get("host") else ""
    line = _event_line(alert)
    if line is None:
        said = _cut(found_values(alert), LONGEST_LINE + _LONGEST_VALUES)
    else:
        values = _cut(correlated(alert) or _beside(alert, line), _LONGEST_VALUES)
        said = _cut(line.strip(), LONGEST_LINE) + (f" ({values})" if values else "")
    return shortened(printable(f"{text}: {said}" if said else text), room)


def _beside(alert: Mapping[str, Json], line: str) -> str:
    """Return the fields that matched, each once, without that which is the event's line."""
    found: dict[str, str] = {}
    for name, value, tells in _found(alert):
        text = "null" if value is None else str(value)
        is_line = text in line if len(text) == LONGEST_EXCERPT else text == line
        if tells and not is_line:
            found.setdefault(name, f"{name}={_cut(text, _SHORT_VALUE)}")
    return ", ".join(found.values())


def _cut(text: str, longest: int = MOST_CHARACTERS) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


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

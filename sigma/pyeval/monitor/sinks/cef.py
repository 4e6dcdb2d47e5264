"""An alert as ArcSight's Common Event Format (revision 25); ``sigma.pyeval.logs.cef`` reads it back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from sigma.pyeval.output import printable
from sigma.pyeval.version import __version__

from ..batches import Json
from .alert_text import ascii_json, found_values, part, shortened

SEVERITIES: Final = {"informational": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}
"""CEF counts from 0 to 10; 7 and 8 are high, 9 and 10 very high."""

NO_SEVERITY: Final = 5

_NEWLINE = re.compile(r"([\r\n])")
_HEADER_ESCAPE = str.maketrans({"\\": "\\\\", "|": "\\|"})
_VALUE_ESCAPE = str.maketrans({"\\": "\\\\", "=": "\\="})
_LEFT_OUT: Final = " cs6Label=leftOut cs6="


def cef_message(alert: Mapping[str, Json], room: int) -> str:
    """Return *alert* as one line of at most *room* bytes of UTF-8.

    Keys of the extension are ``externalId`` (the alert's id), ``rt`` and ``start`` (when it was detected, and when it
    happened; milliseconds), ``dvchost``, ``msg`` (what matched), and as custom strings ``techniques``, ``source``, ``tags``
    and ``event`` (JSON). Those that have no room are named in ``leftOut``.
    """
    rule = part(alert, "rule")
    severity = SEVERITIES.get(str(rule.get("level")), NO_SEVERITY)
    header = "|".join(_header(rule.get(name), size) for name, size in (("id", 64), ("title", 100)))
    line = f"CEF:0|pySigma|sigma-pyeval|{__version__}|{header}|{severity}|"
    line += f"externalId={_value(shortened(printable(str(alert.get('id') or '')), 64))}"
    left_out: list[str] = []
    pairs = [(name, text) for name, text in _pairs(alert) if text]
    reserved = len(_LEFT_OUT) + sum(len(name) + 1 for name, _ in pairs)
    for name, pair in pairs:
        if len((line + pair).encode()) + reserved <= room:
            line += pair
        else:
            left_out.append(name)
    return line + (_LEFT_OUT + ",".join(left_out) if left_out else "")


def _pairs(alert: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Return what stands in the extension, the most important first: a name, and the pairs as they are written."""
    yield "rt", _pair("rt", _milliseconds(alert.get("detected")))
    yield "start", _pair("start", _milliseconds(alert.get("event_time")))
    yield "dvchost", _pair("dvchost", str(alert.get("host") or ""))
    yield "techniques", _custom(1, "techniques", ",".join(map(str, part(alert, "attack").get("techniques") or ())))
    yield "source", _custom(2, "source", str(part(alert, "source").get("name") or ""))
    yield "msg", _pair("msg", found_values(alert))
    yield "tags", _custom(3, "tags", ",".join(map(str, part(alert, "rule").get("tags") or ())))
    yield "event", _custom(4, "event", ascii_json(alert["event"]) if alert.get("event") else "")


def _custom(number: int, label: str, text: str) -> str:
    return f" cs{number}Label={label} cs{number}={_value(text)}" if text else ""


def _pair(key: str, text: str) -> str:
    return f" {key}={_value(text)}" if text else ""


def _value(text: str) -> str:
    r"""Return *text* as a value of the extension: ``\``, ``=`` and newlines escaped, other control characters made visible."""
    pieces = [piece if piece in {"\r", "\n"} else printable(piece) for piece in _NEWLINE.split(text.strip())]
    return "".join(pieces).translate(_VALUE_ESCAPE).replace("\n", "\\n").replace("\r", "\\r")


def _header(value: Json, size: int) -> str:
    r"""Return *value* as a field of the header: ``\`` and ``|`` escaped; a newline cannot stand there."""
    return shortened(printable(str(value or "")), size).translate(_HEADER_ESCAPE)


def _milliseconds(time: Json) -> str:
    try:
        return str(int(datetime.fromisoformat(time).timestamp() * 1000))
    except (TypeError, ValueError, OverflowError):
        return ""

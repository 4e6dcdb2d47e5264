"""An alert as a syslog message of RFC 5424."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from sigma.pyeval.output import printable

from ..batches import Json
from .alert_text import json_message, part, shortened, text_message
from .cef import cef_message

Facility = Literal[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip
"""Names of syslog.conf(5), in the order of RFC 5424 table 1."""

FACILITIES: Final[dict[str, int]] = {name: number for number, name in enumerate(get_args(Facility))}

SEVERITIES: Final = {"critical": 2, "high": 3, "medium": 4, "low": 5, "informational": 6}
"""Severities (RFC 5424 table 2) for levels of rules: critical, error, warning, notice, informational."""

NO_SEVERITY: Final = 4
"""Warning, for a rule without a level."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_NAME = re.compile(r"[^!-~]+")
_SD_ESCAPE = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})

_BODIES: Final = {"json": json_message, "text": text_message, "cef": cef_message}


class SyslogMessages:
    """Writes alerts as messages.

    Args:
        facility: Its name.
        host_name: The machine that the messages come from.
        app_name: The program that they come from.
        enterprise: The private enterprise number of the structured data's name (RFC 5424 section 7.2.2).
        body: What stands in MSG.
        size: Bytes of a message; at least 2048.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the sink names each
        self,
        facility: Facility,
        host_name: str,
        app_name: str,
        enterprise: int,
        body: Literal["json", "text", "cef"],
        size: int,
    ) -> None:
        self._facility = FACILITIES[facility]
        self._origin = f"{header_name(host_name, 255)} {header_name(app_name, 48)} {os.getpid()} ALERT"
        self._data_id = f"sigma@{enterprise}"
        self._body = _BODIES[body]
        self._size = size

    def message(self, alert: Mapping[str, Json]) -> bytes:
        """Return *alert* as one message, without framing."""
        rule = part(alert, "rule")
        priority = self._facility * 8 + SEVERITIES.get(str(rule.get("level")), NO_SEVERITY)
        head = f"<{priority}>1 {_time(alert)} {self._origin} {self._structured_data(alert)} ".encode()
        body = self._body(alert, self._size - len(head) - len(BYTE_ORDER_MARK))
        # Section 6.4: text in UTF-8 must begin with the mark. ASCII needs none, and many receivers' JSON readers want none.
        return head + (b"" if body.isascii() else BYTE_ORDER_MARK) + body.encode()

    def _structured_data(self, alert: Mapping[str, Json]) -> str:
        """Return the one element; RFC 5424 section 6.3."""
        rule = part(alert, "rule")
        techniques = part(alert, "attack").get("techniques") or ()
        values = {
            "id": (alert.get("id"), 64),
            "rule": (rule.get("id"), 64),
            "level": (rule.get("level"), 16),
            "title": (rule.get("title"), 100),
            "techniques": (",".join(map(str, techniques)), 100),
            "source": (part(alert, "source").get("name"), 64),
        }
        parameters = [f'{name}="{_parameter(value, size)}"' for name, (value, size) in values.items() if value]
        return f"[{' '.join([self._data_id, *parameters])}]"


def header_name(text: str, size: int) -> str:
    """Return *text* as a field of the header: visible ASCII (RFC 5424 section 6), ``-`` where nothing is left of it."""
    return _NAME.sub("_", text)[:size] or "-"


def _parameter(value: Json, size: int) -> str:
    return shortened(printable(str(value)), size).translate(_SD_ESCAPE)


def _time(alert: Mapping[str, Json]) -> str:
    detected = alert.get("detected")
    if isinstance(detected, str) and _TIME.fullmatch(detected):
        return detected
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

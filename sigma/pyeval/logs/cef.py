"""ArcSight's Common Event Format, ``CEF:0|vendor|product|version|id|name|severity|extension``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode
from sigma.pyeval.rules import LogSource

HEADER = ("DeviceVendor", "DeviceProduct", "DeviceVersion", "DeviceEventClassID", "Name", "Severity")

_HEADER = re.compile(r"CEF: ?(\d{1,3})\|" + r"([^|\\]*(?:\\.[^|\\]*)*)\|" * len(HEADER))
_KEY = re.compile(r"(?:^|(?<=\s))([\w.\[\]-]{1,128})=")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANING = {"n": "\n", "r": "\r"}
_LABELLED = re.compile(r"(?:cs|cn|cfp|c6a|flexString|flexDate|flexNumber|deviceCustomDate)\d{1,2}")

_UNKNOWN = LogSource()


class CefParser(Parser):
    """CEF lines, with or without a syslog header in front, to records; ``Parser``.

    Fields are the header's (``DeviceVendor`` ... ``Severity``, and ``CEFVersion``) and the extension's keys
    as written. A custom field is also given by the name in its label: ``cs1=x cs1Label=Rule`` gives ``cs1``,
    ``cs1Label`` and ``Rule``.

    Args:
        logsource: The log source of the records.
    """

    def __init__(self, logsource: LogSource = _UNKNOWN) -> None:
        self._logsource = logsource

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        text = decode(raw).rstrip("\r\n")
        if not text.strip():
            return ()
        found = _HEADER.match(text, max(text.find("CEF:"), 0))
        if found is None:
            return (Problem.at(line, "no CEF header with its seven fields", raw),)
        version, *header = found.groups()
        event: dict[str, Any] = {"CEFVersion": version}
        event.update(zip(HEADER, map(_unescape, header), strict=True))
        event.update(_extension(text[found.end() :]))
        return (Record(event, line, self._logsource),)

    def flush(self) -> Iterable[Record | Problem]:
        """Return nothing: each line is complete."""
        return ()


def _extension(text: str) -> dict[str, str]:
    """Return the pairs; a value runs up to the blank before the next key, since values hold blanks."""
    keys = list(_KEY.finditer(text))
    starts = [*(key.start() for key in keys), len(text)]
    fields = {key[1]: _unescape(text[key.end() : end].strip(" ")) for key, end in zip(keys, starts[1:], strict=True)}
    if before := text[: starts[0]].strip(" "):
        fields.setdefault("Extension", _unescape(before))
    for name in [name for name in fields if _LABELLED.fullmatch(name)]:
        label = fields.get(f"{name}Label")
        if label:
            fields.setdefault(label, fields[name])
    return fields


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[1]), text)

"""Web server access logs (Apache, nginx) to the fields of Sigma's ``webserver`` category, W3C's names.

SigmaHQ's rules disagree on ``cs-uri-query``: some mean the text after ``?``, as W3C does, some the whole
request target. The field therefore holds both, ``[text after ?, whole target]``; a list matches if any
element does, so a rule of either kind meets the value it means. Without a ``?`` only the whole target is
there. What this costs: a filter (``not``) on the field sees both values too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from sigma.pyeval.logs.access_format import (
    COMBINED,
    COMMON,
    REQUEST,
    TARGET,
    TIME,
    VHOST_COMBINED,
    VHOST_COMMON,
    AccessFormat,
    compile_access_format,
)
from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode
from sigma.pyeval.rules import LogSource

WEBSERVER = LogSource(category="webserver")

Event = dict[str, Any]

# What the compiled formats refuse: a user name with blanks, quotes that the server did not escape.
_LOOSE = AccessFormat(
    re.compile(
        r'(\S+) (\S+) ([^\["]{1,255}?) \[([^\]]{1,64})\] "(.*?)" (\d{3}|-) (\d+|-)(?: "(.*?)" "(.*)")?(.*)',
        re.DOTALL,
    ),
    ("c-ip", "ident", "cs-username", TIME, REQUEST, "sc-status", "sc-bytes", "cs-referer", "cs-user-agent"),
)
_KNOWN_FORMATS = (
    *(compile_access_format(text) for text in (COMBINED, VHOST_COMBINED, COMMON, VHOST_COMMON)),
    _LOOSE,
)

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROL_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "b": b"\b", "v": b"\v", "f": b"\f"}
_TIME = re.compile(r"\[?(\d{1,2})/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\]?")
_MONTHS = {
    name: number
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)  # noqa: SIM905
}
_METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND"})
_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,31}://([^/?#]*)")
_OTHER_LOGS = (
    (
        re.compile(r"\[(?:\w{3} \w{3} |\w+(?::\w+)?\] )"),
        "a line of an Apache error log, not of an access log",
    ),
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \["), "a line of an nginx error log, not of an access log"),
    (
        re.compile(r"#|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "),
        "a line of a W3C extended log (IIS), not of an access log",
    ),
)


class AccessLogParser(Parser):
    r"""Lines of an access log to records of ``category: webserver``; ``Parser``.

    Fields, where the line has them (``-`` means that it has not): ``c-ip``, ``ident``, ``cs-username``,
    ``date`` and ``time`` (UTC, as in W3C logs), ``cs-method``, ``c-uri`` and ``cs-uri`` (the request target),
    ``cs-uri-stem`` (the target before ``?``), ``cs-uri-query`` (see the module), ``cs-version``,
    ``sc-status`` and ``sc-bytes`` (numbers), ``cs-referer`` = ``cs-referrer``, ``cs-user-agent`` =
    ``c-useragent``, ``cs-host``, and what a format names besides; ``extra`` is the text behind the last field
    of the format. Escapes of the log (``\"``, ``\x16``) are decoded. A request that is none (binary,
    without method) is kept whole as the target.

    Args:
        log_format: An Apache LogFormat or nginx log_format string; without it the common and combined formats
            are recognised, each also with a virtual host in front.
        decode_urls: Add the percent-decoded form beside each URI that has one. Rules then meet encoded
            attacks that they don't list, more than their authors tested for.

    Raises:
        AccessFormatError: *log_format* cannot be compiled.
    """

    def __init__(self, log_format: str | None = None, *, decode_urls: bool = False) -> None:
        self._formats = _KNOWN_FORMATS if log_format is None else (compile_access_format(log_format),)
        self._unwrap = log_format is None
        self._decode_urls = decode_urls

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        text = decode(raw).rstrip("\r\n")
        if not text.strip():
            return ()
        if self._unwrap and text[0] == text[-1] == '"':  # whole lines in quotes, as CSV exports leave them
            text = text[1:-1]
        for access_format in self._formats:
            found = access_format.pattern.match(text)
            if found is not None:
                event = _event(access_format.fields, found.groups())
                if self._decode_urls:
                    _add_decoded(event)
                return (Record(event, line, WEBSERVER),)
        return (Problem.at(line, _reason(text), raw),)

    def flush(self) -> Iterable[Record | Problem]:
        """Return nothing: each line is complete."""
        return ()


def _reason(text: str) -> str:
    for pattern, reason in _OTHER_LOGS:
        if pattern.match(text):
            return reason
    return "not a line of this access log format"


def _event(fields: tuple[str, ...], values: tuple[str | None, ...]) -> Event:
    event: Event = {}
    for field, value in zip(fields, values, strict=False):
        if value is None or (value == "-" and field != "sc-bytes"):
            continue
        add = _ADD.get(field)
        if "\\" in value:
            value = _unescape(value)  # noqa: PLW2901 (the field's value from here on)
        if add is None:
            event[field] = value
        else:
            add(event, value)
    query = event.pop("query", None)
    if query is not None:
        _add_target(event, f"{event.get('cs-uri-stem', '')}?{query.removeprefix('?')}")
    extra = values[-1]
    if extra and extra.strip() not in {"", "-", '"-"'}:
        event["extra"] = _unescape(extra.strip())
    return event


def _unescape(value: str) -> str:
    """Undo Apache's and nginx's escapes; bytes that were escaped one by one are read as UTF-8 together."""
    if "\\" not in value:
        return value
    parts: list[bytes] = []
    position = 0
    for found in _ESCAPE.finditer(value):
        parts.append(value[position : found.start()].encode())
        position = found.end()
        if found[1]:
            parts.append(bytes.fromhex(found[1]))
        else:
            parts.append(_CONTROL_ESCAPES.get(found[2], found[2].encode()))
    parts.append(value[position:].encode())
    return decode(b"".join(parts))


def _add_request(event: Event, request: str) -> None:
    """Take ``METHOD target HTTP/version`` apart; blanks in the target stay, else all is target."""
    method, _, rest = request.partition(" ")
    if not rest or not (method in _METHODS or _METHOD.fullmatch(method)):
        if request:
            _add_target(event, request)
        return
    target, _, version = rest.rpartition(" ")
    event["cs-method"] = method
    if target and version[:5].upper() == "HTTP/":
        event["cs-version"] = version
        _add_target(event, target)
    else:
        _add_target(event, rest)


def _add_target(event: Event, target: str) -> None:
    stem, mark, query = target.partition("?")
    if not target.startswith("/") and (absolute := _ABSOLUTE.match(target)):
        event.setdefault("cs-host", absolute[1])
        stem = stem[absolute.end() :]
    event["c-uri"] = event["cs-uri"] = target
    event["cs-uri-stem"] = stem
    event["cs-uri-query"] = [query, target] if mark else target


def _add_time(event: Event, text: str) -> None:
    moment = _utc(text)
    if moment is None:
        event["time"] = text
    else:
        event["date"], event["time"] = moment


@lru_cache(maxsize=256)
def _utc(text: str) -> tuple[str, str] | None:
    """Return date and time in UTC; busy servers write many lines in one second, hence the cache."""
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            moment = datetime.fromisoformat(text)
        else:
            day, month, year, hour, minute, second, sign, off_hours, off_minutes = found.groups()
            date = f"{year}-{_MONTHS[month]:02d}-{int(day):02d}"
            moment = datetime.fromisoformat(f"{date}T{hour}:{minute}:{second}{sign}{off_hours}:{off_minutes}")
        moment = moment.astimezone(UTC)
    except (ValueError, KeyError, OverflowError):  # not a date, no such month, or the year 0 in UTC
        return None
    return moment.strftime("%Y-%m-%d"), moment.strftime("%H:%M:%S")


def _add_number(field: str) -> Callable[[Event, str], None]:
    def add(event: Event, value: str) -> None:
        if value == "-":  # %b: no bytes were sent
            event[field] = 0
        elif value.isascii() and value.isdecimal() and len(value) < 19:
            event[field] = int(value)
        else:
            event[field] = value

    return add


def _add_twice(first: str, second: str) -> Callable[[Event, str], None]:
    def add(event: Event, value: str) -> None:
        event[first] = event[second] = value

    return add


_ADD: dict[str, Callable[[Event, str], None]] = {
    REQUEST: _add_request,
    TARGET: _add_target,
    TIME: _add_time,
    "sc-status": _add_number("sc-status"),
    "sc-bytes": _add_number("sc-bytes"),
    "cs-bytes": _add_number("cs-bytes"),
    "cs-referer": _add_twice("cs-referer", "cs-referrer"),
    "cs-user-agent": _add_twice("cs-user-agent", "c-useragent"),
}


def _add_decoded(event: Event) -> None:
    """Put the percent-decoded form of each URI field beside it; ``+`` is a blank only in a query."""
    for field in ("c-uri", "cs-uri", "cs-uri-stem", "cs-uri-query"):
        value = event.get(field)
        if value is None:
            continue
        raw = value if isinstance(value, list) else [value]
        texts = [text.replace("+", " ") if field == "cs-uri-query" else text for text in raw]
        decoded = [decode(unquote_to_bytes(text)) for text in texts]
        values = list(dict.fromkeys([*raw, *decoded]))
        if len(values) > 1:
            event[field] = values

"""Apache LogFormat and nginx log_format strings compiled to a regular expression and its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

COMMON = '%h %l %u %t "%r" %>s %b'
COMBINED = f'{COMMON} "%{{Referer}}i" "%{{User-Agent}}i"'
VHOST_COMMON = f"%v {COMMON}"
VHOST_COMBINED = f"%v:%p {COMBINED}"
NGINX_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)

REQUEST, TIME, TARGET = "request", "time", "target"
"""Fields that the access log parser takes further apart: request line, time stamp, request target."""

_APACHE_FIELDS = {
    "h": "c-ip",
    "a": "c-ip",
    "A": "s-ip",
    "l": "ident",
    "u": "cs-username",
    "t": TIME,
    "r": REQUEST,
    "s": "sc-status",
    "b": "sc-bytes",
    "B": "sc-bytes",
    "O": "sc-bytes",
    "I": "cs-bytes",
    "v": "cs-host",
    "V": "cs-host",
    "p": "s-port",
    "P": "s-pid",
    "m": "cs-method",
    "U": "cs-uri-stem",
    "q": "query",
    "H": "cs-version",
    "D": "time-taken",
    "T": "time-taken",
}
_NGINX_FIELDS = {
    "remote_addr": "c-ip",
    "remote_user": "cs-username",
    "time_local": TIME,
    "time_iso8601": TIME,
    "request": REQUEST,
    "request_uri": TARGET,
    "request_method": "cs-method",
    "uri": "cs-uri-stem",
    "document_uri": "cs-uri-stem",
    "args": "query",
    "query_string": "query",
    "server_protocol": "cs-version",
    "status": "sc-status",
    "body_bytes_sent": "sc-bytes",
    "bytes_sent": "sc-bytes",
    "request_length": "cs-bytes",
    "content_type": "cs-content-type",
    "request_time": "time-taken",
    "host": "cs-host",
    "server_name": "cs-host",
    "server_addr": "s-ip",
    "server_port": "s-port",
}
_HEADERS = {
    "referer": "cs-referer",
    "user-agent": "cs-user-agent",
    "host": "cs-host",
    "cookie": "cs-cookie",
    "content-type": "cs-content-type",
    "x-forwarded-for": "x-forwarded-for",
}

_DIRECTIVE = re.compile(
    r"(?P<target>%U%q)"  # the usual way to write the request target
    r"|%[!\d,]*[<>]?(?:\{(?P<argument>[^}]*)\})?(?P<apache>\^\w\w|[a-zA-Z%])|\$(?:\{(?P<braced>\w+)\}|(?P<nginx>\w+))"
)
_QUOTED = r'[^"\\]*(?:\\.[^"\\]*)*'
_LOCAL_TIME = r"\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_PATTERNS = {
    "%t": rf"\[{_LOCAL_TIME}\]",
    "$time_local": _LOCAL_TIME,
    "${time_local}": _LOCAL_TIME,
    "%h": r"(?!- )\S+",  # a client always has an address: this tells "host -" from "vhost host"
    "s-port": r"\d+|-",
    "sc-status": r"\d{3}|-",
    "sc-bytes": r"\d+|-",
}


@dataclass(frozen=True, slots=True)
class AccessFormat:
    """A compiled format.

    Attributes:
        pattern: Matches a line from its start; group *n* is the text of ``fields[n - 1]``, the last group
            what follows.
        fields: A field's name each, W3C style where W3C has one; REQUEST, TIME and TARGET are taken further
            apart.
    """

    pattern: re.Pattern[str]
    fields: tuple[str, ...]


class AccessFormatError(ValueError):
    """A format string that cannot be compiled; the message names the place."""


def compile_access_format(text: str) -> AccessFormat:
    """Return the compiled form of an Apache LogFormat or nginx log_format string.

    Directives without a W3C field keep their own name: ``%{SSL_PROTOCOL}x`` is ``SSL_PROTOCOL``, ``$scheme``
    is ``scheme``, ``%L`` is ``%L``; other request headers are ``cs(Name)``, response headers ``sc(Name)``.

    Raises:
        AccessFormatError: Two directives without anything between them, or none at all.
    """
    parts = list(_split(text.replace('\\"', '"')))
    pattern, fields = "", []
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        if isinstance(part, str):
            pattern += re.escape(part)
            continue
        if isinstance(before, _Directive):
            raise AccessFormatError(f"nothing separates {before.text} from {part.text}: their values run together")
        pattern += f"({_value_pattern(part, str(before), after if isinstance(after, str) else '')})"
        fields.append(part.field)
    if not fields:
        raise AccessFormatError(f"no directive (%h, $remote_addr, ...) in {text!r}")
    return AccessFormat(re.compile(pattern + "(.*)", re.DOTALL), tuple(fields))


@dataclass(frozen=True, slots=True)
class _Directive:
    text: str
    field: str


def _split(text: str) -> Iterator[str | _Directive]:
    position, literal = 0, ""
    for found in _DIRECTIVE.finditer(text):
        literal += text[position : found.start()]
        position = found.end()
        if found["apache"] == "%":
            literal += "%"
            continue
        if literal:
            yield literal
            literal = ""
        yield _Directive(found[0], _field_of(found))
    if literal or text[position:]:
        yield literal + text[position:]


def _field_of(found: re.Match[str]) -> str:
    if found["target"]:
        return TARGET
    if found["apache"] is None:
        name = found["braced"] or found["nginx"]
        header = name.removeprefix("http_") if name.startswith("http_") else None
        return _header_field(header.replace("_", "-")) if header else _NGINX_FIELDS.get(name, name)
    letter, argument = found["apache"], found["argument"]
    if argument and letter in {"i", "o"}:
        return _header_field(argument) if letter == "i" else f"sc({argument})"
    if argument and letter not in _APACHE_FIELDS:
        return str(argument)
    return _APACHE_FIELDS.get(letter, found[0])


def _header_field(name: str) -> str:
    return _HEADERS.get(name.lower(), f"cs({name})")


def _value_pattern(directive: _Directive, before: str, after: str) -> str:
    """Return the pattern of a value between two literals; each is unambiguous, so that no line takes long."""
    if before.endswith('"') and after.startswith('"'):
        return _QUOTED
    pattern = _PATTERNS.get(directive.text) or _PATTERNS.get(directive.field)
    if pattern is not None:
        return pattern
    if after and not after.startswith((" ", "\t", ":", "\\")):
        return rf"[^{re.escape(after[0])}]*"
    return r"\S*"

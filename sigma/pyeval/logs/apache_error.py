"""Error logs of Apache (2.2 and 2.4) and nginx, for rules of ``service: apache`` and ``service: nginx``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sigma.pyeval.logs.records import Parser, Problem, Record
from sigma.pyeval.logs.text import decode
from sigma.pyeval.rules import LogSource

APACHE = LogSource(service="apache")
NGINX = LogSource(service="nginx")

_APACHE = re.compile(
    r"(?:\[(?P<time>\w{3} \w{3} [ \d]?\d [\d:.]{8,20} \d{4})\] )?"
    r"\[(?:(?P<module>\w{0,64}):)?(?P<level>[a-z]+\d?)\] "
    r"(?:\[pid (?P<pid>\d{1,10})(?::tid \w{1,20})?\] )?"
    r"(?:\[client (?P<client>[^\]\s]{1,128})\] )?"
    r"(?P<text>.*)",
    re.DOTALL,
)
_NGINX = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) "
    r"\[(?P<level>[a-z]+)\] (?P<pid>\d{1,10})#\d{1,10}: (?P<text>.*)",
    re.DOTALL,
)
_ACCESS = re.compile(r"\S+ \S+ [^\[]{1,255} ?\[\d{1,2}/\w{3}/\d{4}:")
_FIELDS = {"time": "time", "module": "module", "level": "level", "pid": "s-pid", "client": "c-ip"}


class ErrorLogParser(Parser):
    """Lines of an error log to records of the web server's service; ``Parser``.

    ``MESSAGE`` is the whole line, which keyword rules are written for; ``time``, ``level``, ``module``,
    ``s-pid`` and ``c-ip`` (with its port where Apache writes one) are there where the line has them. A line
    without a header is what the server, a library or a CGI program wrote to its standard error, which is this
    log: it belongs to the server that wrote the line before, or to either. A line of an access log is a problem.
    """

    def __init__(self) -> None:
        self._last = LogSource()

    def feed(self, line: int, raw: bytes) -> Iterable[Record | Problem]:
        """Return the record of one line."""
        text = decode(raw).rstrip("\r\n")
        if not text.strip():
            return ()
        found, logsource = _APACHE.match(text), APACHE
        if found is None:
            found, logsource = _NGINX.match(text), NGINX
        if found is None:
            if _ACCESS.match(text):
                return (Problem.at(line, "a line of an access log, not of an error log", raw),)
            return (Record({"MESSAGE": text}, line, self._last),)
        self._last = logsource
        groups = found.groupdict()
        event = {field: groups[group] for group, field in _FIELDS.items() if groups.get(group)}
        return (Record({"MESSAGE": text, **event}, line, logsource),)

    def flush(self) -> Iterable[Record | Problem]:
        """Return nothing: each line is complete."""
        return ()

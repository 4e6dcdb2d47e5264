"""Which log format a file holds, told from its content, and the parser of each format by name."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sigma.pyeval.logs.access_log import AccessLogParser
from sigma.pyeval.logs.apache_error import ErrorLogParser
from sigma.pyeval.logs.auditd import AuditdParser
from sigma.pyeval.logs.auoms import AuomsParser
from sigma.pyeval.logs.cef import CefParser
from sigma.pyeval.logs.evtx import MAGIC as EVTX_MAGIC
from sigma.pyeval.logs.journald import JournaldParser
from sigma.pyeval.logs.journald_export import JournalExportParser
from sigma.pyeval.logs.json_lines import CLOUDTRAIL, JsonLinesParser
from sigma.pyeval.logs.json_values import JsonError, parse_json
from sigma.pyeval.logs.laurel import LaurelParser
from sigma.pyeval.logs.logfmt import LogfmtParser
from sigma.pyeval.logs.records import Parser
from sigma.pyeval.logs.regex import RegexParser
from sigma.pyeval.logs.syslog import SyslogParser
from sigma.pyeval.logs.sysmon_linux import SysmonXmlParser
from sigma.pyeval.logs.text import BYTE_ORDER_MARK

SAMPLE_LINES = 100
SAMPLE_BYTES = 64 * 1024
"""How much of a file detection looks at: lines, and bytes of each."""

AGREEMENT = 0.9
"""Part of the recognised lines that must be of one format."""

RECOGNISED = 0.2
"""Part of all lines that must be recognised: events over several lines leave most of theirs unrecognised."""


class FormatError(ValueError):
    """An unknown format name or an option that the format does not have; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What a file's beginning tells.

    Attributes:
        format: A name that :func:`create_parser` knows, or ``evtx`` (a file for ``read_evtx``), or ``None``.
        reason: Why, for people: what was seen, or what is mixed or unknown.
    """

    format: str | None
    reason: str


def _with_audit(parser: Callable[..., Parser]) -> Callable[..., Parser]:
    """Return a factory of *parser* that sends audit records found on the way to an auditd parser."""
    return lambda **options: parser(**{"audit": AuditdParser(), **options})


FORMATS: dict[str, Callable[..., Parser]] = {
    "access": AccessLogParser,
    "apache-error": ErrorLogParser,
    "auditd": AuditdParser,
    "auoms": AuomsParser,
    "cef": CefParser,
    "cloudtrail": lambda **options: JsonLinesParser(**{"logsource": CLOUDTRAIL, **options}),
    "journald": _with_audit(JournaldParser),
    "journald-export": _with_audit(JournalExportParser),
    "jsonl": JsonLinesParser,
    "laurel": LaurelParser,
    "logfmt": LogfmtParser,
    "regex": RegexParser,
    "syslog": _with_audit(SyslogParser),
    "sysmon": SysmonXmlParser,
}
"""Name of each line format to what makes its parser; the options are the parser's keyword arguments."""


def create_parser(name: str, **options: Any) -> Parser:
    """Return a new parser of the format *name*.

    Raises:
        FormatError: No such format, or an option that it does not have or lacks.
        ValueError: An option's value cannot be used (a regular expression, a log format), as its parser says.
    """
    factory = FORMATS.get(name)
    if factory is None:
        close = difflib.get_close_matches(name, FORMATS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(FORMATS)}"
        raise FormatError(f"unknown log format {name!r}; {hint}")
    try:
        return factory(**options)
    except TypeError as error:
        raise FormatError(f"the format {name!r} {_option_finding(str(error))}") from error


def _option_finding(words: str) -> str:
    """Return in the user's words what Python says of keyword arguments."""
    missing = re.search(r"missing \d+ required .*: (.*)", words)
    unknown = re.search(r"unexpected keyword argument '(\w+)'", words)
    return (
        f"needs the option {missing[1]}"
        if missing
        else f"has no option {unknown[1]!r}"
        if unknown
        else f"refuses: {words}"
    )


def detect_format(lines: Sequence[bytes]) -> Detection:
    """Return which format the first *lines* of a file are in, from what they hold.

    Args:
        lines: The beginning of the file, without newlines; at most ``SAMPLE_LINES`` are looked at.
    """
    sample = [line[:SAMPLE_BYTES] for line in lines[:SAMPLE_LINES] if line.strip()]
    if not sample:
        return Detection(None, "no lines to tell the format from")
    if reason := _not_lines(sample[0]):
        return Detection("evtx" if sample[0].startswith(EVTX_MAGIC) else None, reason)
    votes: Counter[str] = Counter()
    first: dict[str, int] = {}
    for number, line in enumerate(sample, 1):
        name = _format_of(line.removeprefix(BYTE_ORDER_MARK))
        if name is not None:
            votes[name] += 1
            first.setdefault(name, number)
    return _decide(votes, first, len(sample))


def _decide(votes: Counter[str], first: dict[str, int], lines: int) -> Detection:
    recognised = votes.total()
    if not recognised:
        return Detection(None, f"none of the first {lines} lines is of a known format; name it")
    (name, count), *others = votes.most_common()
    seen = ", ".join(f"{other} ({votes[other]} lines, first {first[other]})" for other in votes)
    if count < AGREEMENT * recognised:
        return Detection(None, f"the first {lines} lines are mixed: {seen}; name the format, or separate them")
    if recognised < RECOGNISED * lines and name not in _OVER_LINES:
        return Detection(None, f"only {recognised} of the first {lines} lines are recognised: {seen}; name it")
    more = f"; besides {', '.join(other for other, _ in others)}" if others else ""
    return Detection(name, f"{count} of the first {lines} lines are {name}{more}")


_OVER_LINES = frozenset({"jsonl", "sysmon", "journald-export"})
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def _not_lines(start: bytes) -> str | None:
    if start.startswith(EVTX_MAGIC):
        return "the file begins as a Windows event log does"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1:8:2] == b"\0\0\0\0":
        return "UTF-16 text; convert it to UTF-8"
    for magic, name in _COMPRESSED:
        if start.startswith(magic):
            return f"{name}-compressed data; decompress it first"
    return None


_LINE_FORMATS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("auoms", rb"type=AUOMS_\w+ audit\("),
        ("auditd", rb"(?:node=\S+ )?type=\S+ msg=audit\(\d+\.\d+:\d+\)"),
        ("cef", rb"[^|]{0,256}CEF: ?\d+\|"),
        ("sysmon", rb"\s*(?:<\?xml|<Events?[\s>])"),
        ("journald-export", rb"__(?:CURSOR|REALTIME_TIMESTAMP|MONOTONIC_TIMESTAMP)="),
        (
            "access",
            rb'"?(?:\S+ )?(?!- )\S+ \S+ [^\["]{1,255} \[\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "',
        ),
        (
            "apache-error",
            rb"\[\w{3} \w{3} [ \d]?\d [\d:.]+ \d{4}\] \[|\[(?:\w+:)?[a-z]+\d?\] \[(?:client|pid) ",
        ),
        ("apache-error", rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#\d+: "),
        ("syslog", rb"<\d{1,3}>|[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d|\[ *\d+\.\d{6}\] |kernel: "),
        ("syslog", rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*(?: UTC)? \S+ [^\s:\[]+(?:\[[^\]\s]+\])?: "),
        # ctime(3): vsftpd, clamd and freshclam in files of their own; no header, so all of it is message.
        ("syslog", rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} (?:-> |\[pid \d+\] )"),
        ("jsonl", rb"\s*(?:\{\s*(?:\"|$|\})|\[\s*(?:[\[{]|$))"),
        ("logfmt", rb'[\w.@-]+=(?:"[^"]*"|\S*) +(?:[\w.@-]+ +)?[\w.@-]+='),
    )
)
_LAUREL_ID = re.compile(r"\d{1,12}\.\d{3}:\d{1,20}")


def _format_of(line: bytes) -> str | None:
    name = next((name for name, pattern in _LINE_FORMATS if pattern.match(line)), None)
    return _json_format(line) if name == "jsonl" else name


def _json_format(line: bytes) -> str:
    try:
        value = parse_json(line)
    except JsonError:
        return "jsonl"  # an object over several lines, or one longer than the sample
    if not isinstance(value, dict):
        return "jsonl"
    if {"__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP"} & value.keys():
        return "journald"
    if isinstance(value.get("ID"), str) and _LAUREL_ID.fullmatch(value["ID"]):
        return "laurel"
    if any(isinstance(text, str) and text.startswith("type=AUOMS_") for text in value.values()):
        return "auoms"
    return "jsonl"

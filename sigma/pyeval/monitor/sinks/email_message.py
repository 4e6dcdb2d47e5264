"""Alerts as one mail for people: a subject, a plain text, and the alerts themselves attached."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from sigma.pyeval.output import counted, json_line, printable
from sigma.pyeval.restrictiveness import LEVELS

from ..batches import Json
from .alert_text import correlated, headline_of, matched_values, part

LONGEST_TITLE: Final = 150
"""Characters of a rule's title in a subject, escapes of what is not printable included."""

LONGEST_LINE: Final = 400
"""Characters of a value, a link or a note in the text."""

LONGEST_DESCRIPTION: Final = 1_500
"""Characters of a rule's description in the text."""

MOST_LINES: Final = 20
"""Matched values, links and notes of an alert in the text, each."""

_RULER = "-" * 70


def compose(  # noqa: PLR0913 - a mail has that many parts
    alerts: Sequence[Mapping[str, Json]],
    *,
    sender: str,
    recipients: Sequence[str],
    prefix: str,
    attach_bytes: int,
    now: datetime,
) -> EmailMessage:
    """Return the mail of *alerts*; all text in it that comes from rules and events is printable and of bounded length.

    Args:
        alerts: At least one.
        sender: An address of ASCII.
        recipients: Addresses of ASCII.
        prefix: What the subject begins with.
        attach_bytes: How long the attachment may be; alerts that have no room in it are left out of it, nothing for 0.
        now: The mail's date.
    """
    lines = [json_line(alert) + b"\n" for alert in alerts]
    attached = list(_fitting(lines, attach_bytes))
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject(alerts, prefix)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id([str(alert["id"]) for alert in alerts], sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's vacation program answers
    # Quoted-printable is ASCII in short lines, whatever the server can take.
    message.set_content(text(alerts, attached if attach_bytes else None), cte="quoted-printable")
    if attached:
        content = b"".join(lines[index] for index in attached)
        message.add_attachment(content, "application", "jsonl", filename="alerts.jsonl")
    return message


def _fitting(lines: Iterable[bytes], room: int) -> Iterator[int]:
    for index, line in enumerate(lines):
        if len(line) <= room:
            room -= len(line)
            yield index


def message_id(ids: Iterable[str], sender: str) -> str:
    """Return the Message-ID of the mail about the alerts with *ids*: sent again, it is the same."""
    digest = hashlib.sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()
    return f"<{digest[:40]}@{sender.rpartition('@')[2]}>"


def subject(alerts: Sequence[Mapping[str, Json]], prefix: str) -> str:
    """Return ``high: TITLE on HOST`` of one alert, ``12 alerts (2 critical, 10 high)`` of several, behind *prefix*."""
    if len(alerts) > 1:
        return f"{prefix}{counted(len(alerts), 'alert')} ({_by_level(alerts)})"
    return prefix + _of_header(_headline(alerts[0]))


def _of_header(line: str) -> str:
    # The parser of the header would decode an encoded word (RFC 2047) that somebody wrote into a title, newlines included.
    return line.replace("=?", "= ?")


def _headline(alert: Mapping[str, Json]) -> str:
    rule = part(alert, "rule")
    host = f" on {shown(alert['host'], LONGEST_TITLE)}" if alert.get("host") else ""
    return f"{_level(alert)}: {shown(rule.get('title'), LONGEST_TITLE) or 'untitled rule'}{host}"


def _level(alert: Mapping[str, Json]) -> str:
    level = part(alert, "rule").get("level")
    return level if level in LEVELS else "no level"


def _by_level(alerts: Iterable[Mapping[str, Json]]) -> str:
    counts = Counter(map(_level, alerts))
    return ", ".join(f"{counts[level]} {level}" for level in (*reversed(LEVELS), "no level") if counts[level])


def text(alerts: Sequence[Mapping[str, Json]], attached: Sequence[int] | None) -> str:
    """Return the mail's text; *attached* are the indexes of the alerts in the attachment, ``None`` where none is wanted."""
    lines = [f"{counted(len(alerts), 'alert')}: {_by_level(alerts)}", ""] if len(alerts) > 1 else []
    for number, alert in enumerate(alerts, 1):
        lines += [_RULER] if number > 1 else []
        lines += [f"{f'{number}. ' if len(alerts) > 1 else ''}{_headline(alert)}", ""]
        lines += [*_details(alert), ""]
    if attached is not None and len(attached) < len(alerts):
        left_out = len(alerts) - len(attached)
        lines += [_RULER, f"{counted(left_out, 'alert')} had no room in the attachment; see attach_bytes.", ""]
    return "\n".join(lines)


def _details(alert: Mapping[str, Json]) -> Iterator[str]:
    """Yield what is said of one alert, line by line."""
    rule, attack = part(alert, "rule"), part(alert, "attack")
    yield from _row("Event", headline_of(alert))
    yield from _row("Event time", alert.get("event_time") or "not told by the event")
    yield from _row("Detected", alert.get("detected"))
    yield from _row("Host", alert.get("host"))
    yield from _row("Source", _source(part(alert, "source")))
    yield from _row("Correlated", correlated(alert))
    yield from _list("Matched", _matched(alert))
    yield from _row("Description", _prose(rule.get("description")), LONGEST_DESCRIPTION)
    yield from _list("False positives", map(_prose, rule.get("falsepositives") or ()))
    yield from _list("References", rule.get("references") or ())
    yield from _row("ATT&CK", ", ".join(str(name) for names in attack.values() for name in names))
    # The Detection Rule License asks that a rule's author is named with what it finds.
    yield from _row("Rule author", rule.get("author"))
    yield from _row("Rule id", rule.get("id"))
    yield from _row("Alert id", alert.get("id"))


def _row(name: str, value: Json, longest: int = LONGEST_LINE) -> Iterator[str]:
    if value:
        yield f"{name}: {shown(value, longest)}"


def _list(name: str, values: Iterable[Json]) -> Iterator[str]:
    values = list(values)
    if values:
        yield f"{name}:"
    for value in values[:MOST_LINES]:
        yield f"  - {shown(value, LONGEST_LINE)}"
    if len(values) > MOST_LINES:
        yield f"  - and {len(values) - MOST_LINES} more"


def _prose(value: Json) -> str:
    """Return what an author wrote over several lines as one."""
    return " ".join(str(value or "").split())


def _source(source: Mapping[str, Json]) -> str:
    place = [f"{name} {value}" for name, value in source.items() if name not in {"name", "type"}]
    return ", ".join([f"{source.get('name')} ({source.get('type')})", *place])


def _matched(alert: Mapping[str, Json]) -> list[str]:
    """Return the values that the rule matched on, each once, by the field's or the value's own name."""
    return list(dict.fromkeys(f"{name}: {value}" for name, value in matched_values(alert) if value is not None))


def shown(value: Json, longest: int) -> str:
    """Return *value* as printable text of one line, at most *longest* characters of it."""
    raw = "" if value is None else str(value)
    line = printable(raw[:longest])
    return line if len(raw) <= longest and len(line) <= longest else line[: longest - 3] + "..."

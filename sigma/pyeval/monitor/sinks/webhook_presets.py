"""What Slack, Teams, PagerDuty, Elasticsearch and Splunk take, by their vendors' documentation.

Text of events is an attacker's: it is written where the vendor shows it as it is, never where it would be read as markup.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from sigma.pyeval.output import json_line, printable

from ..batches import Json, Refused, SendError
from .alert_text import correlated, headline_of, matched_values

PresetName = Literal["none", "slack", "teams", "pagerduty", "elasticsearch", "splunk"]
Alert = Mapping[str, Any]

_MOST_ALERTS = 200
_EXCERPT = 1_500
_PAGERDUTY_BYTES = 500_000
"""The Events API v2 takes 512 KB; what is longer goes without the event."""

_SEVERITIES: Final = {"critical": "critical", "high": "error", "medium": "warning"}
"""Sigma level -> PagerDuty severity; all others are ``info``."""


class Preset(NamedTuple):
    """One vendor's format.

    Attributes:
        most: Alerts of one call.
        content_type: Of the body.
        write: Alerts and token to the body.
        authorization: Scheme that the token is sent with; ``""`` where it goes into the body, ``None`` where there is none.
        read: Judges the body of a positive answer; ``None`` where the status says all.
    """

    most: int
    content_type: str
    write: Callable[[Sequence[Alert], str], bytes]
    authorization: str | None = None
    read: Callable[[Sequence[Alert], bytes], None] | None = None


def write_slack(alerts: Sequence[Alert], _: str) -> bytes:
    """Return an incoming-webhook message with blocks.

    All text is ``plain_text`` with ``&``, ``<`` and ``>`` escaped, so it can neither link nor mention
    (https://docs.slack.dev/messaging/formatting-message-text); lengths as of
    https://docs.slack.dev/reference/block-kit/blocks: header 150, section 3,000, field 2,000.
    """
    (alert,) = alerts
    title = _title(alert)
    blocks: list[Json] = [
        {"type": "header", "text": _slack_text(title, 150)},
        {"type": "section", "fields": [_slack_text(f"{name}: {value}", 500) for name, value in _facts(alert)]},
    ]
    if excerpt := _excerpt(alert):
        blocks.append({"type": "section", "text": _slack_text(excerpt, 3_000)})
    blocks.append({"type": "context", "elements": [_slack_text(f"alert {_of(alert, 'id')}", 500)]})
    message = {"text": _slack_escaped(title, 300), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}
    return json_line(message)


def write_teams(alerts: Sequence[Alert], _: str) -> bytes:
    """Return an adaptive card in a message, as the Workflows trigger "when a Teams webhook request is received" takes it.

    Text stands in ``RichTextBlock``s, which do not support Markdown (https://learn.microsoft.com/adaptive-cards,
    "text features"); a mention would need an entity of the card, and there are none.
    """
    (alert,) = alerts
    body = [_teams_text(_title(alert), 300, weight="bolder", size="large")]
    body += [_teams_text(f"{name}: {value}", 500) for name, value in _facts(alert)]
    if excerpt := _excerpt(alert):
        body.append(_teams_text(excerpt, 3_000, fontType="monospace"))
    body.append(_teams_text(f"alert {_of(alert, 'id')}", 300, isSubtle=True))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json_line({"type": "message", "attachments": [attachment]})


def write_pagerduty(alerts: Sequence[Alert], routing_key: str) -> bytes:
    """Return a trigger event of the Events API v2; the alert's id is the ``dedup_key`` (at most 255 characters).

    See https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: ``summary`` has at most 1,024 characters.
    """
    (alert,) = alerts
    source = _of(alert, "source")
    payload: dict[str, Json] = {
        "summary": _title(alert)[:1024],
        "source": printable(str(_of(alert, "host") or _of(source, "name") or "unknown"))[:255],
        "severity": _SEVERITIES.get(_level(alert), "info"),
        "custom_details": dict(alert),
    }
    if moment := _of(alert, "event_time") or _of(alert, "detected"):
        payload["timestamp"] = moment
    if rule := _of(_of(alert, "rule"), "id"):
        payload["class"] = rule
    event = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": str(_of(alert, "id"))[:255],
        "client": "sigma-pyeval",
        "payload": payload,
    }
    body = json_line(event)
    if len(body) > _PAGERDUTY_BYTES:
        details = {"id": _of(alert, "id"), "rule": _of(alert, "rule"), "source": source, "excerpt": _excerpt(alert)}
        body = json_line({**event, "payload": {**payload, "custom_details": details}})
    return body


def write_elasticsearch(alerts: Sequence[Alert], _: str) -> bytes:
    """Return a ``_bulk`` body: ``create`` with the alert's id, so that one sent again is not there twice.

    See https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk; ``@timestamp`` is for data streams.
    """
    lines: list[Json] = []
    for alert in alerts:
        lines.append({"create": {"_id": alert["id"]}})
        lines.append({"@timestamp": _of(alert, "event_time") or _of(alert, "detected"), **alert})
    return b"".join(json_line(line) + b"\n" for line in lines)


def read_elasticsearch(alerts: Sequence[Alert], answer: bytes) -> None:
    """Judge the items of a ``_bulk`` answer, which are in the order of the request; 409 means: already there.

    Raises:
        SendError: An item can be sent again, or the answer is none.
        Refused: Items that never can.
    """
    try:
        results = [next(iter(item.values())) for item in json.loads(answer)["items"]]
        statuses = [int(result["status"]) for result in results]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise SendError("the answer is not that of _bulk") from None
    if len(statuses) != len(alerts):
        raise SendError(f"the answer is about {len(statuses)} alerts of {len(alerts)}")
    again = [number for number, status in enumerate(statuses) if status == 429 or status >= 500]
    if again:
        raise SendError(f"{len(again)} of {len(alerts)} not indexed: {_item_reason(results[again[0]])}")
    refused = {
        number: _item_reason(results[number])
        for number, status in enumerate(statuses)
        if not 200 <= status < 300 and status != 409
    }
    if refused:
        raise Refused(refused)


def write_splunk(alerts: Sequence[Alert], _: str) -> bytes:
    """Return events of the HTTP Event Collector, one after the other.

    See https://help.splunk.com, "Format events for HTTP Event Collector".
    """
    return b"\n".join(json_line(_splunk_event(alert)) for alert in alerts)


def _splunk_event(alert: Alert) -> dict[str, Json]:
    event: dict[str, Json] = {
        "sourcetype": "sigma:alert",
        "source": f"sigma-pyeval:{_of(_of(alert, 'source'), 'name') or ''}",
    }
    if host := _of(alert, "host"):
        event["host"] = host
    for key in ("event_time", "detected"):
        try:
            event["time"] = datetime.fromisoformat(_of(alert, key)).timestamp()
            break
        except (TypeError, ValueError):
            continue  # none, or none that can be read: Splunk takes the time of arrival
    event["event"] = dict(alert)
    return event


PRESETS: Final[dict[PresetName, Preset]] = {
    "slack": Preset(1, "application/json", write_slack),
    "teams": Preset(1, "application/json", write_teams),
    "pagerduty": Preset(1, "application/json", write_pagerduty, authorization=""),
    "elasticsearch": Preset(
        _MOST_ALERTS, "application/x-ndjson", write_elasticsearch, authorization="ApiKey", read=read_elasticsearch
    ),
    "splunk": Preset(_MOST_ALERTS, "application/json", write_splunk, authorization="Splunk"),
}


def _of(value: Any, key: str) -> Any:
    """Return what *value* has at *key*, ``None`` where it has not, or is no object itself."""
    return value.get(key) if isinstance(value, Mapping) else None


def _level(alert: Alert) -> str:
    return str(_of(_of(alert, "rule"), "level") or "none")


def _title(alert: Alert) -> str:
    return printable(f"[{_level(alert)}] {_of(_of(alert, 'rule'), 'title')}")


def _facts(alert: Alert) -> list[tuple[str, str]]:
    """Return what people look at first; at most ten, which is what a Slack section holds."""
    source, rule, attack = _of(alert, "source"), _of(alert, "rule"), _of(alert, "attack")
    techniques = _of(attack, "techniques") or []
    facts = [
        ("host", _of(alert, "host")),
        ("time", _of(alert, "event_time") or _of(alert, "detected")),
        ("source", _of(source, "name")),
        ("rule", _of(rule, "id")),
        ("techniques", ", ".join(_technique(one) for one in techniques)),
    ]
    shown = [(name, printable(str(value))) for name, value in facts if value]
    return shown or [("level", _level(alert))]


def _technique(one: Any) -> str:
    return str(_of(one, "id") or one)


def _excerpt(alert: Alert) -> str:
    """Return the event's line as lists show it, then what else matched or what a correlation rule found; or else the event."""
    line = headline_of(alert)
    values = (f"{name}: {str(value)[:300]}" for name, value in matched_values(alert) if value != line)
    lines = [one for one in dict.fromkeys((line, correlated(alert), *values)) if one]
    if not lines and (event := _of(alert, "event")):
        lines = [json_line(event).decode()]
    return "\n".join(map(printable, lines[:20]))[:_EXCERPT]  # a newline in a value begins no line of ours


def _slack_text(text: str, most: int) -> dict[str, Json]:
    return {"type": "plain_text", "text": _slack_escaped(text, most), "emoji": False}


def _slack_escaped(text: str, most: int) -> str:
    """Return *text* escaped, and cut so that it is at most *most* characters long and no escape is cut apart."""
    parts: list[str] = []
    room = most
    for character in text:
        part = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        room -= len(part)
        if room < 0:
            break
        parts.append(part)
    return "".join(parts) or "-"


def _teams_text(text: str, most: int, **style: Json) -> dict[str, Json]:
    # "{{DATE(...)}}" is replaced by Teams in any text; it ends where the braces do not stand together.
    shown = text[:most].replace("{{", "{ {")
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": shown or "-", **style}]}


def _item_reason(result: Any) -> str:
    error = _of(result, "error")
    reason = _of(error, "reason") or _of(error, "type") or error or ""
    return printable(f"status {_of(result, 'status')}: {reason}")[:300]

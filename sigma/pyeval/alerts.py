"""An alert: what is told of one match, as one JSON object of a fixed shape; docs/alert.schema.json describes it.

An alert is plain JSON that every reader takes (RFC 7493, I-JSON): what an event may hold beyond it becomes text. Parts of it
are shared between alerts: whoever wants to change one copies it first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from .attack import parse_attack
from .codegen import rule_record
from .conditions import fields_read
from .correlation.observing import is_summary
from .correlation.results import CorrelationMatch
from .correlation.source import parse_correlation
from .entities import names_host, parse_host
from .event_time import event_time
from .excerpts import MOST_VALUES, found_value
from .logs.records import Record
from .logs.text import without_surrogates
from .marks import MOST_FOUND, MatchedCall, Path, matched_calls, spans_by_path
from .matchers.values import text_of
from .redaction import REDACTED, Redaction, is_within, without
from .rules import CorrelationRule, Match, Rule

SCHEMA_VERSION: Final = 1
"""Counts up when a reader of alerts has to change; new members alone do not."""

LONGEST_HOST: Final = 255
"""Characters of a host's name; RFC 1035 allows 255 octets."""

DEEPEST: Final = 100
"""How deep an event that has to be rewritten may nest; what lies deeper is replaced by a remark."""

_CACHED_CHARACTERS = 1_000
_CACHED = 2_048


def make_alert(  # noqa: PLR0913, PLR0917 - what an alert tells comes from so many places
    match: Match,
    record: Record,
    source: Mapping[str, str | int],
    detected: datetime,
    redaction: Redaction,
    reader: str | None = None,
) -> dict[str, Any]:
    """Return the alert of one match of a record.

    It never fails for an event of JSON types, whatever is in it, and leaves the event as it is.

    Args:
        match: The rule, and the record's event.
        record: Which log it came from, and its audit serial.
        source: The source's ``name`` and ``type``, and the record's place in it.
        detected: When the rule was held against the event, aware.
        redaction: What is not shown of the event.
        reader: The machine that a local log was read on, told as the host where the event, before redaction, names none.
    """
    event, rule = match.event, match.rule
    identity, is_portable = alert_id(match, source)
    places = redaction.places(event) if redaction.fields else None
    shown = without(event, places) if places else event
    about = _about_rule(rule)
    moment = event_time(shown, now=detected)
    alert = {
        "schema_version": SCHEMA_VERSION,
        "id": identity,
        "rule": about["rule"],
        "attack": about["attack"],
        "event": shown,
        "event_time": None if moment is None else rfc3339(moment),
        "detected": rfc3339(detected),
        "host": _host(event, shown, reader),
        "logsource": about["logsource"] | record.logsource.as_dict(),
        "source": dict(source) if record.serial is None else {**source, "serial": record.serial},
        "matched": _matched_often(rule.expression, event, places or set()),
    }
    return alert if is_portable else _portable(alert)


def make_correlation_alert(  # noqa: PLR0913 - as above
    found: CorrelationMatch,
    match: Match,
    detected: datetime,
    redaction: Redaction,
    reader: str | None = None,
    *,
    correlations: tuple[CorrelationRule, ...] = (),
) -> dict[str, Any]:
    """Return the alert of what a correlation rule found.

    Its event is the one that raised it, its source where that was read; ``correlation`` has the group, the window, how many
    events contributed, and the latest of them.

    Args:
        found: What was found.
        match: The rule, and the event that raised it; empty where that is not kept.
        detected: When it was found, aware.
        redaction: What is not shown of events and of the group.
        reader: As for ``make_alert``; of the event that raised it.
        correlations: All correlation rules, whose aliases may stand for fields that are not shown.
    """
    aliases = _hidden_aliases(correlations, redaction)
    shown = _shown(match.event, redaction, aliases)
    about = _about_rule(match.rule)
    correlation = {name: value for name, value in found.as_dict().items() if name != "id"}
    correlation["group"] = _group_shown(correlation["group"], redaction, aliases)
    for one in correlation["events"]:
        if one["event"] is not None:
            one["event"] = _shown(one["event"], redaction, aliases)
    is_kept = bool(match.event) and not is_summary(match.event)
    host = _host(match.event, shown, reader) if is_kept else _name(parse_host(correlation["group"]))
    return _portable(  # type: ignore[no-any-return]
        {
            "schema_version": SCHEMA_VERSION,
            "id": found.id,
            "rule": about["rule"],
            "attack": about["attack"],
            "event": shown,
            "event_time": rfc3339(found.end),
            "detected": rfc3339(detected),
            "host": host,
            "logsource": about["logsource"],
            "source": found.source,
            "matched": [],
            "correlation": correlation,
        }
    )


def _shown(event: Mapping[str, Any], redaction: Redaction, aliases: frozenset[str]) -> Mapping[str, Any]:
    places = redaction.places(event) if redaction.fields else None
    shown = without(event, places) if places else event
    if redaction.fields and is_summary(event):  # of another correlation's match
        return {**shown, "group": _group_shown(event["group"], redaction, aliases)}
    return shown


def _group_shown(group: Mapping[str, Any], redaction: Redaction, aliases: frozenset[str]) -> dict[str, Any]:
    """Return a group, whose names are fields as rules name them, or aliases."""
    return {name: REDACTED if name in aliases or redaction.hides(name) else value for name, value in group.items()}


@lru_cache(maxsize=8)
def _hidden_aliases(correlations: tuple[CorrelationRule, ...], redaction: Redaction) -> frozenset[str]:
    """Return the aliases that stand for a field that is not shown, in any rule, or for such an alias of another one."""
    pairs = (
        [pair for rule in correlations for pair in parse_correlation(rule.expression).aliases]
        if redaction.fields
        else []
    )
    hidden: set[str] = set()
    while more := {
        alias
        for alias, fields in pairs
        if alias not in hidden and any(field in hidden or redaction.hides(field) for _, field in fields)
    }:
        hidden |= more
    return frozenset(hidden)


def _host(event: Mapping[str, Any], shown: Mapping[str, Any], reader: str | None) -> str | None:
    host = parse_host(shown)
    if host is None and parse_host(event) is not None:
        host = REDACTED
    elif host is None and not names_host(event):
        host = reader
    return _name(host)


def _name(host: str | None) -> str | None:
    return None if host is None else host[:LONGEST_HOST]


def alert_id(match: Match, source: Mapping[str, str | int]) -> tuple[str, bool]:
    """Return the id of a match's alert, and whether all that it is made of is portable JSON.

    The id is made from the source's name, the record's place in it, the event as it was read and the rule's id (without one,
    its title and hash): the same when the record is read again, whatever is redacted by then.
    """
    rule = match.rule
    named = rule.id or [rule.title, rule.source_hash]
    place = {key: value for key, value in source.items() if key not in {"name", "type"}}
    what = [source.get("name"), place, match.event, named]
    try:
        text, is_portable = orjson.dumps(what, option=orjson.OPT_SORT_KEYS), True
    except TypeError:  # lone surrogates, integers beyond 64 bits, more than 254 levels
        text, is_portable = orjson.dumps(_portable(what), option=orjson.OPT_SORT_KEYS), False
    return hashlib.sha256(text).hexdigest()[:32], is_portable


def rfc3339(moment: datetime) -> str:
    """Return an aware datetime as RFC 3339 in UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _portable(value: Any, depth: int = 0) -> Any:
    """Return *value* as JSON that all readers take: no lone surrogates, integers of 64 bits, nested no deeper than they go."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, (dict, list, tuple)) and depth > DEEPEST:
        return "[nested too deep]"
    if isinstance(value, dict):
        return {_key(key): _portable(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(member, depth + 1) for member in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return text_of(value) or hex(value)  # a number of thousands of digits has no decimal text
    return value if isinstance(value, (bool, int, float)) else text_of(value)


def _key(key: object) -> str:
    return without_surrogates(key) if isinstance(key, str) else text_of(key) or ""


@lru_cache(maxsize=8_192)
def _about_rule(rule: Rule) -> dict[str, Any]:
    """Return what all alerts of a rule say of it."""
    attack = parse_attack(rule.tags)
    about: dict[str, Any] = _portable(
        {
            "rule": rule_record(rule),
            "attack": {
                "tactics": list(attack.tactics),
                "techniques": list(attack.techniques),
                "groups": list(attack.groups),
                "software": list(attack.software),
            },
            "logsource": rule.logsource.as_dict(),
        }
    )
    return about


def _matched_often(expression: str, event: Mapping[str, Any], hidden: set[Path]) -> list[dict[str, Any]]:
    """Return ``_matched``, remembered by the few fields that the expression reads: floods of events repeat them."""
    fields = fields_read(expression, unsafe_regex=True)
    if fields is None or any(place[0] in fields for place in hidden):
        return _matched(expression, event, hidden)
    values = tuple(event.get(field) for field in fields)
    length = 0
    for field, value in zip(fields, values, strict=True):
        if type(value) is str:
            length += len(value)
        elif value is not None or field in event or field.partition(".")[0] in event:
            return _matched(expression, event, hidden)
    return _matched_texts(expression, values) if length <= _CACHED_CHARACTERS else _matched(expression, event, hidden)


@lru_cache(maxsize=_CACHED)
def _matched_texts(expression: str, values: tuple[str | None, ...]) -> list[dict[str, Any]]:
    fields = fields_read(expression, unsafe_regex=True) or ()
    pairs = zip(fields, values, strict=True)
    return _matched(expression, {field: value for field, value in pairs if value is not None}, set())


def _matched(expression: str, event: Mapping[str, Any], hidden: set[Path]) -> list[dict[str, Any]]:
    calls = matched_calls(expression, event, unsafe_regex=True, known=True)  # it was run on this event, and matched
    return [_call(call, event, hidden) for call in calls]


def _call(call: MatchedCall, event: Mapping[str, Any], hidden: set[Path]) -> dict[str, Any]:
    """Return a call; where one of the values it holds of is hidden, its patterns would tell that value."""
    # Of more values than are named, one that is not may be hidden.
    is_hidden = bool(hidden) and (len(call.paths) >= MOST_FOUND or any(is_within(path, hidden) for path in call.paths))
    spans = spans_by_path((call,))
    return {
        "matcher": call.matcher,
        "field": call.field,
        "values": [REDACTED] if is_hidden and call.values else list(call.values[:MOST_VALUES]),
        "found": [
            {"path": list(path), "value": REDACTED, "spans": []}
            if is_hidden and is_within(path, hidden)
            else found_value(path, event, spans.get(path, []))
            for path in call.paths[:MOST_VALUES]
        ],
    }

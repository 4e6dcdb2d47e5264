"""A handler for AWS Lambda around a standalone module of rules. Copied beside it: the standard library is all it needs.

    from detections import match
    from aws_lambda import handler_for

    handler = handler_for(match)

It opens what Lambda is given: records of Kinesis and SQS, batches of CloudWatch Logs, notices of files in S3. See
docs/embed.md for the shapes and for what is done again.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import re
import sys
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

Event = dict[str, Any]
MatchRules = Callable[[Event], list[dict[str, Any]]]
OnMatch = Callable[[dict[str, Any]], object]
Fetch = Callable[[str, str], bytes]
Handler = Callable[[Event, object], dict[str, Any]]

MOST_BYTES = 256 * 1024 * 1024
"""What a compressed payload may grow to: more than any log delivered so, less than a function's memory."""

_GZIP_MAGIC = b"\x1f\x8b"
_NO_SPACE = re.compile(r"[^ \t\r\n]")
_WIDEST_INT = 64
"""Bits, and more digits than these have."""


class EnvelopeError(ValueError):
    """What Lambda was given cannot be opened; the message says what was found."""


class BatchFailed(RuntimeError):
    """Parts of an invocation failed that Lambda can only do again as a whole; the others are done."""


def print_match(found: dict[str, Any]) -> None:
    """Write a match to the function's log, as one line of JSON: rule, event, source."""
    sys.stdout.write(json.dumps(found, default=str) + "\n")


def fetch_from_s3(bucket: str, key: str) -> bytes:
    """Return the bytes of an object, by the boto3 that Lambda's Python has."""
    data: bytes = _s3_client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


@cache
def _s3_client() -> Any:
    """Return the client, made once: that takes longer than most files."""
    import boto3  # part of Lambda's runtime, not of ours

    return boto3.client("s3")


def handler_for(
    match: MatchRules, on_match: OnMatch = print_match, *, fetch: Fetch = fetch_from_s3, text_field: str = "message"
) -> Handler:
    """Return a function for Lambda to call.

    Args:
        match: A standalone module's ``match``.
        on_match: Called with each match: ``{"rule": ..., "event": ..., "source": ...}``.
        fetch: Returns the bytes of an object, given its bucket and key.
        text_field: The field that a line stands in that is no JSON object.

    The handler returns ``{"batchItemFailures": [...], "events": n, "matches": n}``: for Kinesis and SQS, the records that
    could not be opened or whose matches ``on_match`` did not take, which Lambda then gives again (with
    ``ReportBatchItemFailures``). For CloudWatch Logs and S3 it raises BatchFailed once all else is done.
    """

    def handler(event: Event, context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
        counts = {"events": 0, "matches": 0}
        failed: list[tuple[str, str]] = []
        for part in _parts(event):
            try:
                for one in _events(part, text_field, fetch):
                    counts["events"] += 1
                    for rule in match(one):
                        counts["matches"] += 1
                        on_match({"rule": rule, "event": one, "source": part.source})
            except Exception as error:  # noqa: BLE001 - one part's failure must not take the others with it
                reason = f"{part.source}: {type(error).__name__}: {error}"
                sys.stderr.write(ascii(reason)[1:-1] + "\n")
                failed.append((part.identifier, reason))
        for identifier, reason in failed:
            if not identifier:
                raise BatchFailed(f"{len(failed)} parts failed, one of them {reason}")
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier, _ in failed], **counts}

    return handler


@dataclass(frozen=True)
class _Part:
    """A part of an invocation: what Lambda knows it by (empty: nothing), what a match tells of it, and what is in it."""

    identifier: str
    source: dict[str, Any]
    text: str = ""
    base64: str = ""
    place: tuple[str, str] | None = None


def _parts(event: Event) -> Iterator[_Part]:
    """Yield the parts of an invocation.

    Raises:
        EnvelopeError: It is none of the known shapes.
    """
    if isinstance(event.get("awslogs"), dict):
        yield _Part("", {"type": "cloudwatch-logs"}, base64=event["awslogs"]["data"])
        return
    records = event.get("Records")
    if not isinstance(records, list):
        raise EnvelopeError(f"neither 'awslogs' nor 'Records' in what Lambda was given, but {sorted(event)[:10]}")
    for record in records:
        if "kinesis" in record:
            number = record["kinesis"]["sequenceNumber"]
            yield _Part(number, {"type": "kinesis", "id": number}, base64=record["kinesis"]["data"])
        elif record.get("eventSource") == "aws:sqs":
            yield _Part(record["messageId"], {"type": "sqs", "id": record["messageId"]}, text=record["body"])
        elif "s3" in record:
            bucket, key = record["s3"]["bucket"]["name"], urllib.parse.unquote_plus(record["s3"]["object"]["key"])
            yield _Part("", {"type": "s3", "bucket": bucket, "key": key}, place=(bucket, key))
        else:
            raise EnvelopeError(
                f"a record of {record.get('eventSource', 'no known source')!r}, not of Kinesis, SQS or S3"
            )


def _events(part: _Part, text_field: str, fetch: Fetch) -> Iterator[Event]:
    """Yield the events in one part; a message of SQS may be a notice of files in S3."""
    if part.place is not None:
        yield from _text_events(_text(fetch(*part.place)), text_field)
    elif part.base64:
        yield from _text_events(_text(base64.b64decode(part.base64, validate=True)), text_field)
    else:
        notice = _json(part.text)
        if _is_notice(notice):
            for inner in _parts(notice):
                yield from _events(inner, text_field, fetch)
        else:
            yield from _text_events(part.text, text_field)


def _is_notice(value: Any) -> bool:
    records = value.get("Records") if isinstance(value, dict) else None
    return isinstance(records, list) and any(
        isinstance(one, dict) and one.get("eventSource") == "aws:s3" for one in records
    )


def _text(data: bytes) -> str:
    """Return the text in *data*, without a byte order mark; where it is compressed by gzip, what that holds."""
    if data.startswith(_GZIP_MAGIC):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                data = stream.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise EnvelopeError(f"gzip data that cannot be read: {error}") from error
        if len(data) > MOST_BYTES:
            raise EnvelopeError(f"more than {MOST_BYTES} bytes once uncompressed")
    return data.decode("utf-8-sig", "replace")


def _text_events(text: str, text_field: str) -> Iterator[Event]:
    """Yield the events in a text: of a whole that is JSON, else of each line."""
    whole = _json_values(text)
    if whole is not None:
        yield from _opened(whole, text_field)
        return
    for line in text.split("\n"):  # splitlines would also split at characters that JSON has within text
        if line.strip():
            values = _json_values(line) if line.lstrip()[:1] in "{[" else None
            yield from _opened([line.removesuffix("\r")] if values is None else values, text_field)


def _opened(values: list[Any], text_field: str) -> Iterator[Event]:
    """Yield the events in JSON values: batches of CloudWatch Logs and files of CloudTrail are opened."""
    pending = values[::-1]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif not isinstance(value, dict):
            yield {text_field: value if isinstance(value, str) else json.dumps(value)}
        elif value.get("messageType") == "DATA_MESSAGE" and isinstance(value.get("logEvents"), list):
            for one in value["logEvents"]:
                message = one.get("message", "")
                inner = _json(message) if message.lstrip()[:1] == "{" else None
                yield inner if isinstance(inner, dict) else {text_field: message}
        elif value.get("messageType") == "CONTROL_MESSAGE":
            continue
        elif set(value) == {"Records"} and isinstance(value["Records"], list):
            pending.extend(reversed(value["Records"]))
        else:
            yield value


def _json_values(text: str) -> list[Any] | None:
    """Return the JSON value that *text* is, or the objects and arrays that stand one after the other; None for other text."""
    whole = _json(text)
    if whole is not None:
        return [whole]
    values: list[Any] = []
    begin = _NO_SPACE.search(text)
    while begin is not None:
        if begin[0] not in "{[":
            return None
        try:
            value, end = _DECODER.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            return None
        values.append(value)
        begin = _NO_SPACE.search(text, end)
    return values


def _json(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _integer(text: str) -> int | float | str:
    """Return an integer of more than 64 bits as a float, however long: Python refuses to read those of many digits."""
    value = int(text) if len(text) <= _WIDEST_INT else None
    return _real(text) if value is None or value.bit_length() > _WIDEST_INT else value


def _real(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


_DECODER = json.JSONDecoder(strict=False, parse_constant=str, parse_int=_integer, parse_float=_real)
"""Reads what ``sigma-pyeval scan`` does: NaN, Infinity and numbers beyond a double as their text, line breaks within text."""

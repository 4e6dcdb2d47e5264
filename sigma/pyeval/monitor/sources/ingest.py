"""From a client's request to a batch, and from the batch's outcome to the reply; shared by ``http`` and ``websocket``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import Field, SecretStr, field_validator
from starlette.responses import Response

from sigma.pyeval.logs.json_values import JsonError, parse_json
from sigma.pyeval.logs.reading import AUTO
from sigma.pyeval.logs.records import Problem, Record
from sigma.pyeval.output import json_line

from ..batches import Batch, Intake, Json, Place
from ..lines import LineStream
from ..server import sendable
from ..settings import LineSettings

RETRY_SECONDS: Final = 5
"""What a client is asked to wait when the service has no room, or ends."""

PROBLEMS_SHOWN: Final = 100
"""So many problems are named in a reply; ``unread`` counts all."""

THREAD_BYTES: Final = 64 << 10
"""Longer bodies are read in a thread, so that other clients are served meanwhile."""

_JSON_FORMATS: Final = frozenset({"jsonl", "cloudtrail", AUTO})
_EVENT_ID = re.compile(r"[!-~]{1,128}")


class IngestSettings(LineSettings):
    """What the sources that clients send to have in common."""

    format: str = "jsonl"
    """The log format of the events: ``jsonl`` unless given, ``auto`` to tell it for each request."""

    token: SecretStr | None = Field(default=None, min_length=16)
    """What clients of this source send as ``Authorization: Bearer ...``; the server's token unless given."""

    max_bytes: int = Field(default=10 << 20, ge=1024, le=1 << 30)
    """Longest body or message in bytes, after decompression."""

    max_events: int = Field(default=10_000, ge=1, le=1_000_000)
    """Most events of one request or message; what cannot be read is counted as well."""

    requests_per_second: float = Field(default=100, gt=0)
    """Requests or messages of one client address; twice as many at once after a pause."""

    queue_seconds: float = Field(default=5, gt=0, le=60)
    """How long a request waits for room in the queue before it is answered 503."""

    reply_seconds: float = Field(default=30, gt=0, le=60)
    """How long a request that was taken waits until its alerts are durable; then it is answered 503, its outcome unknown."""

    @field_validator("token")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        return value and sendable(value)


class Reply(NamedTuple):
    """What the client is told: an HTTP status, a body of JSON types, and how long to wait before it comes again."""

    status: int
    body: dict[str, Json]
    retry_after: int | None = None


class Rejected(Exception):
    """The request was not taken; ``reply`` says why."""

    def __init__(self, status: int, reason: str, retry_after: float | None = None, **more: Json) -> None:
        super().__init__(reason)
        seconds = None if retry_after is None else math.ceil(retry_after)
        wait = {} if seconds is None else {"retry_after": seconds}
        self.reply = Reply(status, {"status": status, "error": reason, **wait, **more}, seconds)


class Entry(NamedTuple):
    """One thing found in a request: a record or a problem, and its number among all of the request, from 0."""

    number: int
    found: Record | Problem


class Taken(NamedTuple):
    """A request whose events are in the queue; ``outcome`` becomes its alerts once they are durable."""

    event_id: str
    entries: Sequence[Entry]
    outcome: asyncio.Future[Sequence[Mapping[str, Json]]]


class Ingest:
    """Takes clients' requests for one source.

    Args:
        settings: The source's.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._intake: Intake | None = None
        self._putting = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, intake: Intake) -> None:
        """Take requests until ``intake.stopping`` is set; when this returns, every request taken has been put."""
        self._intake = intake
        intake.connected(True)
        try:
            await intake.stopping.wait()
        finally:
            self._intake = None
            intake.connected(False)
        await self._idle.wait()

    @property
    def is_open(self) -> bool:
        """Whether requests are taken at present."""
        return self._intake is not None

    def tell(self, client: str, status: int, reason: str) -> None:
        """Count and log a request that was refused, while the source runs."""
        if self._intake is not None:
            self._intake.problem(f"a request of {client} was answered {status}: {reason}")

    def tell_refusal(self, client: str, response: Response) -> None:
        """Count and log a request that was answered with *response*: a JSON object with the reason as ``error``."""
        self.tell(client, response.status_code, json.loads(bytes(response.body))["error"])

    def told(self, client: str, reply: Reply) -> Reply:
        """Return *reply*; a negative one is counted and logged."""
        if reply.status != 200:
            problems = reply.body.get("problems")
            why = f"; {problems[0]['reason']}" if problems else ""
            self.tell(client, reply.status, f"{reply.body['error']}{why}")
        return reply

    async def take(self, body: bytes | list[Json], event_id: str | None, size: int) -> Taken:
        """Read the events of a request and put them into the queue; waits a while for room.

        Args:
            body: What was sent, decompressed; or events that were read already.
            event_id: The client's name for the request, if it gave one.
            size: Bytes of the request.

        Raises:
            Rejected: Nothing was taken.
        """
        chosen = event_id if event_id is not None else str(uuid.uuid4())
        if _EVENT_ID.fullmatch(chosen) is None:
            raise Rejected(400, "an event id is 1 to 128 visible ASCII characters", event_id=None)
        try:
            return await self._take(body, chosen, size)
        except Rejected as rejection:
            rejection.reply.body["event_id"] = chosen
            raise

    async def outcome(self, taken: Taken) -> Reply:
        """Wait until the alerts of *taken* are durable, and return the reply."""
        try:
            async with asyncio.timeout(self._settings.reply_seconds):
                alerts = await taken.outcome
        except TimeoutError:
            reason = "taken, but not durable yet; repeat it with the same event id"
            return Rejected(503, reason, RETRY_SECONDS, event_id=taken.event_id).reply
        problems = _problems(taken.entries)
        return Reply(
            200,
            {
                "event_id": taken.event_id,
                "events": len(taken.entries) - len(problems),
                "unread": len(problems),
                "problems": problems[:PROBLEMS_SHOWN],
                "threat_detected": bool(alerts),
                "alerts": [_summary(alert) for alert in alerts],
            },
        )

    async def _take(self, body: bytes | list[Json], event_id: str, size: int) -> Taken:
        if self._intake is None:
            raise Rejected(503, "the source does not receive at present", RETRY_SECONDS)
        if size > THREAD_BYTES:
            entries = await asyncio.to_thread(read_entries, body, self._settings)
        else:
            entries = read_entries(body, self._settings)
        problems = _problems(entries)
        if len(problems) == len(entries):
            raise Rejected(400, "no event that can be read", unread=len(problems), problems=problems[:PROBLEMS_SHOWN])
        outcome: asyncio.Future[Sequence[Mapping[str, Json]]] = asyncio.get_running_loop().create_future()
        await self._put(_batch(event_id, entries, size, outcome))
        return Taken(event_id, entries, outcome)

    async def _put(self, batch: Batch) -> None:
        intake = self._intake
        if intake is None:  # it has stopped while the body was read
            raise Rejected(503, "the source does not receive at present", RETRY_SECONDS)
        self._putting += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(self._settings.queue_seconds):
                await intake.put(batch)
        except TimeoutError:
            raise Rejected(503, "too much waits to be judged; nothing was taken", RETRY_SECONDS) from None
        finally:
            self._putting -= 1
            if not self._putting:
                self._idle.set()


def read_entries(body: bytes | list[Json], settings: IngestSettings) -> list[Entry]:
    """Return the records and problems of one request, in order; each record's ``line`` becomes its number.

    Raises:
        Rejected: More of them than ``max_events``.
    """
    stream = LineStream(settings.format, settings.options)
    entries: list[Entry] = []
    for position, line in enumerate(_lines(body, settings.format), 1):
        stream.feed(position, line)
        _collect(stream, entries, settings.max_events)
    stream.pause()
    _collect(stream, entries, settings.max_events)
    return entries


def _collect(stream: LineStream, entries: list[Entry], most: int) -> None:
    records, problems = stream.take()
    found: list[Record | Problem] = [*records, *problems]
    if problems and records:
        found.sort(key=lambda one: one.line)
    for one in found:
        number = len(entries)
        entries.append(Entry(number, one._replace(line=number) if isinstance(one, Record) else one))
    if len(entries) > most:
        raise Rejected(413, f"more than {most} events; send fewer at once")


def _lines(body: bytes | list[Json], log_format: str) -> Iterator[bytes]:
    """Return the body's lines; each element of a JSON array is one, so that it is numbered by itself."""
    elements = body if isinstance(body, list) else _elements(body, log_format)
    if elements is None:
        for line in body.split(b"\n") if isinstance(body, bytes) else ():
            yield line.removesuffix(b"\r")
        return
    for element in elements:
        if isinstance(element, str) and log_format not in _JSON_FORMATS:
            yield from element.encode("utf-8", "backslashreplace").split(b"\n")
        else:
            yield json_line(element)


def _elements(body: bytes, log_format: str) -> list[Json] | None:
    if log_format not in _JSON_FORMATS or body.lstrip()[:1] != b"[":
        return None
    try:
        value = parse_json(body)
    except JsonError:
        return None  # arrays side by side, or a damaged one: line by line, then
    return value if isinstance(value, list) else None


def _batch(
    event_id: str, entries: Sequence[Entry], size: int, outcome: asyncio.Future[Sequence[Mapping[str, Json]]]
) -> Batch:
    def place(record: Record) -> Place:
        # The digest keeps alerts apart where a client uses an event id again for other events.
        digest = hashlib.blake2b(json_line(record.event), digest_size=8).hexdigest()
        return {"event_id": event_id, "event": record.line, "digest": digest}

    def settled(alerts: Sequence[Mapping[str, Json]]) -> None:
        if not outcome.done():  # the client may have gone
            outcome.set_result(alerts)

    return Batch(
        records=[one for _, one in entries if isinstance(one, Record)],
        place=place,
        problems=[one for _, one in entries if isinstance(one, Problem)],
        settled=settled,
        lines=1,
        size=size,
    )


def _problems(entries: Sequence[Entry]) -> list[dict[str, Json]]:
    return [
        {"event": number, "line": one.line, "reason": one.reason, "excerpt": one.excerpt}
        for number, one in entries
        if isinstance(one, Problem)
    ]


def _summary(alert: Mapping[str, Any]) -> dict[str, Json]:
    rule = alert.get("rule") or {}
    source = alert.get("source") or {}
    return {
        "id": alert.get("id"),
        "rule": {key: rule.get(key) for key in ("id", "title", "level")},
        "event": source.get("event"),
    }

"""The ``kafka`` sink: alerts as messages of a topic, acknowledged by all replicas before they count as delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from sigma.pyeval.output import json_line, printable

from ..batches import Json, Refused, SendError
from ..kafka_connection import CLIENT_LOG, KafkaConnection, Topic, client_options, in_words, require_aiokafka
from ..settings import Seconds, SinkSettings

KEY_BYTES: Final = 1_024
"""A longer key is cut: it only has to be the same for the same thing."""

CLOSE_SECONDS: Final = 5.0
_FIELD: Final = "field:"


def _key(value: str) -> str:
    if value not in {"rule", "host", "id"} and not value.removeprefix(_FIELD).strip():
        raise ValueError("'field:' needs a field's name")
    if value not in {"rule", "host", "id"} and not value.startswith(_FIELD):
        raise ValueError("a key is 'rule', 'host', 'id' or 'field:NAME'")
    return value


class KafkaSinkSettings(SinkSettings, KafkaConnection):
    """Alerts as messages of a Kafka topic: the value is the alert as JSON, headers hold its id, its rule's id and level."""

    type: Literal["kafka"] = "kafka"
    """``kafka``."""

    topic: Topic
    """The topic. It should not be compacted, unless ``key`` is ``id``: of alerts with one key only the last would be kept."""

    key: Annotated[str, AfterValidator(_key)] = "rule"
    """What messages are keyed by, so what keeps its order: ``rule`` (the rule's id), ``host``, ``field:NAME`` (an entity: a
    field of the event), or ``id`` (the alert's). An alert without it has no key and goes to any partition."""

    compression: Literal["none", "gzip"] = "none"
    """How messages are compressed."""

    max_message_bytes: int = Field(default=1_000_000, ge=1_024, le=1 << 30)
    """A larger alert, counted before compression, goes to the dead letters; not above the topic's ``max.message.bytes``."""

    timeout: Seconds = Field(default=30.0, gt=0, le=600)
    """Seconds that a call may take; alerts not acknowledged by then are waited for again by the next."""

    batch: int = Field(default=500, ge=1, le=10_000)
    """Alerts sent with one call, at most."""


class KafkaSink:
    """``Sink`` that produces to one topic, idempotent: what the client itself repeats is stored once.

    Messages that were not acknowledged in time stay with the client, which goes on trying; when they are sent again they are
    only waited for.

    Args:
        settings: Where to send and how.

    Raises:
        AiokafkaMissingError: The library is not installed.
    """

    kind: Final = "kafka"
    linger: float = 0.0

    def __init__(self, settings: KafkaSinkSettings) -> None:
        require_aiokafka()
        self.name = settings.name or settings.type
        self.most = settings.batch
        self._settings = settings
        self._producer: Any = None
        self._posted: dict[bytes, asyncio.Future[Any]] = {}

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Produce *alerts* and wait until all replicas have them; see ``Sink``."""
        from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

        values = [json_line(alert) for alert in alerts]
        self._posted = {value: self._posted[value] for value in values if value in self._posted}
        try:
            async with asyncio.timeout(self._settings.timeout):
                refused = await self._deliver(alerts, values)
        except TimeoutError:
            reason = f"kafka: not acknowledged within {self._settings.timeout:g} s"
            raise SendError(reason) from None
        except (KafkaError, OSError, LookupError, ValueError) as error:  # the last two: aiokafka's SCRAM login
            await self._drop_producer()
            raise SendError(f"kafka: {in_words(error)}") from error
        self._posted = {}
        if refused:
            raise Refused(refused)

    async def _deliver(self, alerts: Sequence[Mapping[str, Json]], values: Sequence[bytes]) -> dict[int, str]:
        """Return which are too large, and why; the others have been acknowledged."""
        from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

        too_large = (MessageSizeTooLargeError, RecordListTooLargeError)
        producer = await self._connected()
        refused: dict[int, str] = {}
        for number, (alert, value) in enumerate(zip(alerts, values, strict=True)):
            if value not in self._posted:
                try:
                    self._post(value, await producer.send(self._settings.topic, **self._message(alert, value)))
                except MessageSizeTooLargeError:
                    refused[number] = f"larger than max_message_bytes ({self._settings.max_message_bytes})"
        if self._posted:
            await asyncio.wait(self._posted.values())
        for number, (alert, value) in enumerate(zip(alerts, values, strict=True)):
            if number in refused:
                continue
            try:
                await self._posted[value]
            except too_large:
                # The broker refuses whole batches: alone it tells whether this one was meant.
                try:
                    await producer.send_and_wait(self._settings.topic, **self._message(alert, value))
                except too_large as error:
                    refused[number] = f"larger than the broker takes: {in_words(error)}"
        return refused

    def _post(self, value: bytes, future: asyncio.Future[Any]) -> None:
        # Looked at, so that asyncio does not complain of one whose caller was cancelled.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._posted[value] = future

    def _message(self, alert: Mapping[str, Json], value: bytes) -> dict[str, Any]:
        rule = alert.get("rule") or {}
        named = {"alert_id": alert.get("id"), "rule_id": rule.get("id"), "level": rule.get("level")}
        headers = [(name, printable(str(text)).encode()) for name, text in named.items() if text is not None]
        return {"value": value, "key": message_key(alert, self._settings.key), "headers": headers}

    async def _connected(self) -> Any:
        if self._producer is None:
            from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

            CLIENT_LOG.attach()
            producer = AIOKafkaProducer(**producer_options(self._settings))
            try:
                await producer.start()
            except BaseException:
                await producer.stop()  # sends nothing, as it never started; closes what is open
                raise
            self._producer = producer
        return self._producer

    async def _drop_producer(self) -> None:
        """Let go of a producer that failed, with what it has not delivered: its order of messages is broken."""
        producer, self._producer, self._posted = self._producer, None, {}
        if producer is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer.stop()
        except TimeoutError:
            # What waits for brokers that do not answer is waited for by stop; nothing public gives it up.
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await producer._sender.close()
            finally:
                await producer.client.close()

    async def reopen(self) -> None:
        """Nothing to open anew."""

    async def close(self) -> None:
        """Close the connections; what was not acknowledged is in the spool."""
        await self._drop_producer()
        CLIENT_LOG.finish()


def producer_options(settings: KafkaSinkSettings) -> dict[str, Any]:
    """Return what ``AIOKafkaProducer`` is created with."""
    return {
        **client_options(settings),
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": None if settings.compression == "none" else settings.compression,
        "max_request_size": settings.max_message_bytes,
        "request_timeout_ms": int(settings.timeout * 1_000),
    }


def message_key(alert: Mapping[str, Json], kind: str) -> bytes | None:
    """Return the key of *alert*'s message, or ``None`` where it has nothing of that *kind*."""
    if kind.startswith(_FIELD):
        value = (alert.get("event") or {}).get(kind.removeprefix(_FIELD))
    elif kind == "rule":
        rule = alert.get("rule") or {}
        value = rule.get("id") or rule.get("title")
    else:
        value = alert.get(kind)
    if value is None or value == "":
        return None
    raw = value.encode("utf-8", "backslashreplace") if isinstance(value, str) else json_line(value)
    return raw[:KEY_BYTES]

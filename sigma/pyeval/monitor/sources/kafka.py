"""The ``kafka`` source: topics read as a member of a consumer group, offsets committed once their alerts are durable."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from ..batches import Intake
from ..kafka_connection import CLIENT_LOG, KafkaConnection, Topic, client_options, in_words, require_aiokafka
from ..settings import LineSettings, Seconds
from .pauses import LONGEST_PAUSE, growing_pauses, stopped_within

_HEARTBEAT_SECONDS: Final = 3.0
_MEBIBYTE: Final = 1 << 20


class KafkaSourceSettings(LineSettings, KafkaConnection):
    """A consumer group's share of topics. Several monitors with one ``group`` and the same rules share the partitions."""

    type: Literal["kafka"] = "kafka"
    """``kafka``."""

    group: str = Field(min_length=1, max_length=249)
    """The consumer group. Its offsets, kept by the brokers, are where reading goes on."""

    topics: tuple[Topic, ...] = ()
    """The topics to read; or give ``pattern``."""

    pattern: str = ""
    """A regular expression; every topic whose whole name matches is read, also one created later."""

    start: Literal["end", "beginning"] = "end"
    """Where partitions begin that the group has no offset for. Those that appear while the source runs begin at their
    beginning in any case."""

    batch: int = Field(default=1_000, ge=1, le=100_000)
    """Messages that are judged together, at most."""

    max_message_bytes: int = Field(default=4 * _MEBIBYTE, ge=1_024, le=64 * _MEBIBYTE)
    """A longer message is put aside unread, as a dead letter."""

    fetch_bytes: int = Field(default=16 * _MEBIBYTE, ge=1_024, le=1_024 * _MEBIBYTE)
    """Bytes that one answer of a broker may have (compressed); each broker's latest answer is held in memory."""

    isolation: Literal["read_uncommitted", "read_committed"] = "read_uncommitted"
    """Whether messages of transactions are read as they come, or once their transaction is committed."""

    ready_lag: int | None = Field(default=None, ge=0)
    """``/readyz`` says that the service is not ready while more messages of one partition than these wait to be read; any
    number may unless given."""

    session_timeout: Seconds = Field(default=30.0, ge=1, le=1_800)
    """Seconds after which the brokers give a silent member's partitions to others; within the brokers' own bounds (6 s to
    30 min unless set)."""

    max_poll_interval: Seconds = Field(default=300.0, ge=1, le=86_400)
    """Seconds that this member may wait for room (the spool is full) before it gives its partitions to others."""

    refresh: Seconds = Field(default=60.0, ge=1, le=3_600)
    """Seconds between looks for new topics and partitions."""

    @model_validator(mode="after")
    def _readable(self) -> KafkaSourceSettings:
        if bool(self.topics) == bool(self.pattern):
            raise ValueError("give either 'topics' or 'pattern'")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern: not a regular expression: {error}") from None
        return self


def consumer_options(settings: KafkaSourceSettings) -> dict[str, Any]:
    """Return what ``AIOKafkaConsumer`` is created with; times are milliseconds there."""
    session = int(settings.session_timeout * 1_000)
    return {
        **client_options(settings),
        "group_id": settings.group,
        "enable_auto_commit": False,
        # Told as errors, not mended by silent jumps: a gap has to be counted.
        "auto_offset_reset": "none",
        "session_timeout_ms": session,
        "heartbeat_interval_ms": min(int(_HEARTBEAT_SECONDS * 1_000), session // 3),
        "rebalance_timeout_ms": session,
        # A broker answers JoinGroup only when the rebalance is over.
        "request_timeout_ms": session + 10_000,
        "max_poll_interval_ms": int(settings.max_poll_interval * 1_000),
        "metadata_max_age_ms": int(settings.refresh * 1_000),
        "fetch_max_bytes": settings.fetch_bytes,
        "max_partition_fetch_bytes": min(_MEBIBYTE, settings.fetch_bytes),
        "isolation_level": settings.isolation,
    }


class KafkaSource:
    """``Source`` of the messages that the brokers assign to this member of its group.

    Args:
        settings: Where to read and how.

    Raises:
        AiokafkaMissingError: The library is not installed.
    """

    kind: Final = "kafka"
    lag_unit: Final = "messages"

    def __init__(self, settings: KafkaSourceSettings) -> None:
        require_aiokafka()
        self.name = settings.name or settings.type
        self._settings = settings

    async def run(self, intake: Intake) -> None:
        """Read until asked to stop; what ends a session with the brokers is told, and another begins after a pause."""
        from .kafka_session import TROUBLE, Session

        CLIENT_LOG.attach()
        loop = asyncio.get_running_loop()
        # What was there at first is kept over sessions: what appears later is read from its beginning.
        known: set[tuple[str, int]] | None = None
        pauses = growing_pauses()
        while not intake.stopping.is_set():
            began = loop.time()
            try:
                session = Session(self._settings, intake, known)
                try:
                    await session.run()
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    # Nobody cancelled this source: aiokafka let out what it cancelled of its own.
                    raise ConnectionError("the client was broken off") from None
                finally:
                    known = session.known
            except TROUBLE as error:
                intake.connected(False)
                if loop.time() - began > LONGEST_PAUSE:
                    pauses = growing_pauses()
                pause = next(pauses)
                brokers = ", ".join(self._settings.brokers)
                intake.problem(f"kafka at {brokers}: {in_words(error)}; tried again in {pause:.0f} s")
                await stopped_within(intake.stopping, pause)
        intake.connected(False)
        CLIENT_LOG.finish()

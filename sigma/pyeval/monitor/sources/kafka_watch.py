"""Looks beside the reading whether the brokers answer, how far behind reading is, and whether it goes on at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import IllegalStateError, KafkaError  # type: ignore[import-untyped]

from ..batches import Intake
from ..kafka_connection import in_words
from .kafka import KafkaSourceSettings
from .kafka_partition import Partition

WATCH_SECONDS: Final = 3.0
STALL_SECONDS: Final = 60.0
"""How long nothing may come although the brokers have more; then the client is taken for broken."""

_POSITION_SECONDS: Final = 0.5


class Watch:
    """Watches one session.

    aiokafka itself tries for ever, ten times a second and without a word; so a session that lasted too long without an answer is
    ended, and the source begins another with growing pauses.

    Args:
        consumer: The session's ``AIOKafkaConsumer``.
        settings: Of the source.
        intake: Where lag and failures are told.
        partitions: The session's, as they are at any time.

    Attributes:
        cut: Partitions that end before the offset read next, with that offset; the session goes on at their beginning.
    """

    def __init__(
        self,
        consumer: Any,
        settings: KafkaSourceSettings,
        intake: Intake,
        partitions: Mapping[TopicPartition, Partition],
    ) -> None:
        self.cut: list[tuple[TopicPartition, int]] = []
        self._consumer = consumer
        self._settings = settings
        self._intake = intake
        self._partitions = partitions
        self._loop = asyncio.get_running_loop()
        self._reachable = False
        self._behind = False
        self._missing: set[str] = set()
        self._idle_since: float | None = None

    async def run(self) -> None:
        """Look every now and then.

        Raises:
            KafkaError: The brokers have not answered for the session's timeout, or nothing comes although there is more; the
                former also as TimeoutError.
        """
        silent_since: float | None = None
        while True:
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._look()
            except (KafkaError, TimeoutError) as error:
                self._reachable = False
                self._intake.connected(False)
                if silent_since is None:
                    silent_since = self._loop.time()
                    self._intake.problem(f"the brokers do not answer: {in_words(error)}")
                elif self._loop.time() - silent_since > self._settings.session_timeout:
                    raise
            else:
                silent_since = None
                self._reachable = True
                self._intake.connected(True)
            self._check_progress()
            await asyncio.sleep(WATCH_SECONDS)

    def came(self, *, something: bool) -> None:
        """Note whether a poll brought anything."""
        if something:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._loop.time()

    def tell_missing(self, topics: set[str]) -> None:
        """Tell once which of the source's topics are not among *topics*."""
        missing = set(self._settings.topics) - topics
        for topic in sorted(missing - self._missing):
            self._intake.problem(f"there is no topic {topic!r}, or it may not be read; looked for again")
        self._missing = missing

    async def caught_up(self, tp: TopicPartition) -> bool:
        """Return whether, as far as the brokers can be asked, all that *tp* has was read."""
        position = await self._position(tp)
        if not self._reachable or position is None or tp not in self._consumer.assignment():
            return False
        committed = self._settings.isolation == "read_committed"
        end = self._consumer.last_stable_offset(tp) if committed else self._consumer.highwater(tp)
        return end is None or position >= end

    async def _look(self) -> None:
        """Tell the lag of each partition; where there is none, ask for something else that the brokers have to answer."""
        positions = {tp: await self._position(tp) for tp in list(self._partitions)}
        begun = {tp: position for tp, position in positions.items() if position is not None}
        self._behind = False
        if not begun:
            self.tell_missing(await self._consumer.topics())
            return
        for tp, end in (await self._consumer.end_offsets(list(begun))).items():
            if tp not in self._consumer.assignment():
                continue
            fetched = self._consumer.highwater(tp)
            lag = max(end, fetched or 0) - begun[tp]
            self._intake.lag(f"{tp.topic}/{tp.partition}", max(0, lag))
            self._behind |= lag > 0
            if fetched is not None and fetched < begun[tp]:
                # Most brokers say so themselves; with others, what was cut below the position would be waited for in vain.
                self.cut.append((tp, begun[tp]))

    def _check_progress(self) -> None:
        """Raise where nothing comes although there is more."""
        waited = 0.0 if self._idle_since is None else self._loop.time() - self._idle_since
        if self._behind and waited > STALL_SECONDS:
            raise KafkaError(f"nothing came for {waited:.0f} s although there is more")

    async def _position(self, tp: TopicPartition) -> int | None:
        """Return the offset read next, or ``None`` where it is not known yet, or the partition has gone."""
        try:
            async with asyncio.timeout(_POSITION_SECONDS):
                position: int = await self._consumer.position(tp)
        except (TimeoutError, IllegalStateError):
            return None
        return position

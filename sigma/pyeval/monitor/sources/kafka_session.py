"""One membership in the consumer group, from connecting until it breaks or the source stops.

Imports aiokafka, so it is imported only when the source runs. ``Session.run`` alone starts tasks: reading (itself), committing
and watching the brokers stand beside each other, and the failure of one ends all.
"""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    CommitFailedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    UnsupportedCodecError,
)

from sigma.pyeval.output import counted

from ..batches import Batch, DeadLetter, Intake, Json
from ..kafka_connection import in_words
from ..lines import LineStream
from .kafka import KafkaSourceSettings, consumer_options
from .kafka_partition import Message, Partition, Passage
from .kafka_watch import Watch
from .pauses import FIRST_PAUSE, LONGEST_PAUSE

TROUBLE: Final = (KafkaError, OSError, TimeoutError)
"""What ends a session; another is begun."""

WAIT_SECONDS: Final = 0.1
"""How long to wait for messages until the partitions are asked again."""

QUIET_SECONDS: Final = 2.0
"""How long a partition has to be quiet until lines held back for more are given out: as long as the audit joiner waits."""

REVOKE_SECONDS: Final = 5.0
"""How long a rebalance waits for batches on their way."""

DRAIN_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
"""When stopping: how long for batches on their way, and how long for the group to be left."""

_RETENTION: Final = "kafka messages deleted by the brokers before they were read"
_UNFETCHED: Final = "kafka messages larger than the brokers hand out"
_UNREADABLE: Final = (
    CorruptRecordException,
    UnsupportedCodecError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    struct.error,
)
_OF_ONE_PARTITION: Final = (NoOffsetForPartitionError, OffsetOutOfRangeError, RecordTooLargeError, *_UNREADABLE)
_NO_PARTITION: Final = TopicPartition("", -1)
"""Asked for where there is nothing, to wait without taking anything, and to hear of errors of the group."""

_Result = TypeVar("_Result")


class Session(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka carries no types
    """Reads what the group assigns to this member and commits what is settled.

    Args:
        settings: Of the source.
        intake: Where batches go.
        known: The partitions that were there when the source started, or ``None`` in its first session.

    Attributes:
        known: The same, for the next session.
    """

    def __init__(self, settings: KafkaSourceSettings, intake: Intake, known: set[tuple[str, int]] | None) -> None:
        self.known = known
        self._settings = settings
        self._intake = intake
        self._loop = asyncio.get_running_loop()
        self._partitions: dict[TopicPartition, Partition] = {}
        self._unsettled = 0
        self._settled = asyncio.Event()
        self._due = asyncio.Event()
        self._committing = asyncio.Lock()
        self._first: set[str] = set()
        self._turn = 0
        self._beside: list[asyncio.Task[None]] = []
        self._consumer = AIOKafkaConsumer(**consumer_options(settings))
        self._watch = Watch(self._consumer, settings, intake, self._partitions)

    async def run(self) -> None:
        """Be a member of the group until asked to stop, then leave it behind the last commit.

        Raises:
            KafkaError: The brokers refuse, or do not answer any more; also OSError and TimeoutError.
        """
        try:
            await self._start()
            self._beside = [
                self._loop.create_task(self._commit_settled()),
                self._loop.create_task(self._watch.run()),
            ]
            while not self._intake.stopping.is_set():
                await self._read()
            await self._drain()
        finally:
            for task in self._beside:
                task.cancel()
            await asyncio.gather(*self._beside, return_exceptions=True)
            await self._leave()

    async def _start(self) -> None:
        try:
            await self._consumer.start()
        except (LookupError, ValueError) as error:  # what aiokafka's SCRAM login lets out
            raise ConnectionError(f"login refused, or not understood: {in_words(error)}") from error
        if self.known is None:
            self._first = await self._consumer.topics()
            self._watch.tell_missing(self._first)
        if self._settings.pattern:
            self._consumer.subscribe(pattern=rf"(?:{self._settings.pattern})\Z", listener=self)
        else:
            self._consumer.subscribe(self._settings.topics, listener=self)

    # Reading

    async def _read(self) -> None:
        """Hand over what comes with one look at each partition."""
        await self._beside_or(self._room())
        if self._intake.stopping.is_set():
            return
        while self._watch.cut:
            await self._jump(*self._watch.cut.pop())
        found, failed = await self._beside_or(self._poll()) or ([], [])
        for partition, messages in found:
            if partition.leaving:
                continue  # not committed, so the next member reads them
            partition.feed(messages)
            partition.read_at = self._loop.time()
            await self._hand_over(partition)
        for tp, error in failed:
            await self._heed(tp, error)
        if not found:
            self._watch.came(something=bool(failed))
        await self._flush_quiet()

    async def _poll(self) -> tuple[list[tuple[Partition, Sequence[Message]]], list[tuple[TopicPartition, Exception]]]:
        """Return the messages there are, and which partitions failed; wait a little where there is neither.

        Each partition is asked alone: where one fails, aiokafka throws away what the same call has taken from others, and goes on
        behind it.
        """
        found: list[tuple[Partition, Sequence[Message]]] = []
        failed: list[tuple[TopicPartition, Exception]] = []
        left = self._settings.batch
        tps = list(self._partitions)
        first = self._turn = (self._turn + 1) % max(1, len(tps))
        for tp in [*tps[first:], *tps[:first]]:
            asked = self._partitions.get(tp)
            if left <= 0 or asked is None or self._loop.time() < asked.retry_at:
                continue
            try:
                # One by one towards what cannot be read: the good ones before it come with it, or not at all.
                messages = await self._ask(tp, 0, 1 if asked.failures else left)
            except _OF_ONE_PARTITION as error:
                failed.append((tp, error))
                continue
            if messages:
                left -= len(messages)
                found.append((self._partition(tp), messages))
        if not found and not failed:
            await self._ask(_NO_PARTITION, WAIT_SECONDS, 1)
        return found, failed

    async def _ask(self, tp: TopicPartition, seconds: float, most: int) -> Sequence[Message]:
        try:
            found = await self._consumer.getmany(tp, timeout_ms=int(seconds * 1_000), max_records=most)
        finally:
            # aiokafka takes a call that raised for one that still runs, and this member for busy for ever: max_poll_interval
            # would never end.
            self._consumer._subscription._fetch_count = 0
        messages: Sequence[Message] = found.get(tp, ())
        return messages

    async def _heed(self, tp: TopicPartition, error: Exception) -> None:
        """Do what the failure of one partition asks for; the others are not held up."""
        if isinstance(error, NoOffsetForPartitionError):
            await self._begin(tp)
        elif isinstance(error, OffsetOutOfRangeError):
            await self._jump(tp, error.args[0][tp])
        elif isinstance(error, RecordTooLargeError):
            await self._pass_over(tp, error.args[2])
        elif (partition := self._partitions.get(tp)) is not None:
            pause = min(FIRST_PAUSE * 2**partition.failures, LONGEST_PAUSE)
            partition.failures = min(partition.failures + 1, 10)
            partition.retry_at = self._loop.time() + pause
            remedy = "; pip install cramjam" if isinstance(error, UnsupportedCodecError) else ""
            self._intake.problem(f"{partition.name}: {in_words(error)}{remedy}; tried again in {pause:.0f} s")

    async def _hand_over(self, partition: Partition) -> None:
        self._watch.came(something=True)  # also before waiting for room, which is not the brokers' silence
        reading = partition.take()
        for letter in reading.letters:
            await self._intake.dead_letter(letter)
        if partition.leaving:
            return
        passage = partition.depart()
        self._unsettled += 1
        settled = partial(self._arrived, partition, passage)
        await self._intake.put(
            Batch(
                reading.records,
                partition.place,
                reading.problems,
                settled=settled,
                lines=reading.messages,
                size=reading.size,
            )
        )

    async def _flush_quiet(self) -> None:
        now = self._loop.time()
        for tp, partition in list(self._partitions.items()):
            quiet = partition.holds and now - partition.read_at >= QUIET_SECONDS and not partition.leaving
            if quiet and await self._watch.caught_up(tp):
                partition.pause()
                await self._hand_over(partition)

    def _arrived(self, partition: Partition, passage: Passage, _: Sequence[Mapping[str, Json]]) -> None:
        partition.arrive(passage)
        self._unsettled -= 1
        self._settled.set()
        self._due.set()

    async def _room(self) -> None:
        await self._until(lambda: self._unsettled < self._settings.queue)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for *condition*, which settled batches change."""
        while not condition():
            self._settled.clear()
            await self._settled.wait()

    async def _beside_or(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Return the result of *work*, or ``None`` when the source is to stop before; raise what a task beside raises."""
        task = self._loop.create_task(work)
        stop = self._loop.create_task(self._intake.stopping.wait())
        try:
            await asyncio.wait([task, stop, *self._beside], return_when=asyncio.FIRST_COMPLETED)
            for other in self._beside:
                if other.done():
                    other.result()
            return task.result() if task.done() else None
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    # Where reading begins and goes on

    def _partition(self, tp: TopicPartition) -> Partition:
        if tp not in self._partitions:
            stream = LineStream(self._settings.format, self._settings.options)
            self._partitions[tp] = Partition(tp.topic, tp.partition, stream, self._settings.max_message_bytes)
        return self._partitions[tp]

    async def _begin(self, tp: TopicPartition) -> None:
        """Begin a partition that the group has no offset for, and commit that at once: a crash must not move the end."""
        at_end = self._settings.start == "end" and (tp.topic, tp.partition) in (self.known or ())
        look = self._consumer.end_offsets if at_end else self._consumer.beginning_offsets
        offsets = await self._beside_or(look([tp]))
        if offsets is not None and tp in self._consumer.assignment():
            self._consumer.seek(tp, offsets[tp])
            self._partition(tp).settled = offsets[tp]
            self._due.set()

    async def _jump(self, tp: TopicPartition, offset: int) -> None:
        """Go on at the earliest message where the brokers no longer, or not yet, have the one at *offset*."""
        beginnings = await self._beside_or(self._consumer.beginning_offsets([tp]))
        if beginnings is None or tp not in self._consumer.assignment():
            return
        partition, beginning = self._partition(tp), beginnings[tp]
        if offset < beginning:
            self._intake.dropped(beginning - offset, _RETENTION)
            self._intake.problem(f"{partition.name}: messages {offset} to {beginning - 1} were deleted unread")
        else:
            self._intake.problem(
                f"{partition.name}: ends before message {offset}: cut, or made anew; read from its start"
            )
        partition.pause()
        await self._hand_over(partition)
        if tp in self._consumer.assignment() and self._partitions.get(tp) is partition:
            del self._partitions[tp]  # offsets on their way belong to the past
            self._consumer.seek(tp, beginning)
            self._partition(tp).settled = beginning
            self._due.set()

    async def _pass_over(self, tp: TopicPartition, offset: int) -> None:
        """Put aside a message that aiokafka has passed over: a broker before Kafka 0.10.1 did not hand it out whole."""
        self._intake.dropped(1, _UNFETCHED)
        place = {"topic": tp.topic, "partition": tp.partition, "offset": offset}
        await self._intake.dead_letter(DeadLetter("larger than a broker hands out; raise fetch_bytes", place, b""))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait a little for batches on their way, commit, and let the partitions go; aiokafka calls it before a rebalance."""
        leaving = [self._partitions[tp] for tp in revoked if tp in self._partitions]
        for partition in leaving:
            partition.leaving = True
        try:
            async with asyncio.timeout(min(REVOKE_SECONDS, self._settings.session_timeout / 2)):
                await self._until(lambda: not any(partition.unsettled for partition in leaving))
        except TimeoutError:
            waiting = counted(sum(partition.unsettled for partition in leaving), "batch")
            self._intake.problem(f"rebalance while {waiting} had no verdict; their messages come again")
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._commit()
        except TROUBLE as error:
            self._intake.problem(f"offsets not committed before a rebalance, messages come again: {in_words(error)}")
        for tp in revoked:
            if self._partitions.pop(tp, None) is not None:
                self._intake.lag(f"{tp.topic}/{tp.partition}", 0)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Open the partitions that are this member's now; aiokafka calls it behind a rebalance."""
        for tp in assigned:
            self._partition(tp)
        if self.known is None:
            there = self._first & self._consumer.subscription()
            self.known = {
                (topic, number) for topic in there for number in self._consumer.partitions_for_topic(topic) or ()
            }
            self.known |= {(tp.topic, tp.partition) for tp in assigned if tp.topic in there}

    # Committing

    async def _commit_settled(self) -> None:
        """Commit as soon as something is settled; what is settled meanwhile goes together with the next."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._commit()
            except (CommitFailedError, IllegalStateError) as error:
                self._intake.problem(
                    f"offsets not committed during a rebalance, messages come again: {in_words(error)}"
                )

    async def _commit(self) -> None:
        async with self._committing:
            due = {
                tp: (partition, partition.settled)
                for tp, partition in self._partitions.items()
                if partition.settled is not None and partition.settled != partition.committed
            }
            if due:
                await self._consumer.commit({tp: offset for tp, (_, offset) in due.items()})
            for partition, offset in due.values():
                partition.committed = offset

    async def _drain(self) -> None:
        """Wait for the batches on their way, and commit them."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._until(lambda: self._unsettled == 0)
        except TimeoutError:
            self._intake.problem(
                f"stopped while {counted(self._unsettled, 'batch')} had no verdict; read again next time"
            )
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._commit()
        except TROUBLE as error:
            self._intake.problem(f"offsets not committed before stopping, messages come again: {in_words(error)}")

    async def _leave(self) -> None:
        """Leave the group; brokers that do not answer find out by the session timeout."""
        closing = self._loop.create_task(self._consumer.stop())
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        in_time = closing.done()
        closing.cancel()
        outcome = (await asyncio.gather(closing, return_exceptions=True))[0]
        if outcome is None:
            return
        # A fetch that aiokafka cancels while it waits to try again makes stop end as if cancelled, with connections open.
        await self._consumer._client.close()
        if not in_time or not isinstance(outcome, asyncio.CancelledError):
            self._intake.problem(f"the group was not left in order: {in_words(outcome)}")

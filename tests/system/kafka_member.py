"""A process that reads a topic as a member of a group and writes down, durably, what it has read; to be killed."""

from __future__ import annotations

import asyncio
import os
import sys

from sigma.pyeval.monitor.batches import Batch
from sigma.pyeval.monitor.sources.kafka import KafkaSource, KafkaSourceSettings

from ..monitor.intake import KeptIntake


class WritingIntake(KeptIntake):
    """Settles a batch when its events are on disk, a little later, as the service does."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def put(self, batch: Batch) -> None:
        lines = [f"{record.event['n']} {batch.place(record)['offset']}\n" for record in batch.records]
        await asyncio.sleep(0.02)
        os.write(self._file, "".join(lines).encode())
        os.fsync(self._file)
        assert batch.settled is not None
        batch.settled([])

    def problem(self, reason: str) -> None:
        sys.stderr.write(f"{reason}\n")


if __name__ == "__main__":
    address, topic, path = sys.argv[1:]
    settings = KafkaSourceSettings(
        brokers=(address,), group="shared", topics=(topic,), start="beginning", session_timeout=2, batch=20
    )
    asyncio.run(KafkaSource(settings).run(WritingIntake(path)))

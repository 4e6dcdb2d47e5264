"""Several services in one consumer group: they share a topic's partitions, and what one leaves when it is killed another takes."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.monitor.service import Workplace

from .kafka_broker import tansu
from .test_monitor_faults import numbers_of

pytestmark = pytest.mark.system

TOTAL, PARTITIONS, AT_ONCE = 2_000, 4, 20


def test_services_share_a_topic_and_one_is_killed(tmp_path: Path) -> None:
    """Every message raises its alert at one of them, or, where a batch was not committed, at both.

    The killed one comes again, as systemd would have it: alerts that it kept and had not sent are with it alone.
    """

    async def check(workplaces: list[Workplace]) -> None:
        async with asyncio.timeout(90):
            async with broker.reachable() as relay:
                await relay.create("shared", PARTITIONS)
                with workplaces[0].start() as first, workplaces[1].start():
                    for start in range(0, TOTAL, AT_ONCE):
                        lines = [b'{"MESSAGE": "evil-marker number=%d."}' % n for n in range(start, start + AT_ONCE)]
                        await relay.produce("shared", lines, partition=start // AT_ONCE % PARTITIONS)
                        await asyncio.sleep(0.05)
                        if start == TOTAL // 2:
                            while not all(place.alerts() for place in workplaces):
                                await asyncio.sleep(0.05)
                            await asyncio.sleep(random.uniform(0, 0.3))
                            first.kill()
                    with workplaces[0].start():
                        while len({number for place in workplaces for number in numbers_of(place.alerts())}) < TOTAL:
                            await asyncio.sleep(0.1)

    with tansu() as broker:
        places = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            source = {
                "type": "kafka", "brokers": [broker.address], "group": "shared", "topics": ["shared"],
                "start": "beginning", "session_timeout": 2, "format": "jsonl", "batch": 20,
            }  # fmt: skip
            places.append(Workplace(tmp_path / name, sources=[source]))
        asyncio.run(check(places))
    found = [numbers_of(place.alerts()) for place in places]
    assert found[0].keys() | found[1].keys() == set(range(TOTAL))
    assert found[0], "both had a share"
    for numbers in found:
        assert all(len(ids) == 1 for ids in numbers.values())
    assert len(found[0].keys() & found[1].keys()) <= 400

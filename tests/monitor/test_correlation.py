"""Correlation rules in the running service: over several sources, across restarts and reloads."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sigma.pyeval.loading import parse_rules
from sigma.pyeval.logs.records import Record
from sigma.pyeval.monitor.batches import Checkpoint
from sigma.pyeval.monitor.correlation import MOST_OBSERVED, Correlation, Seen
from sigma.pyeval.monitor.correlation_settings import CorrelationSettings, LocalZone
from sigma.pyeval.monitor.correlation_state import Observed
from sigma.pyeval.monitor.journal import LOGGER
from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.store import Store
from sigma.pyeval.rules import LogSource

from ..conftest import ROOT
from .service import Workplace

GUESSING = """
title: Failed login
name: failed
logsource: {product: linux}
detection:
  selection: {MESSAGE|contains: 'failed for'}
  condition: selection
---
title: Guessing
id: 0e3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [host]
  timespan: 60s
  condition: {gte: 3}
"""
START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


def event(host: str, second: float, **fields: Any) -> dict[str, Any]:
    moment = (START + timedelta(seconds=second)).isoformat()
    return {"@timestamp": moment, "host": host, "MESSAGE": "failed for root", **fields}


def lines(*events: Mapping[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


def place_with(tmp_path: Path, *logs: str, **configuration: Any) -> Workplace:
    sources = [
        {"type": "file", "name": log, "paths": [str(tmp_path / log)], "start": "beginning", "format": "jsonl"}
        for log in logs
    ]
    place = Workplace(tmp_path, sources=sources, **{"correlation": {"lateness": "1s"}, **configuration})
    (tmp_path / "rules" / "guessing.yml").write_text(GUESSING)
    return place


def test_a_correlation_becomes_an_alert(tmp_path: Path) -> None:
    """Members raise none of their own; the alert has group, window and events, and is as the schema says."""
    (tmp_path / "events").write_bytes(lines(*(event("a", n) for n in range(3)), event("b", 3), event("b", 80)))
    place = place_with(tmp_path, "events", redact=["secret"])
    with place.start() as service:
        service.until(place.alerts)
        assert service.stop() == 0
    [alert] = place.alerts()
    jsonschema.validate(alert, json.loads((ROOT / "docs" / "alert.schema.json").read_text()))
    assert alert["rule"]["title"] == "Guessing"
    assert alert["event"]["host"] == "a"
    assert alert["source"]["name"] == "events"
    found = alert["correlation"]
    assert (found["group"], found["count"]) == ({"host": "a"}, 3)
    assert [one["source"]["offset"] for one in found["events"]] == [
        len(lines(*(event("a", n) for n in range(count)))) for count in range(3)
    ]


def test_a_source_that_is_behind_is_waited_for(tmp_path: Path) -> None:
    """One log is read to its end at once, the other grows only now: its older events count in order."""
    (tmp_path / "fast").write_bytes(
        lines(event("a", 0), event("a", 30)) + lines(*(event("x", n) for n in range(31, 900)))
    )
    (tmp_path / "slow").write_bytes(lines(event("a", 20)) + lines(*(event("y", n) for n in range(21, 900))))
    place = place_with(tmp_path, "fast", "slow")
    with place.start() as service:
        service.until(lambda: [one for one in place.alerts() if one["correlation"]["group"] == {"host": "a"}])
        assert service.stop() == 0
    [alert] = [one for one in place.alerts() if one["correlation"]["group"] == {"host": "a"}]
    assert [one["source"]["name"] for one in alert["correlation"]["events"]] == ["fast", "slow", "fast"]


def test_windows_survive_kills_and_restarts(tmp_path: Path) -> None:
    """Each host has three events far apart in the log; killed between them, each raises its alert under one id."""
    chance = random.Random(3)
    hosts, log = 40, tmp_path / "events"
    log.write_bytes(b"")
    place = place_with(tmp_path, "events")
    for turn in range(3):
        with place.start() as service:
            with log.open("ab") as file:
                for host in range(hosts):
                    file.write(lines(event(f"h{host}", 15 * turn + host / 100)))
                    file.flush()
                    time.sleep(0.01)
            service.until(lambda: "running" in service.log)
            time.sleep(chance.random())
            service.kill() if turn < 2 else service.until(lambda: len(place.alerts()) >= hosts)
    ids: dict[str, set[str]] = {}
    for alert in place.alerts():
        ids.setdefault(alert["correlation"]["group"]["host"], set()).add(alert["id"])
    assert ids.keys() == {f"h{host}" for host in range(hosts)}
    assert all(len(found) == 1 for found in ids.values())


def test_the_end_of_input_waits_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b"")
    place = place_with(tmp_path, correlation={"lateness": "1h"})
    place.configuration["sources"] = [{"type": "stdin", "format": "jsonl"}]
    place.write()
    with place.start(stdin=subprocess.PIPE) as service:
        assert service.process.stdin is not None
        service.process.stdin.write(lines(*(event("a", n) for n in range(3))))
        service.process.stdin.close()
        assert service.process.wait(20) == 0
    assert len(place.alerts()) == 1


def test_input_that_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """Standard input is another stream the next time: neither late, nor going on where the last one ended."""
    place = place_with(tmp_path)
    place.configuration["sources"] = [{"type": "stdin", "format": "jsonl"}]
    place.write()
    for text in (lines(event("a", 0), event("a", 1)), lines(event("a", 2)), lines(*(event("a", n) for n in range(3)))):
        with place.start(stdin=subprocess.PIPE) as service:
            service.process.communicate(text, 20)
            assert service.process.returncode == 0
    assert len(place.alerts()) == 1


class Rig:
    """Correlation rules on a store, without a service; all that comes is told at once."""

    def __init__(self, path: Path, rules: str = GUESSING, **settings: Any) -> None:
        self.ruleset = parse_rules(rules)
        self.store = Store(path / "state.sqlite", 64 << 20)
        self.settings = CorrelationSettings(**settings).model_copy(update={"lateness": 0.0})
        self.correlation = Correlation(self.ruleset, self.settings, self.store, 64 << 20)

    async def batch(
        self, *events: dict[str, Any], first: int = 0, complete: bool = True, checkpointed: bool = True
    ) -> list[str]:
        """Take in a batch as detection does; return the ids of what it raised by the time of its last event."""
        await self.correlation.keep()
        seen = []
        for number, one in enumerate(events, first):
            record = Record(one, number, LogSource())
            seen.append(Seen(self.ruleset.match(one, members=True), record, {"name": "events", "line": number}))
        found = self.correlation.observe(seen)
        checkpoint = Checkpoint("", first + len(events), complete) if checkpointed else None
        fresh = await self.store.unseen("log", checkpoint, [one for one, _ in found])
        ids = {one.id for one in fresh}
        observed, raised = self.correlation.take({one.id: (one, two) for one, two in found if one.id in ids}.values())
        assert not raised
        await self.store.settle("log", [], checkpoint, observed=observed)
        self.correlation.tell("log", "", [Record(events[-1], 0, LogSource())])
        return [one.id for one in self.correlation.release()[0]]


def test_what_was_observed_is_taken_in_again_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        first = Rig(tmp_path / "a")
        assert await first.batch(event("a", 0), event("a", 1)) == []
        unbroken = await first.batch(event("a", 2), first=2)
        await first.store.close()
        second = Rig(tmp_path / "b")
        assert await second.batch(event("a", 0), event("a", 1)) == []
        await second.store.close()
        third = Rig(tmp_path / "b")
        again = await third.batch(event("a", 2), first=2)
        await third.store.close()
        return unbroken, again

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    unbroken, again = asyncio.run(scenario())
    assert len(unbroken) == 1
    assert unbroken == again


def test_lines_that_are_read_again_count_once(tmp_path: Path) -> None:
    """Behind an incomplete checkpoint events come again; they were observed."""

    async def scenario() -> None:
        rig = Rig(tmp_path)
        assert await rig.batch(event("a", 0), event("a", 1), complete=False) == []
        assert await rig.batch(event("a", 0), event("a", 1), complete=False) == []
        await rig.store.close()
        rig = Rig(tmp_path)
        assert await rig.batch(event("a", 0), event("a", 1), complete=False) == []
        assert len(await rig.batch(event("a", 2), first=2)) == 1
        await rig.store.close()

    asyncio.run(scenario())


def test_events_of_a_source_without_checkpoints_count_once(tmp_path: Path) -> None:
    """As from Kafka after a kill, or HTTP when a client repeats: known by where they stood."""

    async def scenario() -> None:
        rig = Rig(tmp_path)
        assert await rig.batch(event("a", 0), event("a", 1), checkpointed=False) == []
        assert await rig.batch(event("a", 0), event("a", 1), checkpointed=False) == []
        assert len(await rig.batch(event("a", 2), first=2, checkpointed=False)) == 1
        await rig.store.close()

    asyncio.run(scenario())


def test_what_is_late_is_late_after_a_restart_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        await rig.batch(event("a", 100), event("a", 101))
        await rig.batch(event("a", 50), first=2)
        assert len(rig.store.correlation_state().observed) == 2
        assert rig.correlation.statistics.late == 1
        await rig.store.close()
        rig = Rig(tmp_path)
        assert await rig.batch(event("b", 101), first=3) == []
        await rig.store.close()

    asyncio.run(scenario())


def test_what_is_not_counted_is_logged_once_and_is_a_metric(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Events without the field of group-by; those with it are nothing to tell."""

    async def scenario() -> list[float]:
        rig = Rig(tmp_path)
        metrics = Metrics()
        metrics.correlation.watch(lambda: rig.correlation.statistics, lambda: rig.correlation.not_counted)
        counted = []
        for batch in ([event("a", 0)], [{"MESSAGE": "failed for a"}] * 2, [{"MESSAGE": "failed for b", "host": None}]):
            await rig.batch(*batch)
            labels = {"rule": "0e3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10", "field": "host"}
            counted.append(metrics.registry.get_sample_value("sigma_pyeval_correlation_not_counted_total", labels) or 0)
        await rig.store.close()
        return counted

    LOGGER.addHandler(caplog.handler)
    try:
        assert asyncio.run(scenario()) == [0, 2, 3]
    finally:
        LOGGER.removeHandler(caplog.handler)
    told = [record.getMessage() for record in caplog.records if "not counted" in record.getMessage()]
    assert [text.partition(";")[0] for text in dict.fromkeys(told)] == [
        "correlation: 2 matches of 'Failed login' had no host, by which 'Guessing' groups: not counted"
    ]


def test_what_could_not_be_settled_was_not_taken_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        assert await rig.batch(event("a", 0), event("a", 1)) == []
        third = event("a", 2)
        found = rig.correlation.observe(
            [Seen(rig.ruleset.match(third, members=True), Record(third, 2, LogSource()), {"name": "log", "line": 2})]
        )
        rig.correlation.take(found)
        rig.correlation.restore()  # as the batch was cut off
        assert len(await rig.batch(third, first=2)) == 1
        await rig.store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("owing", "again"), [(True, 1), (False, 0)])
def test_alerts_that_wait_for_room_are_raised_again_after_a_kill(owing: bool, again: int, tmp_path: Path) -> None:
    """No state from after them is kept until they are; afterwards one is, and they are not raised a second time."""

    async def scenario() -> None:
        rig = Rig(tmp_path)
        assert len(await rig.batch(event("a", 0), event("a", 1), event("a", 2))) == 1
        rig.correlation.owing = owing
        rig.correlation._observed = MOST_OBSERVED
        await rig.correlation.keep()
        await rig.store.close()
        rig = Rig(tmp_path)
        rig.correlation.tell("events", "", [Record(event("x", 5), 5, LogSource())])
        assert len(rig.correlation.release()[0]) == again
        await rig.store.close()

    asyncio.run(scenario())


def test_much_that_waits_is_released_in_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        rig.correlation._watermark.tell("slow", "", START.timestamp(), 1e12)
        for start in range(0, 2_000, 500):
            assert await rig.batch(*(event("a", n / 10) for n in range(start, start + 500)), first=start) == []
        rig.correlation.end("slow")
        found, parts, more = 0, 0, True
        while more:
            raised, more = rig.correlation.release()
            assert len(raised) <= 500
            found, parts = found + len(raised), parts + 1
        assert (found, parts > 3) == (1_998, True)
        await rig.store.close()

    asyncio.run(scenario())


TIMES = ["0001-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "no time", None]


@pytest.mark.parametrize("time_text", TIMES)
def test_no_time_of_an_event_ends_the_service_or_makes_others_late(time_text: str | None, tmp_path: Path) -> None:
    odd = {"@timestamp": time_text, "host": "x", "MESSAGE": "harmless"}
    (tmp_path / "events").write_bytes(lines(event("a", 0), odd))
    place = place_with(tmp_path, "events")
    with place.start() as service:
        service.until(lambda: "running" in service.log)
        with (tmp_path / "events").open("ab") as file:
            file.write(lines(event("a", 1), event("a", 2), event("b", 60)))
        service.until(place.alerts)
        assert service.stop() == 0
    assert [alert["correlation"]["count"] for alert in place.alerts()] == [3]


def test_rules_that_need_more_room_than_there_is_are_refused(tmp_path: Path) -> None:
    place = place_with(tmp_path, "events", correlation={"events": 2})
    with place.start("--check") as service:
        assert service.process.wait(20) == 2
        assert f"error: {tmp_path}/monitor.yml: correlation: " in service.log
        assert "see correlation.events" in service.log


def test_alerts_of_correlations_go_through_a_small_spool(tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(lines(*(event("a", n / 100, filler="x" * 500) for n in range(1_500))))
    place = place_with(tmp_path, "events", spool_bytes=4 << 20)
    with place.start() as service:
        service.until(lambda: len(place.alerts()) >= 1_498, 60)
        assert service.stop() == 0
    assert len({alert["id"] for alert in place.alerts()}) == 1_498


def test_a_kept_state_stands_for_what_was_observed(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        await rig.batch(event("a", 0), event("a", 1))
        assert len(rig.store.correlation_state().observed) == 2
        await rig.correlation._keep()
        assert not rig.store.correlation_state().observed
        await rig.store.close()
        rig = Rig(tmp_path)
        assert len(await rig.batch(event("a", 2), first=2)) == 1
        await rig.store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("rules", "goes_on"),
    [(GUESSING, True), (GUESSING.replace("level: high", "level: low"), True), (GUESSING.replace("60s", "61s"), False)],
    ids=["the same rules", "another level", "another timespan"],
)
def test_a_reload_keeps_what_is_remembered_where_the_rules_say_the_same(
    rules: str, goes_on: bool, tmp_path: Path
) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        await rig.batch(event("a", 0), event("a", 1))
        rig.ruleset = parse_rules(rules)
        await rig.correlation.change(rig.ruleset, rig.settings)
        assert bool(await rig.batch(event("a", 2), first=2)) is goes_on
        await rig.store.close()

    asyncio.run(scenario())


def test_observed_ids_are_no_alert_ids() -> None:
    assert Observed.of("0" * 32, b"").id != "0" * 32


MISTAKES = [
    ({"refire": "cooldown"}, "cooldown is given with refire: cooldown, and only then"),
    ({"cooldown": "5m"}, "cooldown is given with refire: cooldown, and only then"),
    ({"time_zone": "Mars/Base"}, "'Mars/Base' is no time zone that this machine knows"),
    ({"time_zone": "../../etc/passwd"}, "is no time zone that this machine knows"),
]


@pytest.mark.parametrize(("settings", "finding"), MISTAKES)
def test_settings_that_cannot_be_used(settings: dict[str, str], finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        CorrelationSettings(**settings)


def test_the_local_zone_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert datetime(2026, 1, 1, 12, tzinfo=LocalZone()).astimezone(UTC).hour == 11
        assert datetime(2026, 7, 1, 12, tzinfo=LocalZone()).astimezone(UTC).hour == 10
    finally:
        monkeypatch.undo()
        time.tzset()

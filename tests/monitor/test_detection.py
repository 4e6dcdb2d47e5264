"""Detection within a running service in this process: alerts and checkpoint together, room made, what was found told to who asked."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigma.pyeval import parse_rules
from sigma.pyeval.monitor.configuration import parse_configuration
from sigma.pyeval.monitor.detection import LOCAL_KINDS
from sigma.pyeval.monitor.kinds import SOURCES
from sigma.pyeval.monitor.service import Ending, Service

from .service import RULE, free_port


def line(number: int, padding: int = 0) -> bytes:
    return b"Nov 22 03:00:00 web prog: evil-marker number=%d.%s\n" % (number, b"x" * padding)


def run(tmp_path: Path, work: Callable[[Service], Awaitable[None]], **configuration: Any) -> Ending:
    """Run a service beside ``work(service)``, which has to bring about its end."""
    value = {
        "rules": {"paths": ["not read here"]},
        "state": str(tmp_path / "state"),
        "sinks": [{"type": "file", "path": str(tmp_path / "alerts.jsonl")}],
        "stop_seconds": 10,
        **configuration,
    }

    async def within() -> Ending:
        service = Service(parse_configuration(value, {}), parse_rules(RULE))
        running = asyncio.create_task(service.run())
        async with asyncio.timeout(30):
            await service.started.wait()
            await work(service)
            return await running

    (tmp_path / "state").mkdir(mode=0o700, exist_ok=True)
    return asyncio.run(within())


def alerts(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "alerts.jsonl"
    return [json.loads(one) for one in path.read_bytes().splitlines()] if path.exists() else []


def value_of(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(f"sigma_pyeval_{name}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def log_source(path: Path) -> dict[str, Any]:
    return {"type": "file", "paths": [str(path)], "start": "beginning", "format": "syslog", "poll": 0.05}


def test_records_become_alerts_and_lines_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(map(line, range(3))) + b"Nov 22 03:00:00 web prog: harmless\n")

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "source_lines_total", source="file") == 4)
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == 3)
        await service.reopen()
        service.stop()

    assert run(tmp_path, work, sources=[log_source(log)]) is Ending.CLEAN
    assert [alert["event"]["MESSAGE"] for alert in alerts(tmp_path)] == [f"evil-marker number={n}." for n in range(3)]

    async def again(service: Service) -> None:
        with log.open("ab") as file:
            file.write(line(3))
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == 1)
        service.stop()

    assert run(tmp_path, again, sources=[log_source(log)]) is Ending.CLEAN
    assert len({alert["id"] for alert in alerts(tmp_path)}) == 4


def test_the_host_of_a_local_log_is_this_machine_where_its_lines_name_none(tmp_path: Path) -> None:
    """Only there: a line's own host stays, and what came over a network is nobody's."""
    log = tmp_path / "app.jsonl"
    log.write_text('{"MESSAGE": "evil-marker"}\n{"MESSAGE": "evil-marker", "_HOSTNAME": "web"}\n')

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == 2)
        service.stop()

    source = {**log_source(log), "format": "jsonl"}
    assert run(tmp_path, work, sources=[source]) is Ending.CLEAN
    assert [alert["host"] for alert in alerts(tmp_path)] == [socket.gethostname(), "web"]
    assert set(SOURCES) - LOCAL_KINDS == {"http", "kafka", "syslog", "websocket"}


def test_alerts_that_no_sink_wants_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1))

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "alerts_unsent_total", level="high") == 1)
        service.stop()

    sinks = [{"type": "file", "path": str(tmp_path / "alerts.jsonl"), "min_level": "critical"}]
    assert run(tmp_path, work, sources=[log_source(log)], sinks=sinks) is Ending.CLEAN
    assert alerts(tmp_path) == []


def test_who_asked_is_told_when_all_is_durable(tmp_path: Path) -> None:
    port = free_port()

    async def work(service: Service) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while True:
                try:
                    assert (await client.get("/healthz")).text == "ok\n"
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
            reply = await client.post("/ingest/http", content=b'{"MESSAGE": "evil-marker"}')
            assert reply.json()["threat_detected"] is True
            metrics = (await client.get("/metrics")).text
        assert 'sigma_pyeval_alerts_total{level="high"} 1.0' in metrics
        service.stop()

    server = {"listen": f"127.0.0.1:{port}"}
    assert run(tmp_path, work, sources=[{"type": "http"}], server=server) is Ending.CLEAN
    assert len(alerts(tmp_path)) == 1


def test_a_batch_larger_than_the_spool_goes_through_it_in_parts(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(line(number, 4_000) for number in range(300)))

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == 300)
        service.stop()

    assert run(tmp_path, work, sources=[log_source(log)], spool_bytes=1 << 20) is Ending.CLEAN
    assert len({alert["id"] for alert in alerts(tmp_path)}) == 300


def test_an_alert_larger_than_the_spool_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1, 900_000) + line(2))

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == 1)
        service.stop()

    assert run(tmp_path, work, sources=[log_source(log)], spool_bytes=1 << 20) is Ending.CLEAN
    assert [alert["event"]["MESSAGE"] for alert in alerts(tmp_path)] == ["evil-marker number=2."]
    (letter,) = (tmp_path / "state" / "dead-letters" / "source-file.jsonl").read_text().splitlines()
    assert "larger than the whole spool" in json.loads(letter)["reason"]


def test_a_source_that_cannot_run_ends_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(service: Service) -> None: ...

    sources = [
        {"type": "syslog", "unix": {"path": str(tmp_path / "nothing" / "log")}},
        log_source(tmp_path / "app.log"),
    ]
    ending = run(tmp_path, work, sources=sources)
    assert ending is Ending.FAILED


def test_a_sink_that_hangs_is_cut_off_and_keeps_its_alerts(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(1))

    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        configuration = parse_configuration(
            {
                "rules": {"paths": ["not read here"]},
                "state": str(tmp_path / "state"),
                "sources": [log_source(log)],
                "sinks": [{"type": "webhook", "url": f"http://127.0.0.1:{port}/", "timeout": 60}],
                "stop_seconds": 1,
            },
            {},
        )
        (tmp_path / "state").mkdir()
        service = Service(configuration, parse_rules(RULE))
        running = asyncio.create_task(service.run())
        await until(lambda: value_of(service, "alerts_total", level="high") == 1)
        service.stop()
        assert await running is Ending.DEADLINE
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
    assert (tmp_path / "state" / "state.sqlite").exists()


def test_alerts_that_are_due_later_make_room_too(tmp_path: Path) -> None:
    """A sink that is not required gives up escalations as well; else they would hold the spool for an hour."""
    log = tmp_path / "app.log"
    count = 400
    log.write_bytes(b"".join(line(number, 3_000) for number in range(count)))
    later = {"type": "file", "name": "later", "path": str(tmp_path / "later.jsonl"), "after": "1h", "required": False}

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "sink_sent_total", sink="file") == count)
        assert value_of(service, "sink_discarded_total", sink="later") > 0
        service.stop()

    sinks = [{"type": "file", "path": str(tmp_path / "alerts.jsonl")}, later]
    assert run(tmp_path, work, sources=[log_source(log)], sinks=sinks, spool_bytes=1 << 20) is Ending.CLEAN
    assert not (tmp_path / "later.jsonl").exists()


def test_suppressed_alerts_and_excepted_matches_are_counted_by_rule(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(map(line, range(6))))
    rule = "5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10"
    exception = {
        "name": "odd",
        "owner": "o",
        "reason": "r",
        "rules": ["*"],
        "match": {"MESSAGE|contains": ["=1.", "=3."]},
    }

    async def work(service: Service) -> None:
        await until(lambda: value_of(service, "source_lines_total", source="file") == 6)
        await until(lambda: value_of(service, "alerts_suppressed_total", rule=rule) == 3)
        assert value_of(service, "alerts_excepted_total", exception="odd", rule=rule) == 2
        assert value_of(service, "rule_matches_total", rule=rule) == 6
        assert value_of(service, "alerts_total", level="high") == 1
        service.stop()

    configuration = {"exceptions": [exception], "suppress": [{"window": "1h"}]}
    assert run(tmp_path, work, sources=[log_source(log)], **configuration) is Ending.CLEAN
    assert [alert["event"]["MESSAGE"] for alert in alerts(tmp_path)] == ["evil-marker number=0."]


def test_windows_without_a_later_alert_are_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sigma.pyeval.monitor.tuning.windows.GRACE_SECONDS", 0.0)
    caplog.set_level("INFO")
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(line(number) for number in range(4)))
    told = "rule 5d3f7a51-6d0c-4d5e-9b1a-0f3c2a7b9e10: 3 alerts suppressed, and none followed"

    async def work(service: Service) -> None:
        await until(lambda: told in caplog.messages)
        service.stop()

    assert run(tmp_path, work, sources=[log_source(log)], suppress=[{"window": "1s"}]) is Ending.CLEAN
    assert caplog.messages.count(told) == 1

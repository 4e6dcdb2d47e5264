"""What probes are told: alive, ready, since when, and why not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigma.pyeval import parse_rules
from sigma.pyeval.monitor.metrics import Metrics
from sigma.pyeval.monitor.readiness import STUCK_SECONDS, Progress, Readiness, oldest_age
from sigma.pyeval.monitor.status import status_routes
from sigma.pyeval.monitor.store import Pending
from sigma.pyeval.ruleset import Ruleset

from .service import RULE, Workplace, free_port
from .serving import AUTHORIZED, TOKEN, serving
from .test_service import line, receiver  # noqa: F401 - a fixture


class Part:
    """What ``Readiness`` looks at of a source or sink."""

    def __init__(self, **told: Any) -> None:
        self.__dict__.update(told)


def source(
    *, connected: bool = True, lag: float = 0.0, most: float | None = None, ended: bool = False, no_room: bool = False
) -> Any:
    progress = Progress(lambda: 0.0)  # these are made long before they are looked at
    if no_room:
        progress.step(no_room=True)
    return Part(
        tasks=[] if ended else ["task"],
        intake=Part(is_connected=connected, lags={"a": 0.0, "b": lag}, progress=progress),
        settings=Part(ready_lag=most),
        source=Part(lag_unit="bytes"),
    )


def sink(failing: str | None = None, *, required: bool = True) -> Any:
    return Part(delivery=Part(failing=failing), settings=Part(required=required))


def readiness(sources: dict[str, Any], sinks: dict[str, Any], *, rules: bool = True) -> Readiness:
    ruleset = parse_rules(RULE) if rules else Ruleset([])
    return Readiness(lambda: ruleset, sources, sinks)


# Sources, sinks, whether that is ready, and what is told of what is not as it should be.
CASES: list[tuple[dict[str, Any], dict[str, Any], bool, list[str]]] = [
    ({"s": source()}, {"t": sink()}, True, []),
    ({"s": source(connected=False)}, {"t": sink()}, False, ["source s: not connected"]),
    ({"s": source(connected=False, ended=True)}, {"t": sink()}, True, []),
    ({"s": source(), "u": source(connected=False)}, {"t": sink()}, False, ["source u: not connected"]),
    ({"s": source(lag=101, most=100)}, {"t": sink()}, False, ["lag of s: 101 bytes behind, at most 100"]),
    ({"s": source(lag=100, most=100)}, {"t": sink()}, True, []),
    ({"s": source(lag=1e9)}, {"t": sink()}, True, []),
    ({"s": source(no_room=True)}, {"t": sink()}, False, ["spool: full: s waits until sinks take alerts"]),
    ({"s": source()}, {"t": sink("no\x1b answer")}, False, [r"sink t: failing: no\x1b answer"]),
    ({"s": source()}, {"t": sink("no answer", required=False)}, True, ["sink t: failing: no answer"]),
]


@pytest.mark.parametrize(("sources", "sinks", "ready", "told"), CASES)
def test_what_is_ready(sources: dict[str, Any], sinks: dict[str, Any], ready: bool, told: list[str]) -> None:
    checked = readiness(sources, sinks)
    assert checked.is_ready() is ready
    wrong = [f"{one.check}: {one.state}" for one, _ in checked.look() if not one.ok]
    assert wrong == told
    assert all(one in checked.summary() for one in told)
    assert checked.summary().startswith("ready" if ready else "not ready: ")


def test_correlation_rules_count() -> None:
    """As in the log and in ``--check``."""
    correlation = "correlation: {type: event_count, rules: [t], timespan: 1m, condition: {gte: 2}}"
    ruleset = parse_rules(f"{RULE}\nname: t\n---\ntitle: Often\n{correlation}\n")
    checked = Readiness(lambda: ruleset, {}, {})
    assert checked.summary() == "ready: 2 rules, 0 sources, 0 sinks"
    assert [check.finding.state for check in checked.look() if check.finding.check == "rules"] == ["2 rules loaded"]


def test_without_rules_nothing_is_ready() -> None:
    assert not readiness({}, {}, rules=False).is_ready()
    assert readiness({}, {}).is_ready()
    assert readiness({"s": source()}, {"t": sink()}).summary() == "ready: 1 rule, 1 source, 1 sink"


def test_since_when() -> None:
    now = 1000.0
    ruleset = parse_rules(RULE)
    sinks = {"t": sink()}
    checked = Readiness(lambda: ruleset, {}, sinks, lambda: now)

    def since(name: str) -> float:
        return next(one.since for one in checked.look() if one.finding.check == name)

    assert since("sink t") == 1000.0
    now = 1010.0
    sinks["t"].delivery.failing = "one reason"
    assert since("sink t") == 1010.0
    now = 1020.0
    sinks["t"].delivery.failing = "another"
    assert since("sink t") == 1010.0
    sinks["t"].delivery.failing = None
    assert since("sink t") == 1020.0
    assert since("rules") == 1000.0


def test_what_is_stuck() -> None:
    now = 0.0
    part = source()
    part.intake.progress = progress = Progress(lambda: now)
    checked = readiness({"s": part}, {})
    progress.step()
    now = STUCK_SECONDS
    assert checked.stuck() == ""
    now += 1
    assert checked.stuck() == "detection of s got no further for 61 s"
    assert not checked.is_ready()
    progress.step(no_room=True)  # who waits for room goes on asking, and is not stuck
    assert checked.stuck() == ""
    progress.rest()
    now += 1000
    assert checked.stuck() == ""
    assert checked.is_ready()


def test_age_of_the_oldest() -> None:
    assert oldest_age([]) == 0
    detected = (datetime.now(UTC) - timedelta(seconds=90)).isoformat().replace("+00:00", "Z")
    assert 90 <= oldest_age([Pending(1, {"detected": detected})]) < 100


def checks_of(reply: httpx.Response) -> dict[str, tuple[bool, str]]:
    return {one["check"]: (one["ok"], one["state"]) for one in reply.json()["checks"]}


def test_without_the_token_probes_get_the_bare_status() -> None:
    sinks = {"t": sink()}
    checked = readiness({"s": source()}, sinks)

    async def scenario() -> None:
        routes = status_routes(Metrics(), checked)
        async with serving(routes, token=TOKEN) as address, httpx.AsyncClient(trust_env=False) as client:
            url = f"http://{address}/readyz"
            reply = await client.get(url)
            assert (reply.status_code, reply.text) == (200, "ready\n")
            sinks["t"].delivery.failing = "hooks.example.org: 500"
            reply = await client.get(url)
            assert (reply.status_code, reply.text) == (503, "not ready\n")
            reply = await client.get(url, headers=AUTHORIZED)
            assert reply.status_code == 503
            assert reply.json()["ready"] is False
            assert checks_of(reply)["sink t"] == (False, "failing: hooks.example.org: 500")
            assert checks_of(reply)["source s"] == (True, "connected")
            assert {"check", "ok", "state", "required", "since"} == set(reply.json()["checks"][0])
            assert datetime.fromisoformat(reply.json()["checks"][0]["since"]).tzinfo is not None
            assert (await client.get(f"http://{address}/metrics")).status_code == 401
            assert (await client.get(f"http://{address}/metrics", headers=AUTHORIZED)).status_code == 200

    asyncio.run(scenario())


def test_health() -> None:
    now = 0.0
    checked = readiness({"s": source(connected=False)}, {"t": sink("down")})
    checked.upkeep = Progress(lambda: now)

    async def scenario() -> None:
        nonlocal now
        routes = status_routes(Metrics(), checked)
        async with serving(routes, token=TOKEN) as address, httpx.AsyncClient(trust_env=False) as client:
            url = f"http://{address}/healthz"
            reply = await client.get(url)
            assert (reply.status_code, reply.text) == (200, "ok\n")  # not ready, and still alive
            checked.upkeep.step()
            now = STUCK_SECONDS + 1
            reply = await client.get(url)
            assert (reply.status_code, reply.text) == (503, "stuck\n")
            reply = await client.get(url, headers=AUTHORIZED)
            assert reply.text == "stuck: the state got no further for 61 s\n"

    asyncio.run(scenario())


def test_foreign_pages_see_no_details() -> None:
    async def scenario() -> None:
        routes = status_routes(Metrics(), readiness({"s": source()}, {}))
        async with serving(routes) as address, httpx.AsyncClient(trust_env=False) as client:
            assert "checks" in (await client.get(f"http://{address}/readyz")).json()
            reply = await client.get(f"http://{address}/readyz", headers={"Origin": "http://evil.example"})
            assert reply.text == "ready\n"

    asyncio.run(scenario())


def fetched(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except OSError:
        return 0, None


def test_the_running_service(tmp_path: Path, receiver: Any) -> None:  # noqa: F811
    """A sink that goes down and comes back, a source that connects late."""
    receiver.status = 503
    port = free_port()
    url = f"http://127.0.0.1:{port}/readyz"
    place = Workplace(
        tmp_path,
        sources=[
            {"type": "stdin", "format": "syslog"},
            {"type": "file", "name": "late", "paths": [str(tmp_path / "logs" / "*.log")]},
        ],
        sinks=[{"type": "webhook", "url": receiver.url}],
        server={"listen": f"127.0.0.1:{port}"},
    )

    def state_of(check: str) -> str:
        _, told = fetched(url)
        return next((one["state"] for one in (told or {"checks": []})["checks"] if one["check"] == check), "")

    with place.start(stdin=subprocess.PIPE) as service:
        service.until(lambda: state_of("source stdin") == "connected")
        assert state_of("source late") == "not connected"
        assert fetched(url)[0] == 503
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "a.log").write_bytes(b"")
        service.until(lambda: fetched(url)[0] == 200)
        assert service.process.stdin is not None
        service.process.stdin.write(line(1))
        service.process.stdin.flush()
        service.until(lambda: fetched(url)[0] == 503)
        assert state_of("sink webhook").startswith("failing: ")
        receiver.status = 200
        service.until(lambda: fetched(url)[0] == 200)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            text = reply.read().decode()
        assert 'sigma_pyeval_source_events_total{source="stdin"} 1.0' in text
        assert service.stop() == 0

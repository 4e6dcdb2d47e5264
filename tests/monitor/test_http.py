"""The ``http`` source: what is taken, what is refused, and that a reply is positive only for what is durable."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Batch
from sigma.pyeval.monitor.sources.http import HttpSettings, HttpSource, _gunzip

from .intake import KeptIntake, running
from .serving import AUTHORIZED, TOKEN, raw_reply, serving


def _source(**settings: Any) -> HttpSource:
    return HttpSource(HttpSettings.model_validate({"type": "http", "name": "in", **settings}))


@asynccontextmanager
async def ingesting(
    intake: KeptIntake, server: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    source = _source(**settings)
    async with (
        running(source, intake),
        serving(source.routes(), **(server or {})) as address,
        httpx.AsyncClient(trust_env=False, base_url=f"http://{address}") as client,
    ):
        await intake.until(lambda: intake.is_connected)
        yield client


def _alerting(batch: Batch) -> list[dict[str, Any]]:
    """An alert for each event that has ``bad``, as the core makes them."""
    return [
        {
            "id": "-".join(map(str, batch.place(record).values())),
            "rule": {"id": "r1", "title": "Bad", "level": "high"},
            "event": record.event,
            "source": {"name": "in", "type": "http", **batch.place(record)},
        }
        for record in batch.records
        if record.event.get("bad")
    ]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'{"a": 1}', [{"a": 1}]),
        (b'{"a": 1}\n', [{"a": 1}]),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\r\n\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        (b'{\n  "a": 1\n}\n', [{"a": 1}]),
        (b'[{"a": 1}]\n[{"a": 2}]\n', [{"a": 1}, {"a": 2}]),
        (b'{"Records": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        (b"\xef\xbb\xbf" + b'{"a": "\xc3\xa4"}', [{"a": "ä"}]),
    ],
)
def test_bodies(body: bytes, events: list[dict[str, Any]]) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake) as client:
            reply = await client.post("/ingest/in", content=body)
        assert reply.status_code == 200
        assert reply.json() == {
            "event_id": reply.json()["event_id"],
            "events": len(events),
            "unread": 0,
            "problems": [],
            "threat_detected": False,
            "alerts": [],
        }
        assert intake.events == events
        assert [place["event"] for place in intake.places] == list(range(len(events)))
        assert intake.batches[0].lines == 1
        assert intake.batches[0].size == len(body)
        assert intake.batches[0].checkpoint is None
        assert not intake.is_connected

    asyncio.run(scenario())


def test_other_formats_and_each_request_for_itself() -> None:
    line = b"<38>Oct 11 22:14:15 web1 sshd[123]: Failed password for root from 192.0.2.1 port 22 ssh2"

    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, format="syslog") as client:
            assert (await client.post("/ingest/in", content=line + b"\n" + line)).json()["events"] == 2
        assert len(intake.events) == 2
        auditd = KeptIntake()
        async with ingesting(auditd, format="auto") as client:
            # an event over several records is complete with its request, and takes nothing from the next one
            record = b"type=SYSCALL msg=audit(1700000000.123:42): arch=c000003e syscall=59 success=yes comm=%s"
            counts = [
                (await client.post("/ingest/in", content=record % name)).json()["events"] for name in (b'"id"', b'"ls"')
            ]
        assert counts[0] == counts[1] > 0
        assert [event["comm"] for event in auditd.events if "comm" in event]
        assert {place["event"] for place in auditd.places} == set(range(counts[0]))

    asyncio.run(scenario())


def test_reply_names_alerts_and_a_repeated_request_gets_the_same() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        intake.alerts_for = _alerting
        body = [{"bad": 0}, 7, {"bad": 1}]
        async with ingesting(intake) as client:
            first = (await client.post("/ingest/in", json=body, headers={"X-Event-Id": "id-1"})).json()
            again = (await client.post("/ingest/in", json=body, headers={"X-Event-Id": "id-1"})).json()
            changed = (await client.post("/ingest/in", json=[{"bad": 2}] * 3, headers={"X-Event-Id": "id-1"})).json()
            unnamed = [(await client.post("/ingest/in", json=body)).json() for _ in range(2)]
        assert first["event_id"] == "id-1"
        assert (first["events"], first["unread"], first["threat_detected"]) == (2, 1, True)
        (problem,) = first["problems"]
        assert (problem["event"], problem["line"], problem["reason"]) == (1, 2, "not an object but a number")
        (alert,) = first["alerts"]
        assert (alert["rule"], alert["event"]) == ({"id": "r1", "title": "Bad", "level": "high"}, 2)
        assert again == first
        # an id used again for other events must not make their alerts look like known ones
        ids = [one["id"] for one in changed["alerts"]]
        assert len({alert["id"], *ids}) == 4
        assert unnamed[0]["alerts"][0]["id"] != unnamed[1]["alerts"][0]["id"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no event that can be read"),
        (b"\n \n", "no event that can be read"),
        (b"hello", "no event that can be read"),
        (b"[1, 2]", "no event that can be read"),
        (b'{"a": ', "no event that can be read"),
        (b"[" * 5000, "no event that can be read"),
        (b"\x1f\x8b\x08", "no event that can be read"),
    ],
)
def test_no_readable_event_is_400(body: bytes, reason: str) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake) as client:
            reply = await client.post("/ingest/in", content=body, headers={"X-Event-Id": "x"})
        assert (reply.status_code, reply.json()["error"], reply.json()["event_id"]) == (400, reason, "x")
        assert reply.json()["unread"] == len(reply.json()["problems"])
        assert intake.batches == []
        assert any("no event that can be read" in one for one in intake.reported)

    asyncio.run(scenario())


def test_problems_shown_are_bounded() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake) as client:
            reply = (await client.post("/ingest/in", content=b'{"a": 1}\n' + b"x\n" * 500)).json()
        assert (reply["events"], reply["unread"], len(reply["problems"])) == (1, 500, 100)
        assert len(intake.problems) == 500

    asyncio.run(scenario())


@pytest.mark.parametrize("event_id", ["", "a b", "x" * 129, "\xe4"])
def test_event_id_that_cannot_be_used(event_id: str) -> None:
    async def scenario() -> None:
        async with ingesting(KeptIntake()) as client:
            reply = await client.post("/ingest/in", content=b"{}", headers={"X-Event-Id": event_id.encode("latin-1")})
            assert (reply.status_code, reply.json()["event_id"]) == (400, None)

    asyncio.run(scenario())


def test_gzip() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, max_bytes=100_000) as client:

            async def post(content: bytes, encoding: str = "gzip") -> httpx.Response:
                return await client.post("/ingest/in", content=content, headers={"Content-Encoding": encoding})

            assert (await post(gzip.compress(b'{"a": 1}'))).json()["events"] == 1
            assert (await post(gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}'))).json()["events"] == 2
            assert (await post(gzip.compress(b'{"a": 1}')[:-4])).status_code == 400
            assert (await post(b"plain")).status_code == 400
            assert (await post(gzip.compress(b'{"a": 1}') + b"rest")).status_code == 400
            assert (await post(b"{}", "br")).status_code == 415
            bomb = gzip.compress(b" " * 100_001)
            assert len(bomb) < 1000
            reply = await post(bomb)
            assert (reply.status_code, reply.json()["error"]) == (413, "a body may have 100000 bytes")
        assert intake.events == [{"a": 1}, {"a": 1}, {"a": 2}]

    asyncio.run(scenario())


def test_gzip_bomb_does_not_fill_the_memory() -> None:
    bomb = gzip.compress(bytes(64 << 20), 1)
    tracemalloc.start()
    try:
        assert len(_gunzip(bomb, 1 << 20)) == (1 << 20) + 1
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_large_bodies() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        events = [{"a": number, "text": "x" * 100} for number in range(1000)]
        async with ingesting(intake, {"limits": {"max_body_bytes": 200_000}}, max_events=1000) as client:
            assert (await client.post("/ingest/in", json=events)).json()["events"] == 1000
            packed = gzip.compress("\n".join(map(json.dumps, events)).encode(), 0)
            assert len(packed) > 100_000
            headers = {"Content-Encoding": "gzip"}
            assert (await client.post("/ingest/in", content=packed, headers=headers)).json()["events"] == 1000
            assert intake.events == events * 2
            reply = await client.post("/ingest/in", json=[*events, {}])
            assert (reply.status_code, reply.json()["error"]) == (413, "more than 1000 events; send fewer at once")
            too_long = await client.post("/ingest/in", content=b"x" * 200_001)
            assert too_long.status_code == 413
        assert len(intake.batches) == 2

    asyncio.run(scenario())


def test_body_in_pieces_that_is_too_long_is_told() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000

    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, {"limits": {"max_body_bytes": 2000}}) as client:
            assert (await client.post("/ingest/in", content=pieces())).status_code == 413
        assert any("413" in one for one in intake.reported)
        assert intake.batches == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("own", "sent", "status"),
    [
        (None, TOKEN, 200),
        (None, "another-token-of-some-length", 401),
        (None, None, 401),
        ("the-source-has-its-own", "the-source-has-its-own", 200),
        ("the-source-has-its-own", TOKEN, 401),
    ],
)
def test_tokens(own: str | None, sent: str | None, status: int) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, {"token": TOKEN}, **({"token": own} if own else {})) as client:
            headers = {"Authorization": f"Bearer {sent}"} if sent else {}
            assert (await client.post("/ingest/in", content=b"{}", headers=headers)).status_code == status
        assert len(intake.batches) == (status == 200)
        assert bool(intake.reported) == (status == 401)

    asyncio.run(scenario())


def test_web_page_on_loopback_without_token() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake) as client:
            reply = await client.post("/ingest/in", content=b"{}", headers={"Origin": "http://evil.example"})
            assert reply.status_code == 403
        assert intake.batches == []
        assert intake.reported == ["a request of 127.0.0.1 was answered 403: web pages may not use this address"]

    asyncio.run(scenario())


def test_options_that_do_not_fit_the_format_that_is_told() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, format="auto", options={"year": "2026"}) as client:
            for _ in range(2):
                reply = await client.post("/ingest/in", content=b'{"a": 1}')
                assert reply.status_code == 400
                assert "the format 'jsonl' has no option 'year'" in reply.json()["problems"][0]["reason"]
            assert intake.is_connected
        assert intake.batches == []

    asyncio.run(scenario())


def test_rate_of_one_client() -> None:
    async def scenario() -> None:
        async with ingesting(KeptIntake(), requests_per_second=0.5) as client:
            assert (await client.post("/ingest/in", content=b"{}")).status_code == 200
            reply = await client.post("/ingest/in", content=b"{}")
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")

    asyncio.run(scenario())


def test_positive_reply_only_once_the_outcome_is_durable() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        async with ingesting(intake) as client:
            reply = asyncio.create_task(client.post("/ingest/in", content=b"{}"))
            await intake.until(lambda: bool(intake.batches))
            done, _ = await asyncio.wait({reply}, timeout=0.1)
            assert not done
            intake.settle(0)
            assert (await reply).status_code == 200

    asyncio.run(scenario())


def test_outcome_that_stays_unknown_is_503() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        async with ingesting(intake, reply_seconds=0.1) as client:
            reply = await client.post("/ingest/in", content=b"{}", headers={"X-Event-Id": "again"})
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
            assert reply.json()["event_id"] == "again"
            intake.settle(0)  # later; nobody waits for it

    asyncio.run(scenario())


def test_full_queue_is_503_and_nothing_is_taken() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with ingesting(intake, queue_seconds=0.1) as client:
            intake.open.clear()
            reply = await client.post("/ingest/in", content=b'{"a": 1}')
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
            intake.open.set()
            assert (await client.post("/ingest/in", content=b'{"a": 2}')).status_code == 200
        assert intake.events == [{"a": 2}]

    asyncio.run(scenario())


def test_too_many_requests_at_the_same_time() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        async with ingesting(intake, max_requests=2) as client:
            held = [asyncio.create_task(client.post("/ingest/in", content=b"{}")) for _ in range(2)]
            await intake.until(lambda: len(intake.batches) == 2)
            reply = await client.post("/ingest/in", content=b"{}")
            assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
            intake.settle(0)
            intake.settle(1)
            assert [(await one).status_code for one in held] == [200, 200]
            last = asyncio.create_task(client.post("/ingest/in", content=b"{}"))
            await intake.until(lambda: len(intake.batches) == 3)
            intake.settle(2)
            assert (await last).status_code == 200

    asyncio.run(scenario())


def test_before_and_after_the_source_runs() -> None:
    async def scenario() -> None:
        source, intake = _source(), KeptIntake()
        async with serving(source.routes()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.post("/ingest/in", content=b"{}")).status_code == 503
            async with running(source, intake):
                await intake.until(lambda: intake.is_connected)
                assert (await client.post("/ingest/in", content=b"{}")).status_code == 200
                assert (await client.get("/ingest/in")).status_code == 405
                assert (await client.post("/ingest/other", content=b"{}")).status_code == 404
            reply = await client.post("/ingest/in", content=b"{}")
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert len(intake.batches) == 1

    asyncio.run(scenario())


def test_stopping_puts_what_was_taken_first() -> None:
    """A request that waits for room while the source is asked to stop is put before ``run`` returns, and answered."""

    async def scenario() -> None:
        source, intake = _source(), KeptIntake()
        async with serving(source.routes()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            run = asyncio.create_task(source.run(intake))
            await intake.until(lambda: intake.is_connected)
            intake.open.clear()
            reply = asyncio.create_task(client.post("/ingest/in", content=b'{"a": 1}'))
            await intake.until(lambda: source._ingest._putting == 1)
            intake.stopping.set()
            done, _ = await asyncio.wait({run}, timeout=0.1)
            assert not done
            intake.open.set()
            await asyncio.wait_for(run, 2)
            assert intake.events == [{"a": 1}]
            assert (await reply).status_code == 200

    asyncio.run(scenario())


def test_service_that_ends_before_the_outcome_is_durable_answers_503() -> None:
    async def scenario() -> None:
        source, intake = _source(), _Unsettled()
        async with running(source, intake), httpx.AsyncClient() as client:
            async with serving(source.routes(), stop_seconds=0.1) as address:
                reply = asyncio.create_task(client.post(f"http://{address}/ingest/in", content=b"{}"))
                await intake.until(lambda: bool(intake.batches))
            assert (await reply).status_code == 503

    asyncio.run(scenario())


def test_client_that_goes_away() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        source = _source()
        async with running(source, intake), serving(source.routes(), limits={"head_seconds": 5}) as address:
            await intake.until(lambda: intake.is_connected)
            host, port = address.split(":")
            head = b"POST /ingest/in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n"
            for request in (head + b"{", head + b'{"a": 1}'):  # within the body, and while it waits for its reply
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(request)
                await writer.drain()
                if request.endswith(b"}"):
                    await intake.until(lambda: bool(intake.batches))
                else:
                    await intake.until(lambda: source._serving == 1)
                writer.close()
                await writer.wait_closed()
            intake.settle(0)
            await intake.until(lambda: source._serving == 0)
            assert intake.events == [{"a": 1}]
            ok = asyncio.create_task(raw_reply(address, head[:-2] + b'Connection: close\r\n\r\n{"a": 2}'))
            await intake.until(lambda: len(intake.batches) == 2)
            intake.settle(1)
            assert (await ok).startswith(b"HTTP/1.1 200")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"format": "jsnl"}, "did you mean 'jsonl'"),
        ({"options": {"nonsense": True}}, "nonsense"),
        ({"token": "short"}, "at least 16"),
        ({"token": "with blanks in the token"}, "visible ASCII"),
        ({"name": "a/b"}, "letters, digits"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        HttpSettings.model_validate({"type": "http", **settings})


def test_name_and_token() -> None:
    source = HttpSource(HttpSettings(token=TOKEN))
    assert (source.name, source.kind, source.lag_unit) == ("http", "http", "")
    assert source.routes()[0].path == "/ingest/http"
    assert AUTHORIZED["Authorization"] not in repr(source._settings)


class _Unsettled(KeptIntake):
    """Keeps the batches without settling them."""

    def _take(self, batch: Batch) -> None:
        self.batches.append(batch)

    def settle(self, number: int) -> None:
        settled = self.batches[number].settled
        assert settled is not None
        settled([])

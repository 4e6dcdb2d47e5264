"""The ``websocket`` source, with the ``websockets`` client: messages, replies in order, limits, and how it ends."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sigma.pyeval.monitor.batches import Batch
from sigma.pyeval.monitor.sources.websocket import WebSocketSettings, WebSocketSource

from .intake import KeptIntake, running
from .serving import AUTHORIZED, TOKEN, serving


def _source(**settings: Any) -> WebSocketSource:
    return WebSocketSource(WebSocketSettings.model_validate({"type": "websocket", "name": "in", **settings}))


@asynccontextmanager
async def receiving(intake: KeptIntake, server: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[str]:
    source = _source(**settings)
    async with running(source, intake), serving(source.routes(), **(server or {})) as address:
        await intake.until(lambda: intake.is_connected)
        yield f"ws://{address}/ws/in"


def _connect(url: str, **options: Any) -> connect:
    return connect(url, proxy=None, **options)


async def _ask(client: ClientConnection, message: Any) -> dict[str, Any]:
    await client.send(message if isinstance(message, str | bytes) else json.dumps(message))
    reply: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), 5))
    return reply


def _alerting(batch: Batch) -> list[dict[str, Any]]:
    return [
        {"id": f"{batch.place(record)}", "rule": {"title": "Bad"}, "source": batch.place(record)}
        for record in batch.records
        if record.event.get("bad")
    ]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ('{"a": 1}', [{"a": 1}]),
        (b'{"a": 1}', [{"a": 1}]),
        ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"event_id": "x", "events": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        ('{"events": [{"a": 1}]}', [{"a": 1}]),
        ('{"events": [1], "more": 1}', [{"events": [1], "more": 1}]),  # an event of its own
        ('{"event_id": "x"}', [{"event_id": "x"}]),
    ],
)
def test_messages(message: str | bytes, events: list[dict[str, Any]]) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake) as url, _connect(url) as client:
            reply = await _ask(client, message)
            assert (reply["events"], reply["unread"], reply["threat_detected"]) == (len(events), 0, False)
        assert intake.events == events
        assert intake.batches[0].size == len(message)

    asyncio.run(scenario())


def test_reply_has_the_schema_of_http() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        intake.alerts_for = _alerting
        batch = {"event_id": "mine", "events": [{"bad": 0}, {"bad": 1}]}
        async with receiving(intake) as url, _connect(url) as client:
            first, again = await _ask(client, batch), await _ask(client, batch)
        assert first == again
        assert first["event_id"] == "mine"
        assert first["threat_detected"] is True
        (alert,) = first["alerts"]
        assert (alert["event"], alert["rule"]["title"]) == (1, "Bad")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        ("no JSON", 400, "this is not JSON"),
        (b"\xff\xfe", 400, "this is not JSON"),
        ("", 400, "this is not JSON"),
        ("7", 400, "no event that can be read"),
        ("[]", 400, "no event that can be read"),
        ('{"events": {}}', 400, "'events', an array"),
        ('{"events": [], "event_id": 7}', 400, "may have 'event_id', a text"),
        ('{"events": [{}], "event_id": "a b"}', 400, "visible ASCII"),
        ("[" + "{}," * 20 + "{}]", 413, "more than 20 events"),
        ('{"a": "' + "x" * 2000 + '"}', 413, "2000 bytes"),
    ],
)
def test_malformed_message_is_answered_and_the_connection_stays(message: str | bytes, status: int, reason: str) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake, max_events=20, max_bytes=2000) as url, _connect(url) as client:
            reply = await _ask(client, message)
            assert reply["status"] == status
            assert reason in reply["error"]
            assert (await _ask(client, {"a": 1}))["events"] == 1
        assert intake.events == [{"a": 1}]

    asyncio.run(scenario())


def test_message_longer_than_the_server_takes() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with (
            receiving(intake, {"limits": {"max_body_bytes": 2000}}) as url,
            _connect(url) as client,
        ):
            await client.send("x" * 2001)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        assert intake.batches == []

    asyncio.run(scenario())


def test_large_message() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        events = [{"a": number, "text": "x" * 100} for number in range(2000)]
        async with receiving(intake) as url, _connect(url) as client:
            assert (await _ask(client, events))["events"] == 2000
        assert intake.events == events

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"Authorization": "Bearer wrong"}, 401), (AUTHORIZED, 101)]
)
def test_token(headers: dict[str, str], status: int) -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake, {"token": TOKEN}) as url:
            if status == 101:
                async with _connect(url, additional_headers=headers) as client:
                    assert (await _ask(client, {}))["events"] == 1
                    assert client.response is not None
                    assert "server" not in client.response.headers
                return
            with pytest.raises(InvalidStatus) as refused:
                await _connect(url, additional_headers=headers)
            assert refused.value.response.status_code == 401
            assert "www-authenticate" in refused.value.response.headers
            assert any("401" in one for one in intake.reported)

    asyncio.run(scenario())


def test_web_page_on_loopback_without_token() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake) as url:
            with pytest.raises(InvalidStatus) as refused:
                await _connect(url, origin="http://evil.example")
            assert refused.value.response.status_code == 403
        assert intake.reported == ["a request of 127.0.0.1 was answered 403: web pages may not use this address"]

    asyncio.run(scenario())


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}

    async def scenario() -> None:
        async with (
            receiving(KeptIntake(), {"tls": tls}) as url,
            _connect(url.replace("ws:", "wss:"), ssl=context) as client,
        ):
            assert (await _ask(client, {}))["events"] == 1

    asyncio.run(scenario())


def test_replies_come_in_the_order_of_messages_and_no_more_are_read_meanwhile() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        async with receiving(intake, max_in_flight=3) as url, _connect(url) as client:
            for number in range(5):
                await client.send(json.dumps({"event_id": str(number), "events": [{"n": number}]}))
            await intake.until(lambda: len(intake.batches) == 3)
            with pytest.raises(TimeoutError):
                await intake.until(lambda: len(intake.batches) > 3, 0.2)
            for number in (2, 1, 0):
                intake.settle(number)
            await intake.until(lambda: len(intake.batches) == 5)
            intake.settle(3)
            intake.settle(4)
            replies = [json.loads(await client.recv())["event_id"] for _ in range(5)]
            assert replies == ["0", "1", "2", "3", "4"]

    asyncio.run(scenario())


def test_outcome_that_stays_unknown() -> None:
    async def scenario() -> None:
        async with receiving(_Unsettled(), reply_seconds=0.1) as url, _connect(url) as client:
            reply = await _ask(client, {"event_id": "again", "events": [{}]})
            assert (reply["status"], reply["event_id"], reply["retry_after"]) == (503, "again", 5)

    asyncio.run(scenario())


def test_full_queue_is_an_error_reply() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake, queue_seconds=0.1) as url, _connect(url) as client:
            intake.open.clear()
            assert (await _ask(client, {"a": 1}))["status"] == 503
            intake.open.set()
            assert (await _ask(client, {"a": 2}))["events"] == 1
        assert intake.events == [{"a": 2}]

    asyncio.run(scenario())


def test_rate_of_one_client() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake, requests_per_second=0.5) as url, _connect(url) as client:
            assert (await _ask(client, {}))["events"] == 1
            reply = await _ask(client, {})
            assert (reply["status"], reply["retry_after"]) == (429, 2)
        assert len(intake.batches) == 1

    asyncio.run(scenario())


def test_too_many_connections() -> None:
    async def scenario() -> None:
        intake = KeptIntake()
        async with receiving(intake, max_connections=1) as url:
            async with _connect(url):
                with pytest.raises(InvalidStatus) as refused:
                    await _connect(url)
                assert refused.value.response.status_code == 503
            for _ in range(50):
                try:
                    async with _connect(url) as client:
                        assert (await _ask(client, {}))["events"] == 1
                    break
                except InvalidStatus:
                    await asyncio.sleep(0.01)  # the first one's end has not been seen yet
            assert len(intake.batches) == 1

    asyncio.run(scenario())


def test_idle_connection_is_closed_but_not_while_a_reply_is_due() -> None:
    async def scenario() -> None:
        intake = _Unsettled()
        async with receiving(intake, idle_seconds=0.15) as url, _connect(url) as client:
            await client.send("{}")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recv(), 0.4)
            for number in range(2):
                intake.settle(number)
                assert json.loads(await client.recv())["events"] == 1
                if number == 0:
                    await client.send("{}")
                    await intake.until(lambda: len(intake.batches) == 2)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(client.recv(), 2)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "idle")

    asyncio.run(scenario())


def test_ping_is_answered() -> None:
    async def scenario() -> None:
        async with receiving(KeptIntake()) as url, _connect(url) as client:
            await asyncio.wait_for(await client.ping(), 2)

    asyncio.run(scenario())


def test_before_and_after_the_source_runs() -> None:
    async def scenario() -> None:
        source, intake = _source(), KeptIntake()
        async with serving(source.routes()) as address:
            for _ in range(2):
                with pytest.raises(InvalidStatus) as refused:
                    await _connect(f"ws://{address}/ws/in")
                assert refused.value.response.status_code == 503
                if not intake.batches:
                    async with running(source, intake):
                        await intake.until(lambda: intake.is_connected)
                        async with _connect(f"ws://{address}/ws/in") as client:
                            await _ask(client, {})

    asyncio.run(scenario())


def test_stopping_sends_the_replies_due_and_then_closes() -> None:
    async def scenario() -> None:
        source, intake = _source(), _Unsettled()
        async with serving(source.routes()) as address:
            run = asyncio.create_task(source.run(intake))
            await intake.until(lambda: intake.is_connected)
            async with _connect(f"ws://{address}/ws/in") as client:
                await client.send('{"a": 1}')
                await intake.until(lambda: bool(intake.batches))
                intake.stopping.set()
                await asyncio.wait_for(run, 2)
                intake.settle(0)
                assert json.loads(await client.recv())["events"] == 1
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012

    asyncio.run(scenario())


def test_server_waits_for_the_replies_due() -> None:
    async def scenario() -> None:
        source, intake = _source(), _Unsettled()
        async with running(source, intake):
            async with serving(source.routes()) as address:
                client = await _connect(f"ws://{address}/ws/in")
                await client.send('{"a": 1}')
                await intake.until(lambda: bool(intake.batches))
                intake.stopping.set()
                asyncio.get_running_loop().call_later(0.4, intake.settle, 0)
            assert json.loads(await client.recv())["events"] == 1
            await client.close()

    asyncio.run(scenario())


def test_server_that_ends_beyond_the_deadline_closes() -> None:
    async def scenario() -> None:
        source, intake = _source(), _Unsettled()
        async with running(source, intake):
            async with serving(source.routes(), stop_seconds=0.1) as address:
                client = await _connect(f"ws://{address}/ws/in")
                await client.send('{"a": 1}')
                await intake.until(lambda: bool(intake.batches))
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 2)
            await client.close()

    asyncio.run(scenario())


def test_client_that_goes_away_with_replies_due() -> None:
    async def scenario() -> None:
        source, intake = _source(max_in_flight=1), _Unsettled()
        async with running(source, intake), serving(source.routes()) as address:
            await intake.until(lambda: intake.is_connected)
            client = await _connect(f"ws://{address}/ws/in")
            await client.send('{"a": 1}')
            await client.send('{"a": 2}')
            await intake.until(lambda: bool(intake.batches))
            client.transport.abort()
            await client.wait_closed()
            intake.settle(0)  # the reply finds nobody; the connection must not wait for room for ever
            await intake.until(lambda: len(intake.batches) == 2 or source._connections == 0)
            if len(intake.batches) == 2:
                intake.settle(1)
            await intake.until(lambda: source._connections == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"max_in_flight": 0}, "greater than or equal to 1"),
        ({"format": "nonsense"}, "unknown log format"),
        ({"idle_seconds": 0}, "greater than 0"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        WebSocketSettings.model_validate({"type": "websocket", **settings})


def test_name() -> None:
    source = WebSocketSource(WebSocketSettings())
    assert (source.name, source.kind, source.lag_unit) == ("websocket", "websocket", "")


class _Unsettled(KeptIntake):
    """Keeps the batches without settling them."""

    def _take(self, batch: Batch) -> None:
        self.batches.append(batch)

    def settle(self, number: int) -> None:
        settled = self.batches[number].settled
        assert settled is not None
        settled([])

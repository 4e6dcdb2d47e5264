"""The server: where it listens, whom it serves, what it does not put up with, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigma.pyeval.monitor.access import refusal
from sigma.pyeval.monitor.batches import PartError
from sigma.pyeval.monitor.rates import MOST_CLIENTS, ClientRates
from sigma.pyeval.monitor.server import Server, ServerError, ServerSettings

from .privileges import without_low_ports
from .serving import AUTHORIZED, TOKEN, raw_reply, serving


async def _hello(request: Request) -> Response:
    return refusal(request) or PlainTextResponse("hello")


async def _length(request: Request) -> Response:
    return JSONResponse({"length": len(await request.body())})


ROUTES = [Route("/hello", _hello), Route("/length", _length, methods=["POST"])]


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"listen": "nowhere"}, "not an address and a port"),
        ({"listen": "127.0.0.1:70000"}, "not an address and a port"),
        ({"listen": "::1:8750"}, "not an address and a port"),
        ({"listen": "0.0.0.0:8750", "token": TOKEN}, "insecure: true"),
        ({"listen": "0.0.0.0:8750", "insecure": True}, "give a token"),
        ({"listen": "[::]:8750", "token": TOKEN}, "insecure: true"),
        ({"token": "short"}, "at least 16"),
        ({"token": "a token with blanks in it"}, "visible ASCII"),
        ({"limits": {"max_conections": 1}}, "Extra inputs"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        ServerSettings.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"listen": "[::1]:0"},
        {"listen": "localhost:8750"},
        {"listen": "0.0.0.0:8750", "token": TOKEN, "insecure": True},
    ],
)
def test_settings_that_are_taken(settings: dict[str, object]) -> None:
    assert ServerSettings.model_validate(settings)


def test_token_is_not_shown() -> None:
    assert TOKEN not in repr(ServerSettings.model_validate({"token": TOKEN}))


def test_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ValidationError, match="cannot be used"):
        ServerSettings.model_validate({"tls": {"certificate": str(empty), "key": str(empty)}})


def test_serves_and_tells_nothing_of_itself() -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address, httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"http://{address}/hello")
            assert (reply.status_code, reply.text) == (200, "hello")
            assert "server" not in reply.headers
            missing = await client.get(f"http://{address}/other")
            assert (missing.status_code, missing.json()) == (404, {"error": "Not Found"})
            assert (await client.get(f"http://{address}/length")).status_code == 405

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer " + TOKEN, 200),
        ("bearer " + TOKEN, 200),
        ("Bearer " + TOKEN[:-1], 401),
        ("Bearer", 401),
        ("Basic " + TOKEN, 401),
        ("Bearer \xe4\xf6", 401),
    ],
)
def test_token(header: str | None, status: int) -> None:
    async def scenario() -> None:
        async with serving(ROUTES, token=TOKEN) as address, httpx.AsyncClient(trust_env=False) as client:
            headers = {"Authorization": header.encode("latin-1")} if header else {}
            reply = await client.get(f"http://{address}/hello", headers=headers)
            assert reply.status_code == status
            assert ("www-authenticate" in reply.headers) == (status == 401)

    asyncio.run(scenario())


def test_without_token_web_pages_are_kept_out() -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address, httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"http://{address}/hello", headers={"Origin": "http://evil.example"})
            assert reply.status_code == 403

    asyncio.run(scenario())


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def scenario() -> None:
        tls = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
        async with serving(ROUTES, token=TOKEN, tls=tls, listen="127.0.0.1:0") as address:
            async with httpx.AsyncClient(verify=context, trust_env=False) as client:
                assert (await client.get(f"https://{address}/hello", headers=AUTHORIZED)).text == "hello"
            async with httpx.AsyncClient(trust_env=False) as client:
                with pytest.raises(httpx.HTTPError):
                    await client.get(f"http://{address}/hello", headers=AUTHORIZED)

    asyncio.run(scenario())


def test_address_in_use_is_one_clear_error() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            server = Server(ServerSettings(listen=f"127.0.0.1:{port}"), ROUTES)
            with pytest.raises(ServerError, match=rf"cannot listen on 127.0.0.1:{port}: .*in use"):
                await server.run(asyncio.Event())
            assert not server.started.is_set()

    asyncio.run(scenario())


def test_unknown_host_is_one_clear_error() -> None:
    with pytest.raises(ServerError, match=r"cannot listen on host\.invalid:1"):
        asyncio.run(
            Server(ServerSettings(listen="host.invalid:1", token=TOKEN, insecure=True), ROUTES).run(asyncio.Event())
        )


def test_port_without_the_right_to_it_is_one_clear_error() -> None:
    server = Server(ServerSettings(listen="127.0.0.1:443"), ROUTES)
    with (
        without_low_ports(),
        pytest.raises(PartError, match=r"127\.0\.0\.1:443: Permission denied; .* CAP_NET_BIND_SERVICE"),
    ):
        asyncio.run(server.run(asyncio.Event()))


@pytest.mark.parametrize("chunked", [False, True])
def test_body_too_long(chunked: bool) -> None:
    async def scenario() -> None:
        async def pieces(size: int):
            yield b"x" * size

        async with (
            serving(ROUTES, limits={"max_body_bytes": 2000}) as address,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            url = f"http://{address}/length"
            fits = await client.post(url, content=pieces(2000) if chunked else b"x" * 2000)
            assert fits.json() == {"length": 2000}
            longer = await client.post(url, content=pieces(2001) if chunked else b"x" * 2001)
            assert (longer.status_code, longer.json()) == (413, {"error": "a body may have 2000 bytes"})
            assert longer.headers["connection"] == "close"

    asyncio.run(scenario())


def test_slow_head_is_closed() -> None:
    async def scenario() -> None:
        async with serving(ROUTES, limits={"head_seconds": 0.2}) as address:
            assert await raw_reply(address, b"") == b""
            assert await raw_reply(address, b"GET /hello HTTP/1.1\r\nHost: localhost\r\n") == b""
            # also behind a first request on the same connection
            first = await raw_reply(address, b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he")
            assert first.startswith(b"HTTP/1.1 200 OK")
            assert first.endswith(b"hello")

    asyncio.run(scenario())


def test_slow_head_byte_by_byte_is_closed() -> None:
    async def scenario() -> None:
        async with serving(ROUTES, limits={"head_seconds": 0.3}) as address:
            host, port = address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            closed = asyncio.create_task(reader.read())
            sent = 0
            while not closed.done() and sent < 200:
                writer.write(b"G")
                sent += 1
                await asyncio.wait({closed}, timeout=0.02)
            assert 5 < sent < 100
            await asyncio.wait({closed})
            assert closed.exception() is not None or closed.result() == b""
            writer.close()

    asyncio.run(scenario())


def test_head_time_does_not_run_while_a_request_is_served() -> None:
    release = asyncio.Event()

    async def wait(_: Request) -> Response:
        await release.wait()
        return PlainTextResponse("done")

    async def scenario() -> None:
        async with (
            serving([Route("/wait", wait)], limits={"head_seconds": 0.1}) as address,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            asyncio.get_running_loop().call_later(0.4, release.set)
            assert (await client.get(f"http://{address}/wait")).text == "done"

    asyncio.run(scenario())


def test_slow_body_is_answered_408() -> None:
    async def scenario() -> None:
        async with serving(ROUTES, limits={"body_seconds": 0.2}) as address:
            reply = await raw_reply(
                address, b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"
            )
            assert reply.startswith(b"HTTP/1.1 408 ")

    asyncio.run(scenario())


def test_head_too_long() -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address:
            reply = await raw_reply(address, b"GET /hello HTTP/1.1\r\nX: " + b"x" * 20_000)
            assert reply.startswith(b"HTTP/1.1 400 ")

    asyncio.run(scenario())


def test_too_many_connections() -> None:
    async def scenario() -> None:
        async with serving(ROUTES, limits={"max_connections": 2}) as address:
            host, port = address.split(":")
            held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            async with httpx.AsyncClient(trust_env=False) as client:
                for _ in range(50):  # accepting the first two may take a turn of the loop
                    reply = await client.get(f"http://{address}/hello", headers={"Connection": "close"})
                    if reply.status_code == 503:
                        break
                assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
                for _, writer in held:
                    writer.close()
                    await writer.wait_closed()
                for _ in range(50):
                    reply = await client.get(f"http://{address}/hello", headers={"Connection": "close"})
                    if reply.status_code == 200:
                        break
                assert reply.status_code == 200

    asyncio.run(scenario())


def test_rate_of_one_client() -> None:
    async def scenario() -> None:
        async with (
            serving(ROUTES, limits={"requests_per_second": 0.5}) as address,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            assert (await client.get(f"http://{address}/hello")).status_code == 200
            reply = await client.get(f"http://{address}/hello", headers={"X-Forwarded-For": "192.0.2.7"})
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")

    asyncio.run(scenario())


def test_rates_by_client() -> None:
    now = 100.0
    rates = ClientRates(1.0, lambda: now)
    assert [rates.take("a"), rates.take("a"), rates.take("a")] == [0, 0, 1]
    assert rates.take("b") == 0
    now += 0.5
    assert rates.take("a") == 0.5
    now += 0.5
    assert rates.take("a") == 0
    # one host has a whole IPv6 /64, and an IPv4 address may come as either
    assert [rates.take(f"2001:db8::{number}") for number in range(3)] == [0, 0, 1]
    assert rates.take("2001:db8:0:1::1") == 0
    assert [rates.take("192.0.2.1"), rates.take("::ffff:192.0.2.1"), rates.take("192.0.2.1")] == [0, 0, 1]


def test_rates_forget_the_client_not_seen_for_longest() -> None:
    rates = ClientRates(0.5, lambda: 0.0)
    assert [rates.take("old"), rates.take("old")] == [0, 2]
    for number in range(MOST_CLIENTS):
        rates.take(str(number))
    assert rates.take("old") == 0


async def _connect_on_and_on(host: str, port: int) -> None:
    for _ in range(50):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await asyncio.sleep(0.01)


def test_requests_in_flight_end_before_the_server_does() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def wait(_: Request) -> Response:
        begun.set()
        await release.wait()
        return PlainTextResponse("done")

    async def scenario() -> None:
        server = Server(ServerSettings(listen="127.0.0.1:0"), [Route("/wait", wait)])
        stopping = asyncio.Event()
        task = asyncio.create_task(server.run(stopping))
        await server.started.wait()
        url = "http://{}:{}/wait".format(*server.bound)
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = asyncio.create_task(client.get(url))
            await begun.wait()
            stopping.set()
            with pytest.raises(ConnectionError):
                await _connect_on_and_on(*server.bound)
            assert not task.done()
            release.set()
            assert (await reply).text == "done"
        await asyncio.wait_for(task, 2)

    asyncio.run(scenario())


@pytest.mark.parametrize(("own", "service"), [(0.1, None), (600, 1.1), (600, 0.5), (0.1, 60)])
def test_requests_beyond_the_deadline_are_answered_503(own: float, service: float | None) -> None:
    """It is the server's own, or comes early enough for the service to end in time."""
    begun = asyncio.Event()

    async def wait(_: Request) -> Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario() -> None:
        server = Server(ServerSettings(listen="127.0.0.1:0", stop_seconds=own), [Route("/wait", wait)], service)
        stopping = asyncio.Event()
        task = asyncio.create_task(server.run(stopping))
        await server.started.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = asyncio.create_task(client.get("http://{}:{}/wait".format(*server.bound)))
            await begun.wait()
            stopping.set()
            assert (await reply).status_code == 503
        await asyncio.wait_for(task, 2)

    asyncio.run(scenario())


def test_cancelled_server_leaves_nothing_open() -> None:
    async def scenario() -> None:
        server = Server(ServerSettings(listen="127.0.0.1:0"), ROUTES)
        task = asyncio.create_task(server.run(asyncio.Event()))
        await server.started.wait()
        _, writer = await asyncio.open_connection(*server.bound)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*server.bound)
        writer.close()

    asyncio.run(scenario())

"""What strangers try on the server: foreign names and pages, half handshakes, requests within requests, odd paths."""

from __future__ import annotations

import asyncio
import hmac
import os
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sigma.pyeval.monitor.access import is_own_name, refusal

from .serving import AUTHORIZED, TOKEN, raw_reply, serving


async def _page(request: Request) -> Response:
    return refusal(request) or PlainTextResponse("all alerts")


async def _framed(_: Request) -> Response:
    return PlainTextResponse(
        "own", headers={"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=5"}
    )


async def _socket(websocket: WebSocket) -> None:
    refused = refusal(websocket)
    if refused is not None:
        await websocket.send_denial_response(refused)
        return
    await websocket.accept()
    await websocket.close()


ROUTES = [
    Route("/page", _page, methods=["GET", "POST"]),
    Route("/framed", _framed),
    WebSocketRoute("/socket", _socket),
]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8750", True),
        ("[::1]:8750", True),
        ("localhost:8750", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("Sigma.example.org:443", True),
        ("192.0.2.7", True),
        ("", True),
        ("evil.example", False),
        ("evil.example:8750", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example#127.0.0.1", False),
        ("[::1", False),
        ("0x7f.1", False),
    ],
)
def test_whose_name(host: str, own: bool) -> None:
    assert is_own_name(host, {"sigma.example.org"}) is own


def test_a_foreign_name_is_refused_without_a_token() -> None:
    """DNS rebinding: the page of a foreign name that now points here would be of one origin with the server."""

    async def scenario() -> None:
        async with (
            serving(ROUTES, names=["sigma.example.org"]) as address,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            url = f"http://{address}/page"
            port = address.rpartition(":")[2]
            for host in (f"evil.example:{port}", "evil.example"):
                reply = await client.get(url, headers={"Host": host})
                assert (reply.status_code, "alerts" in reply.text) == (421, False)
            for host in (address, f"localhost:{port}", "sigma.example.org"):
                assert (await client.get(url, headers={"Host": host})).text == "all alerts"
            reply = await client.get(f"http://{address}/socket", headers={**UPGRADE, "Host": "evil.example"})
            assert reply.status_code == 421
        async with serving(ROUTES, token=TOKEN) as address, httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"http://{address}/page", headers={"Host": "any.example", **AUTHORIZED})
            assert reply.text == "all alerts"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://{host}", 200),
        ("http://evil.example", 403),
        ("http://localhost:1", 403),
        ("http://{host}.evil.example", 403),
        ("http://evil.example@{host}", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_other_origins_are_kept_out(origin: str | None, status: int) -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address, httpx.AsyncClient(trust_env=False) as client:
            headers = {} if origin is None else {"Origin": origin.format(host=address)}
            assert (await client.post(f"http://{address}/page", headers=headers)).status_code == status
            reply = await client.get(f"http://{address}/socket", headers={**UPGRADE, **headers})
            assert reply.status_code == (101 if status == 200 else 403)

    asyncio.run(scenario())


def test_browsers_are_told_to_neither_run_nor_frame_nor_keep_replies() -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address, httpx.AsyncClient(trust_env=False) as client:
            for path in ("/page", "/missing"):
                headers = (await client.get(f"http://{address}{path}")).headers
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
                assert headers["cross-origin-resource-policy"] == "same-origin"
                assert headers["referrer-policy"] == "no-referrer"
                assert headers["cache-control"] == "no-store"
            own = (await client.get(f"http://{address}/framed")).headers
            assert own["content-security-policy"] == "default-src 'self'"
            assert own["cache-control"] == "max-age=5"

    asyncio.run(scenario())


def test_half_handshakes_are_bounded_in_number_and_time(tmp_path: Path) -> None:
    """Who connects to a TLS port and says nothing is no HTTP connection yet, but takes a file descriptor each time."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    settings: dict[str, Any] = {
        "token": TOKEN,
        "tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")},
        "limits": {"max_connections": 4, "head_seconds": 1},
    }

    async def scenario() -> None:
        async with serving(ROUTES, **settings) as address:
            host, port = address.split(":")
            before = len(os.listdir("/proc/self/fd"))
            strangers = [await asyncio.open_connection(host, int(port)) for _ in range(150)]
            async with asyncio.timeout(10):
                while sum(reader.at_eof() for reader, _ in strangers) < 150 - 4 - 64:
                    await asyncio.gather(*(_closed(reader, 0.01) for reader, _ in strangers))
            ours = len(strangers)
            assert len(os.listdir("/proc/self/fd")) - before <= ours + 4 + 64
            async with asyncio.timeout(5):
                await asyncio.gather(*(_closed(reader, 5) for reader, _ in strangers))
            async with httpx.AsyncClient(verify=context, trust_env=False) as client:
                assert (await client.get(f"https://{address}/page", headers=AUTHORIZED)).text == "all alerts"
            for _, writer in strangers:
                writer.close()

    asyncio.run(scenario())


async def _closed(reader: asyncio.StreamReader, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await reader.read()
    except (TimeoutError, OSError):
        pass


REQUEST = b"POST /page HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        REQUEST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        REQUEST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /page HTTP/1.1\r\nHost: localhost\r\n\r\n",
        REQUEST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        REQUEST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        REQUEST + b"Content-Length: +5\r\n\r\nabcde",
        REQUEST + b"Content-Length: 5, 6\r\n\r\nabcde",
        REQUEST + b"Content-Length : 5\r\n\r\nabcde",
        REQUEST + b" folded: 5\r\n\r\n",
        REQUEST + b"X: a\rb\r\n\r\n",
        REQUEST + b"X: a\x00b\r\n\r\n",
        b"POST /page HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /page HTTP/1.1\r\n\r\n",
        b"POST /page\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_ambiguous_requests_are_refused_and_the_connection_closed(request_bytes: bytes) -> None:
    """Request smuggling (RFC 9112 section 11.2): what a proxy in front may read otherwise is not read at all."""

    async def scenario() -> None:
        async with serving(ROUTES, limits={"head_seconds": 0.5}) as address:
            reply = await raw_reply(address, request_bytes)
            assert b"HTTP/1.1 200" not in reply
            assert b"all alerts" not in reply

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/page/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page/%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
        "/..;/etc/passwd",
        "/page%00",
        "/\\..\\..\\etc\\passwd",
        "http://evil.example/etc/passwd",
        "/%ff%fe",
    ],
)
def test_no_path_reaches_the_file_system(path: str) -> None:
    async def scenario() -> None:
        async with serving(ROUTES) as address:
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            reply = await raw_reply(address, request)
            assert reply.split(b" ")[1] in {b"400", b"404"}
            assert b"root:" not in reply

    asyncio.run(scenario())


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    async def large(_: Request) -> Response:
        return PlainTextResponse("x" * (8 << 20))

    async def scenario() -> None:
        routes = [*ROUTES, Route("/large", large)]
        async with serving(routes) as address, httpx.AsyncClient(trust_env=False) as client:
            host, port = address.split(":")
            _, writer = await asyncio.open_connection(host, int(port), limit=1)
            for _ in range(20):
                writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(5):
                for _ in range(20):
                    assert (await client.get(f"http://{address}/page")).text == "all alerts"
            writer.transport.abort()

    asyncio.run(scenario())


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time itself is too noisy to test: every token that is given goes through ``hmac.compare_digest``, right or wrong."""
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return original(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", compare)

    async def scenario() -> None:
        async with serving(ROUTES, token=TOKEN) as address, httpx.AsyncClient(trust_env=False) as client:
            for token in (TOKEN, TOKEN[:-1] + "x", "x" + TOKEN[1:], "x"):
                await client.get(f"http://{address}/page", headers={"Authorization": f"Bearer {token}"})

    asyncio.run(scenario())
    tokens = (TOKEN, TOKEN[:-1] + "x", "x" + TOKEN[1:], "x")
    assert compared == [(token.encode(), TOKEN.encode()) for token in tokens]

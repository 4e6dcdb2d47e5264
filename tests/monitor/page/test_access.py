"""Who may use the page: tokens, sessions, other origins; and what every reply tells a browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme

from sigma.pyeval.monitor.page.access import HEADERS, LOGINS_PER_SECOND
from sigma.pyeval.monitor.page.sessions import LIFETIME_SECONDS, MOST_SESSIONS, Sessions

from ..serving import AUTHORIZED, TOKEN
from .kept import Kept, make_alert, paged

PRIVATE = ("/api/alerts", "/api/overview", "/api/trends", "/api/session", "/page/main.js", "/page/alerts.js")
OPEN = ("/page/page.css", "/page/palette.css", "/page/login.js", "/page/icon.svg")
ACKNOWLEDGING = {"by": "ann", "ids": ["0" * 31 + "1"]}


async def log_in(kept: Kept, token: str = TOKEN, **options: Any) -> Any:
    return await kept.client.post("/api/session", json={"token": token}, **options)


@pytest.mark.parametrize("path", ["/page/", "/page/nothing", "/api/alerts", "/api/alerts/x", "/api/session", *OPEN])
def test_every_reply_has_the_headers(tmp_path: Path, path: str) -> None:
    async def scenario() -> None:
        for settings in ({}, {"token": TOKEN}):
            async with paged(tmp_path, **settings) as kept:
                reply = await kept.client.get(path)
                assert reply.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
                for name in (
                    "X-Content-Type-Options",
                    "Referrer-Policy",
                    "Cross-Origin-Opener-Policy",
                    "Cross-Origin-Resource-Policy",
                ):
                    assert reply.headers[name] == HEADERS[name]
                is_file = path in OPEN or (path == "/page/" and reply.status_code == 200)
                assert reply.headers["cache-control"] == ("no-cache" if is_file else "no-store")
                assert "access-control-allow-origin" not in reply.headers

    asyncio.run(scenario())


def test_the_policy_lets_nothing_in_but_own_files() -> None:
    directives = dict(one.strip().split(" ", 1) for one in HEADERS["Content-Security-Policy"].split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_without_a_token_everything_is_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, make_alert(1)) as kept:
            assert (await kept.client.get("/")).headers["location"] == "/page/"
            for path in ("/page/", *PRIVATE, *OPEN):
                assert (await kept.client.get(path)).status_code == 200
            assert (await kept.client.get("/api/session")).json() == {"login": False}
            assert (await log_in(kept)).status_code == 404

    asyncio.run(scenario())


def test_with_a_token_page_and_api_are_behind_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, make_alert(1), token=TOKEN) as kept:
            for path in PRIVATE:
                assert (await kept.client.get(path)).status_code == 401
                assert (await kept.client.get(path, headers={"Authorization": f"Bearer {TOKEN}x"})).status_code == 401
                assert (await kept.client.get(path, headers={"Cookie": "sigma-pyeval=" + "A" * 43})).status_code == 401
                assert (await kept.client.get(path, headers=AUTHORIZED)).status_code == 200
            assert (await kept.client.post("/api/acknowledgements", json=ACKNOWLEDGING)).status_code == 401
            for path in OPEN:
                assert (await kept.client.get(path)).status_code == 200
            form = await kept.client.get("/page/")
            assert form.status_code == 200
            assert "/page/login.js" in form.text
            assert "/page/main.js" not in form.text
            assert "/page/main.js" in (await kept.client.get("/page/", headers=AUTHORIZED)).text

    asyncio.run(scenario())


def test_a_session_begins_with_the_token_and_ends_when_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, make_alert(1), token=TOKEN) as kept:
            reply = await log_in(kept)
            assert reply.status_code == 204
            cookie = reply.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert "Path=/" in cookie
            assert "Secure" not in cookie  # it would never be sent over plain HTTP
            assert TOKEN not in cookie
            for path in ("/page/", *PRIVATE):
                assert (await kept.client.get(path)).status_code == 200
            # A change needs what only a browser's own page, or nothing but a browser, sends.
            assert (await kept.client.post("/api/acknowledgements", json=ACKNOWLEDGING)).status_code == 403
            own = {"Origin": f"http://{kept.address}"}
            assert (await kept.client.post("/api/acknowledgements", json=ACKNOWLEDGING, headers=own)).status_code == 200
            kept_cookies = dict(kept.client.cookies)
            assert (await kept.client.delete("/api/session", headers=own)).status_code == 204
            kept.client.cookies.update(kept_cookies)  # a thief's copy is worth nothing either
            assert (await kept.client.get("/api/alerts")).status_code == 401

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["", "x", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "ä" * 20, "x" * 100_000, "\ud800"])
def test_wrong_tokens_do_not_log_in(tmp_path: Path, token: str) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, token=TOKEN) as kept:
            body = b'{"token": "\\ud800"}' if token == "\ud800" else None
            headers = {"Content-Type": "application/json"}
            reply = await (
                kept.client.post("/api/session", content=body, headers=headers) if body else log_in(kept, token)
            )
            assert reply.status_code in {400, 401}
            assert "set-cookie" not in reply.headers
            assert TOKEN not in reply.text

    asyncio.run(scenario())


def test_attempts_to_log_in_are_limited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, token=TOKEN) as kept:
            replies = [await log_in(kept, f"guess-number-{number}") for number in range(3)]
            assert [reply.status_code for reply in replies] == [401, 429, 429]
            assert 1 <= int(replies[1].headers["retry-after"]) <= 1 / LOGINS_PER_SECOND + 1
            assert (await log_in(kept)).status_code == 429  # the right one too: it tells nothing

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "reads", "changes"),
    [
        ({}, True, True),
        ({"Origin": "OWN"}, True, True),
        ({"Origin": "https://OWN-HOST"}, True, True),
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "none"}, True, True),
        ({"Origin": "http://evil.example"}, False, False),
        ({"Origin": "null"}, False, False),
        ({"Origin": "http://[broken"}, False, False),
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "same-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True, False),
        ({"Host": "rebound.example"}, False, False),
        ({"Host": "rebound.example", "Origin": "http://rebound.example"}, False, False),
        ({"Host": "localhost"}, True, True),
    ],
    ids=str,
)
def test_pages_of_other_origins_are_kept_out(
    tmp_path: Path, headers: dict[str, str], reads: bool, changes: bool
) -> None:
    """Without a token, too, where the only thing between a stranger's page and the API is the browser."""

    async def scenario() -> None:
        async with paged(tmp_path, make_alert(1)) as kept:
            sent = {
                name: value.replace("OWN-HOST", kept.address).replace("OWN", f"http://{kept.address}")
                for name, value in headers.items()
            }
            assert ((await kept.client.get("/api/alerts", headers=sent)).status_code == 200) is reads
            reply = await kept.client.post("/api/acknowledgements", json=ACKNOWLEDGING, headers=sent)
            assert (reply.status_code == 200) is changes
            assert ((await kept.store.find("0" * 31 + "1")).acknowledged is not None) is changes

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_forms_of_other_pages_change_nothing(tmp_path: Path, kind: str) -> None:
    """A form can send these types without asking; JSON it cannot."""

    async def scenario() -> None:
        async with paged(tmp_path, make_alert(1), token=TOKEN) as kept:
            body = b'{"by": "ann", "ids": ["' + b"0" * 31 + b'1"]}'
            headers = {**AUTHORIZED, **({"Content-Type": kind} if kind else {})}
            assert (await kept.client.post("/api/acknowledgements", content=body, headers=headers)).status_code == 415
            assert (
                await kept.client.post("/api/session", content=b'{"token": "x"}', headers=headers)
            ).status_code == 415

    asyncio.run(scenario())


def test_a_login_from_another_origin_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paged(tmp_path, token=TOKEN) as kept:
            assert (await log_in(kept, headers={"Origin": "http://evil.example"})).status_code == 403

    asyncio.run(scenario())


def test_under_tls_the_cookie_is_never_sent_without(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())

    async def scenario() -> None:
        import ssl

        import httpx

        context = ssl.create_default_context()
        authority.configure_trust(context)
        tls = {"certificate": str(chain), "key": str(key)}
        async with (
            paged(tmp_path, token=TOKEN, tls=tls) as kept,
            httpx.AsyncClient(base_url=f"https://{kept.address}", verify=context) as client,
        ):
            reply = await client.post("/api/session", json={"token": TOKEN})
            cookie = reply.headers["set-cookie"]
            assert "Secure" in cookie
            assert cookie.startswith("__Host-")
            assert (await client.get("/api/alerts")).status_code == 200

    asyncio.run(scenario())


def test_sessions_are_bounded_in_number_and_time() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    first = sessions.begin()
    others = [sessions.begin() for _ in range(MOST_SESSIONS - 1)]
    assert sessions.is_open(first)
    last = sessions.begin()
    assert not sessions.is_open(first)
    assert all(map(sessions.is_open, [*others, last]))
    assert len({first, last, *others}) == MOST_SESSIONS + 1
    now = LIFETIME_SECONDS - 1.0
    assert sessions.is_open(last)
    now = float(LIFETIME_SECONDS)
    assert not sessions.is_open(last)
    assert not sessions.is_open("")
    assert first not in repr(vars(sessions))

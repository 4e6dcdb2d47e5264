"""The webhook sink against a server: what is sent, what its answers mean, TLS, proxies."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.sinks.webhook import MOST_ANSWER_BYTES, WebhookSettings, WebhookSink, retry_after, signature
from sigma.pyeval.monitor.sinks.webhook_template import check_template, fill

from .serving import serving
from .webhook_vendor import ALERT, BARE, TOKEN, Vendor, run, sink_to


def test_alert_as_it_is() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        async with sink_to(vendor, token=TOKEN, headers={"X-Team": "blue"}) as sink:
            assert (sink.name, sink.kind, sink.most, sink.linger) == ("webhook", "webhook", 1, 0)
            await sink.send([ALERT])
            await sink.send([BARE])
        (method, headers, body), (_, _, bare) = vendor.requests
        assert (method, json.loads(body), json.loads(bare)) == ("POST", ALERT, BARE)
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert (headers["content-type"], headers["x-team"]) == ("application/json", "blue")
        assert "x-signature-256" not in headers

    run(scenario)


def test_template() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        body = {"text": "{{ rule.title }} on {{host}}", "all": ["{{event}}"], "n": 1}
        async with sink_to(vendor, body=body, method="PUT") as sink:
            await sink.send([ALERT])
        assert vendor.requests[0][0] == "PUT"
        assert vendor.json == {"text": "Shell <from> web & server on web1", "all": [ALERT["event"]], "n": 1}

    run(scenario)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{{ event.pid }}", 7),
        ("{{event.pid}} ", "7 "),
        ("{{ event.argv }}", ["a", "b"]),
        ("{{ event.argv.1 }}", "b"),
        ("{{ event.argv.2 }}", None),
        ("{{ event.argv }}!", '["a","b"]!'),
        ("{{ event.process.name }}", "curl"),
        ("{{ event.nothing.at.all }}", None),
        ("<{{ event.nothing }}>", "<>"),
        ("{{ attack.techniques.0.id }}{{ host }}", "T1059web1"),
        ("{{ matched.0.found.0.value }}", "curl <!channel> & co"),
        ({"a": [None, True, 1.5, "{{ id }}"]}, {"a": [None, True, 1.5, "a1b2"]}),
        ("}} {x}", "}} {x}"),
    ],
)
def test_fill(template: Any, value: Any) -> None:
    check_template(template)
    assert fill(template, ALERT) == value


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    alert = {"id": "1", "event": {"a": "{{ rule.title }}"}, "rule": {"title": "{{ event.a }}"}}
    assert fill("{{ event.a }} {{ rule.title }}", alert) == "{{ rule.title }} {{ event.a }}"


@pytest.mark.parametrize(
    ("template", "finding"),
    [
        ("{{ }}", "begins no placeholder"),
        ("{{ rule.title", "begins no placeholder"),
        ("{{ rule.title | upper }}", "begins no placeholder"),
        ("{{ rule['title'] }}", "begins no placeholder"),
        ("{{ 1 + 1 }}", "begins no placeholder"),
        ("{{ ruel.title }}", "did you mean 'rule'"),
        ("{{ __class__ }}", "an alert has no"),
        ({"{{ id }}": 1}, "a key cannot hold"),
        ([{"a": ["{% if %} {{"]}], "begins no placeholder"),
    ],
)
def test_templates_that_are_refused(template: Any, finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        WebhookSettings.model_validate({"type": "webhook", "url": "http://h/", "body": template})


def test_signature_as_receivers_check_it() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        async with sink_to(vendor, secret="a-secret-of-16-bytes") as sink:
            await sink.send([ALERT])
        _, headers, body = vendor.requests[0]
        assert abs(int(headers["x-timestamp"]) - time.time()) < 60
        signed = headers["x-timestamp"].encode() + b"." + body
        expected = hmac.new(b"a-secret-of-16-bytes", signed, hashlib.sha256).hexdigest()
        assert headers["x-signature-256"] == f"sha256={expected}"

    run(scenario)


def test_signature_known_answer() -> None:
    # printf '1.{}' | openssl dgst -sha256 -hmac key
    assert signature("key", "1", b"{}") == "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_accepted(status: int) -> None:
    async def scenario() -> None:
        async with sink_to(Vendor(lambda _: Response(status_code=status))) as sink:
            await sink.send([ALERT])

    run(scenario)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (408, {}, None),
        (425, {}, None),
        (429, {"Retry-After": "7"}, 7.0),
        (500, {}, None),
        (503, {"Retry-After": "9999999"}, 3600.0),
        (502, {"Retry-After": "soon"}, None),
    ],
)
def test_answers_that_ask_to_come_again(status: int, headers: dict[str, str], wait: float | None) -> None:
    async def scenario() -> None:
        async with sink_to(Vendor(lambda _: PlainTextResponse("busy\x1b[31m", status, headers))) as sink:
            with pytest.raises(SendError, match=rf"127.0.0.1 answers {status}: busy\\x1b\[31m") as error:
                await sink.send([ALERT])
            assert error.value.retry_after == wait

    run(scenario)


def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert retry_after(format_datetime(now + timedelta(seconds=90), usegmt=True), now) == 90
    assert retry_after(format_datetime(now - timedelta(seconds=90), usegmt=True), now) == 0
    assert retry_after("Sun, 06 Nov 2094 08:49:37 -0000", now) == 3600


@pytest.mark.parametrize("status", [400, 413, 422])
def test_answers_that_refuse(status: int) -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: PlainTextResponse(f"no {TOKEN} here", status))
        async with sink_to(vendor, token=TOKEN) as sink:
            with pytest.raises(Refused) as refused:
                await sink.send([ALERT])
            assert refused.value.reasons == {0: f"127.0.0.1 answers {status}: no *** here"}

    run(scenario)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_answers_about_the_address_or_the_token_keep_the_alert(status: int) -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: PlainTextResponse("no", status))
        async with sink_to(vendor, token=TOKEN) as sink:
            with pytest.raises(SendError, match=f"answers {status}"):
                await sink.send([ALERT])

    run(scenario)


def test_redirects_are_not_followed() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: RedirectResponse("/elsewhere", 307))
        async with sink_to(vendor) as sink:
            with pytest.raises(SendError, match="answers 307"):
                await sink.send([ALERT])
        assert len(vendor.requests) == 1

    run(scenario)


def test_nobody_there_names_no_secret() -> None:
    async def scenario() -> None:
        async with serving([]) as address:
            url = f"http://{address}/services/secret-path"
        sink = WebhookSink(WebhookSettings.model_validate({"url": url}))
        with pytest.raises(SendError, match=r"^127\.0\.0\.1: ") as error:
            await sink.send([ALERT])
        assert "secret-path" not in str(error.value)
        assert "secret-path" not in repr(sink._settings)
        await sink.close()

    run(scenario)


def test_no_answer_in_time() -> None:
    async def scenario() -> None:
        async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # an answer that never ends, in pieces that keep the connection busy
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)
            writer.close()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            sink = WebhookSink(WebhookSettings.model_validate({"url": f"http://127.0.0.1:{port}/", "timeout": 0.2}))
            with pytest.raises(SendError, match=r"has not answered within 0\.2 seconds"):
                await sink.send([ALERT])
            await sink.close()
            await asyncio.sleep(0.1)

    run(scenario)


def test_an_endless_answer_is_read_no_further_than_its_bound() -> None:
    sent = 0
    gone = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while not gone.is_set():
            sent += 1 << 20
            yield b"x" * (1 << 20)
            await asyncio.sleep(0)

    async def scenario() -> None:
        async with sink_to(Vendor(lambda _: StreamingResponse(pieces()))) as sink:
            await sink.send([ALERT])
            told = sent
            gone.set()
        assert MOST_ANSWER_BYTES <= told < 4 * MOST_ANSWER_BYTES  # with what was on its way

    run(scenario)


def test_connection_closed_by_the_other_side_between_calls() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: PlainTextResponse("ok", headers={"Connection": "close"}))
        async with sink_to(vendor) as sink:
            for _ in range(3):
                await sink.send([ALERT])
        assert len(vendor.requests) == 3

    run(scenario)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def _written(blob: trustme.Blob, path: Path) -> str:
    blob.write_to_path(path)
    return str(path)


def test_tls(authority: trustme.CA, tmp_path: Path) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    tls = {
        "certificate": _written(certificate.cert_chain_pems[0], tmp_path / "cert.pem"),
        "key": _written(certificate.private_key_pem, tmp_path / "key.pem"),
    }

    async def scenario() -> None:
        vendor = Vendor()
        ca = _written(authority.cert_pem, tmp_path / "ca.pem")
        async with sink_to(vendor, server={"tls": tls}, ca=ca) as sink:
            await sink.send([ALERT])
            await sink.reopen()
            await sink.send([ALERT])
        async with sink_to(vendor, server={"tls": tls}) as sink:  # the system's authorities do not know it
            with pytest.raises(SendError, match="CERTIFICATE_VERIFY_FAILED"):
                await sink.send([ALERT])
        other = _written(trustme.CA().cert_pem, tmp_path / "other.pem")
        async with sink_to(vendor, server={"tls": tls}, ca=other) as sink:
            with pytest.raises(SendError, match="CERTIFICATE_VERIFY_FAILED"):
                await sink.send([ALERT])
        assert len(vendor.requests) == 2

    run(scenario)


def test_reopening_does_not_disturb_a_call() -> None:
    async def scenario() -> None:
        begun, release = asyncio.Event(), asyncio.Event()

        async def wait(_: Request) -> Response:
            begun.set()
            await release.wait()
            return PlainTextResponse("ok")

        async with serving([Route("/", wait, methods=["POST"])]) as address:
            sink = WebhookSink(WebhookSettings.model_validate({"url": f"http://{address}/"}))
            sending = asyncio.create_task(sink.send([ALERT]))
            await begun.wait()
            await sink.reopen()
            release.set()
            await sending
            await sink.send([ALERT])
            await sink.close()

    run(scenario)


def test_certificates_are_read_anew(authority: trustme.CA, tmp_path: Path) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    tls = {
        "certificate": _written(certificate.cert_chain_pems[0], tmp_path / "cert.pem"),
        "key": _written(certificate.private_key_pem, tmp_path / "key.pem"),
    }

    async def scenario() -> None:
        ca = _written(trustme.CA().cert_pem, tmp_path / "ca.pem")
        async with sink_to(Vendor(), server={"tls": tls}, ca=ca) as sink:
            with pytest.raises(SendError):
                await sink.send([ALERT])
            (tmp_path / "ca.pem").write_text("")
            await sink.reopen()
            with pytest.raises(SendError, match="cannot be used"):
                await sink.send([ALERT])
            authority.cert_pem.write_to_path(ca)
            await sink.reopen()
            await sink.send([ALERT])

    run(scenario)


def test_client_certificate(authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue_cert("sink")
    files = {
        "ca": _written(authority.cert_pem, tmp_path / "ca.pem"),
        "certificate": _written(client.cert_chain_pems[0], tmp_path / "cert.pem"),
        "key": _written(client.private_key_pem, tmp_path / "key.pem"),
    }

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            sink = WebhookSink(WebhookSettings.model_validate({"url": url, **files}))
            await sink.send([ALERT])
            await sink.close()
            sink = WebhookSink(WebhookSettings.model_validate({"url": url, "ca": files["ca"]}))
            with pytest.raises(SendError):
                await sink.send([ALERT])
            await sink.close()

    run(scenario)


def test_proxy() -> None:
    async def scenario() -> None:
        lines = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            lines.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            sink = WebhookSink(
                WebhookSettings.model_validate({"url": "http://hook.example/x", "proxy": f"http://127.0.0.1:{port}"})
            )
            await sink.send([ALERT])
            await sink.close()
        assert lines == [b"POST http://hook.example/x HTTP/1.1"]

    run(scenario)


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"url": "ftp://h/"}, "begins with https"),
        ({"url": "hook"}, "begins with https"),
        ({"url": "https://h:port/"}, "not a URL"),
        ({"url": "https://evil.example/", "allowed_hosts": ["hooks.slack.com"]}, "not among allowed_hosts"),
        ({"url": "https://h/", "headers": {"X-A": "b\r\nX-B: c"}}, "not printable ASCII"),
        ({"url": "https://h/", "headers": {"X A": "b"}}, "cannot be set"),
        ({"url": "https://h/", "headers": {"Content-Length": "3"}}, "cannot be set"),
        ({"url": "https://h/", "token": "a\nb"}, "not printable ASCII"),
        ({"url": "https://h/", "secret": "short"}, "at least 16"),
        ({"url": "https://h/", "preset": "slack", "token": TOKEN}, "takes no token"),
        ({"url": "https://h/", "preset": "slack", "body": {}}, "leave out body"),
        ({"url": "https://h/", "preset": "pagerduty"}, "needs a token"),
        ({"url": "https://h/", "preset": "splunk"}, "needs a token"),
        ({"url": "https://h/alerts", "preset": "elasticsearch"}, "ends with /_bulk"),
        ({"url": "https://h/", "preset": "slak"}, "Input should be"),
        ({"url": "https://h/", "key": __file__}, "belongs to certificate"),
        ({"url": "https://h/", "ca": __file__}, "cannot be used"),
        ({"url": "https://h/", "ca": "/does/not/exist"}, "does not point to a file"),
        ({"url": "https://h/", "proxy": "nowhere"}, "begins with https"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        WebhookSettings.model_validate({"type": "webhook", **settings})


def test_allowed_host() -> None:
    assert WebhookSettings.model_validate({"url": "https://hooks.slack.com/x", "allowed_hosts": ["hooks.slack.com"]})

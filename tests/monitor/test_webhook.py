"""The webhook sink against a server that answers as the vendors do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.sinks.webhook import MOST_ANSWER_BYTES, WebhookSettings, WebhookSink, retry_after, signature
from sigma.pyeval.monitor.sinks.webhook_presets import (
    PRESETS,
    read_elasticsearch,
    write_pagerduty,
    write_slack,
    write_splunk,
    write_teams,
)
from sigma.pyeval.monitor.sinks.webhook_template import check_template, fill

from .serving import serving
from .test_email import CORRELATED, SAID

TOKEN = "0123456789abcdef0123"
ALERT: dict[str, Any] = {
    "schema_version": 1,
    "id": "a1b2",
    "rule": {"id": "r-1", "title": "Shell <from> web & server", "level": "high", "tags": ["attack.t1059"]},
    "attack": {"tactics": [], "techniques": [{"id": "T1059", "name": "x"}], "groups": [], "software": []},
    "event": {"CommandLine": "curl <!channel> & co", "process.name": "curl", "pid": 7, "argv": ["a", "b"]},
    "event_time": "2026-01-02T03:04:05.250000Z",
    "detected": "2026-01-02T03:04:06Z",
    "host": "web1",
    "logsource": {"product": "linux"},
    "source": {"name": "auth", "type": "file", "path": "/var/log/auth.log", "offset": 7},
    "matched": [
        {
            "matcher": "contains",
            "field": "CommandLine",
            "values": ["curl"],
            "found": [{"path": ["CommandLine"], "value": "curl <!channel> & co", "spans": [[0, 4]]}],
        }
    ],
}
BARE = {"id": "only", "rule": {"title": "Bare"}}


class Vendor:
    """A route that keeps the requests and answers with *answer*."""

    def __init__(self, answer: Callable[[bytes], Response] = lambda body: PlainTextResponse("ok")) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.method, dict(request.headers), body))
        return self.answer(body)

    @property
    def routes(self) -> list[Route]:
        async def serve(request: Request) -> Response:
            return await self(request)

        return [Route("/{path:path}", serve, methods=["POST", "PUT"])]

    @property
    def json(self) -> Any:
        return json.loads(self.requests[-1][2])


@asynccontextmanager
async def sink_to(
    vendor: Vendor, path: str = "/hook/secret-path", server: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[WebhookSink]:
    scheme = "https" if server and "tls" in server else "http"
    async with serving(vendor.routes, **(server or {})) as address:
        sink = WebhookSink(
            WebhookSettings.model_validate({"type": "webhook", "url": f"{scheme}://{address}{path}", **settings})
        )
        try:
            yield sink
        finally:
            await sink.close()


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


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

    _run(scenario)


def test_template() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        body = {"text": "{{ rule.title }} on {{host}}", "all": ["{{event}}"], "n": 1}
        async with sink_to(vendor, body=body, method="PUT") as sink:
            await sink.send([ALERT])
        assert vendor.requests[0][0] == "PUT"
        assert vendor.json == {"text": "Shell <from> web & server on web1", "all": [ALERT["event"]], "n": 1}

    _run(scenario)


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

    _run(scenario)


def test_signature_known_answer() -> None:
    # printf '1.{}' | openssl dgst -sha256 -hmac key
    assert signature("key", "1", b"{}") == "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_accepted(status: int) -> None:
    async def scenario() -> None:
        async with sink_to(Vendor(lambda _: Response(status_code=status))) as sink:
            await sink.send([ALERT])

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_answers_about_the_address_or_the_token_keep_the_alert(status: int) -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: PlainTextResponse("no", status))
        async with sink_to(vendor, token=TOKEN) as sink:
            with pytest.raises(SendError, match=f"answers {status}"):
                await sink.send([ALERT])

    _run(scenario)


def test_redirects_are_not_followed() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: RedirectResponse("/elsewhere", 307))
        async with sink_to(vendor) as sink:
            with pytest.raises(SendError, match="answers 307"):
                await sink.send([ALERT])
        assert len(vendor.requests) == 1

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


def test_connection_closed_by_the_other_side_between_calls() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: PlainTextResponse("ok", headers={"Connection": "close"}))
        async with sink_to(vendor) as sink:
            for _ in range(3):
                await sink.send([ALERT])
        assert len(vendor.requests) == 3

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


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

    _run(scenario)


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


# --- presets ---


def test_slack() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        async with sink_to(vendor, preset="slack") as sink:
            assert sink.most == 1
            await sink.send([ALERT])
            message = vendor.json
            await sink.send([BARE])
        assert message["text"] == "[high] Shell &lt;from&gt; web &amp; server"
        header, section, found, context = message["blocks"]
        assert header["text"]["text"] == message["text"]
        assert {"type": "plain_text", "text": "techniques: T1059", "emoji": False} in section["fields"]
        assert found["text"]["text"] == "curl &lt;!channel&gt; &amp; co"
        assert context["elements"][0]["text"] == "alert a1b2"
        assert vendor.json["text"] == "[none] Bare"
        assert len(vendor.json["blocks"]) == 3

    _run(scenario)


def test_values_are_told_without_their_places() -> None:
    """First what happened, then what else matched; a find is an object: docs/alert.schema.json."""
    found = [
        {"path": ["pid"], "value": 7},
        {"path": ["CommandLine"], "value": "curl <!channel> & co", "spans": [[0, 4]]},
    ]
    message = json.loads(write_slack([{**ALERT, "matched": [{"field": "f", "found": found}]}], ""))
    assert "curl &lt;!channel&gt; &amp; co\npid: 7" in _texts(message)


def test_what_a_correlation_found_is_told() -> None:
    async def scenario() -> None:
        vendor = Vendor()
        async with sink_to(vendor, preset="slack") as sink:
            await sink.send([{**ALERT, "matched": [], "correlation": CORRELATED}])
        assert f"curl &lt;!channel&gt; &amp; co\n{SAID}" in _texts(vendor.json)

    _run(scenario)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


HOSTILE = {
    **ALERT,
    "rule": {"id": "<@U1>", "title": "<!here> " + "&" * 4000, "level": "<!channel>"},
    "host": "x\nhost: other <http://evil.example|click>",
    "matched": [
        {
            "field": "f",
            "found": [
                {"path": ["f"], "value": one}
                for one in ("a\nhost: web2", "\u202e<@U123>", "[x](http://evil.example) **b** " * 500)
            ],
        }
    ]
    * 30,
}


def test_slack_text_of_attackers_stays_text() -> None:
    message = json.loads(write_slack([HOSTILE], ""))
    assert not [text for text in _texts(message) if "<" in text or ">" in text or "\u202e" in text]
    assert not [
        text for text in _texts(message) if "&" in text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    ]
    header, section, found, _ = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["fields"]) <= 10
    assert all(len(field["text"]) <= 2000 and field["type"] == "plain_text" for field in section["fields"])
    assert len(found["text"]["text"]) <= 3000
    assert section["fields"][0]["text"].startswith("host: x\\nhost: other")


def test_teams() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: Response(status_code=202))
        async with sink_to(vendor, preset="teams") as sink:
            await sink.send([ALERT])
        assert vendor.json["type"] == "message"
        (attachment,) = vendor.json["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = attachment["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        # Markdown is read in TextBlock and Fact only
        assert {element["type"] for element in card["body"]} == {"RichTextBlock"}
        assert {run["type"] for element in card["body"] for run in element["inlines"]} == {"TextRun"}
        texts = [run["text"] for element in card["body"] for run in element["inlines"]]
        assert texts[0] == "[high] Shell <from> web & server"
        assert "curl <!channel> & co" in texts

    _run(scenario)


def test_teams_text_of_attackers_stays_text() -> None:
    alert = {**HOSTILE, "host": "{{DATE(2017-02-14T06:08:39Z,SHORT)}}"}
    body = write_teams([alert], "")
    assert len(body) < 28_000  # learn.microsoft.com, "Create an Incoming Webhook": messages are limited to 28 KB
    assert b"{{" not in body
    assert "entities" not in json.loads(body)["attachments"][0]["content"]["msteams"]


def test_pagerduty() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: JSONResponse({"status": "success", "dedup_key": "a1b2"}, 202))
        async with sink_to(vendor, "/v2/enqueue", preset="pagerduty", token=TOKEN) as sink:
            await sink.send([ALERT])
        assert "authorization" not in vendor.requests[0][1]
        event = vendor.json
        assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (TOKEN, "trigger", "a1b2")
        payload = event["payload"]
        assert (payload["summary"], payload["source"]) == ("[high] Shell <from> web & server", "web1")
        assert (payload["severity"], payload["timestamp"]) == ("error", ALERT["event_time"])
        assert payload["custom_details"] == ALERT

    _run(scenario)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("critical", "critical"),
        ("high", "error"),
        ("medium", "warning"),
        ("low", "info"),
        ("informational", "info"),
        (None, "info"),
    ],
)
def test_pagerduty_severity(level: str | None, severity: str) -> None:
    event = json.loads(write_pagerduty([{"id": "1", "rule": {"title": "t", "level": level}}], ""))
    assert event["payload"]["severity"] == severity
    assert event["payload"]["source"] == "unknown"
    assert None not in event["payload"].values()


def test_pagerduty_leaves_out_an_event_that_is_too_long() -> None:
    body = write_pagerduty([{**ALERT, "event": {"x": "y" * 600_000}}], "")
    assert len(body) < 500_000
    assert json.loads(body)["payload"]["custom_details"]["id"] == "a1b2"


def _bulk(statuses: dict[str, int]) -> Callable[[bytes], Response]:
    """Answer as Elasticsearch's _bulk, with the status of each id, 201 unless given."""

    def answer(body: bytes) -> Response:
        lines = body.decode().split("\n")
        assert lines.pop() == ""
        ids = [json.loads(line)["create"]["_id"] for line in lines[::2]]
        items = []
        for one in ids:
            status = statuses.get(one, 201)
            error = {} if status < 300 else {"error": {"type": "t", "reason": f"why {one}"}}
            items.append({"create": {"_index": "i", "_id": one, "status": status, **error}})
        return JSONResponse({"took": 1, "errors": bool(statuses), "items": items})

    return answer


ALERTS = [{**ALERT, "id": f"id{number}"} for number in range(5)]


def test_elasticsearch() -> None:
    async def scenario() -> None:
        vendor = Vendor(_bulk({"id1": 409}))
        async with sink_to(vendor, "/alerts/_bulk", preset="elasticsearch", token=TOKEN) as sink:
            assert sink.most > 1
            await sink.send(ALERTS)
        _, headers, body = vendor.requests[0]
        assert (headers["content-type"], headers["authorization"]) == ("application/x-ndjson", f"ApiKey {TOKEN}")
        document = json.loads(body.split(b"\n")[1])
        assert document == {"@timestamp": ALERT["event_time"], **ALERTS[0]}

    _run(scenario)


def test_elasticsearch_items() -> None:
    async def scenario() -> None:
        vendor = Vendor(_bulk({"id1": 400, "id3": 429}))
        async with sink_to(vendor, "/_bulk", preset="elasticsearch") as sink:
            with pytest.raises(SendError, match="1 of 5 not indexed: status 429: why id3"):
                await sink.send(ALERTS)
            vendor.answer = _bulk({"id1": 400, "id0": 409, "id2": 409})
            with pytest.raises(Refused) as refused:
                await sink.send(ALERTS)
            assert refused.value.reasons == {1: "status 400: why id1"}

    _run(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff",
        b"<html>",
        b"[]",
        b"{}",
        b'{"items": 7}',
        b'{"items": []}',
        b'{"items": [{}]}',
        b'{"items": [{"create": 1}]}',
        b'{"items": [{"create": {"status": null}}]}',
    ],
)
def test_elasticsearch_answer_that_is_none(answer: bytes) -> None:
    with pytest.raises(SendError):
        read_elasticsearch([ALERT], answer)


def test_batch_refused_for_its_body_is_sent_in_halves() -> None:
    async def scenario() -> None:
        def answer(body: bytes) -> Response:
            return (
                JSONResponse({"text": "Invalid data format", "code": 6}, 400)
                if b'"id3"' in body
                else PlainTextResponse("")
            )

        vendor = Vendor(answer)
        async with sink_to(vendor, preset="splunk", token=TOKEN) as sink:
            with pytest.raises(Refused) as refused:
                await sink.send(ALERTS)
            assert list(refused.value.reasons) == [3]
            # what the whole call is refused for is not about one alert
            count = len(vendor.requests)
            vendor.answer = lambda _: JSONResponse({"text": "Invalid token", "code": 4}, 403)
            with pytest.raises(SendError):
                await sink.send(ALERTS)
            assert len(vendor.requests) == count + 1

    _run(scenario)


def test_splunk() -> None:
    async def scenario() -> None:
        vendor = Vendor(lambda _: JSONResponse({"text": "Success", "code": 0}))
        async with sink_to(vendor, "/services/collector/event", preset="splunk", token=TOKEN) as sink:
            await sink.send([ALERT, BARE])
        _, headers, body = vendor.requests[0]
        assert headers["authorization"] == f"Splunk {TOKEN}"
        first, second = (json.loads(line) for line in body.split(b"\n"))
        assert first == {
            "time": 1767323045.25,
            "host": "web1",
            "source": "sigma-pyeval:auth",
            "sourcetype": "sigma:alert",
            "event": ALERT,
        }
        assert second == {"source": "sigma-pyeval:", "sourcetype": "sigma:alert", "event": BARE}

    _run(scenario)


def test_splunk_busy() -> None:
    async def scenario() -> None:
        async with sink_to(
            Vendor(lambda _: JSONResponse({"text": "Server is busy", "code": 9}, 503)), preset="splunk", token=TOKEN
        ) as sink:
            with pytest.raises(SendError, match="Server is busy"):
                await sink.send([ALERT])

    _run(scenario)


def test_splunk_time_that_cannot_be_read() -> None:
    event = json.loads(write_splunk([{**ALERT, "event_time": "yesterday"}], ""))
    assert event["time"] == 1767323046.0


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("alert", [BARE, {**BARE, **dict.fromkeys(set(ALERT) - set(BARE))}])
def test_any_key_but_id_and_title_may_be_missing_or_null(preset: str, alert: dict[str, Any]) -> None:
    assert PRESETS[preset].write([alert], TOKEN)  # type: ignore[index]

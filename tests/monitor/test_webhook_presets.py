"""What the presets send, and how they read the vendors' answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.sinks.webhook_presets import (
    PRESETS,
    read_elasticsearch,
    write_pagerduty,
    write_slack,
    write_splunk,
    write_teams,
)

from .test_email import CORRELATED, SAID
from .webhook_vendor import ALERT, BARE, TOKEN, Vendor, run, sink_to


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


def test_splunk_busy() -> None:
    async def scenario() -> None:
        async with sink_to(
            Vendor(lambda _: JSONResponse({"text": "Server is busy", "code": 9}, 503)), preset="splunk", token=TOKEN
        ) as sink:
            with pytest.raises(SendError, match="Server is busy"):
                await sink.send([ALERT])

    run(scenario)


def test_splunk_time_that_cannot_be_read() -> None:
    event = json.loads(write_splunk([{**ALERT, "event_time": "yesterday"}], ""))
    assert event["time"] == 1767323046.0


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("alert", [BARE, {**BARE, **dict.fromkeys(set(ALERT) - set(BARE))}])
def test_any_key_but_id_and_title_may_be_missing_or_null(preset: str, alert: dict[str, Any]) -> None:
    assert PRESETS[preset].write([alert], TOKEN)  # type: ignore[index]

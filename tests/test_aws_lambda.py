"""The Lambda handler: what AWS hands over is opened, what fails is given back, and the standard library is enough."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sigma.pyeval import aws_lambda, parse_rules
from sigma.pyeval.aws_lambda import BatchFailed, EnvelopeError, handler_for
from sigma.pyeval.codegen import emit_standalone

from .conftest import ROOT, rule_yaml

HIT = {"Image": "/bin/sh", "n": 1}
MISS = {"Image": "/bin/true", "n": 2}
SOURCE = emit_standalone(parse_rules(rule_yaml("s: {Image|endswith: /sh}\ncondition: s", "Shell") + "---\n" + rule_yaml("s: {message|contains: needle}\ncondition: s", "Needle")).rules)  # fmt: skip
RULES: dict[str, Any] = {"__name__": "detections"}
exec(compile(SOURCE, "detections", "exec"), RULES)


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def cloudwatch(*messages: str, kind: str = "DATA_MESSAGE") -> bytes:
    """Return a batch as CloudWatch Logs sends it."""
    events = [{"id": str(n), "timestamp": 0, "message": message} for n, message in enumerate(messages)]
    return gzip.compress(
        json.dumps({"messageType": kind, "logGroup": "g", "logStream": "s", "logEvents": events}).encode()
    )


def kinesis(*payloads: bytes | str) -> dict[str, Any]:
    records = [{"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": f"s{n}", "data": b64(one)}} for n, one in enumerate(payloads)]  # fmt: skip
    return {"Records": records}


def sqs(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [{"eventSource": "aws:sqs", "messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    }


def s3(*keys: str) -> dict[str, Any]:
    return {
        "Records": [
            {"eventSource": "aws:s3", "s3": {"bucket": {"name": "logs"}, "object": {"key": key}}} for key in keys
        ]
    }


LINES = json.dumps(HIT) + "\n\n" + json.dumps(MISS) + "\na needle\n{broken needle\n"
FILES = {
    "a b.jsonl": LINES.encode(),
    "two.gz": gzip.compress(LINES.encode()[:50]) + gzip.compress(LINES.encode()[50:]),
    "trail.json": json.dumps({"Records": [HIT, MISS]}).encode(),
    "pretty.json": json.dumps(HIT, indent=1).encode(),
    "bad.gz": gzip.compress(b"x" * 100)[:-9],
    "worse.gz": b"\x1f\x8bxxxx",
}


def fetch(bucket: str, key: str) -> bytes:
    assert bucket == "logs"
    return FILES[key]


CASES = [
    # what Lambda is given, titles of the rules that match, number of events, failures
    (kinesis(json.dumps(HIT), json.dumps(MISS), "a needle"), ["Shell", "Needle"], 3, []),
    (kinesis(LINES), ["Shell", "Needle", "Needle"], 4, []),
    (kinesis(gzip.compress(LINES.encode())), ["Shell", "Needle", "Needle"], 4, []),
    (kinesis(cloudwatch(json.dumps(HIT), "needle", json.dumps([1])), cloudwatch(kind="CONTROL_MESSAGE")), ["Shell", "Needle"], 3, []),
    (kinesis(json.dumps([HIT, MISS, "needle", 5])), ["Shell", "Needle"], 4, []),
    (kinesis(FILES["bad.gz"], json.dumps(HIT), FILES["worse.gz"]), ["Shell"], 1, ["s0", "s2"]),
    ({"Records": [{"kinesis": {"sequenceNumber": "s0", "data": "!"}}]}, [], 0, ["s0"]),
    (sqs(json.dumps(HIT), "needle", "bmVlZGxl"), ["Shell", "Needle"], 3, []),
    (sqs(json.dumps(s3("a+b.jsonl")), json.dumps(s3("missing"))), ["Shell", "Needle", "Needle"], 4, ["m1"]),
    ({"awslogs": {"data": b64(cloudwatch(json.dumps(HIT), "needle"))}}, ["Shell", "Needle"], 2, []),
    (s3("a+b.jsonl", "two.gz"), ["Shell", "Needle", "Needle"] * 2, 8, []),
    (s3("trail.json", "pretty.json"), ["Shell", "Shell"], 3, []),
    ({"Records": []}, [], 0, []),
    # as sigma-pyeval scan reads them
    (kinesis(json.dumps(HIT | {"t": "a\u2028b\x85c"}, ensure_ascii=False) + "\r\n" + json.dumps(HIT) + "\nneedle\r\n"), ["Shell", "Shell", "Needle"], 3, []),
    (kinesis(b"\xef\xbb\xbf" + LINES.encode()), ["Shell", "Needle", "Needle"], 4, []),
    (kinesis(json.dumps(HIT) * 3, json.dumps(HIT, indent=1) * 2 + "\n", json.dumps(HIT) + " 5"), ["Shell"] * 5, 6, []),
    (kinesis(cloudwatch("needle") + cloudwatch("needle")), ["Needle"] * 2, 2, []),
    (kinesis('{"Image": "/bin/sh", "n": ' + "1" * 5_000 + "}", '{"Image": "/bin/sh", "t": "a\tb\nc"}'), ["Shell"] * 2, 2, []),
    (kinesis('{"Image": [NaN, "/bin/sh"]}', "[" * 900 + json.dumps(HIT) + "]" * 900), ["Shell"] * 2, 2, []),
    (kinesis(gzip.compress(LINES.encode()) + b"\0" * 9, gzip.compress(b"needle") + b"\nneedle"), ["Shell", "Needle", "Needle"], 4, ["s1"]),
    (sqs('{"a": "\ud800"}', "needle \ud800"), ["Needle"], 2, []),
]  # fmt: skip


@pytest.mark.parametrize(("given", "titles", "events", "failures"), CASES)
def test_what_lambda_is_given(given: dict[str, Any], titles: list[str], events: int, failures: list[str]) -> None:
    """Each event is judged once; what cannot be opened is given back by its identifier, the rest is done."""
    found: list[dict[str, Any]] = []
    answer = handler_for(RULES["match"], found.append, fetch=fetch)(given, None)
    assert [one["rule"]["title"] for one in found] == titles
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": one} for one in failures], "events": events, "matches": len(titles),
    }  # fmt: skip


def test_a_match_tells_where_it_was_found() -> None:
    """Its rule, its event, and what Lambda knows the record by."""
    found: list[dict[str, Any]] = []
    handler = handler_for(RULES["match"], found.append, fetch=fetch)
    for given in (
        kinesis(json.dumps(HIT)),
        sqs("needle"),
        s3("trail.json"),
        {"awslogs": {"data": b64(cloudwatch("needle"))}},
    ):
        handler(given, None)
    assert [one["source"] for one in found] == [
        {"type": "kinesis", "id": "s0"},
        {"type": "sqs", "id": "m0"},
        {"type": "s3", "bucket": "logs", "key": "trail.json"},
        {"type": "cloudwatch-logs"},
    ]
    assert found[0]["event"] == HIT
    assert found[1]["event"] == {"message": "needle"}


def test_numbers_are_those_of_scan() -> None:
    """What JSON has no number for is text, what 64 bits do not hold a float, a line its own text to the last character."""
    found: list[dict[str, Any]] = []
    lines = f'{{"n": [NaN, -Infinity, {2**64}, {2**64 - 1}, 1e999, {"9" * 400}]}}\n[1, "x"]\n  a line\r\n'
    handler_for(lambda event: [event], found.append)(kinesis(lines), None)
    assert [one["event"] for one in found] == [
        {"n": ["NaN", "-Infinity", 2.0**64, 2**64 - 1, "1e999", "9" * 400]},
        *({"message": text} for text in ("1", "x", "  a line")),
    ]


def test_files_are_fetched_by_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the boto3 that Lambda has, for which a stand-in with the same two calls is put here."""

    class Client:
        def get_object(self, **wanted: str) -> dict[str, io.BytesIO]:
            return {"Body": io.BytesIO(fetch(wanted["Bucket"], wanted["Key"]))}

    made: list[str] = []
    boto3 = ModuleType("boto3")
    boto3.client = lambda service: made.append(service) or Client()  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    aws_lambda._s3_client.cache_clear()
    assert handler_for(RULES["match"], print)(s3("a+b.jsonl", "two.gz"), None)["events"] == 8
    assert made == ["s3"]
    aws_lambda._s3_client.cache_clear()


def test_the_field_of_a_line() -> None:
    """Where rules look for it."""
    found: list[dict[str, Any]] = []
    handler_for(RULES["match"], found.append, text_field="Image")(kinesis("x/sh"), None)
    assert [one["event"] for one in found] == [{"Image": "x/sh"}]


def test_matches_that_are_not_taken_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The record comes again; the reason is in the function's log, unable to forge a line there."""

    def refuse(found: dict[str, Any]) -> None:
        raise OSError("down\nfor good")

    answer = handler_for(RULES["match"], refuse)(kinesis(json.dumps(MISS), json.dumps(HIT)), None)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "s1"}]
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("OSError: down\\nfor good")


def test_what_has_no_identifier_fails_as_a_whole() -> None:
    """After all else is done, so that Lambda calls again or puts it aside."""
    found: list[dict[str, Any]] = []
    handler = handler_for(RULES["match"], found.append, fetch=fetch)
    with pytest.raises(BatchFailed, match=r"1 parts failed, one of them .*missing"):
        handler(s3("missing", "trail.json"), None)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"detail": 1}, "neither 'awslogs' nor 'Records' in what Lambda was given, but \\['detail'\\]"),
        ({"Records": [{"eventSource": "aws:dynamodb"}]}, "a record of 'aws:dynamodb', not of Kinesis, SQS or S3"),
    ],
)
def test_other_invocations_are_refused(given: dict[str, Any], message: str) -> None:
    """A function that is connected to something else says so at once."""
    with pytest.raises(EnvelopeError, match=message):
        handler_for(RULES["match"])(given, None)


def test_a_bomb_is_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows beyond the bound is given back, over however many parts it is spread."""
    monkeypatch.setattr(aws_lambda, "MOST_BYTES", 1_000)
    handler = handler_for(RULES["match"])
    assert handler(kinesis(gzip.compress(b"x" * 1_001)), None)["batchItemFailures"]
    assert handler(kinesis(gzip.compress(b"x" * 600) * 2), None)["batchItemFailures"]
    assert not handler(kinesis(gzip.compress(b"x" * 1_000)), None)["batchItemFailures"]


def test_the_copied_file_needs_nothing(tmp_path: Path) -> None:
    """Both files alone in a folder, the standard library and nothing else: the function runs, matches on stdout."""
    (tmp_path / "detections.py").write_text(SOURCE)
    shutil.copy(ROOT / "sigma" / "pyeval" / "aws_lambda.py", tmp_path)
    program = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from detections import match; from aws_lambda import handler_for; "
        "print(json.dumps(handler_for(match)(json.load(sys.stdin), None)))"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path)]
    given = json.dumps(kinesis(json.dumps(HIT)))
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, env=os.environ)
    match, answer = map(json.loads, done.stdout.splitlines())
    assert (match["rule"]["title"], match["event"]) == ("Shell", HIT)
    assert answer == {"batchItemFailures": [], "events": 1, "matches": 1}

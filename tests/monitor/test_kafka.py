"""Kafka without a broker: settings, how they become aiokafka's, messages as lines, what may be committed, nobody answers."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import PartError, SendError
from sigma.pyeval.monitor.kafka_connection import CLIENT_LOG, AiokafkaMissingError, client_options
from sigma.pyeval.monitor.lines import LineStream
from sigma.pyeval.monitor.sinks.kafka import KEY_BYTES, KafkaSink, KafkaSinkSettings, message_key, producer_options
from sigma.pyeval.monitor.sources import kafka_partition
from sigma.pyeval.monitor.sources.kafka import KafkaSource, KafkaSourceSettings, consumer_options
from sigma.pyeval.monitor.sources.kafka_partition import TOMBSTONE, Partition, lines_of

from .intake import KeptIntake, running

PASSWORD = "s3cret-of-kafka"
ALERT = {
    "schema_version": 1,
    "id": "a1",
    "rule": {"id": "r1", "title": "T", "level": "high"},
    "host": "web1",
    "event": {"User": "eve"},
}


def source(**changes: Any) -> KafkaSourceSettings:
    return KafkaSourceSettings.model_validate({"brokers": ["127.0.0.1:9092"], "group": "g", "topics": ["t"], **changes})


def sink(**changes: Any) -> KafkaSinkSettings:
    return KafkaSinkSettings.model_validate({"brokers": ["127.0.0.1:9092"], "topic": "alerts", **changes})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    client = authority.issue_cert("client.example")
    files = SimpleNamespace(
        ca=folder / "ca.pem", cert=folder / "cert.pem", key=folder / "key.pem", none=folder / "none.pem"
    )
    authority.cert_pem.write_to_path(str(files.ca))
    client.cert_chain_pems[0].write_to_path(str(files.cert))
    client.private_key_pem.write_to_path(str(files.key))
    return files


# Settings


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"brokers": []}, "at least 1"),
        ({"brokers": ["kafka.example"]}, "host:port"),
        ({"brokers": ["kafka.example:70000"]}, "host:port"),
        ({"brokers": ["a:9092,b:9092"]}, "host:port"),
        ({"topics": []}, "either 'topics' or 'pattern'"),
        ({"pattern": "logs.*"}, "either 'topics' or 'pattern'"),
        ({"topics": [], "pattern": "("}, "not a regular expression"),
        ({"topics": ["a b"]}, "topic's name"),
        ({"group": ""}, "at least 1"),
        ({"format": "jsonll"}, "did you mean 'jsonl'"),
        ({"options": {"nope": True}, "format": "jsonl"}, "no option 'nope'"),
        ({"sasl": {"mechanism": "PLAIN", "username": "u", "password": "p"}}, "unencrypted"),
        ({"sasl": {"mechanism": "GSSAPI", "username": "u", "password": "p"}}, "SCRAM-SHA-512"),
        ({"tls": {"ca": "/does/not/exist"}}, "not point to a file"),
        ({"tls": {"ca": __file__}}, "certificates cannot be used"),
        ({"tls": {"key": __file__}}, "without 'cert'"),
        ({"auto_commit": True}, "Extra inputs"),
    ],
)
def test_mistakes_are_found_when_the_configuration_is_read(changes: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        source(**changes)


@pytest.mark.parametrize("key", ["", "rules", "field:", "field: "])
def test_keys_that_do_not_exist_are_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="key"):
        sink(key=key)


def test_an_encrypted_key_asks_nobody_for_its_password(certificates: SimpleNamespace, tmp_path: Path) -> None:
    """OpenSSL would ask the terminal, and a service would hang."""
    key = tmp_path / "encrypted.pem"
    command = ["openssl", "pkey", "-in", certificates.key, "-aes256", "-passout", f"pass:{PASSWORD}", "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    files = {"cert": str(certificates.cert), "key": str(key)}
    with pytest.raises(ValidationError, match="cannot be used"):
        source(tls=files)
    source(tls={**files, "key_password": PASSWORD})


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": {}}, "SSL"),
        ({"sasl": {"username": "u", "password": PASSWORD}}, "SASL_PLAINTEXT"),
        ({"tls": {}, "sasl": {"mechanism": "PLAIN", "username": "u", "password": PASSWORD}}, "SASL_SSL"),
        ({"tls": {}, "sasl": {"mechanism": "SCRAM-SHA-256", "username": "u", "password": PASSWORD}}, "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_tls_and_sasl(changes: dict[str, Any], protocol: str) -> None:
    """aiokafka accepts what the settings become; it is not asked to connect."""
    read, written = source(**changes), sink(**changes)
    assert client_options(read)["security_protocol"] == client_options(written)["security_protocol"] == protocol

    async def construct() -> None:
        consumer, producer = AIOKafkaConsumer(**consumer_options(read)), AIOKafkaProducer(**producer_options(written))
        await consumer.stop()
        await producer.stop()

    asyncio.run(construct())
    if read.sasl is not None:
        assert client_options(read)["sasl_mechanism"] == read.sasl.mechanism
        assert client_options(read)["sasl_plain_password"] == PASSWORD
    assert PASSWORD not in repr(read) + str(read) + read.model_dump_json()


def test_offsets_are_never_committed_by_the_library() -> None:
    options = consumer_options(source(session_timeout=12, max_poll_interval=60, refresh=5, isolation="read_committed"))
    assert options["enable_auto_commit"] is False
    assert options["auto_offset_reset"] == "none"
    assert options["session_timeout_ms"] == 12_000
    assert options["heartbeat_interval_ms"] == 3_000
    assert options["max_poll_interval_ms"] == 60_000
    assert options["metadata_max_age_ms"] == 5_000
    assert options["isolation_level"] == "read_committed"
    assert options["request_timeout_ms"] > options["rebalance_timeout_ms"]


def test_the_producer_is_idempotent_and_waits_for_all_replicas() -> None:
    options = producer_options(sink(compression="gzip", max_message_bytes=5_000))
    assert (options["enable_idempotence"], options["acks"]) == (True, "all")
    assert (options["compression_type"], options["max_request_size"]) == ("gzip", 5_000)
    assert producer_options(sink())["compression_type"] is None


def test_settings_load_without_aiokafka_and_running_says_how_to_install_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['aiokafka'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'aiokafka' else real(name, *rest)\n"
        "from sigma.pyeval.monitor.sources.kafka import KafkaSource, KafkaSourceSettings\n"
        "from sigma.pyeval.monitor.sinks.kafka import KafkaSink, KafkaSinkSettings\n"
        "for kind, settings in ((KafkaSource, KafkaSourceSettings(brokers=('h:1',), group='g', topics=('t',))),\n"
        "                       (KafkaSink, KafkaSinkSettings(brokers=('h:1',), topic='t'))):\n"
        "    try: kind(settings)\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["kafka needs aiokafka: pip install 'pySigma-backend-pyeval[kafka]'"] * 2


def test_loading_the_settings_does_not_import_aiokafka() -> None:
    code = (
        "import sys; import sigma.pyeval.monitor.sources.kafka, sigma.pyeval.monitor.sinks.kafka\n"
        "print('aiokafka' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Messages as lines


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (b"one", [b"one"]),
        (b"one\r\n", [b"one"]),
        (b"", [b""]),
        (b"one\r\ntwo\n", [b"one", b"two", b""]),
        (b'{"a":\n 1}', [b'{"a":\n 1}']),
        (b'{"a": 1}\n{"a": 2}', [b'{"a": 1}', b'{"a": 2}', b""]),
        (b'{"a":\n 1', [b'{"a":', b" 1", b""]),
    ],
)
def test_a_message_is_one_line_or_its_lines(value: bytes, lines: list[bytes]) -> None:
    assert lines_of(value) == lines


def message(offset: int, value: bytes | None) -> Any:
    return SimpleNamespace(offset=offset, value=value)


def partition(input_format: str = "jsonl", longest: int = 1_000) -> Partition:
    return Partition("logs", 3, LineStream(input_format), longest)


def test_places_name_the_line_only_where_there_are_several() -> None:
    one = partition()
    one.feed([message(7, b'{"n": 1}'), message(9, b'{"n": 2}\n{"n": 3}')])
    assert [(record.event["n"], one.place(record)) for record in one.take().records] == [
        (1, {"topic": "logs", "partition": 3, "offset": 7}),
        (2, {"topic": "logs", "partition": 3, "offset": 9, "line": 1}),
        (3, {"topic": "logs", "partition": 3, "offset": 9, "line": 2}),
    ]


def test_poison_is_put_aside_whole_and_the_rest_goes_on() -> None:
    one = partition()
    values = [
        b'{"n": 1}',
        b"no json",
        b'{"n": 2}',
        None,
        b'{"pad": "' + b"x" * 2_000 + b'"}',
        b'bad\n{"n": 3}\nbad too',
    ]
    one.feed(message(number, value) for number, value in enumerate(values))
    reading = one.take()
    assert [record.event["n"] for record in reading.records] == [1, 2, 3]
    assert {letter.place["offset"]: letter.raw for letter in reading.letters} == {
        1: values[1],
        4: values[4],
        5: values[5],
    }
    assert all(letter.place["topic"] == "logs" and letter.place["partition"] == 3 for letter in reading.letters)
    assert next(letter.reason for letter in reading.letters if letter.place["offset"] == 4).endswith(
        "max_message_bytes is 1000"
    )
    assert TOMBSTONE in [problem.reason for problem in reading.problems]
    assert len(reading.problems) == 5
    assert (reading.messages, reading.size) == (6, sum(len(value or b"") for value in values))
    assert one.take().messages == 0


@pytest.mark.parametrize("broken", [b'{"n": {"deep": 1', b'{\n "n": {\n  "deep": 1', b'{"n": [{"a": 1}'])
def test_broken_json_does_not_swallow_the_next_message(broken: bytes) -> None:
    one = partition()
    one.feed([message(0, broken), message(1, b'{\n "n": 1\n}'), message(2, b'{"n": 2}')])
    reading = one.take()
    assert [record.event for record in reading.records] == [{"n": 1}, {"n": 2}]
    assert [(letter.place["offset"], letter.raw) for letter in reading.letters] == [(0, broken)]


def test_an_unknown_format_puts_every_message_aside() -> None:
    one = partition("auto")
    one.feed(message(number, b"?? %d" % number) for number in range(3))
    assert one.holds
    one.pause()
    assert [letter.raw for letter in one.take().letters] == [b"?? 0", b"?? 1", b"?? 2"]


def test_memory_for_letters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_partition, "MAX_KEPT_BYTES", 100)
    one = partition("auto")
    one.feed(message(number, b"? %60d" % number) for number in range(5))
    one.pause()
    letters = one.take().letters
    assert [letter.place["offset"] for letter in letters] == [0, 1, 2, 3, 4]
    assert all(letter.raw.strip() for letter in letters)


# What may be committed


def test_the_offset_waits_for_the_earliest_batch() -> None:
    one = partition()
    passages = []
    for number in range(3):
        one.feed([message(number, b'{"n": 1}')])
        one.take()
        passages.append(one.depart())
    one.arrive(passages[1])
    assert one.settled is None
    one.arrive(passages[0])
    assert (one.settled, one.unsettled) == (2, 1)
    one.arrive(passages[2])
    assert (one.settled, one.unsettled) == (3, 0)


def test_the_offset_stays_before_an_event_that_is_not_whole() -> None:
    """auditd: the records of one event are messages of their own."""
    audit = "type=%s msg=audit(1700000000.100:%d): %s"
    one = partition("auditd")
    one.feed(
        [
            message(4, (audit % ("USER_LOGIN", 1, "pid=1 uid=0")).encode()),
            message(
                5, (audit % ("SYSCALL", 2, 'arch=c000003e syscall=59 success=yes exit=0 pid=9 exe="/bin/ls"')).encode()
            ),
            message(6, (audit % ("USER_LOGIN", 3, "pid=1 uid=0")).encode()),
        ]
    )
    assert len(one.take().records) == 3
    one.arrive(one.depart())
    assert one.settled == 5
    one.pause()
    one.take()
    one.arrive(one.depart())
    assert one.settled == 7


# Keys and headers


@pytest.mark.parametrize(
    ("kind", "alert", "key"),
    [
        ("rule", ALERT, b"r1"),
        ("rule", {**ALERT, "rule": {"id": None, "title": "T"}}, b"T"),
        ("host", ALERT, b"web1"),
        ("host", {**ALERT, "host": None}, None),
        ("id", ALERT, b"a1"),
        ("field:User", ALERT, b"eve"),
        ("field:Nothing", ALERT, None),
        ("field:Number", {**ALERT, "event": {"Number": 4}}, b"4"),
        ("field:Lone", {**ALERT, "event": {"Lone": "\ud800"}}, b"\\ud800"),
        ("field:Long", {**ALERT, "event": {"Long": "x" * 5_000}}, b"x" * KEY_BYTES),
    ],
)
def test_keys(kind: str, alert: dict[str, Any], key: bytes | None) -> None:
    assert message_key(alert, sink(key=kind).key) == key


# Nobody answers


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_source_tells_that_nobody_answers_tries_again_and_stops_at_once() -> None:
    async def check() -> None:
        address = f"127.0.0.1:{closed_port()}"
        intake = KeptIntake()
        async with running(KafkaSource(source(brokers=[address])), intake, 2):
            await intake.until(lambda: len(intake.reported) == 2)
        assert all(address in reason and "tried again in" in reason for reason in intake.reported)
        assert not intake.is_connected
        assert not intake.losses

    asyncio.run(check())


def test_the_sink_asks_to_send_again_where_nobody_answers() -> None:
    async def check() -> None:
        address = f"127.0.0.1:{closed_port()}"
        one = KafkaSink(sink(brokers=[address]))
        try:
            for _ in range(2):
                with pytest.raises(SendError, match=rf"^kafka: .*bootstrap from \[{re.escape(address)}\]$"):
                    await one.send([ALERT])
        finally:
            await one.close()

    asyncio.run(check())


def test_the_sink_does_not_wait_longer_than_it_may() -> None:
    """A listener that never answers."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()
            ended.set()

    ended = asyncio.Event()

    async def check() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        one = KafkaSink(sink(brokers=[f"127.0.0.1:{port}"], timeout=0.2))
        try:
            with pytest.raises(SendError, match=r"within 0\.2 s|bootstrap"):
                await one.send([ALERT])
        finally:
            await one.close()
            await asyncio.wait_for(ended.wait(), 5)
            server.close()
            await server.wait_closed()

    asyncio.run(check())


def test_the_log_of_aiokafka_becomes_ours_and_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything from warnings up, one line each, without control characters; the rest of a minute is counted."""
    monkeypatch.setattr(logging.getLogger("sigma_pyeval.monitor"), "propagate", True)
    CLIENT_LOG.finish()
    CLIENT_LOG.attach()
    CLIENT_LOG.attach()
    client = logging.getLogger("aiokafka.conn")
    caplog.set_level(logging.INFO)
    client.info("chatter")
    try:
        raise ConnectionRefusedError("no\x1b[2J way")
    except ConnectionRefusedError:
        client.exception("Unable to connect to %s", "broker:9092")
    for _ in range(30):
        client.error("again")
    CLIENT_LOG.finish()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == r"kafka client: Unable to connect to broker:9092: ConnectionRefusedError: no\x1b[2J way"
    assert lines[1:] == ["kafka client: again"] * 9 + ["kafka client: 21 messages more like these"]
    assert {record.name for record in caplog.records} == {"sigma_pyeval.monitor"}


def test_the_library_that_is_missing_is_a_part_that_cannot_run() -> None:
    assert issubclass(AiokafkaMissingError, PartError)

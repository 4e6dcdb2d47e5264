"""The syslog sink: alerts through every transport, receivers that go away, refuse, hang or are not who they say."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import Refused, SendError
from sigma.pyeval.monitor.sinks.syslog import SyslogSink, SyslogSinkSettings

from .intake import KeptIntake
from .syslog_senders import LOOPBACK, Certificates, listening
from .test_syslog_message import ALERT


def alerts(count: int, first: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [{**ALERT, "id": f"id-{number}", **more} for number in range(first, first + count)]


def ids(intake: KeptIntake) -> list[str]:
    return [json.loads(event["MESSAGE"])["id"] for event in intake.events]


@asynccontextmanager
async def sink_to(port: int, transport: str, **settings: Any) -> AsyncIterator[SyslogSink]:
    host = settings.pop("host", "127.0.0.1")
    sink = SyslogSink(SyslogSinkSettings(type="syslog", host=host, port=port, transport=transport, **settings))
    try:
        yield sink
    finally:
        await sink.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


# Settings


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({}, "host"),
        ({"host": ""}, "host"),
        ({"host": "a b"}, "only visible ASCII"),
        ({"host": ".example"}, "not the name of a machine"),
        ({"host": "a" * 64}, "not the name of a machine"),
        ({"host": "h", "facility": "local8"}, "facility"),
        ({"host": "h", "app_name": "über"}, "only visible ASCII"),
        ({"host": "h", "app_name": ""}, "app_name"),
        ({"host": "h", "app_name": "a" * 49}, "app_name"),
        ({"host": "h", "max_message_bytes": 1_000}, "max_message_bytes"),
        ({"host": "h", "transport": "udp", "max_message_bytes": 65_508}, "a datagram has at most 65507 bytes"),
        ({"host": "h", "transport": "tcp", "tls": {}}, "tls is given, but transport is tcp"),
        ({"host": "h", "tls": {"ca": "/absent"}}, "does not point to a file"),
        ({"host": "h", "tls": {"ca": __file__}}, "ca, certificate or key cannot be used"),
        ({"host": "h", "tls": {"certificate": __file__}}, "certificate and key go together"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        SyslogSinkSettings(type="syslog", **settings)


def test_tls_is_the_default() -> None:
    settings = SyslogSinkSettings(type="syslog", host="siem.example")
    assert settings.transport == "tls"
    sink = SyslogSink(settings)
    assert (sink.name, sink.kind, sink.linger) == ("syslog", "syslog", 0)


# Round trips


def test_alerts_come_by_udp() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, udp=LOOPBACK) as source,
            sink_to(source.bound["udp"][1], "udp", max_message_bytes=65_507) as sink,
        ):
            await sink.send(alerts(2))
            await sink.send(alerts(1, 2, event={"A": "x" * 60_000}))
            await intake.until(lambda: len(intake.events) == 3)
        assert ids(intake) == ["id-0", "id-1", "id-2"]
        assert len(json.loads(intake.events[2]["MESSAGE"])["event"]["A"]) == 60_000

    asyncio.run(run())


@pytest.mark.parametrize("asks", [None, False, True])
def test_alerts_come_by_tcp_and_tls(certificates: Certificates, asks: bool | None) -> None:
    async def run() -> None:
        intake = KeptIntake()
        tls = certificates.listener(**({"client_ca": certificates.ca} if asks else {}))
        listener: dict[str, Any] = {"tcp": LOOPBACK} if asks is None else {"tls": tls}
        sender = {"ca": certificates.ca}
        if asks:
            sender |= {"certificate": certificates.client_certificate, "key": certificates.client_key}
        (name,) = listener
        async with listening(intake, **listener) as source:
            async with sink_to(source.bound[name][1], name, **({} if asks is None else {"tls": sender})) as sink:
                for first in range(0, 1_000, 100):
                    await sink.send(alerts(100, first))
            await intake.until(lambda: len(intake.events) == 1_000)
        assert ids(intake) == [f"id-{number}" for number in range(1_000)]
        assert len(set(map(str, intake.places))) == 1_000
        assert not intake.reported
        assert not intake.problems

    asyncio.run(run())


def test_a_burst_does_not_overrun_a_receiver_with_a_usual_buffer() -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 106_496)  # doubled: net.core.rmem_default
            received = 0

            def read() -> None:
                nonlocal received
                with suppress(BlockingIOError):
                    while receiver.recv(10_000):
                        received += 1

            async with sink_to(receiver.getsockname()[1], "udp") as sink:
                sending = asyncio.create_task(sink.send(alerts(100, event={"A": "x" * 5_000})))
                while not sending.done():
                    await asyncio.sleep(0.005)
                    read()
                await sending
            read()
        assert received == 100

    asyncio.run(run())


# Receivers that fail


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_nobody_there(transport: str) -> None:
    async def run() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        async with sink_to(port, transport) as sink:
            for _ in range(2):
                with pytest.raises(SendError, match=rf"{transport} 127\.0\.0\.1:{port}: \[Errno 111\]"):
                    await sink.send(alerts(1))

    asyncio.run(run())


def test_a_name_that_does_not_exist() -> None:
    async def run() -> None:
        for transport in ("udp", "tcp"):
            async with sink_to(1, transport, host="absent.invalid") as sink:
                with pytest.raises(SendError, match=r"absent\.invalid"):
                    await sink.send(alerts(1))

    asyncio.run(run())


def test_a_datagram_that_the_network_does_not_take_is_refused() -> None:
    """To IPv4 a datagram has at most 65,507 bytes, whatever is set; a path with a smaller limit shows the same error."""

    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, udp=LOOPBACK) as source,
            sink_to(source.bound["udp"][1], "udp", max_message_bytes=65_507) as sink,
        ):
            sink._messages._size = 70_000
            with pytest.raises(Refused) as refused:
                await sink.send([*alerts(1), *alerts(1, 1, event={"A": "x" * 68_000}), *alerts(1, 2)])
            await intake.until(lambda: len(intake.events) == 2)
        assert refused.value.reasons == {1: "longer than the network's datagrams"}
        assert ids(intake) == ["id-0", "id-2"]

    asyncio.run(run())


@asynccontextmanager
async def receiver(handler: Any, buffer: int | None = None) -> AsyncIterator[int]:
    """Give the port of a listener whose connections *handler* gets."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        server = await asyncio.start_server(handler, sock=sock)
        try:
            yield sock.getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


def test_a_receiver_that_closed_between_two_sendings_costs_nothing() -> None:
    async def run() -> None:
        received: list[bytes] = []

        async def one_message_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            size = int(await reader.readuntil(b" "))
            received.append(await reader.readexactly(size))
            await asyncio.sleep(0.1)
            writer.close()

        async with receiver(one_message_each) as port, sink_to(port, "tcp") as sink:
            for number in range(3):
                await sink.send(alerts(1, number))
                await asyncio.sleep(0.2)
        assert [json.loads(message[message.rindex(b'] {"') + 2 :])["id"] for message in received] == [
            "id-0",
            "id-1",
            "id-2",
        ]

    asyncio.run(run())


def test_a_receiver_that_closes_at_once_has_not_accepted() -> None:
    """A source that does not allow us, or has no place, takes the connection and closes it."""

    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, tcp=LOOPBACK, allow=["192.0.2.0/24"]) as source,
            sink_to(source.bound["tcp"][1], "tcp") as sink,
        ):
            with pytest.raises(SendError, match="right after it was opened"):
                await sink.send(alerts(1))

    asyncio.run(run())


def test_a_receiver_that_does_not_take_our_certificate_has_not_accepted(certificates: Certificates) -> None:
    """TLS 1.3: our side of the handshake is over before the receiver has looked at it."""

    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, tls=certificates.listener(client_ca=certificates.ca)) as source,
            sink_to(source.bound["tls"][1], "tls", tls={"ca": certificates.ca}) as sink,
        ):
            with pytest.raises(SendError, match="right after it was opened"):
                await sink.send(alerts(1))
        assert not intake.events

    asyncio.run(run())


def test_a_receiver_that_breaks_off_in_the_middle_has_not_accepted() -> None:
    async def run() -> None:
        async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.transport.abort()

        async with receiver(breaks_off) as port, sink_to(port, "tcp", max_message_bytes=1_000_000) as sink:
            with pytest.raises(SendError, match=r"broke off|closed"):
                await sink.send(alerts(50, event={"A": "x" * 500_000}))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("count", "buffer"), [(50, None), (1, 4_096)], ids=["beyond all buffers", "in our kernel's buffer"]
)
def test_a_receiver_that_reads_nothing_has_not_accepted(count: int, buffer: int | None) -> None:
    async def run() -> None:
        ended = asyncio.Event()

        async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()
            await ended.wait()
            writer.transport.abort()

        async with receiver(hangs, buffer) as port:
            async with sink_to(port, "tcp", max_message_bytes=1_000_000, timeout=1) as sink:
                with pytest.raises(SendError, match="no connection or no acknowledgement within 1 s"):
                    await sink.send(alerts(count, event={"A": "x" * (500_000 if buffer is None else 30_000)}))
            ended.set()

    asyncio.run(run())


def test_a_receiver_that_talks_back_is_not_listened_to(certificates: Certificates) -> None:
    async def run() -> None:
        received = bytearray()

        async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while chunk := await reader.read(1_000):
                    received.extend(chunk)
                    writer.write(b"x" * 300_000)
                    await writer.drain()
            writer.close()

        async with receiver(talks) as port, sink_to(port, "tcp") as sink:
            for number in range(20):
                await sink.send(alerts(1, number))
        assert received.count(b"ALERT") == 20

    asyncio.run(run())


@pytest.mark.parametrize(
    "tls",
    [{}, {"server_name": "siem.example"}],
    ids=["an authority that we do not know", "another name"],
)
def test_a_receiver_that_is_not_who_it_should_be_gets_nothing(certificates: Certificates, tls: dict[str, Any]) -> None:
    async def run() -> None:
        intake = KeptIntake()
        trusted = {"ca": certificates.ca} if tls else {}
        async with (
            listening(intake, tls=certificates.listener()) as source,
            sink_to(source.bound["tls"][1], "tls", tls={**trusted, **tls}) as sink,
        ):
            with pytest.raises(SendError, match="CERTIFICATE_VERIFY_FAILED"):
                await sink.send(alerts(1))
        assert not intake.events

    asyncio.run(run())


def test_after_an_error_alerts_are_sent_again_on_a_new_connection() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source:
            host, port = source.bound["tcp"]
            sink = SyslogSink(SyslogSinkSettings(type="syslog", host=host, port=port, transport="tcp"))
            await sink.send(alerts(1))
        with pytest.raises(SendError):
            await sink.send(alerts(1, 1))
        again = KeptIntake()
        async with listening(again, tcp=f"{host}:{port}"):
            await sink.send(alerts(1, 1))
            await sink.close()
            await again.until(lambda: len(again.events) == 1)
        assert (ids(intake), ids(again)) == (["id-0"], ["id-1"])

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sending_may_be_cancelled_and_done_again(transport: str) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, **{transport: LOOPBACK}) as source,
            sink_to(source.bound[transport][1], transport) as sink,
        ):
            task = asyncio.create_task(sink.send(alerts(1)))
            await asyncio.sleep(0.01)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await sink.send(alerts(1))
            await intake.until(lambda: bool(intake.events))
        assert set(ids(intake)) == {"id-0"}

    asyncio.run(run())


def test_the_receiver_of_datagrams_is_looked_up_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sigma.pyeval.monitor.sinks import syslog_transport

    monkeypatch.setattr(syslog_transport, "LONGEST_AGE", 0.0)

    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK) as source, sink_to(source.bound["udp"][1], "udp") as sink:
            ports = set()
            for number in range(2):
                await sink.send(alerts(1, number))
                ports.add(sink._way._sock.getsockname())  # type: ignore[union-attr]
            await intake.until(lambda: len(intake.events) == 2)
        assert len(ports) == 2

    asyncio.run(run())

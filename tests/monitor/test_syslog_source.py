"""The syslog source: every transport, back-pressure and losses, and senders that mean harm."""

from __future__ import annotations

import asyncio
import socket
import stat
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sigma.pyeval.monitor.batches import PartError
from sigma.pyeval.monitor.sources import syslog_connections, syslog_datagrams
from sigma.pyeval.monitor.sources.syslog import SyslogSource, SyslogSourceSettings

from .intake import KeptIntake, running
from .privileges import without_low_ports
from .syslog_senders import LOOPBACK, is_closed, listening, reset, tcp_sender, udp_sender

LINE = b"<38>Oct 11 22:14:15 web1 sshd[123]: Accepted password for root"
SYSCALL = (
    b"type=SYSCALL msg=audit(1700000000.123:%d): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 "
    b'ppid=1 pid=2 auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1 comm="id" exe="/usr/bin/id" key=(null)'
)
EXECVE = b'type=EXECVE msg=audit(1700000000.123:%d): argc=1 a0="id"'
PROCTITLE = b"type=PROCTITLE msg=audit(1700000000.123:%d): proctitle=6964"


def messages(intake: KeptIntake) -> list[str]:
    return [event["MESSAGE"] for event in intake.events]


def audit(text: bytes, serial: int) -> bytes:
    return b"<13>Oct 11 22:14:15 web1 audispd: " + text % serial


def joined(intake: KeptIntake) -> dict[tuple[str | int, str | int], str]:
    """Return the command line of each process that audit records were joined to, by sender and number."""
    return {
        (place["sender"], place["number"]): record.event["_CMDLINE"]
        for record, place in zip(intake.records, intake.places, strict=True)
        if "_CMDLINE" in record.event
    }


# Settings


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({}, "name at least one listener: udp, tcp, tls or unix"),
        ({"udp": "0.0.0.0:5514"}, "udp: 0.0.0.0:5514 is beyond loopback without TLS: use tls, or insecure: true"),
        ({"udp": "127.0.0.1:5514", "tcp": "[::]:5514"}, r"tcp: \[::\]:5514 is beyond loopback"),
        ({"udp": "localhost:5514"}, "is not an IP address and a port"),
        ({"udp": "127.0.0.1"}, "is not an IP address and a port"),
        ({"udp": "::1:5514"}, "is not an IP address and a port"),
        ({"udp": "127.0.0.1:99999"}, "is not an IP address and a port"),
        ({"udp": LOOPBACK, "allow": ["10.0.0.1/8"]}, "allow"),
        ({"udp": LOOPBACK, "format": "sislog"}, "unknown log format 'sislog'; did you mean 'syslog'"),
        ({"udp": LOOPBACK, "options": {"colour": True}}, "has no option 'colour'"),
        ({"udp": LOOPBACK, "max_connections": 0}, "max_connections"),
        ({"unix": {"path": "/run/log", "mode": "rw"}}, "mode"),
        ({"udp": LOOPBACK, "udpp": 1}, "udpp"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        SyslogSourceSettings(type="syslog", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"udp": "0.0.0.0:5514", "insecure": True},
        {"tcp": "127.8.9.1:1"},
        {"udp": "[::1]:0"},
        {"unix": {"path": "/run/log"}},
    ],
)
def test_settings_that_can_be_meant(settings: dict[str, Any]) -> None:
    source = SyslogSource(SyslogSourceSettings(type="syslog", **settings))
    assert (source.name, source.kind, source.lag_unit) == ("syslog", "syslog", "")


# Datagrams


def test_a_datagram_is_a_message_and_its_place_is_unique() -> None:
    async def run() -> None:
        places = []
        for _ in range(2):  # the second as after a restart
            intake = KeptIntake()
            async with listening(intake, udp=LOOPBACK) as source, asyncio.timeout(5):
                with udp_sender(source.bound["udp"]) as sock:
                    for text in (
                        LINE + b"\n",
                        b"",
                        b"\0\0",
                        b"no header\nbut two lines\0",
                        b"<13>1 - web1 app - - - five",
                    ):
                        sock.send(text)
                    await intake.until(lambda intake=intake: len(intake.events) == 3)
            assert messages(intake) == ["Accepted password for root", "no header\nbut two lines", "five"]
            assert intake.events[0]["SYSLOG_RAW"].encode() == LINE
            assert {(place["listener"], place["sender"]) for place in intake.places} == {("udp", "127.0.0.1")}
            assert [place["number"] for place in intake.places] == [1, 4, 5]
            assert sum(batch.lines for batch in intake.batches) == 5
            assert not intake.is_connected
            assert not intake.losses
            places += [tuple(place.values()) for place in intake.places]
        assert len(set(places)) == 6

    asyncio.run(run())


def test_datagrams_are_judged_together() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK) as source:
            with udp_sender(source.bound["udp"]) as sock:
                for number in range(2_000):
                    sock.send(b"<13>%d" % number)
            await intake.until(lambda: len(intake.events) == 2_000)
        assert messages(intake) == [str(number) for number in range(2_000)]
        assert len(intake.batches) < 20
        assert max(batch.lines for batch in intake.batches) <= 500

    asyncio.run(run())


def test_the_largest_datagram_is_whole_and_a_longer_message_than_allowed_is_cut() -> None:
    async def run() -> None:
        largest = b"<13>" + b"a" * 65_503
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK) as source:
            with udp_sender(source.bound["udp"]) as sock:
                sock.send(largest)
                await intake.until(lambda: len(intake.events) == 1)
        assert intake.events[0]["SYSLOG_RAW"].encode() == largest
        assert not intake.problems
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK, max_message_bytes=480) as source:
            with udp_sender(source.bound["udp"]) as sock:
                sock.send(largest)
                await intake.until(lambda: len(intake.events) == 1)
        assert intake.events[0]["SYSLOG_RAW"].encode() == largest[:480]
        assert intake.problems == ["message of 65507 bytes cut at 480"]

    asyncio.run(run())


def test_what_the_kernel_drops_is_counted_to_the_last_datagram() -> None:
    async def run() -> None:
        intake = KeptIntake()
        intake.open.clear()  # detection is behind
        async with listening(intake, udp=LOOPBACK, receive_buffer=4_096) as source:
            with udp_sender(source.bound["udp"]) as sock:
                for number in range(1_000):
                    sock.send(b"<13>%d" % number)
                await asyncio.sleep(0.1)
                for number in range(1_000, 2_000):
                    sock.send(b"<13>%d" % number)
            intake.open.set()
            await intake.until(lambda: len(intake.events) + intake.losses.total() == 2_000)
        assert set(intake.losses) == {"udp: dropped by the kernel, its buffer was full"}
        assert 0 < len(intake.events) < 2_000

    asyncio.run(run())


def test_a_buffer_that_the_kernel_does_not_give_is_told() -> None:
    told: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        syslog_datagrams.widen_buffer(sock, 1 << 30, told.append)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    assert bool(told) == (granted < 1 << 30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        syslog_datagrams.widen_buffer(sock, 8_192, told.append)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 16_384


def test_what_came_before_the_end_is_put() -> None:
    async def run() -> None:
        intake = KeptIntake()
        intake.open.clear()
        source = SyslogSource(SyslogSourceSettings(type="syslog", udp=LOOPBACK))
        async with running(source, intake):
            await intake.until(lambda: intake.is_connected)
            with udp_sender(source.bound["udp"]) as sock:
                for number in range(1_200):
                    sock.send(b"<13>%d" % number)
            intake.stopping.set()
            await asyncio.sleep(0.1)
            intake.open.set()
        assert messages(intake) == [str(number) for number in range(1_200)]

    asyncio.run(run())


def test_datagrams_of_senders_not_allowed_are_counted_and_their_sender_is_told_once() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK, allow=["127.0.0.2/32", "192.0.2.0/24"]) as source:
            with (
                udp_sender(source.bound["udp"]) as stranger,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as friend,
            ):
                friend.bind(("127.0.0.2", 0))
                for _ in range(3):
                    stranger.send(LINE)
                friend.sendto(LINE, source.bound["udp"])
                await intake.until(lambda: len(intake.events) == 1)
        assert intake.places[0]["sender"] == "127.0.0.2"
        assert dict(intake.losses) == {"udp: datagrams of senders that are not allowed": 3}
        assert intake.reported == ["127.0.0.1 sends, and is in none of the networks that are allowed to"]

    asyncio.run(run())


def test_one_listener_takes_both_kinds_of_addresses() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp="[::]:0", insecure=True, allow=["127.0.0.0/8", "::1"]) as source:
            port = source.bound["udp"][1]
            for host in ("127.0.0.1", "::1"):
                with udp_sender((host, port)) as sock:
                    sock.send(LINE)
            await intake.until(lambda: len(intake.events) == 2)
        assert [place["sender"] for place in intake.places] == ["127.0.0.1", "::1"]

    asyncio.run(run())


def test_audit_records_are_joined_for_each_sender() -> None:
    """Two machines with the same serial at the same time, their records mixed."""

    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK) as source, AsyncExitStack() as stack:
            senders = []
            for host in ("127.0.0.1", "127.0.0.2"):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.bind((host, 0))
                senders.append(sock)
            for text in (SYSCALL, EXECVE, PROCTITLE):
                for sock in senders:
                    sock.sendto(audit(text, 7), source.bound["udp"])
            await intake.until(lambda: sum(batch.lines for batch in intake.batches) == 6)
        assert joined(intake) == {("127.0.0.1", 1): "id", ("127.0.0.2", 2): "id"}

    asyncio.run(run())


@pytest.mark.parametrize("settings", [{}, {"max_senders": 1}])
def test_a_sender_that_falls_silent_or_is_given_up_leaves_what_it_has(settings: dict[str, int]) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK, **settings) as source:
            with udp_sender(source.bound["udp"]) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                sock.send(audit(SYSCALL, 7))
                sock.send(audit(EXECVE, 7))
                if settings:
                    other.bind(("127.0.0.2", 0))
                    other.sendto(LINE, source.bound["udp"])
                await intake.until(lambda: bool(joined(intake)), 1 if settings else 4)
        assert joined(intake) == {("127.0.0.1", 1): "id"}

    asyncio.run(run())


def test_the_sender_that_was_silent_for_longest_is_given_up() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, udp=LOOPBACK, max_senders=2) as source, AsyncExitStack() as stack:
            for number, (host, text) in enumerate(
                [
                    ("127.0.0.1", audit(SYSCALL, 7)),
                    ("127.0.0.2", LINE),
                    ("127.0.0.1", audit(EXECVE, 7)),
                    ("127.0.0.3", LINE),
                ],
                1,
            ):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.bind((host, 0))
                sock.sendto(text, source.bound["udp"])
                await intake.until(lambda number=number: len(intake.events) == number, 1)
            assert not joined(intake)
        assert joined(intake) == {("127.0.0.1", 1): "id"}

    asyncio.run(run())


def test_a_unix_socket_is_a_listener(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "log"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_over:
            left_over.bind(str(path))
        for _ in range(2):
            intake = KeptIntake()
            async with listening(intake, unix={"path": path, "mode": "0622"}):
                assert stat.S_IMODE(path.stat().st_mode) == 0o622
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                    sock.sendto(LINE, str(path))
                await intake.until(lambda intake=intake: len(intake.events) == 1)
            assert intake.places[0]["listener"] == "unix"
            assert intake.places[0]["sender"] == "local"
            assert not path.exists()

    asyncio.run(run())


def test_a_file_that_is_no_socket_or_one_that_is_read_is_left_alone(tmp_path: Path) -> None:
    async def run(path: Path) -> None:
        intake = KeptIntake()
        async with running(SyslogSource(SyslogSourceSettings(type="syslog", unix={"path": path})), intake):
            await intake.until(lambda: bool(intake.reported))
        assert intake.reported == [f"cannot listen yet: [Errno 98] Address already in use: {path}"]
        assert path.exists()

    (tmp_path / "file").write_text("kept")
    asyncio.run(run(tmp_path / "file"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as busy:
        busy.bind(str(tmp_path / "log"))
        asyncio.run(run(tmp_path / "log"))


# Connections


def test_both_framings_in_one_connection() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source, tcp_sender(source.bound["tcp"]) as (_, writer):
            writer.write(LINE + b"\n9 <13>a\nb c<13>d\0\n")
            await intake.until(lambda: len(intake.events) == 3)
        assert messages(intake) == ["Accepted password for root", "a\nb c", "d"]
        assert [place["number"] for place in intake.places] == [1, 2, 3]
        assert {place["listener"] for place in intake.places} == {"tcp"}
        assert not intake.problems

    asyncio.run(run())


def test_a_message_in_single_bytes_is_one() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source, tcp_sender(source.bound["tcp"]) as (_, writer):
            for number in range(20):
                writer.write(b"9 <13>hello<13>x\n"[number : number + 1])
                await writer.drain()
                await asyncio.sleep(0.002)
            await intake.until(lambda: len(intake.events) == 2)
        assert messages(intake) == ["hello", "x"]

    asyncio.run(run())


def test_a_sender_waits_while_detection_is_behind_and_loses_nothing() -> None:
    async def run() -> None:
        count, padding = 20_000, b"x" * 400
        intake = KeptIntake()
        intake.open.clear()
        async with listening(intake, tcp=LOOPBACK) as source, tcp_sender(source.bound["tcp"]) as (_, writer):
            for number in range(count):
                writer.write(b"<13>%d %s\n" % (number, padding))
            with suppress(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.3)
            stuck = writer.transport.get_write_buffer_size()
            assert stuck > 0  # eight megabytes do not fit between us
            intake.open.set()
            await intake.until(lambda: len(intake.events) == count)
        assert [text.split()[0] for text in messages(intake)] == [str(number) for number in range(count)]
        assert max(len(batch.records) for batch in intake.batches) <= 500

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "found", "problems"),
    [
        (b"<13>a\n<13>b", ["a", "b"], ["the connection ended without a newline behind the message"]),
        (b"<13>a\n20 <13>b", ["a", "b"], ["the connection ended after 5 of 20 octets"]),
        (b"<13>a\n20 ", ["a", "20"], ["the connection ended without a newline behind the message"]),
        (b"<13>a\n", ["a"], []),
    ],
)
def test_a_connection_that_ends_in_the_middle_is_told(sent: bytes, found: list[str], problems: list[str]) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source:
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(sent)
            await intake.until(lambda: len(intake.events) == len(found))
        assert messages(intake) == found
        assert intake.problems == problems

    asyncio.run(run())


def test_what_came_before_a_reset_is_put_and_the_reset_is_told() -> None:
    async def run() -> None:
        intake = KeptIntake()
        intake.open.clear()
        async with listening(intake, tcp=LOOPBACK) as source:
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                for number in range(3_000):
                    writer.write(b"<13>%d\n" % number)
                await asyncio.sleep(0.1)
                reset(writer)
            await asyncio.sleep(0.1)
            intake.open.set()
            await intake.until(lambda: bool(intake.reported))
        assert messages(intake) == [str(number) for number in range(3_000)]
        assert "tcp: connection of 127.0.0.1: broken off: [Errno 104] Connection reset by peer" in intake.reported

    asyncio.run(run())


def test_what_senders_have_sent_is_put_at_the_end_and_they_see_it() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source:
            reader, writer = await asyncio.open_connection(*source.bound["tcp"])
            writer.write(b"<13>first\n")
            await intake.until(lambda: len(intake.events) == 1)
            for number in range(5_000):
                writer.write(b"<13>%d\n" % number)
            await writer.drain()
        assert await is_closed(reader)
        writer.close()
        assert messages(intake) == ["first", *map(str, range(5_000))]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*source.bound["tcp"])

    asyncio.run(run())


def test_audit_records_of_a_connection_wait_for_the_rest_and_then_for_silence() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source, tcp_sender(source.bound["tcp"]) as (_, writer):
            writer.write(audit(SYSCALL, 7) + b"\n")
            await intake.until(lambda: len(intake.events) == 1)
            writer.write(audit(EXECVE, 7) + b"\n")
            await intake.until(lambda: len(intake.events) == 2)
            assert not joined(intake)
            await intake.until(lambda: bool(joined(intake)), 4)
        assert joined(intake) == {("127.0.0.1", 1): "id"}
        assert sum(batch.lines for batch in intake.batches) == 2

    asyncio.run(run())


def test_the_end_of_a_connection_is_the_end_of_its_events() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source:
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(audit(SYSCALL, 7) + b"\n" + audit(EXECVE, 7) + b"\n")
            await intake.until(lambda: bool(joined(intake)), 1)

    asyncio.run(run())


# Harm


def test_a_message_longer_than_allowed_is_cut_and_the_next_is_read() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK, max_message_bytes=480) as source:
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(b"999999999 <13>" + b"a" * 5_000_000)
                await intake.until(lambda: len(intake.events) == 1)
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(b"<13>" + b"b" * 5_000_000 + b"\n<13>next\n2000 <13>" + b"c" * 1_996 + b"<13>last\n")
                await intake.until(lambda: len(intake.events) == 5)
        assert [len(text) for text in messages(intake)] == [476, 476, 4, 476, 4]
        assert intake.problems == [
            "message of 999999999 octets cut at 480 octets",
            "message without a newline cut at 480 octets",
            "message of 2000 octets cut at 480 octets",
        ]

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        b"\0" * 10_000 + b"<13>x\n",
        b"0 <13>x\n",
        b"-5 <13>x\n",
        b"99999999999999999999 <13>x\n",
        b"3 <13>x\n",
        bytes(range(256)) * 20 + b"\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"z" * 500 + b"\n",
        b"<999999>\n<>\n<13\n",
        b"<13>" + b"\xff\xfe" * 100 + b"\n",
    ],
)
def test_no_bytes_stop_the_listener(sent: bytes) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK, udp=LOOPBACK) as source:
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(sent)
            with udp_sender(source.bound["udp"]) as sock:
                sock.send(sent)
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(b"<13>still here\n")
                await intake.until(lambda: "still here" in messages(intake))
        lines = sum(batch.lines for batch in intake.batches)
        assert len(intake.events) + len(intake.problems) >= lines - 1

    asyncio.run(run())


def test_many_tiny_messages_come_in_bounded_batches() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK) as source, tcp_sender(source.bound["tcp"]) as (_, writer):
            writer.write(b"a\n" * 20_000)
            await intake.until(lambda: len(intake.events) == 20_000)
        assert max(batch.lines for batch in intake.batches) <= 500

    asyncio.run(run())


def test_a_connection_that_completes_no_message_is_closed() -> None:
    """A byte now and then does not keep a place."""

    async def run() -> None:
        intake = KeptIntake()
        async with (
            asyncio.timeout(3),
            listening(intake, tcp=LOOPBACK, idle_timeout=1) as source,
            tcp_sender(source.bound["tcp"]) as (reader, writer),
        ):
            closed = False
            while not closed:
                try:
                    writer.write(b"x")
                    await writer.drain()
                    closed = await asyncio.wait_for(reader.read(1), 0.05) == b""
                except TimeoutError:
                    continue
                except ConnectionError:  # what was sent behind the end is answered by a reset
                    closed = True
        assert intake.reported[0] == "tcp: connection of 127.0.0.1: closed, no whole message came for 1 s"
        assert intake.problems == ["the connection ended without a newline behind the message"]

    asyncio.run(run())


def test_our_own_waiting_is_not_taken_for_the_senders_silence() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with (
            listening(intake, tcp=LOOPBACK, idle_timeout=1) as source,
            tcp_sender(source.bound["tcp"]) as (_, writer),
        ):
            intake.open.clear()
            writer.write(b"<13>a\n")
            await asyncio.sleep(1.3)
            intake.open.set()
            writer.write(b"<13>b\n")
            await intake.until(lambda: len(intake.events) == 2)
        assert not intake.reported

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_connections": 2}, "tcp: connections beyond max_connections"),
        ({"max_connections_per_address": 2}, "tcp: connections beyond max_connections_per_address"),
    ],
)
def test_connections_beyond_the_limit_are_refused_and_places_become_free(settings: dict[str, int], reason: str) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK, **settings) as source, tcp_sender(source.bound["tcp"]) as (_, kept):
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                for number, sender in enumerate((kept, writer)):
                    sender.write(b"<13>%d\n" % number)
                await intake.until(lambda: len(intake.events) == 2)
                async with tcp_sender(source.bound["tcp"]) as (reader, _):
                    assert await is_closed(reader)
                assert dict(intake.losses) == {reason: 1}
                kept.write(b"<13>goes on\n")
                await intake.until(lambda: len(intake.events) == 3)
            await asyncio.sleep(0.1)
            async with tcp_sender(source.bound["tcp"]) as (_, writer):
                writer.write(b"<13>free again\n")
                await intake.until(lambda: len(intake.events) == 4)
        assert intake.losses.total() == 1

    asyncio.run(run())


def test_connections_of_senders_not_allowed_are_refused() -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tcp=LOOPBACK, allow=["192.0.2.0/24"]) as source:
            for _ in range(2):
                async with tcp_sender(source.bound["tcp"]) as (reader, writer):
                    writer.write(LINE + b"\n")
                    assert await is_closed(reader)
        assert not intake.events
        assert dict(intake.losses) == {"tcp: connections of senders that are not allowed": 2}
        assert len(intake.reported) == 1

    asyncio.run(run())


def test_without_room_for_connections_the_listener_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(syslog_connections, "ACCEPT_PAUSE", 0.1)

    async def run() -> None:
        intake = KeptIntake()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        async with listening(intake, tcp=LOOPBACK) as source:
            with socket.socket() as sock, socket.socket() as spare:
                sock.setblocking(False)
                lowest_free = spare.fileno() + 1
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
                try:
                    with suppress(BlockingIOError):
                        sock.connect(source.bound["tcp"])
                    await intake.until(lambda: bool(intake.reported))
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                await asyncio.get_running_loop().sock_sendall(sock, b"<13>waited\n")
                await intake.until(lambda: len(intake.events) == 1)
        assert "cannot take connections now" in intake.reported[0]

    asyncio.run(run())


@pytest.mark.parametrize("listener", ["udp", "tcp"])
def test_a_port_without_the_right_to_it_is_one_clear_error(listener: str) -> None:
    source = SyslogSource(SyslogSourceSettings.model_validate({"type": "syslog", listener: "127.0.0.1:514"}))
    finding = (
        "source syslog: cannot listen: Permission denied: 127.0.0.1:514; "
        "ports below 1024 need the capability CAP_NET_BIND_SERVICE"
    )
    with without_low_ports(), pytest.raises(PartError) as refused:
        asyncio.run(source.run(KeptIntake()))
    assert str(refused.value) == finding


def test_a_socket_in_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "log"
    source = SyslogSource(SyslogSourceSettings.model_validate({"type": "syslog", "unix": {"path": path}}))
    with pytest.raises(PartError, match=f"cannot listen: No such file or directory: {path}$"):
        asyncio.run(source.run(KeptIntake()))


def test_an_address_in_use_is_tried_again() -> None:
    async def run() -> None:
        intake = KeptIntake()
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            host, port = busy.getsockname()
            source = SyslogSource(SyslogSourceSettings(type="syslog", tcp=f"{host}:{port}", udp=LOOPBACK))
            async with running(source, intake):
                await intake.until(lambda: bool(intake.reported))
                assert not intake.is_connected
                busy.close()
                await intake.until(lambda: intake.is_connected)
        assert intake.reported == [f"cannot listen yet: [Errno 98] Address already in use: {host}:{port}"]

    asyncio.run(run())

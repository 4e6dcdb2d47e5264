"""The syslog source's TLS listener: certificates of both sides, their renewal, and senders that never get through."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from sigma.pyeval.monitor.sources.syslog import SyslogSourceSettings

from .intake import KeptIntake
from .syslog_senders import Certificates, is_closed, listening, tcp_sender

HANDSHAKE_FAILED = "tls: connections whose handshake failed"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_the_files_are_checked_at_the_start(certificates: Certificates, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.key"
    key = load_pem_private_key(certificates.key.read_bytes(), None)
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    for wrong in (
        {"key": certificates.client_key},
        {"key": encrypted},  # OpenSSL would ask for the passphrase at the terminal
        {"client_ca": certificates.key},
    ):
        with pytest.raises(ValidationError, match="certificate, key or client_ca cannot be used"):
            SyslogSourceSettings(type="syslog", tls=certificates.listener(**wrong))
    beyond = {**certificates.listener(), "listen": "0.0.0.0:6514"}
    assert SyslogSourceSettings(type="syslog", tls=beyond).tls is not None


@pytest.mark.parametrize("asks", [False, True])
def test_messages_come_through(certificates: Certificates, asks: bool) -> None:
    async def run() -> None:
        intake = KeptIntake()
        tls = certificates.listener(**({"client_ca": certificates.ca} if asks else {}))
        context = certificates.client_context(certificate=asks)
        text = b"<13>" + b"a" * 30_000
        async with listening(intake, tls=tls) as source, tcp_sender(source.bound["tls"], context) as (_, writer):
            for _ in range(20):
                writer.write(b"%d %s" % (len(text), text))
            await intake.until(lambda: len(intake.events) == 20)
        assert {place["listener"] for place in intake.places} == {"tls"}
        assert not intake.reported
        assert not intake.problems

    asyncio.run(run())


def without_certificate(certificates: Certificates) -> ssl.SSLContext:
    return certificates.client_context()


def of_another_authority(certificates: Certificates) -> ssl.SSLContext:
    folder = certificates.folder / "other"
    folder.mkdir(exist_ok=True)
    other = Certificates(folder)
    context = certificates.client_context()
    context.load_cert_chain(other.client_certificate, other.client_key)
    return context


def of_tls_1_1(certificates: Certificates) -> ssl.SSLContext:
    context = certificates.client_context(certificate=True)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize("context", [without_certificate, of_another_authority, of_tls_1_1])
def test_a_sender_without_a_certificate_that_is_trusted_is_refused(certificates: Certificates, context: Any) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tls=certificates.listener(client_ca=certificates.ca)) as source:
            try:
                async with tcp_sender(source.bound["tls"], context(certificates)) as (reader, writer):
                    writer.write(b"7 <13>bad")
                    assert await is_closed(reader)
            except OSError:
                pass
            await intake.until(lambda: intake.losses.total() == 1)
        assert not intake.events
        assert dict(intake.losses) == {HANDSHAKE_FAILED: 1}
        assert "handshake failed" in intake.reported[0]

    asyncio.run(run())


def test_a_version_older_than_set_is_refused(certificates: Certificates) -> None:
    async def run() -> None:
        intake = KeptIntake()
        context = certificates.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with listening(intake, tls=certificates.listener(minimum_version="1.3")) as source:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await asyncio.open_connection(*source.bound["tls"], ssl=context)
            await intake.until(lambda: intake.losses.total() == 1)

    asyncio.run(run())


def test_plain_text_and_silence_are_no_handshake(certificates: Certificates) -> None:
    async def run() -> None:
        intake = KeptIntake()
        async with listening(intake, tls=certificates.listener(handshake_timeout=0.2)) as source:
            async with tcp_sender(source.bound["tls"]) as (reader, writer):
                writer.write(b"<13>plain text\n")
                await intake.until(lambda: intake.losses.total() == 1)
            async with tcp_sender(source.bound["tls"]) as (reader, _):
                assert await is_closed(reader)
        assert not intake.events
        assert dict(intake.losses) == {HANDSHAKE_FAILED: 2}
        assert intake.reported[1] == "tls: connection of 127.0.0.1: handshake took too long"

    asyncio.run(run())


def test_silent_connections_take_places_before_their_handshake_and_do_not_keep_the_source_from_ending(
    certificates: Certificates,
) -> None:
    async def run() -> None:
        intake = KeptIntake()
        tls = certificates.listener(handshake_timeout=60)
        async with AsyncExitStack() as stack:
            async with listening(intake, tls=tls, max_connections=3) as source:
                silent = [await stack.enter_async_context(tcp_sender(source.bound["tls"])) for _ in range(3)]
                async with tcp_sender(source.bound["tls"]) as (reader, _):
                    assert await is_closed(reader)
                assert dict(intake.losses) == {"tls: connections beyond max_connections": 1}
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began < 2
            for reader, _ in silent:
                assert await is_closed(reader)
        assert intake.losses.total() == 1

    asyncio.run(run())


def test_a_sender_that_does_not_take_the_end_of_tls_does_not_keep_the_source_from_ending(
    certificates: Certificates,
) -> None:
    async def run() -> None:
        intake = KeptIntake()
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            async with listening(intake, tls=certificates.listener()) as source:
                sock = stack.enter_context(socket.create_connection(source.bound["tls"]))
                wrap = certificates.client_context().wrap_socket
                sender = await asyncio.to_thread(wrap, sock, server_hostname="127.0.0.1")
                stack.enter_context(sender)
                sender.sendall(b"<13>x\n")
                await intake.until(lambda: len(intake.events) == 1)
                began = loop.time()
            assert loop.time() - began < 3

    asyncio.run(run())


def test_a_connection_cut_off_without_the_end_of_tls_leaves_what_it_sent(certificates: Certificates) -> None:
    async def run() -> None:
        intake = KeptIntake()
        context = certificates.client_context()
        async with (
            listening(intake, tls=certificates.listener()) as source,
            tcp_sender(source.bound["tls"], context) as (_, writer),
        ):
            writer.write(b"<13>whole\n20 <13>half")
            await intake.until(lambda: len(intake.events) == 1)
            writer.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            await intake.until(lambda: len(intake.events) == 2)
        assert intake.problems == ["the connection ended after 8 of 20 octets"]

    asyncio.run(run())


def test_a_renewed_certificate_is_used_and_a_broken_one_is_told(certificates: Certificates, tmp_path: Path) -> None:
    async def run() -> None:
        old, new = Certificates(_folder(tmp_path, "old")), Certificates(_folder(tmp_path, "new"))
        intake = KeptIntake()
        async with listening(intake, tls=old.listener()) as source:
            await _sends(source.bound["tls"], old)
            os.replace(new.certificate, old.certificate)
            await _sends(source.bound["tls"], old)  # its key is not there yet: the former certificate stays
            assert "the former one stays" in intake.reported[0]
            os.replace(new.key, old.key)
            await _sends(source.bound["tls"], new)
            await intake.until(lambda: len(intake.events) == 3)
        assert len(intake.reported) == 1

    asyncio.run(run())


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


async def _sends(address: tuple[str, int], trusted: Certificates) -> None:
    async with tcp_sender(address, trusted.client_context()) as (_, writer):
        writer.write(b"<13>x\n")
        await writer.drain()

"""Senders of syslog messages, and certificates, for tests of the syslog source and sink."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import trustme

from sigma.pyeval.monitor.sources.syslog import SyslogSource, SyslogSourceSettings

from .intake import KeptIntake, running

LOOPBACK = "127.0.0.1:0"


class Certificates:
    """An authority, and certificates for this machine and for a client, as PEM files."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.certificate, self.key = self._write(authority, "server", "127.0.0.1", "localhost")
        self.client_certificate, self.client_key = self._write(authority, "client", "client.example")

    def _write(self, authority: trustme.CA, name: str, *identities: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(*identities)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def listener(self, **more: Any) -> dict[str, Any]:
        """Return the settings of a TLS listener."""
        return {"listen": LOOPBACK, "certificate": self.certificate, "key": self.key, **more}

    def client_context(self, *, certificate: bool = False) -> ssl.SSLContext:
        """Return the context of a sender."""
        context = ssl.create_default_context(cafile=self.ca)
        if certificate:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


@asynccontextmanager
async def listening(intake: KeptIntake, **settings: Any) -> AsyncIterator[SyslogSource]:
    """Run a source that listens, beside the body."""
    source = SyslogSource(SyslogSourceSettings(type="syslog", **settings))
    async with running(source, intake):
        await intake.until(lambda: intake.is_connected)
        yield source


@contextmanager
def udp_sender(address: tuple[str, int]) -> Iterator[socket.socket]:
    """Give a socket that sends datagrams to *address*."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        yield sock


@asynccontextmanager
async def tcp_sender(
    address: tuple[str, int], context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection to *address*, closed behind the body."""
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Wait until the other side ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except OSError:
        return True


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a reset, as the kernel of a program that crashed may."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

"""The ``syslog`` sink: RFC 5424 by UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, FilePath, model_validator

from sigma.pyeval.output import printable

from ..batches import Json, SendError
from ..settings import Seconds, Settings, SinkSettings
from .syslog_message import Facility, SyslogMessages, header_name
from .syslog_transport import Connection, Datagrams

PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
"""RFC 5426, RFC 6587 (IANA: syslog-conn) and RFC 5425."""

MOST_DATAGRAM_BYTES: Final = 65_507
"""What UDP over IPv4 carries at most."""


def _visible(value: str) -> str:
    if value and header_name(value, 255) != value:
        raise ValueError("only visible ASCII characters, without blanks, at most 255 of them (RFC 5424 section 6)")
    return value


def _host(value: str) -> str:
    try:
        value.encode("idna")  # also what a socket does with it: no empty or too long parts
    except UnicodeError as error:
        raise ValueError(f"not the name of a machine: {error}") from None
    return _visible(value)


Host = Annotated[str, AfterValidator(_host), Field(min_length=1)]


class SyslogTls(Settings):
    """How the receiver proves who it is, and how the sink does."""

    ca: FilePath | None = None
    """PEM file of the authorities that the receiver's certificate must come from; those of the system unless given."""

    certificate: FilePath | None = None
    """PEM file of the certificate that the receiver asks for, with those between it and the root."""

    key: FilePath | None = None
    """PEM file of its private key, without a passphrase; needed with ``certificate``."""

    server_name: Host | None = None
    """The name or address that the receiver's certificate must have; ``host`` unless given."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        try:
            if self.ca or self.certificate:
                client_context(self)
        except OSError as error:
            raise ValueError(f"ca, certificate or key cannot be used: {error}") from None
        return self


def client_context(settings: SyslogTls) -> ssl.SSLContext:
    """Return a context made from the files as they are now: TLS 1.2 or newer, the receiver's certificate and name checked.

    Raises:
        OSError: A file cannot be read, or does not hold what it should (``ssl.SSLError`` is one).
    """
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key, password="")  # else OpenSSL asks at the terminal
    return context


class SyslogSinkSettings(SinkSettings):
    """A syslog receiver, such as rsyslog, syslog-ng or a SIEM's collector."""

    type: Literal["syslog"]

    host: Host
    """Name or address of the receiver."""

    transport: Literal["udp", "tcp", "tls"] = "tls"
    """How messages go there. UDP may lose them unnoticed; only TLS keeps them secret and knows the receiver."""

    port: int | None = Field(default=None, ge=1, le=65_535)
    """Port of the receiver: 514 for UDP, 601 for TCP and 6514 for TLS unless given."""

    tls: SyslogTls = SyslogTls()
    """Certificates, for ``transport: tls``."""

    message: Literal["json", "text", "cef"] = "json"
    """What the message says: the whole alert in JSON, one line for people, or ArcSight's Common Event Format."""

    facility: Facility = "local0"
    """Syslog facility; the severity follows the rule's level."""

    app_name: Annotated[str, AfterValidator(_visible), Field(min_length=1, max_length=48)] = "sigma-pyeval"
    """APP-NAME of the messages."""

    host_name: Annotated[str, AfterValidator(_visible)] = ""
    """HOSTNAME of the messages; this machine's name unless given. The host of the event stands in the message."""

    enterprise: int = Field(default=32_473, ge=0, le=4_294_967_295)
    """Private enterprise number in the name of the structured data; the default is the one for documentation (RFC 5612)."""

    max_message_bytes: int = Field(default=8_192, ge=2_048, le=1024 * 1024)
    """Longest message; of a longer alert the event is left out, which the message says. Receivers should take 8192 (RFC 5425)."""

    timeout: Seconds = Field(default=10, gt=0, le=600)
    """Seconds for connecting, and for each sending."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.transport != "tls" and "tls" in self.model_fields_set:
            raise ValueError(f"tls is given, but transport is {self.transport}")
        if self.transport == "udp" and self.max_message_bytes > MOST_DATAGRAM_BYTES:
            raise ValueError(f"max_message_bytes: a datagram has at most {MOST_DATAGRAM_BYTES} bytes")
        return self


class SyslogSink:
    """Sends alerts as syslog messages.

    Args:
        settings: Where and how.
    """

    kind = "syslog"
    most = 100
    linger = 0.0

    def __init__(self, settings: SyslogSinkSettings) -> None:
        self.name = settings.name or settings.type
        self._timeout = settings.timeout
        self._receiver = f"{settings.transport} {settings.host}:{settings.port or PORTS[settings.transport]}"
        self._messages = SyslogMessages(
            settings.facility,
            settings.host_name or socket.gethostname(),
            settings.app_name,
            settings.enterprise,
            settings.message,
            settings.max_message_bytes,
        )
        self._way = _way_to(settings)

    async def send(self, alerts: Sequence[Mapping[str, Json]]) -> None:
        """Send *alerts*; when this returns, all that syslog lets a sender know says that they have arrived.

        Raises:
            SendError: The receiver cannot be reached, or went away.
            Refused: A datagram of this size cannot be sent.
        """
        messages = [self._messages.message(alert) for alert in alerts]
        try:
            async with asyncio.timeout(self._timeout):
                await self._way.send(messages)
        except TimeoutError:
            raise SendError(
                f"{self._receiver}: no connection or no acknowledgement within {self._timeout:g} s"
            ) from None
        except OSError as error:
            raise SendError(printable(f"{self._receiver}: {error}")) from error

    async def reopen(self) -> None:
        """Do nothing: there is no file."""

    async def close(self) -> None:
        """Close the connection."""
        await self._way.close()


def _way_to(settings: SyslogSinkSettings) -> Datagrams | Connection:
    port = settings.port or PORTS[settings.transport]
    if settings.transport == "udp":
        return Datagrams(settings.host, port)
    if settings.transport == "tcp":
        return Connection(settings.host, port)
    name = settings.tls.server_name or settings.host
    return Connection(settings.host, port, partial(client_context, settings.tls), name)

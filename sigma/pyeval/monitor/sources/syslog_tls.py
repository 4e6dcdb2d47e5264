"""The certificate of the syslog listener with TLS (RFC 5425), read again when its files change."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, FilePath, model_validator

from ..settings import Seconds, Settings
from .addresses import ListenAddress

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsListener(Settings):
    """A TCP address on which senders use TLS."""

    listen: ListenAddress
    """IP address and port, ``0.0.0.0:6514`` or ``[::]:6514``; port 0 takes a free one."""

    certificate: FilePath
    """PEM file of the certificate that senders see, with those between it and the root."""

    key: FilePath
    """PEM file of its private key, without a passphrase."""

    client_ca: FilePath | None = None
    """PEM file of the authorities whose client certificates are accepted; senders need one then. Without it anyone may send."""

    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """Oldest version of TLS that senders may use."""

    handshake_timeout: Seconds = Field(default=10, gt=0, le=600)
    """Seconds in which a sender must have completed the handshake."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        try:
            server_context(self)
        except OSError as error:
            raise ValueError(f"certificate, key or client_ca cannot be used: {error}") from None
        return self


def server_context(settings: TlsListener) -> ssl.SSLContext:
    """Return a context made from the files as they are now.

    Raises:
        OSError: A file cannot be read, or does not hold what it should (``ssl.SSLError`` is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # one connection could keep us computing
    context.load_cert_chain(settings.certificate, settings.key, password="")  # else OpenSSL asks at the terminal
    if settings.client_ca is not None:
        context.load_verify_locations(settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class RenewedContext:
    """Gives the context for each new connection; certificates are renewed while the service runs.

    Args:
        settings: Where the files are.
        tell: Told when changed files cannot be used; the former certificate stays then.
    """

    def __init__(self, settings: TlsListener, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._files = [path for path in (settings.certificate, settings.key, settings.client_ca) if path is not None]
        self._seen = self._state()
        self._context = server_context(settings)

    def current(self) -> ssl.SSLContext:
        """Return the context of the files as they are, or as they last could be used."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._context = server_context(self._settings)
            except OSError as error:
                self._tell(
                    f"tls: the changed certificate, key or client_ca cannot be used, the former one stays: {error}"
                )
        return self._context

    def _state(self) -> list[tuple[int, ...] | None]:
        return [_state_of(path) for path in self._files]


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

"""Addresses to listen on, as settings write them."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated, Final

from pydantic import AfterValidator

from ..server import FIRST_FREE_PORT, LOW_PORTS, split_address


def _listen_address(value: str) -> str:
    host, port = split_address(value)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ValueError(f"{value!r} is not an IP address and a port such as 127.0.0.1:5514 or [::1]:5514")
    return value


BACKLOG: Final = 128
"""Connections that the kernel takes before we do."""

ListenAddress = Annotated[str, AfterValidator(_listen_address)]


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches *address* (a ``ListenAddress``)."""
    return ipaddress.ip_address(split_address(address)[0]).is_loopback


def bind(sock: socket.socket, address: tuple[str, int] | str, name: str) -> None:
    """Bind *sock*.

    Raises:
        OSError: It cannot be; with the address's *name* in the text, which the kernel's own lacks.
    """
    try:
        sock.bind(address)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {name}{_remedy(error, address)}") from None


def _remedy(error: OSError, address: tuple[str, int] | str) -> str:
    low = not isinstance(address, str) and 0 < address[1] < FIRST_FREE_PORT
    return f"; {LOW_PORTS}" if low and isinstance(error, PermissionError) else ""


def bound_socket(address: str, kind: socket.SocketKind) -> socket.socket:
    """Return a socket that is bound to *address*, listens, and does not block; ``[::]`` takes IPv4 senders too.

    Raises:
        OSError: The address is in use, does not exist (yet), or may not be used.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind(sock, (host, port), address)
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock

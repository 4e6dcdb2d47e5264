"""Who may send to a listener: senders' addresses, and the networks that they must be in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

REMEMBERED_SENDERS: Final = 4_096
"""Addresses whose answer is kept: a sender is looked up for each datagram."""

Network = IPv4Network | IPv6Network


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """Return the address that a socket gives as *host*: without its zone, and as IPv4 where IPv6 only carries it.

    An IPv6 socket shows its IPv4 peers as ``::ffff:192.0.2.1`` (RFC 4291 section 2.5.5.2); networks are written as IPv4.
    """
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


class AllowedSenders:
    """Tells senders that may send from others.

    Args:
        networks: Where senders may be; none means anywhere.
        tell: Told of each sender that is refused, once as long as it is remembered.

    Attributes:
        sender: Gives for a peer's host, as its socket shows it, the address that places name, or ``None`` if it may not send.
    """

    def __init__(self, networks: Sequence[Network], tell: Callable[[str], None]) -> None:
        self._networks = tuple(networks)
        self._tell = tell
        self.sender: Callable[[str], str | None] = lru_cache(maxsize=REMEMBERED_SENDERS)(self._sender)

    def _sender(self, host: str) -> str | None:
        address = plain_address(host)
        if self._networks and not any(address in network for network in self._networks):
            self._tell(f"{address} sends, and is in none of the networks that are allowed to")
            return None
        return str(address)

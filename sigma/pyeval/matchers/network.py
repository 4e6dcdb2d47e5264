"""``cidr``: addresses within networks, IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from .values import Event, texts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def cidr(event: Event, field: str, network: str) -> bool:
    """``field|cidr: network``: the value is an address within the network.

    Text that is no address, an address of the other family, one with a port or a zone (``%eth0``) is outside.
    """
    return cidr_any(event, field, (network,))


def cidr_any(event: Event, field: str, networks: tuple[str, ...]) -> bool:
    """``field|cidr: [networks]``: the value is an address within one of the networks; see ``cidr``."""
    for text in texts(event, field):
        address = _address(text)
        if address is not None and any(address in parse_network(network) for network in networks):
            return True
    return False


@lru_cache(maxsize=65_536)
def parse_network(network: str) -> Network:
    """Return the network written as ``address/prefix``; raises ValueError where it is none or host bits are set."""
    return ipaddress.ip_network(network)


@lru_cache(maxsize=65_536)
def _address(text: str) -> Address | None:
    if len(text) > 45 or "%" in text:  # the longest address, IPv4 embedded in IPv6
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None

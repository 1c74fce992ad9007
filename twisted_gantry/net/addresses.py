"""Addresses of peers: which count as one peer, and which network they are in."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

_V6_PREFIX = 64  # an IPv6 provider gives each customer at least a network of this prefix


def host_of(address: Any) -> str:
    """Return the host of a Twisted address; `unix` for an address without a host."""
    return str(getattr(address, "host", "unix"))


def parsed(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address, an IPv4-mapped one as IPv4; None for text that is no address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_loopback(host: str) -> bool:
    """Tell whether a host, an address or a name, is this machine."""
    address = parsed(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


@lru_cache(4096)  # each connection asks
def group_of(host: str) -> str:
    """Return the group that counts as one peer: an IPv4 address, or the /64 of an IPv6 one."""
    address = parsed(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _V6_PREFIX), strict=False))
    return host if address is None else str(address)


def network(text: str) -> Network:
    """Return the network of an address or prefix, IPv4-mapped as IPv4. Raises ValueError."""
    found = ip_network(text.strip(), strict=False)
    if isinstance(found, IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), found.prefixlen - 96))
    return found

"""Peers by their addresses: which belong together, and which network they are in."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

# One customer of an IPv6 provider has at least so many bits for himself.
_V6_PREFIX = 64


def host_of(address: Any) -> str:
    """Return the host of a Twisted address, `unix` for one that has none."""
    return str(getattr(address, "host", "unix"))


def parsed(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address, an IPv4 one also where it came mapped into IPv6; None for no address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_loopback(host: str) -> bool:
    """Tell whether a host, an address or a name, is this machine."""
    address = parsed(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def group_of(host: str) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 of an IPv6 address."""
    address = parsed(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _V6_PREFIX), strict=False))
    return host if address is None else str(address)


def network(text: str) -> Network:
    """Return the network that `text` names: an address, or one with a prefix.

    An IPv4 network that is written as IPv6 is taken for what it is. Raises ValueError.
    """
    found = ip_network(text.strip(), strict=False)
    if isinstance(found, IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), found.prefixlen - 96))
    return found

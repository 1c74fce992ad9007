"""Ports that several processes share, and what cannot be shared."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from twisted_gantry.net.shared_port import SharedPort, shared_endpoint


def has_ipv6() -> bool:
    """Tell whether this computer has an IPv6 loopback; many containers have none."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


async def test_a_tcp_port_is_shared() -> None:
    """Two listeners of one address, by IPv4 and, where there is one, by IPv6."""
    from twisted.internet import reactor

    loop: Any = reactor
    for interface in ("127.0.0.1", *([r"\:\:1"] if has_ipv6() else [])):
        place = f"tcp:{{}}:interface={interface}:backlog=7"
        first: Any = await shared_endpoint(loop, place.format(0)).listen(
            Factory.forProtocol(Protocol)
        )
        number = first.getHost().port
        second: Any = await shared_endpoint(loop, place.format(number)).listen(
            Factory.forProtocol(Protocol)
        )
        assert second.getHost().port == number
        await first.stopListening()
        await second.stopListening()


async def test_a_socket_file_is_not(tmp_path: Path) -> None:
    """It is served all the same, by one process."""
    from twisted.internet import reactor

    loop: Any = reactor
    endpoint = shared_endpoint(loop, f"unix:{tmp_path / 'centre.sock'}")
    assert not isinstance(endpoint, SharedPort)
    port: Any = await endpoint.listen(Factory.forProtocol(Protocol))
    await port.stopListening()

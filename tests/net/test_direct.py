"""Bytes that leave at once, over real sockets."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from twisted_gantry.net import direct


class Server(Factory):
    """Keeps the transport of its only connection."""

    noisy = False

    def __init__(self) -> None:
        self.connected: Deferred[Any] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def buildProtocol(self, addr: Any) -> Protocol:
        server = self

        class Connection(Protocol):
            def connectionMade(self) -> None:
                server.connected.callback(self.transport)

            def connectionLost(self, reason: Any = None) -> None:
                server.lost.callback(None)

        return Connection()


async def test_bytes_leave_within_the_call_and_in_order() -> None:
    """What the socket does not take waits behind, and what comes later waits behind that."""
    anyhow: Any = reactor
    server = Server()
    port = anyhow.listenTCP(0, server, interface="127.0.0.1")
    client = socket.create_connection(("127.0.0.1", port.getHost().port))
    transport = await server.connected
    direct.write(transport, b"at once")
    client.settimeout(5)
    assert client.recv(100) == b"at once"  # the reactor had no turn since
    large = bytes(range(256)) * 80_000
    direct.write(transport, large)
    direct.write(transport, b"behind")
    transport.loseConnection()
    client.setblocking(False)
    came = bytearray()
    while not server.lost.called:
        waited: Deferred[None] = Deferred()
        anyhow.callLater(0, waited.callback, None)
        await waited
        try:
            came += client.recv(1 << 20)
        except BlockingIOError:
            continue
    client.setblocking(True)
    while more := client.recv(1 << 20):
        came += more
    client.close()
    await port.stopListening()
    assert bytes(came) == large + b"behind"


async def test_a_connection_that_is_gone_is_told_as_usual() -> None:
    """A reset peer raises nothing within the call; the protocol loses its connection."""
    anyhow: Any = reactor
    server = Server()
    port = anyhow.listenTCP(0, server, interface="127.0.0.1")
    client = socket.create_connection(("127.0.0.1", port.getHost().port))
    transport = await server.connected
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
    for _ in range(3):
        direct.write(transport, b"x" * 100)
    await server.lost
    direct.write(transport, b"too late")
    await port.stopListening()


def test_other_transports_are_written_to_as_usual() -> None:
    """A network in memory, for example; TLS would send plain bytes."""
    transport = StringTransport()
    direct.write(transport, b"a")
    direct.write(transport, b"b")
    assert transport.value() == b"ab"

"""Servers that flood their clients are cut, over real sockets and in memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_gantry.net.http import client as module
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Flooder(Protocol):
    """Answers each request with `head`, then with `piece` for as long as it is read."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head, self._piece = head, piece * (65536 // len(piece))

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self._head)
        transport: Any = self.transport
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        assert self.transport is not None
        self.transport.write(self._piece)

    def stopProducing(self) -> None:
        """Do nothing: the connection is going."""


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (HEAD, b"1\r\nx\r\n"),
    ],
    ids=["100-continue", "headers", "chunks"],
)
async def test_a_flood_is_cut(head: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """`100 Continue`, headers and one-byte chunks without end are no answer, long before 10 s."""
    monkeypatch.setattr(module, "WORK", 0.02)  # this machine may give us little of its time
    from twisted.internet import reactor as loop

    reactor: Any = loop
    factory = Factory.forProtocol(partial(Flooder, head, piece))
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    pool = persistent_pool(reactor)
    client = BoundedClient(treq_client(reactor, pool), reactor, limit=8 * 1024 * 1024)
    try:
        with pytest.raises(NoAnswer, match="floods"):
            await client.request("GET", f"http://127.0.0.1:{port.getHost().port}/")
    finally:
        await pool.closeCachedConnections()
        await port.stopListening()


def connected() -> tuple[module._Connection, StringTransport, list[Any]]:
    quiet: list[Any] = []
    connection = module._Connection(Clock(), quiet.append)
    transport: Any = StringTransport()
    transport.abortConnection = transport.loseConnection
    connection.makeConnection(transport)
    return connection, transport, quiet


def test_the_pool_makes_these_connections() -> None:
    """The pool of Twisted still has the name by which its connections are replaced."""
    pool: Any = persistent_pool(Clock())
    make: Callable[[Any, Any], Any] = pool._factory
    assert isinstance(make(lambda _: None, "").buildProtocol(None), module._Connection)
    assert hasattr(connected()[0], "_parser")

"""The loop without log contexts: events are served as Twisted's own loop serves them."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_gantry.net.lean_loop import make_lean


@pytest.fixture
def loop() -> Iterator[Any]:
    made: Any = EPollReactor
    reactor = made()
    yield reactor
    for each in reactor.removeAll():
        each.connectionLost(Failure(ConnectionError()))
    reactor._poller.close()


class Echo(Protocol):
    """Says back what comes; `!` is a mistake."""

    def dataReceived(self, data: bytes) -> None:
        if data == b"!":
            raise RuntimeError("a mistake of the protocol")
        assert self.transport is not None
        self.transport.write(data)


def test_events_are_served(loop: Any, logged_failures: list[Failure]) -> None:
    """Reads, writes, and the end; a protocol that raises loses its connection, and is logged."""
    assert make_lean(loop) is True
    port = loop.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
    clients = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(2)]
    for said, answer in ((b"a", b"a"), (b"b", b"b"), (b"!", b"")):
        clients[0].sendall(said)
        clients[0].setblocking(False)
        got = None
        while got is None:
            loop.doIteration(0.01)
            try:
                got = clients[0].recv(10)
            except BlockingIOError:
                continue
        assert got == answer
    assert [each.type for each in logged_failures] == [RuntimeError]
    logged_failures.clear()
    clients[1].sendall(b"c")
    for client in clients:
        client.close()
    for _ in range(3):
        loop.doIteration(0)
    assert all(not isinstance(each, Echo) for each in loop.getReaders())


def test_other_reactors_stay_as_they_are(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known in all its names is left alone."""
    assert make_lean(Clock()) is False
    monkeypatch.setattr(EPollReactor, "doIteration", lambda self, timeout: None)
    assert make_lean(loop) is False
    monkeypatch.undo()
    kept = loop._selectables
    del loop._selectables
    assert make_lean(loop) is False
    loop._selectables = kept

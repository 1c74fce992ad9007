"""A bounded HTTP server and its clients in memory, on a clock."""

import re
from collections import Counter
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from twisted_gantry.net.http.server import Limits, bounded_site

LIMITS = Limits(body=100, deadline=10.0, idle=60.0, connections=3)


class Connection:
    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.transport = StringTransport()
        self.aborted = False
        transport: Any = self.transport
        transport.abortConnection = self._abort
        protocol.makeConnection(self.transport)

    def _abort(self) -> None:
        self.aborted = True
        self.transport.loseConnection()

    def send(self, data: bytes) -> None:
        """Let the server receive this, as one read."""
        self.protocol.dataReceived(data)

    def half_close(self) -> None:
        """Send nothing more, and wait for answers."""
        IHalfCloseableProtocol(self.protocol).readConnectionLost()

    def closes(self) -> bool:
        """Tell whether the server closes."""
        return bool(self.transport.disconnecting)

    def statuses(self) -> list[int]:
        """Return the status of each answer."""
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", self.transport.value())]

    def leave(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Server:
    def __init__(
        self, resource: Resource, limits: Limits = LIMITS, *, short_bodies: bool = False
    ) -> None:
        self.clock = Clock()
        self.counts: Counter[str] = Counter()
        self.factory = bounded_site(
            resource, self.clock, limits, self.counts, short_bodies=short_bodies
        )

    def connect(self, host: str = "192.0.2.1") -> Connection:
        connection = self.knock(IPv4Address("TCP", host, 1))
        assert connection is not None
        return connection

    def knock(self, address: IAddress) -> Connection | None:
        """Return a new connection, None when it is closed at accept."""
        protocol = self.factory.buildProtocol(address)
        return None if protocol is None else Connection(cast("Protocol", protocol))

    def left_by(self, client: Connection) -> Counter[str]:
        """Let a client leave, which may leave no timer behind; returns the counts."""
        client.leave()
        assert self.clock.getDelayedCalls() == []
        return self.counts

    def still_serves(self) -> bool:
        """Tell whether a new client gets its answer after the others have left."""
        client = self.connect()
        client.send(GET)
        client.leave()
        return client.statuses() == [200] and self.clock.getDelayedCalls() == []


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

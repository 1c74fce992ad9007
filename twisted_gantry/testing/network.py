"""Networks in memory: a TCP server or an HTTP resource plays the device, without a socket."""

from typing import Any

from treq.testing import StubTreq
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from zope.interface import implementer

from twisted_gantry.core.interfaces import Untapped
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.testing.clock import ManualClock

NOWHERE = IPv4Address("TCP", "127.0.0.1", 1)


@implementer(IStreamClientEndpoint)
class MemoryNetwork:
    """An endpoint that connects clients to `server`, a factory, without a socket.

    While `reachable` is false, connections are refused. `pumps` has every connection ever made.
    """

    def __init__(self, clock: ManualClock, server: IProtocolFactory) -> None:
        self.server, self.reachable = server, True
        self.pumps: list[IOPump] = []
        self.attempts: list[float] = []
        self._clock = clock
        clock.network = self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        self.attempts.append(self._clock.seconds())
        server = self.server.buildProtocol(NOWHERE) if self.reachable else None
        client = protocolFactory.buildProtocol(NOWHERE)
        if server is None or client is None:
            return fail(Refused("refused by the test"))
        self.pumps.append(
            connect(server, makeFakeServer(server), client, makeFakeClient(client), greet=False)
        )
        # As a real endpoint does: the protocol is connected when the Deferred fires.
        return succeed(client)

    def flush(self) -> bool:
        """Deliver what was written; True if there was anything."""
        return sum(_pump(pump) for pump in list(self.pumps)) > 0

    def cut(self) -> None:
        pump = self.pumps[-1]
        pump.serverIO.abortConnection()
        pump.clientIO.abortConnection()
        self.flush()


def _pump(pump: IOPump) -> bool:
    moved = False
    while pump.pump():
        moved = True
    return moved


class TcpPeer(Untapped):
    """A device over TCP, played by the factory `server`: each endpoint of the driver leads to it.

    While `reachable` is false, connections are refused; `lose` also cuts the present one.
    """

    def __init__(self, clock: ManualClock, server: IProtocolFactory) -> None:
        self.network = MemoryNetwork(clock, server)

    @property
    def reachable(self) -> bool:
        return self.network.reachable

    @reachable.setter
    def reachable(self, value: bool) -> None:
        self.network.reachable = value

    def endpoint(self, endpoint: Any) -> Any:
        return self.network

    def lose(self) -> None:
        self.network.reachable = False
        if self.network.pumps:
            self.network.cut()


class HttpPeer(Untapped):
    """A device over HTTP, played by `resource`: each client of the driver leads to it.

    While `reachable` is false, connections are refused. `sent` has each method and URL.
    """

    def __init__(self, clock: ManualClock, resource: Any) -> None:
        self.reachable = True
        self.sent: list[tuple[str, str]] = []
        self._stub: Any = StubTreq(resource)
        self._clock = clock
        clock.network = self

    def client(self, client: Any) -> Any:
        treq: Any = self
        return BoundedClient(treq, self._clock)

    def request(self, method: str, url: str, **more: Any) -> Deferred[Any]:
        """Send a request; the resource has it at once."""
        self.sent.append((method, url))
        if not self.reachable:
            return fail(Refused("refused by the test"))
        response: Deferred[Any] = self._stub.request(method, url, **more)
        return response

    def flush(self) -> bool:
        """Deliver answers; True if that brought another request."""
        before = len(self.sent)
        self._stub.flush()
        return len(self.sent) > before

    def lose(self) -> None:
        self.reachable = False

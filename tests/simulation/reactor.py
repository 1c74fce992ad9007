"""A reactor that has no sockets and no time of its own: TCP in memory, on a clock that jumps.

Time passes from one timer to the next, so that a quiet hour costs nothing. Bytes arrive `LATENCY`
after they were written, in their order. Names are not looked up: an address stands for itself.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import (
    IConnector,
    IHostResolution,
    IListeningPort,
    IPushProducer,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IResolutionReceiver,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.task import Clock, Cooperator
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.moments import Moment

LATENCY = 0.001  # seconds
_FIRST_CLIENT_PORT = 40_000


@implementer(ITCPTransport, IPushProducer)
class Transport:
    """One end of a connection; `peer` is the other end."""

    peer: "Transport"
    disconnecting = False

    def __init__(self, reactor: "MemoryReactor", host: IPv4Address, there: IPv4Address) -> None:
        self._reactor, self._host, self._there = reactor, host, there
        self.protocol: Any = None
        self.lost: Callable[[Failure], None] = lambda reason: None
        self.connected = True
        self._out: deque[bytes] = deque()
        self._paused = self._flushing = False
        self._producer: Any = None
        self._streaming = True

    def write(self, data: bytes) -> None:
        if self.connected and not self.disconnecting and data:
            self._out.append(bytes(data))
            self._soon()

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._soon()

    loseWriteConnection = loseConnection

    def abortConnection(self) -> None:
        if self.connected:
            self._out.clear()
            self.disconnecting = True
            self._reactor.callLater(0, self._end, ConnectionAborted())
            self._reactor.callLater(LATENCY, self.peer._end, ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer, self._streaming = producer, streaming
        if not streaming:
            self._soon()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self.disconnecting:
            self._soon()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self.peer.connected:
            self.peer._soon()

    def stopProducing(self) -> None:
        self.loseConnection()

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._there

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing: there is no delay."""

    setTcpKeepAlive = setTcpNoDelay

    def getTcpNoDelay(self) -> bool:
        return True

    getTcpKeepAlive = getTcpNoDelay

    def _soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._reactor.callLater(LATENCY, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self.connected:
            return
        while self._out and not self.peer._paused and self.peer.connected:
            self.peer.protocol.dataReceived(self._out.popleft())
        if self._out and self.peer.connected:
            return  # the peer goes on with `resumeProducing`
        if self._producer is not None and not self._streaming:
            self._producer.resumeProducing()
            self._soon()
        elif self.disconnecting and (self._producer is None or not self._streaming):
            self._reactor.callLater(LATENCY, self.peer._end, ConnectionDone())
            self._end(ConnectionDone())

    def _end(self, reason: Exception) -> None:
        if not self.connected:
            return
        self.connected = False
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self.peer.connected and isinstance(reason, ConnectionDone):
            self._reactor.callLater(LATENCY, self.peer._end, ConnectionDone())
        failure = Failure(reason)
        self.protocol.connectionLost(failure)
        self.lost(failure)


@implementer(IListeningPort)
class Port:
    def __init__(self, reactor: "MemoryReactor", number: int, factory: Factory) -> None:
        self._reactor, self.number, self.factory = reactor, number, factory

    def startListening(self) -> None:
        if self.number in self._reactor.ports:
            raise CannotListenError("127.0.0.1", self.number, OSError("in use"))
        self._reactor.ports[self.number] = self
        self.factory.doStart()

    def stopListening(self) -> None:
        if self._reactor.ports.pop(self.number, None) is not None:
            self.factory.doStop()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)


@implementer(IConnector)
class Connector:
    """An attempt of a client factory, and its connection."""

    def __init__(self, reactor: "MemoryReactor", port: int, factory: ClientFactory) -> None:
        self._reactor, self._port, self._factory = reactor, port, factory
        self._transport: Transport | None = None
        self._attempt: Any = None

    def connect(self) -> None:
        self._factory.doStart()
        self._factory.startedConnecting(self)
        self._attempt = self._reactor.callLater(LATENCY, self._try)

    def stopConnecting(self) -> None:
        if self._attempt is not None and self._attempt.active():
            self._attempt.cancel()
            self._factory.clientConnectionFailed(self, Failure(ConnectionAborted()))

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.loseConnection()
        else:
            self.stopConnecting()

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self._port)

    def _try(self) -> None:
        port = self._reactor.ports.get(self._port)
        here, there = self._reactor.client_address(), self.getDestination()
        server = port.factory.buildProtocol(here) if port is not None else None
        if server is None:
            self._factory.clientConnectionFailed(self, Failure(Refused()))
            self._factory.doStop()
            return
        client: Any = self._factory.buildProtocol(there)
        ends = Transport(self._reactor, here, there), Transport(self._reactor, there, here)
        ours, theirs = ends
        ours.peer, theirs.peer = theirs, ours
        ours.protocol, theirs.protocol = client, server
        ours.lost = self._lost
        self._transport = ours
        server.makeConnection(theirs)
        client.makeConnection(ours)

    def _lost(self, reason: Failure) -> None:
        self._factory.clientConnectionLost(self, reason)
        self._factory.doStop()


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: it is over."""


class _Resolver:
    def resolveHostName(
        self,
        receiver: IResolutionReceiver,
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        *_: object,
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        receiver.resolutionBegan(resolution)
        receiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        receiver.resolutionComplete()
        return resolution


def _nothing(_: DelayedCall) -> None:
    """Do nothing: `advance` sorts calls that were put off."""


@implementer(IReactorTCP, IReactorPluggableNameResolver)
class MemoryReactor(Clock):
    """The reactor; `start` is the time of day at the beginning, Unix seconds."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.ports: dict[int, Port] = {}
        self.nameResolver: Any = _Resolver()
        self.turns = 0
        self._start = start
        self._clients = _FIRST_CLIENT_PORT

    def now(self) -> float:
        """Return Unix seconds."""
        return self._start + float(self.seconds())

    def moment(self) -> Moment:
        """Return the present moment of a computer that booted with this clock and has the time."""
        return Moment(self.now(), "the one boot", float(self.seconds()), trusted=True)

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> DelayedCall:  # noqa: A002
        """Insert a call in its place: Twisted's own clock sorts all of them for each new one."""
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, self.calls.remove, _nothing, self.seconds
        )
        insort(self.calls, call, key=DelayedCall.getTime)
        return call

    def run_until(self, moment: float) -> None:
        """Let time pass until `moment`, in seconds of this clock, from timer to timer."""
        self._sortCalls()
        while self.calls and (due := self.calls[0].getTime()) <= moment:
            self.rightNow = max(self.rightNow, due)
            self.turns += 1
            self.advance(0)
        self.rightNow = moment

    def client_address(self) -> IPv4Address:
        self._clients = _FIRST_CLIENT_PORT + (self._clients + 1) % 20_000
        return IPv4Address("TCP", "127.0.0.1", self._clients)

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> Port:
        made = Port(self, port, factory)
        made.startListening()
        return made

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,  # noqa: N803
    ) -> Connector:
        connector = Connector(self, port, factory)
        connector.connect()
        return connector

    def installNameResolver(self, resolver: Any) -> Any:
        before, self.nameResolver = self.nameResolver, resolver
        return before

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self.callLater(0, function, *args)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let Twisted's global cooperator, which sends the bodies of requests, use this clock."""
        before = task._theCooperator
        task._theCooperator = Cooperator(scheduler=lambda go_on: self.callLater(0, go_on))
        try:
            yield
        finally:
            task._theCooperator = before

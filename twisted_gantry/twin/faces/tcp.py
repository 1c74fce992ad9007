"""What the faces over TCP share: sessions behind fault injection, and their number."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_gantry.twin.faults.flow import Flow
from twisted_gantry.twin.faults.injection import FaultInjector


class FaceSession(Protocol):
    """One connection. A subclass takes in `receive` what the faults let through."""

    factory: "SessionFactory"
    flow: Flow

    def __init__(self, injector: FaultInjector) -> None:
        self.injector = injector

    def receive(self, data: bytes) -> None:
        raise NotImplementedError

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.factory.sessions[self] = None
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)  # the only sign that a silent peer has gone
        self.flow = Flow(self.injector, self.transport, self.receive)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.sessions.pop(self, None)
        self.flow.lost()

    def dataReceived(self, data: bytes) -> None:
        self.flow.received(data)

    def abortConnection(self) -> None:
        self.flow.abort()


class SessionFactory(Factory):
    """Accepts up to `most` sessions unless it `refuses`; counts `connections` and `refused`."""

    noisy = False

    def __init__(
        self,
        counts: Counter[str],
        make: Callable[[], Any],
        most: int,
        refuses: Callable[[], bool] = lambda: False,
        sessions: dict[Any, None] | None = None,
    ) -> None:
        self.counts = counts
        self.sessions: dict[Any, None] = {} if sessions is None else sessions
        self.most, self._make, self._refuses = most, make, refuses

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a session; None closes the connection at once."""
        if self._refuses() or len(self.sessions) >= self.most:
            self.counts["refused"] += 1
            return None
        self.counts["connections"] += 1
        session = self._make()
        session.factory = self
        return session

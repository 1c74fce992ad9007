"""The TCP link to a UPS card: one connection, made again after each loss.

Source: `docs/protocols/ups-card.md`, "Transport" and "Decisions": no terminator, framing by
structure, 64 KiB.
"""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.devices.upscard.link import CardLink, Driver
from twisted_gantry.net.session import Backoff, reconnecting
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import ObjectFramer

_log = Logger()


class _Connection(Protocol):
    """One TCP connection: bytes to objects, and back."""

    def __init__(self, link: "TcpLink") -> None:
        self._link = link
        self._framer = ObjectFramer()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._link.connected(self)

    def dataReceived(self, data: bytes) -> None:
        skipped = self._framer.skipped
        try:
            for frame in self._framer.feed(data):
                self._link.session.received(frame)
        except FrameTooLong as error:
            self._link.too_long(str(error))
        finally:
            self._link.counts["skipped-bytes"] += self._framer.skipped - skipped

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link.disconnected(self, reason.getErrorMessage())

    def restart_framing(self) -> None:
        if self._framer.reset():
            self._link.counts["half-objects"] += 1

    def abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class TcpLink(CardLink):
    """Keeps one connection to `endpoint`. `terminator` is sent behind each command."""

    def __init__(
        self,
        driver: Driver,
        endpoint: IStreamClientEndpoint,
        terminator: str,
        clock: IReactorTime,
        backoff: Backoff,
    ) -> None:
        super().__init__(driver, clock)
        self._terminator = terminator.encode()
        self._backoff = backoff
        self._connection: _Connection | None = None
        factory = Factory.forProtocol(partial(_Connection, self))
        factory.noisy = False
        self._service = reconnecting(endpoint, factory, backoff, clock, self._not_connected)

    def start(self) -> None:
        self._service.startService()

    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = self._service.stopService()
        if self._connection is not None:
            self._connection.abort()
        return stopped

    def send(self, data: bytes) -> None:
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.write(data + self._terminator)

    def restart_framing(self) -> None:
        if self._connection is not None:
            self._connection.restart_framing()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    def proved_good(self) -> None:
        self._backoff.reset()

    def connected(self, connection: _Connection) -> None:
        self._connection = connection
        self.counts["connections"] += 1
        self.opened()

    def disconnected(self, connection: _Connection, reason: str) -> None:
        if connection is self._connection:
            self._connection = None
            self.closed(reason)

    def too_long(self, reason: str) -> None:
        if not self.counts["too-long"]:
            _log.warn("{name} sends {reason}; cut", name=self.driver.device, reason=reason)
        self.counts["too-long"] += 1
        self.drop()

    def _not_connected(self, failure: Failure) -> None:
        self.closed(failure.getErrorMessage())

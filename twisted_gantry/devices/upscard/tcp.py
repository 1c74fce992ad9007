"""The TCP link to a UPS card: one connection, made again after each loss.

A card that closes its connection after each reply is as good as one that leaves it open: the next
command connects again. Source: `docs/protocols/ups-card.md`, "Transport" and "Decisions".
"""

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.devices.upscard.link import GIVEN_UP, CardLink, Driver, LinkUnreachable
from twisted_gantry.net.budget import Budget, Slices, Unasked
from twisted_gantry.net.outage import Cause, Outage, lost, outage, outage_of
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard.session import NotSent

_log = Logger()

# Objects that answer no command, a second and at once; bytes a second and at once. A card sends a
# few hundred bytes a second.
UNASKED, UNASKED_BURST = 10.0, 100.0
BYTES, BYTES_BURST = 64 * 1024, 256 * 1024

LOOK = 400  # the first bytes of a connection, which tell whether the peer speaks the protocol
# A connection that ends after at most this many replies was closed on purpose. After this many such
# connections in a row the card is known to close, and each command gets a connection of its own.
FEW_REPLIES, KNOWN_AFTER = 2, 2


class _Connection(Protocol):
    """One TCP connection: bytes to objects, and back. `replies` counts the objects that came;
    `first` are the first bytes; `quiet`: nothing came since the last command.
    """

    def __init__(self, link: "TcpLink") -> None:
        self._link = link
        self._framer = ObjectFramer()
        self._bytes = Budget(link.clock, BYTES, BYTES_BURST)
        self._slices = Slices(link.clock, self._feed, lambda seconds: True, self._flooded)
        self.replies = 0
        self.first = b""
        self.quiet = True

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._slices.transport = transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._link.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self.quiet = False
        self.first = (self.first + data[:LOOK])[:LOOK]
        self._slices.take(data)

    def _feed(self, data: bytes) -> None:
        if not self._bytes.spend(len(data)):
            self._flooded()
            return
        skipped = self._framer.skipped
        try:
            for frame in self._framer.feed(data):
                if not self._link.unasked.came():
                    self._flooded()
                    return
                self.replies += 1
                self._link.session.received(frame)
        except FrameTooLong as error:
            self._slices.drop()
            self._link.too_long(str(error))
        finally:
            if self._framer.skipped > skipped:
                self._link.counts["skipped-bytes"] += self._framer.skipped - skipped
                self._link.session.skipped(self._framer.junk)

    def _flooded(self) -> None:
        self._slices.drop()
        self._link.flooded()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._slices.end()
        self._link.disconnected(self, lost(outage_of(reason.value), self.first, self.replies > 0))

    def send(self, data: bytes) -> None:
        self.quiet = True
        if self.transport is not None:
            self.transport.write(data)

    def unfinished(self) -> bytes:
        rest = self._framer.reset()
        if rest:
            self._link.counts["half-objects"] += 1
        return rest

    def close(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()

    def abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class TcpLink(CardLink):
    """Keeps a connection to `endpoint`. `terminator` is sent behind each command. While the link is
    up there may be no connection: the card closed it after a reply.
    """

    def __init__(
        self,
        driver: Driver,
        endpoint: IStreamClientEndpoint,
        terminator: str,
        clock: IReactorTime,
        backoff: Backoff,
    ) -> None:
        super().__init__(driver, clock)
        self.clock = clock
        self.unasked = Unasked(clock, UNASKED, UNASKED_BURST)
        self._endpoint, self._backoff = endpoint, backoff
        self._terminator = terminator.encode()
        self._connection: _Connection | None = None
        self._attempt: Deferred[IProtocol] | None = None
        self._pause = Timer(clock, self._connect)
        self._running = self._up = False
        self._dropped: Outage | None = None  # why the connection was given up
        self._command = b""  # the last one
        self._waits = False  # for a connection
        self._closings = 0  # connections in a row that the card closed after few replies
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        self._running = True
        if self._connection is None:
            self._connect()

    def stop(self) -> Deferred[None]:
        self._running = False
        self._pause.cancel()
        if self._connection is None:
            self._down(outage(Cause.OTHER, en="stopped", zh="已停止"))
            return succeed(None)
        self._stopped = Deferred()
        self._connection.abort()
        return self._stopped

    def send(self, data: bytes) -> None:
        self.unasked.asked()
        self._command = data + self._terminator
        connection = self._connection
        if connection is not None and connection.replies and self._closings >= KNOWN_AFTER:
            # The card is about to close, and would not read the command.
            self._connection = None
            connection.close()
        if self._connection is not None:
            self._connection.send(self._command)
        else:
            self._send_later()

    def unfinished(self) -> bytes:
        self._waits = False
        return b"" if self._connection is None else self._connection.unfinished()

    def drop(self, reason: Outage = GIVEN_UP) -> None:
        if self._connection is not None:
            self._dropped = reason
            self._connection.abort()
        elif self._up:
            self._down(reason)

    def retry(self) -> None:
        if self._pause.running:
            self._pause.start(0)

    def proved_good(self) -> None:
        self._backoff.reset()

    def connected(self, connection: _Connection) -> None:
        self._connection = connection
        if not self._running:
            connection.abort()
            return
        self.counts["connections"] += 1
        if not self._up:
            self._up, self._dropped = True, None
            self.opened()
        elif self._waits:
            self._waits = False
            if self.session.is_expired:
                self.session.undelivered(NotSent("it expired before its turn"))
            else:
                connection.send(self._command)

    def disconnected(self, connection: _Connection, reason: Outage) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        if self._running and self._dropped is None and self._only_closed(connection):
            return
        self._down(self._dropped or reason)
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)

    def flooded(self) -> None:
        if not self.counts["flooded"]:
            _log.warn("{name} floods the connection; cut", name=self.driver.device)
        self.counts["flooded"] += 1
        self._backoff.flooded()
        self.drop(outage(Cause.FLOOD))

    def too_long(self, reason: str) -> None:
        if not self.counts["too-long"]:
            _log.warn("{name} sends {reason}; cut", name=self.driver.device, reason=reason)
        self.counts["too-long"] += 1
        self.drop(outage(Cause.MALFORMED, en=reason))

    def _only_closed(self, connection: _Connection) -> bool:
        """Tell whether the card closed after a reply. A query that crossed with that goes out once
        more; a control may have been executed.
        """
        awaits, crossed = self.session.is_awaiting, self.session.is_repeatable and connection.quiet
        if not connection.replies or (awaits and not crossed):
            return False
        self._closings = self._closings + 1 if connection.replies <= FEW_REPLIES else 0
        if awaits:
            self._send_later()
        return True

    def _send_later(self) -> None:
        self._waits = True
        if self._attempt is None:
            self._connect()

    def _connect(self) -> None:
        factory = Factory.forProtocol(partial(_Connection, self))
        factory.noisy = False
        attempt = self._attempt = self._endpoint.connect(factory)
        attempt.addCallbacks(self._connected, self._not_connected)
        attempt.addErrback(lambda f: _log.failure("{name}", failure=f, name=self.driver.device))

    def _connected(self, _: IProtocol) -> None:
        self._attempt = None

    def _not_connected(self, failure: Failure) -> None:
        if failure.check(CancelledError):  # given up
            return
        self._attempt = None
        reason = outage_of(failure.value)
        if self._up and self._closings >= KNOWN_AFTER:
            self._waits = False
            self.session.undelivered(LinkUnreachable(reason))  # a miss, as if no reply had come
        else:
            self._down(reason)

    def _down(self, reason: Outage) -> None:
        sent, self._waits = not self._waits, False
        self._up, self._closings = False, 0
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        self.closed(reason, sent=sent)
        if self._running:
            self._pause.start(self._backoff.next())

"""A link to a peer that speaks in lines: reconnected for ever, bounded both ways.

A line over the bound ends the connection. The link is the producer of its transport, so that it
knows when the transport is full; what is sent all the same waits in memory.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from typing import Protocol as Interface

from twisted.internet import interfaces
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.budget import Slices
from twisted_gantry.net.outage import Cause, Outage, Reason, as_outage, outage, outage_of
from twisted_gantry.net.patient_lines import PatientLines, Whole
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Timer

_log = Logger()

LOOK = 400  # the first bytes of a connection, which tell whether the peer speaks the protocol


_STOPPED = outage(Cause.OTHER, en="stopped", zh="已停止")


class LineOwner(Interface):
    """What a link reports to."""

    def connected(self) -> None: ...  # a connection is there
    def received(self, line: bytes) -> None: ...  # the peer sent a line; its delimiter is cut off
    def writable(self) -> None: ...  # the transport was full, and takes data again

    def disconnected(self, reason: Outage) -> None:
        """The connection is lost; unless the link was stopped another follows after a pause."""

    def not_connected(self, reason: Outage) -> None:
        """An attempt to connect failed; the next follows after a pause."""


class LineLink:
    """Keeps one connection up. `spread` returns a number in [0, 1), for the jitter of the pauses.
    `pauses` are the first and the longest pause between two attempts, in seconds; `max_line` is in
    bytes. `whole` measures what is taken of a line without an end. `counts` gains `connections`,
    `too-long` lines and `flooded`.
    """

    def __init__(
        self,
        owner: LineOwner,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        spread: Callable[[], float],
        *,
        pauses: tuple[float, float],
        delimiter: bytes,
        max_line: int,
        counts: Counter[str],
        whole: Whole = lambda rest: 0,
    ) -> None:
        self.owner, self.counts = owner, counts
        self.delimiter, self.max_line = delimiter, max_line
        self.clock, self.whole = clock, whole
        self.first = b""
        """The first bytes of the present or last connection."""
        self._endpoint = endpoint
        self._backoff = Backoff(*pauses, spread)
        self._pause = Timer(clock, self._connect)
        self._attempt: Deferred[interfaces.IProtocol] | None = None
        self._connection: _Connection | None = None
        self._running = False
        self._stopped: Deferred[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    @property
    def is_writable(self) -> bool:
        return self._connection is not None and not self._connection.full

    def start(self) -> None:
        self._running = True
        if self._connection is None:
            self._connect()

    def stop(self) -> Deferred[None]:
        """Cut the connection for good; fires when it is closed."""
        self._running = False
        self._pause.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is None:
            return succeed(None)
        stopped = self._stopped = self._stopped or Deferred()
        self._connection.abort(_STOPPED)
        waiter: Deferred[None] = Deferred()
        stopped.addCallback(waiter.callback)
        return waiter

    def retry(self) -> None:
        """End a pause between two attempts."""
        if self._pause.running:
            self._pause.cancel()
            self._connect()

    def flooded(self) -> None:
        """Cut a peer that sends too much, and back off."""
        self.counts["flooded"] += 1
        self._backoff.flooded()
        self.drop(outage(Cause.FLOOD, en="the peer floods the connection"))

    def good(self) -> None:
        """Note that the session proved good: the next pause is the first one again."""
        self._backoff.reset()

    def set_pauses(self, first: float, most: float) -> None:
        """Begin with other pauses, in seconds; pauses that are in force already go on."""
        if (self._backoff.first, self._backoff.most) != (first, most):
            self._backoff.first, self._backoff.most = first, most
            self._backoff.reset()

    def send(self, line: bytes) -> None:
        """Send a line, its delimiter included; without a connection nothing happens."""
        if self._connection is not None:
            self._connection.send(line)

    def drop(self, reason: Reason) -> None:
        """Cut the connection; `disconnected` tells this reason, and another connection follows."""
        if self._connection is not None:
            self._connection.abort(as_outage(reason))

    # -- what the connection tells

    def opened(self, connection: "_Connection") -> None:
        self._connection = connection
        if not self._running:
            connection.abort(_STOPPED)
            return
        self.counts["connections"] += 1
        self.first = b""
        self.owner.connected()

    def closed(self, reason: Outage) -> None:
        """Note its end; a link that was started again meanwhile connects at once."""
        stopped, self._stopped = self._stopped, None
        self._connection = None
        self.owner.disconnected(reason)
        if stopped is not None:
            stopped.callback(None)
            if self._running:
                self._connect()
        elif self._running:
            self._pause.start(self._backoff.next())

    def _connect(self) -> None:
        factory = Factory.forProtocol(partial(_Connection, self))
        factory.noisy = False
        attempt = self._attempt = self._endpoint.connect(factory)
        attempt.addCallbacks(self._connected, self._not_connected)
        attempt.addErrback(lambda failure: _log.failure("a link failed", failure=failure))

    def _connected(self, _: interfaces.IProtocol) -> None:
        self._attempt = None

    def _not_connected(self, failure: Failure) -> None:
        self._attempt = None
        if self._running:
            self.owner.not_connected(outage_of(failure.value))
            self._pause.start(self._backoff.next())


@implementer(interfaces.IPushProducer)
class _Connection(PatientLines):
    """One TCP connection; after `abort` nothing that still comes is looked at. Bytes are taken in
    slices: to cut many short lines off what was received takes the square of its length.
    """

    def __init__(self, link: LineLink) -> None:
        super().__init__(link.clock, link.whole)
        self.delimiter, self.MAX_LENGTH = link.delimiter, link.max_line
        self.full = False
        self._link, self._owner = link, link.owner
        self._why: Outage | None = None
        feed = super().dataReceived
        self._slices = Slices(link.clock, feed, lambda seconds: True, lambda: None)

    def dataReceived(self, data: bytes) -> None:
        self._link.first = (self._link.first + data[:LOOK])[:LOOK]
        self._slices.take(data)

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._slices.transport = transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self._link.opened(self)

    def lineReceived(self, line: bytes) -> None:
        if self._why is None:
            self._owner.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineReceiver's
        self._link.counts["too-long"] += 1
        most = self.MAX_LENGTH
        en, zh = f"a line of more than {most} bytes", f"单行超过{most}字节"
        self.abort(outage(Cause.MALFORMED, en=en, zh=zh))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._slices.end()
        super().connectionLost(reason)
        self._why = self._why or outage_of(reason.value)
        self._link.closed(self._why)

    def send(self, line: bytes) -> None:
        if self._why is None and self.transport is not None:
            self.transport.write(line)

    def abort(self, reason: Outage) -> None:
        self._why = self._why or reason
        self._slices.drop()
        self.take_no_rest()
        transport: Any = self.transport
        transport.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        self.full = True

    def resumeProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        self.full = False
        self._owner.writable()

    def stopProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        """Nothing to do: the connection is going."""

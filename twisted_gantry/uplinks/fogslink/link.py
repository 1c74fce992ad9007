"""The TCP link to the Fogslink cloud: lines, reconnected for ever, one session at a time.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.secret import Secret
from twisted_gantry.net.session import Backoff, reconnecting
from twisted_gantry.wire.fogslink.client import ClientSession, Ending, LoginRefusal, Parcel
from twisted_gantry.wire.fogslink.messages import DELIMITER, MAX_LINE, Configure, Configured

_log = Logger()

# Seconds; a peer that is down is asked at most seven times in the first minute, then twice.
FIRST, MOST = 1.0, 60.0
# After a refusal; times the jitter of 0.5 to 1 the first pause is 30 s at the least.
REFUSED_FIRST, REFUSED_MOST = 60.0, 600.0


class Driver(Interface):
    """Whom the link tells."""

    def link_online(self) -> None:
        """The cloud has authenticated us."""

    def link_down(self, reason: str, was_online: bool, good: bool) -> None:
        """The connection is lost, or could not be made; `good`: it had answered data."""

    def link_refused(self, refusal: LoginRefusal) -> None:
        """The cloud does not let us in."""

    def link_ready(self) -> None:
        """The transport takes data again."""

    def configure(self, message: Configure) -> None:
        """The cloud wants a channel reported otherwise."""


@implementer(IPushProducer)
class _Connection(LineOnlyReceiver):
    """One TCP connection. As the transport's producer it learns when that is full."""

    delimiter = DELIMITER
    MAX_LENGTH = MAX_LINE

    def __init__(self, link: "Link") -> None:
        self._link = link
        self.full = self._aborted = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self._link.connected(self)

    def lineReceived(self, line: bytes) -> None:
        if not self._aborted:
            self._link.session.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineOnlyReceiver's
        self._link.too_long()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._aborted = True
        self._link.disconnected(self, reason.getErrorMessage())

    def send(self, line: bytes) -> None:
        """Write a line."""
        if not self._aborted and self.transport is not None:
            self.transport.write(line)

    def abort(self) -> None:
        """Cut the connection at once; what still comes of it is not looked at."""
        self._aborted = True
        transport: Any = self.transport
        transport.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Send no more: the transport is full."""
        self.full = True

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Send again."""
        self.full = False
        self._link.driver.link_ready()

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Nothing to do: the connection is going."""


@implementer(IStreamClientEndpoint)
class _Attempts:
    """An endpoint that knows whether somebody is connecting to it at this moment."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint
        self.under_way = False

    def __repr__(self) -> str:
        """Show where to: it is logged."""
        return repr(self._endpoint)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        def over(result: Any) -> Any:
            self.under_way = False
            return result

        self.under_way = True
        attempt: Deferred[IProtocol] = self._endpoint.connect(protocolFactory).addBoth(over)
        return attempt


class Link:
    """Keeps one session with the cloud. `eq_sn` and `api_key` are the account's."""

    def __init__(
        self,
        driver: Driver,
        endpoint: IStreamClientEndpoint,
        eq_sn: str,
        api_key: Secret,
        clock: IReactorTime,
        spread: Callable[[], float],
    ) -> None:
        self.driver = driver
        self.session = ClientSession(self, clock, eq_sn, api_key.reveal)
        self.counts: Counter[str] = self.session.counts
        self._backoff = Backoff(FIRST, MOST, spread)
        self._attempts = _Attempts(endpoint)
        self._connection: _Connection | None = None
        self._why = ""
        self._stopped = self._good = False
        self._service = reconnecting(
            self._attempts, _Factory(self), self._backoff, clock, self._not_connected
        )

    @property
    def ready(self) -> bool:
        """Whether data can be sent now: authenticated, nothing in flight, the transport willing."""
        connection = self._connection
        return self.session.ready and connection is not None and not connection.full

    def start(self) -> None:
        """Connect, and again after each loss."""
        self._stopped = False
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Disconnect for good."""
        self._stopped = True
        stopped: Deferred[None] = self._service.stopService()
        if self._connection is not None:
            self._connection.abort()
        return stopped

    def retry(self) -> None:
        """Connect at once instead of at the end of a pause."""
        if self._connection is None and not self._attempts.under_way and self._service.running:
            self._service.stopService().addErrback(_log_failure)
            self._service.startService()

    def deliver(self, line: bytes, answer_to: str, *, single: bool) -> Deferred[Ending]:
        """Send a message of data; only while `ready`. Fails for nothing that a peer can do."""
        delivered: Deferred[Ending] = Deferred()

        def ended(ending: Ending) -> None:
            if ending in (Ending.TAKEN, Ending.FAILED):
                self._good = True
                self._backoff.reset()
            # What a single value is answered with has no number: another one's late answer could
            # pass for it, but not over a new connection.
            if single and ending is Ending.SILENT:
                self.drop("no answer to a value")
            delivered.callback(ending)

        self.session.submit(Parcel(line, answer_to, single, ended))
        return delivered

    def say(self, message: Configured) -> None:
        """Acknowledge a configuration, if the cloud is there to hear it."""
        self.session.say(message)

    # -- what the session does

    def transmit(self, line: bytes) -> None:
        """Send a line, unless the transport is full: then what is not data is not sent."""
        connection = self._connection
        if connection is None:
            return
        if connection.full:
            self.counts["held-back"] += 1
            return
        connection.send(line)

    def drop(self, reason: str) -> None:
        """Cut the connection; the service makes another after a pause."""
        self._why = self._why or reason
        if self._connection is not None:
            self._connection.abort()

    def online(self) -> None:
        """Be as quick as ever after a refusal; else a cloud that lets us in must answer data first.

        One that lets us in and closes, or has another gantry under our name, is left in peace.
        """
        if self._backoff.first != FIRST:
            self._backoff.first, self._backoff.most = FIRST, MOST
            self._backoff.reset()
        self.driver.link_online()

    def refused(self, refusal: LoginRefusal) -> None:
        """Come back later: this wants a person."""
        self.counts["refused"] += 1
        if self._backoff.first != REFUSED_FIRST:
            self._backoff.first, self._backoff.most = REFUSED_FIRST, REFUSED_MOST
            self._backoff.reset()
        self.driver.link_refused(refusal)

    def configure(self, message: Configure) -> None:
        """Hand on what the cloud wants."""
        self.driver.configure(message)

    # -- what the connection tells

    def connected(self, connection: _Connection) -> None:
        """Note a connection."""
        self._connection, self._why, self._good = connection, "", False
        self.counts["connections"] += 1
        self.session.opened()

    def disconnected(self, connection: _Connection, reason: str) -> None:
        """Note its end."""
        if connection is not self._connection:
            return
        was_online = self.session.online
        self._connection = None
        self.session.closed()
        if not self._stopped:
            self.driver.link_down(self._why or reason, was_online, self._good)

    def too_long(self) -> None:
        """Cut a peer that sends without end."""
        self.counts["too-long"] += 1
        self.drop(f"a line of more than {MAX_LINE} bytes")

    def _not_connected(self, failure: Failure) -> None:
        if not self._stopped:
            self.driver.link_down(failure.getErrorMessage(), False, False)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):
        _log.failure("the Fogslink link failed", failure=failure)


class _Factory(Factory):
    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        return _Connection(self._link)

"""The link to the Fogslink cloud: one session at a time over a line link that reconnects.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from twisted_gantry.net.budget import Unasked
from twisted_gantry.net.line_link import LineLink
from twisted_gantry.net.outage import Cause, Outage, lost, not_protocol, outage
from twisted_gantry.wire.fogslink import client
from twisted_gantry.wire.fogslink.client import Ending, LoginRefusal
from twisted_gantry.wire.fogslink.messages import DELIMITER, MAX_LINE, Configure
from twisted_gantry.wire.frames import whole
from twisted_gantry.wire.secret import Secret

# Lines that answer nothing, a second and at once: a cloud configures some hundred channels.
UNASKED, UNASKED_BURST = 10.0, 300.0


class Driver(Interface):
    """What the link reports to."""

    def link_online(self) -> None: ...  # the cloud has authenticated us

    def link_down(self, reason: Outage, was_online: bool, good: bool) -> None:
        """The connection is lost, or could not be made; `good`: it had answered data."""

    def link_refused(self, refusal: LoginRefusal) -> None: ...  # the cloud refuses the login
    def link_ready(self) -> None: ...  # the transport takes data again
    def configure(self, message: Configure) -> None: ...  # as the cloud wants
    def link_malformed(self, reason: Outage) -> None: ...  # the cloud sent what cannot be read


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
        self._driver = driver
        self._session = client.ClientSession(self, clock, eq_sn, api_key.reveal)
        self.counts: Counter[str] = self._session.counts
        self._lines = LineLink(
            self,
            endpoint,
            clock,
            spread,
            pauses=client.PAUSES,
            delimiter=DELIMITER,
            max_line=MAX_LINE,
            counts=self.counts,
            whole=whole,
        )
        self._unasked = Unasked(clock, UNASKED, UNASKED_BURST)
        self._stopped = self._good = False
        self.retry = self._lines.retry
        self.say = self._session.say  # acknowledges a configuration, if there is a session
        self.configure, self.writable = driver.configure, driver.link_ready

    @property
    def ready(self) -> bool:
        """Whether data can be sent now: authenticated, nothing in flight, the transport willing."""
        return self._session.ready and self._lines.is_writable

    @property
    def is_online(self) -> bool:
        """Whether the cloud has authenticated us, and answers the heartbeats."""
        return self._session.online

    def start(self) -> None:
        self._stopped = False
        self._lines.start()

    def stop(self) -> Deferred[None]:
        self._stopped = True
        return self._lines.stop()

    @property
    def odd(self) -> str:
        """What the cloud sent since the last message of data in place of its answer."""
        return self._session.odd

    def deliver(self, line: bytes, answer_to: str, *, single: bool) -> Deferred[Ending]:
        """Send a data message; only while `ready`. No behaviour of a peer makes it fail."""
        delivered: Deferred[Ending] = Deferred()

        def ended(ending: Ending) -> None:
            if ending in (Ending.TAKEN, Ending.FAILED):
                self._good = True
                self._lines.good()
            # An answer without a number, as those to single values are, may come late and pass
            # for the next one's, but not over a new connection.
            if (single or self._session.is_nameless) and ending is Ending.SILENT:
                self._lines.drop(outage(Cause.SILENT, en="no answer to data"))
            delivered.callback(ending)

        self._unasked.asked()
        self._session.submit(client.Parcel(line, answer_to, single, ended))
        return delivered

    # -- what the session does

    def malformed(self, reason: str) -> None:
        """Tell what cannot be read; the first bytes may show that the peer is no cloud."""
        self._driver.link_malformed(self._foreign() or outage(Cause.MALFORMED, en=reason))

    def _foreign(self) -> Outage | None:
        """Return the outage for a peer that speaks another protocol, None for a cloud."""
        first = self._lines.first
        if self._session.heard or not first or first.lstrip().startswith(b"{"):
            return None
        return not_protocol(first)

    def drop(self, reason: str) -> None:
        """Cut the connection: the cloud is silent, or what it sends cannot be read."""
        cause = Cause.MALFORMED if self._session.odd else Cause.SILENT
        self._lines.drop(outage(cause, en=reason))

    def transmit(self, line: bytes) -> None:
        """Send a line; a full transport drops it, and data is not sent while it is full."""
        if self._lines.is_writable:
            self._lines.send(line)
        elif self._lines.is_connected:
            self.counts["held-back"] += 1

    def online(self) -> None:
        """End the long pauses of a refusal. The back-off itself ends with the first answer to data:
        a cloud that lets us in and closes, or has another gantry under our name, is not asked every
        second.
        """
        self._lines.set_pauses(*client.PAUSES)
        self._driver.link_online()

    def refused(self, refusal: LoginRefusal) -> None:
        self.counts["refused"] += 1
        self._lines.set_pauses(*client.REFUSED_PAUSES)
        self._driver.link_refused(refusal)

    # -- what the line link tells

    def connected(self) -> None:
        self._good = False
        self._session.opened()

    def received(self, line: bytes) -> None:
        if self._unasked.came():
            self._session.received(line)
        else:
            self._lines.flooded()

    def disconnected(self, reason: Outage) -> None:
        foreign = self._foreign()
        reason = foreign or lost(reason, self._lines.first, self._session.heard)
        was_online = self._session.online
        self._session.closed()
        if not self._stopped:
            self._driver.link_down(reason, was_online, self._good)

    def not_connected(self, reason: Outage) -> None:
        self._driver.link_down(reason, False, False)

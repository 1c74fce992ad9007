"""The uplink to the ETC platform: periodic reports, and what the platform steers.

Source: the ETC document, sections 2.1, 3.1 and 4; decisions: `docs/protocols/etc-gantry.md`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.interfaces import IEdgeKeeper, IPlatform, Subject, unseen
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Cap
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.reach import Peer, peer_of
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.net.tls import ClientTls, Seen
from twisted_gantry.uplinks.etc.cards import CardsPoll
from twisted_gantry.uplinks.etc.channel import Channel, EtcChannel
from twisted_gantry.uplinks.etc.refresh import FreshReports
from twisted_gantry.uplinks.etc.reporter import Reporter
from twisted_gantry.uplinks.etc.sender import EtcSender
from twisted_gantry.uplinks.etc.steering import Steering
from twisted_gantry.uplinks.first_reading import FirstReading
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.secret import Secret

_log = Logger()

# Seconds: the cap of the outbox is enforced so often, besides with each new report.
CAP_PERIOD = 60.0
RETRY_FIRST, RETRY_MOST = 1.0, 60.0

Seconds = Annotated[float, msgspec.Meta(ge=1, le=31_536_000)]  # a year: no inf


class EtcSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an `[[uplink.etc]]`. `backlog_size` is bytes, `backlog_age` and `deadline`
    seconds. `backlog_age` 0, the default, is no limit: the clock may have been wrong when a report
    was made, and no report should be lost for that. With `commands` the platform may command the
    gantry, with `cards` the white list is the platform's; None is true for the first platform.
    """

    name: str = "etc"
    url: str
    auth: Secret
    period: Seconds = 300.0
    cards_period: Seconds = 300.0
    backlog_time: Literal["restamp", "keep"] = "restamp"
    allow_test_auth: bool = False
    commands: bool | None = None
    cards: bool | None = None
    backlog_size: Annotated[int, msgspec.Meta(ge=65_536)] = 256 * 1024 * 1024
    backlog_age: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    deadline: Annotated[float, msgspec.Meta(ge=0.5, le=120)] = 10.0


@implementer(IPlatform, IEdgeKeeper)
class EtcUplink(NamedService):
    """Reports to the ETC platform, periodically and on every edge. `now` returns Unix seconds,
    `spread` a random number in [0, 1); `close` frees the resources of the channel.
    `may_report_to(url)` tells whether the authentication code may still go to a server that was set
    before this start.
    """

    kind = "etc"

    def __init__(
        self,
        settings: EtcSettings,
        site: Site,
        channel: Channel,
        clock: IReactorTime,
        now: Callable[[], float],
        spread: Callable[[], float],
        close: Callable[[], Deferred[Any]],
        may_report_to: Callable[[str], bool] = lambda url: True,
    ) -> None:
        name = settings.name
        super().__init__(name)
        self.status = Status(name, now)
        self.peer: Peer | None = None
        self._close = close
        cap = Cap(settings.backlog_size, settings.backlog_age or math.inf)
        self._outbox = Outbox(name, site.store, cap, site.alarms)
        self._steering = Steering(
            name, settings.url, settings.period, site.store, clock, self._steered, may_report_to
        )
        self._reporter = Reporter(self._outbox, site, clock, now)
        self._fresh = FreshReports(site, clock, self._reporter.report_at_once)
        self._sender = EtcSender(
            self._outbox,
            channel,
            self._steering,
            clock,
            now,
            Backoff(RETRY_FIRST, RETRY_MOST, spread),
            site.alarms,
            self.status,
            restamp=settings.backlog_time == "restamp",
        )
        agreed = self._sender.agreement.note
        self._cards = CardsPoll(
            name, settings.url, site, channel, self._steering, clock, now, agreed
        )
        self._asking: Deferred[Any] | None = None
        self._starting: Deferred[None] | None = None
        self._first = FirstReading(site.devices, clock, self._begin)
        self._reports = {
            subject: GuardedLoop(
                clock, partial(self._reporter.report, subject), f"the report of {subject.value}"
            )
            for subject in Subject
        }
        self._others = [
            (GuardedLoop(clock, self._outbox.look_after, "the care of the outbox"), CAP_PERIOD)
        ]
        if settings.cards is not False:
            asking = GuardedLoop(clock, self._ask_for_cards, "the white list")
            self._others.insert(0, (asking, settings.cards_period))

    @property
    def last_delivered(self) -> float | None:
        return self._sender.last_delivered

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._sender.counts)

    def startService(self) -> None:
        """Send the stored reports; make new ones once the devices were read."""
        super().startService()
        self._reporter.start()
        self._starting = ensureDeferred(self._start())
        self._starting.addErrback(_log_failure)

    async def _start(self) -> None:
        try:
            await self._reporter.load()
            await self._steering.load()
        finally:  # a store that fails has an alarm of its own; reports go to the configured server
            if self.running:
                self._sender.start()
                self._first.start()

    def stopService(self) -> Deferred[Any] | None:
        """Stop to report; the outbox keeps unacknowledged reports."""
        super().stopService()
        self._fresh.stop()
        self._reporter.stop()
        self._steering.stop()
        self._first.stop()
        for loop in [*self._reports.values(), *(loop for loop, _ in self._others)]:
            loop.stop()
        self._sender.stop()
        for waiting in (self._starting, self._asking):
            if waiting is not None:
                waiting.cancel()
        return self._close()

    def kept(self) -> Deferred[None]:
        return self._reporter.kept()

    def retry(self) -> None:
        self._sender.wake(now=True)

    # -- what the platform steers

    def server(self, subject: Subject) -> str:
        return self._steering.server(subject)

    def report_now(self, subject: Subject) -> None:
        """Report ahead of the back-log, once the devices that can be asked have said how they are:
        the platform asked for it.
        """
        self._fresh.ask(subject)

    def set_period(self, subject: Subject, seconds: float) -> Deferred[None]:
        return self._steering.set_period(subject, seconds)

    def set_server(self, subject: Subject, url: str) -> Deferred[None]:
        set_ = self._steering.set_server(subject, url)
        self._reporter.report(subject)
        self._sender.wake(now=True)
        return set_

    def _steered(self, subject: Subject) -> None:
        loop = self._reports[subject]
        period = self._steering.period(subject)
        if loop.running and loop.period != period:
            loop.start(period, now=False)
        self._sender.wake(now=True)

    # -- when

    def _begin(self) -> None:
        for subject, loop in self._reports.items():
            loop.start(self._steering.period(subject))
        for loop, period in self._others:
            loop.start(period)

    def _ask_for_cards(self) -> Deferred[Outage | None]:
        self._asking = ensureDeferred(self._cards.ask())
        return self._asking

    def attempt(self) -> Deferred[Outage | None]:
        """Ask the platform for its white list, which changes nothing there; fires with None for a
        good answer, else with the cause. A platform that answers gets what waits for it.
        """

        def answered(wrong: Outage | None) -> Outage | None:
            if wrong is None and self.running:
                self.retry()
            return wrong

        waiter: Deferred[Outage | None] = Deferred()
        asked = self._ask_for_cards().addCallback(answered)

        def over(result: Any) -> Any:
            if not waiter.called:
                waiter.callback(result)
            return None

        asked.addBoth(over)
        return waiter


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # cut off by the stop
        _log.failure("the ETC uplink failed", failure=failure)


def etc_uplink(
    settings: EtcSettings,
    site: Site,
    reactor: Any,
    now: Callable[[], float],
    spread: Callable[[], float],
    may_report_to: Callable[[str], bool] = lambda url: True,
    certificate_seen: Seen = unseen,
) -> EtcUplink:
    """Return the uplink over HTTP, with a pool of connections of its own."""
    pool = persistent_pool(reactor)
    treq = treq_client(reactor, pool, tls=ClientTls(settings, certificate_seen))
    client = BoundedClient(treq, reactor, deadline=settings.deadline)
    channel = EtcChannel(settings.auth, client)
    close = pool.closeCachedConnections
    uplink = EtcUplink(settings, site, channel, reactor, now, spread, close, may_report_to)
    uplink.peer = peer_of(settings, certificate_seen)
    return uplink

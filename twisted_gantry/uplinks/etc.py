"""The uplink to the ETC platform: which report is made when, and what each must carry.

Source: `001_3191ba0a590d87d6.txt`, sections 2.1, 3.1 and 4; decisions: `etc-gantry.md`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.http_client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.reconnect import Backoff
from twisted_gantry.net.service import NamedService
from twisted_gantry.site.alarms import Alarm, Severity
from twisted_gantry.site.interfaces import Cap, IUplink, Ledger
from twisted_gantry.site.secret import Secret
from twisted_gantry.site.site import Cabinet, Site
from twisted_gantry.site.status import State, Status
from twisted_gantry.uplinks import etc_rows
from twisted_gantry.uplinks.etc_cards import CardsPoll
from twisted_gantry.uplinks.etc_channel import Channel, EtcChannel
from twisted_gantry.uplinks.etc_sender import Sender
from twisted_gantry.wire.etc import Method, encode_request

_log = Logger()

NAME = "etc"
# Seconds: the first reports wait this long for the devices; changes within one are gathered;
# the caps are looked at this often besides with each new report.
FIRST_WAIT = 5.0
GATHER = 1.0
CAP_PERIOD = 60.0
RETRY_FIRST, RETRY_MOST = 1.0, 60.0

Seconds = Annotated[float, msgspec.Meta(ge=1, le=31_536_000)]  # a year: no inf


class EtcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[uplink.etc]`. `backlog_size` is bytes, `backlog_age` and `deadline` seconds.

    `backlog_age` 0 is no limit, which is the default: age is measured by a clock that may have
    been wrong when a report was made, and nothing should be lost for that.
    """

    url: str
    auth: Secret
    period: Seconds = 300.0
    cards_period: Seconds = 300.0
    backlog_time: Literal["restamp", "keep"] = "restamp"
    allow_test_auth: bool = False
    backlog_size: Annotated[int, msgspec.Meta(ge=65_536)] = 256 * 1024 * 1024
    backlog_age: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    deadline: Annotated[float, msgspec.Meta(ge=0.5, le=120)] = 10.0


class _Latches:
    """Alarms that were raised and that no acknowledged report of one cabinet has carried yet.

    While a stored report carries one, that is enough: it is on the disk. Should that report leave
    the queue without an acknowledgement, one made at once carries the alarm again, and after that
    the periodic ones alone: a platform may refuse every report (1002).
    """

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._carrier: dict[str, int] = {}
        self._refused: Counter[str] = Counter()

    def add(self, alarm: Alarm) -> None:
        """Latch an alarm that was raised."""
        self._alarms[alarm.name] = alarm
        self._carrier.pop(alarm.name, None)
        del self._refused[alarm.name]

    def waiting(self, *, urgent: bool) -> list[Alarm]:
        """Return those that no stored report carries, and that an urgent one may still carry."""
        return [
            alarm
            for name, alarm in self._alarms.items()
            if name not in self._carrier and not (urgent and self._refused[name] > 1)
        ]

    def carried(self, alarms: Iterable[Alarm], report: int) -> None:
        """Note which report carries them; one that was raised anew meanwhile waits on."""
        for alarm in alarms:
            if self._alarms.get(alarm.name) is alarm:
                self._carrier[alarm.name] = report

    def left(self, reports: Iterable[int], acknowledged: bool) -> bool:
        """Note that reports left the queue; True if an alarm wants another carrier at once."""
        gone = set(reports)
        names = [name for name, report in self._carrier.items() if report in gone]
        for name in names:
            del self._carrier[name]
            if acknowledged:
                del self._alarms[name]
                del self._refused[name]
            else:
                self._refused[name] += 1
        return any(self._refused[name] == 1 for name in names)


@implementer(IUplink)
class EtcUplink(NamedService):
    """Reports to the ETC platform, on a timer and on every edge of an alarm.

    `now` returns Unix seconds, `spread` a random number in [0, 1); `close` frees what the channel
    holds.
    """

    def __init__(
        self,
        settings: EtcSettings,
        site: Site,
        channel: Channel,
        clock: IReactorTime,
        now: Callable[[], float],
        spread: Callable[[], float],
        close: Callable[[], Deferred[Any]],
    ) -> None:
        super().__init__(NAME)
        self.status = Status(NAME, now)
        self._site, self._clock, self._now, self._close = site, clock, now, close
        self._cap = Cap(settings.backlog_size, settings.backlog_age or math.inf)
        self._sender = Sender(
            NAME,
            site.store,
            channel,
            clock,
            now,
            Backoff(RETRY_FIRST, RETRY_MOST, spread),
            site.alarms,
            self.status,
            restamp=settings.backlog_time == "restamp",
            left=self._left,
            stale=self._report_again,
        )
        self._cards = CardsPoll(NAME, site.gantry_id, site.store, channel, now, site.alarms)
        self._latches = {cabinet.id: _Latches() for cabinet in site.cabinets}
        self._asking: Deferred[None] | None = None
        self._first: IDelayedCall | None = None
        self._windows: dict[str, IDelayedCall] = {}
        self._more: set[str] = set()
        self._loops = [
            (self._loop(self._report_all), settings.period),
            (self._loop(self._ask_for_cards), settings.cards_period),
            (self._loop(self._enforce_cap), CAP_PERIOD),
        ]
        self._unsubscribe: Callable[[], None] | None = None
        for device in site.devices.values():
            device.status.subscribe(lambda _: self._begin_if_read())

    @property
    def last_delivered(self) -> float | None:
        """Unix seconds of the last acknowledgement."""
        return self._sender.last_delivered

    @property
    def counts(self) -> dict[str, int]:
        """How many requests ended how."""
        return dict(self._sender.counts)

    def startService(self) -> None:
        """Send what is left from before; report when the devices were read once."""
        super().startService()
        self._unsubscribe = self._site.alarms.subscribe(self._alarm_changed)
        self._sender.start()
        self._first = self._clock.callLater(FIRST_WAIT, self._begin)
        self._begin_if_read()

    def stopService(self) -> Deferred[Any] | None:
        """Report no more; the outbox keeps what is not acknowledged."""
        super().stopService()
        if self._unsubscribe is not None:
            self._unsubscribe()
        for call in [self._first, *self._windows.values()]:
            if call is not None and call.active():
                call.cancel()
        self._windows.clear()
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        self._sender.stop()
        if self._asking is not None:
            self._asking.cancel()
        return self._close()

    def retry(self) -> None:
        """Try at once."""
        self._sender.wake(now=True)

    # -- when

    def _loop(self, action: Callable[[], None]) -> LoopingCall:
        def guarded() -> None:
            try:
                action()
            except Exception:  # a loop that raises never runs again
                _log.failure("the ETC uplink failed at one of its periods")

        loop = LoopingCall(guarded)
        loop.clock = self._clock
        return loop

    def _begin_if_read(self) -> None:
        first = self._first
        known = all(d.status.state is not State.CONNECTING for d in self._site.devices.values())
        if known and first is not None and first.active():
            # Not within the call of the device that was the last: its points come first.
            first.reset(0)

    def _begin(self) -> None:
        self._first = None
        for loop, period in self._loops:
            loop.start(period, now=True).addErrback(_log_failure)

    def _alarm_changed(self, alarm: Alarm) -> None:
        for cabinet in self._site.cabinets:
            if any(alarm.source in names for names in cabinet.sources.values()):
                if alarm.active and alarm.group:
                    self._latches[cabinet.id].add(alarm)
                self._report_at_once(cabinet)

    def _report_at_once(self, cabinet: Cabinet) -> None:
        """Report now; what changes within the next second is gathered into one more report."""
        if cabinet.id in self._windows:
            self._more.add(cabinet.id)
            return
        self._windows[cabinet.id] = self._clock.callLater(GATHER, self._gathered, cabinet)
        self._report_cabinet(cabinet, urgent=True)

    def _gathered(self, cabinet: Cabinet) -> None:
        del self._windows[cabinet.id]
        if cabinet.id in self._more:
            self._more.discard(cabinet.id)
            self._report_at_once(cabinet)

    def _report_all(self) -> None:
        self._report_computers()
        for cabinet in self._site.cabinets:
            self._report_cabinet(cabinet, urgent=False)

    def _report_again(self, subjects: Iterable[str]) -> None:
        """Say how things are now: the last message delivered is always the newest."""
        wanted = set(subjects)
        if "computers" in wanted:
            self._report_computers()
        for cabinet in self._site.cabinets:
            if f"cabinet {cabinet.id}" in wanted:
                self._report_cabinet(cabinet, urgent=False)

    # -- what

    def _report_computers(self) -> None:
        rows = etc_rows.computers(self._site)
        if rows:
            self._keep(Method.COMPUTER_STATUS, "computers", rows, False, lambda _: None)

    def _report_cabinet(self, cabinet: Cabinet, *, urgent: bool) -> None:
        latches = self._latches[cabinet.id]
        waiting = latches.waiting(urgent=urgent)
        report, carried = etc_rows.cabinet(self._site, cabinet, waiting)

        def kept(number: int) -> None:
            latches.carried(carried, number)

        self._keep(Method.CABINET_STATUS, f"cabinet {cabinet.id}", report, urgent, kept)
        raised = {alarm.name for alarm in self._site.alarms.active()}
        if any(alarm.name not in raised for alarm in carried) and self.running:
            # It shows a pulse that is over: a later report says so.
            self._more.add(cabinet.id)
            if cabinet.id not in self._windows:
                self._windows[cabinet.id] = self._clock.callLater(GATHER, self._gathered, cabinet)

    def _keep(
        self,
        method: Method,
        subject: str,
        fields: Any,
        urgent: bool,
        then: Callable[[int], None],
    ) -> None:
        """Store a report, and tell `then` its number; only now is there something to send."""
        body = encode_request(self._site.gantry_id, method, self._now(), fields)
        stored = self._site.store.add_report(NAME, method.value, subject, body, urgent, self._cap)

        def kept(result: tuple[int, Iterable[int]]) -> None:
            number, dropped = result
            self._site.alarms.clear("store.failed")
            then(number)
            self._dropped(dropped)
            self._sender.wake(now=urgent)

        stored.addCallbacks(kept, self._not_kept).addErrback(_log_failure)

    def _not_kept(self, failure: Failure) -> None:
        """Say that the disk fails; the alarms that the report carried stay latched."""
        if not self._site.alarms.active("store"):  # said once, until it is over
            _log.failure("a report could not be stored", failure=failure)
        self._site.alarms.set(
            "store.failed",
            Severity.CRITICAL,
            f"reports cannot be stored: {failure.getErrorMessage()}",
            f"上报数据无法保存:{failure.getErrorMessage()}",
        )

    def _left(self, reports: Iterable[int], acknowledged: bool) -> None:
        gone = list(reports)
        for cabinet in self._site.cabinets:
            if self._latches[cabinet.id].left(gone, acknowledged) and self.running:
                self._report_at_once(cabinet)

    def _dropped(self, reports: Iterable[int]) -> None:
        gone = list(reports)
        if gone:
            _log.warn("{uplink}: the cap dropped {n} reports", uplink=NAME, n=len(gone))
            self._sender.forget(gone)
            self._left(gone, acknowledged=False)

    def _enforce_cap(self) -> None:
        enforced = self._site.store.enforce(NAME, self._cap)
        enforced.addCallback(self._dropped).addErrback(_log_failure)
        self._site.store.ledger(NAME).addCallback(self._audit).addErrback(_log_failure)

    def _audit(self, ledger: Ledger) -> None:
        """Let the alarm say what the ledger does: also after a restart, also after a drop."""
        name = f"{NAME}.set-aside"
        raised = any(alarm.name == name for alarm in self._site.alarms.active(NAME))
        if not ledger.set_aside:
            self._site.alarms.clear(name)
        elif not raised:
            self._site.alarms.set(
                name,
                Severity.WARNING,
                f"{ledger.set_aside} reports were refused and are set aside",
                f"有{ledger.set_aside}条上报被拒绝并搁置",
            )

    def _ask_for_cards(self) -> None:
        self._asking = ensureDeferred(self._cards.ask())
        self._asking.addErrback(_log_failure)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # cut off by the stop
        _log.failure("the ETC uplink failed", failure=failure)


def etc_uplink(
    settings: EtcSettings,
    site: Site,
    reactor: Any,
    now: Callable[[], float],
    spread: Callable[[], float],
) -> EtcUplink:
    """Return the uplink over HTTP, with a pool of connections of its own."""
    pool = persistent_pool(reactor)
    client = BoundedClient(treq_client(reactor, pool), reactor, deadline=settings.deadline)
    channel = EtcChannel(settings.url, settings.auth, client)
    return EtcUplink(settings, site, channel, reactor, now, spread, pool.closeCachedConnections)

"""The uplink to the Fogslink cloud: which values are sent when, and what the cloud may set.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any
from zlib import crc32

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import IUplink, WrongSetting, unseen
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Cap
from twisted_gantry.net.endpoints import client_endpoint
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.reach import Peer, peer_of
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import GuardedLoop, Timer
from twisted_gantry.net.tls import ClientTls, Seen
from twisted_gantry.uplinks.first_reading import FirstReading
from twisted_gantry.uplinks.fogslink.channels import Channels
from twisted_gantry.uplinks.fogslink.configure import Configurations
from twisted_gantry.uplinks.fogslink.link import Link
from twisted_gantry.uplinks.fogslink.sender import PACK, SINGLE, FogslinkSender
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.uplinks.reachability import Reachability
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.client import LoginRefusal
from twisted_gantry.wire.fogslink.messages import Configure, Item, Pack, Single
from twisted_gantry.wire.secret import Secret

_log = Logger()

# Seconds: changes within one are gathered, and the outbox is looked after so often.
GATHER = 1.0
CARE_PERIOD = 60.0
RETRY_FIRST, RETRY_MOST = 1.0, 60.0  # retries of the sender after the disk failed, seconds

_REFUSALS = {
    "eq_sn": ("the cloud knows no device with this eq_sn", "云平台不存在此eq_sn的CS设备"),
    "api_key": (
        "the cloud does not accept the api_key of this eq_sn",
        "云平台不接受此eq_sn的api_key",
    ),
}


class FogslinkSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an `[[uplink.fogslink]]`; `channels` maps `Px-Cy` to the full name of a point.
    `period` and `backlog_age` are seconds, `backlog_size` bytes. `backlog_age` 0 is no limit.
    """

    name: str = "fogslink"
    address: str
    eq_sn: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    api_key: Secret
    channels: dict[str, str]
    period: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 10.0  # a year: no inf
    single: bool = False
    backlog_age: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    backlog_size: Annotated[int, msgspec.Meta(ge=65_536)] = 256 * 1024 * 1024


@implementer(IUplink)
class FogslinkUplink(NamedService):
    """Reports to the Fogslink cloud: by the period of each channel, and on change. `now` returns
    Unix seconds, `spread` a random number in [0, 1).
    """

    kind = "fogslink"

    def __init__(
        self,
        settings: FogslinkSettings,
        site: Site,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        now: Callable[[], float],
        spread: Callable[[], float],
    ) -> None:
        name = settings.name
        super().__init__(name)
        self.status = Status(name, now)
        self._pack_setting, self._channels_setting = f"{name}.last-pack", f"{name}.channels"
        self._settings, self._site, self._clock = settings, site, clock
        self.peer: Peer | None = None
        self._counts: Counter[str] = Counter()
        cap = Cap(settings.backlog_size, math.inf)
        self._outbox = Outbox(name, site.store, cap, site.alarms)
        texts = "values are kept, the cloud does not take them", "云平台未接收数据，数据已保存"
        self._cloud = Reachability(self.status, site.alarms, *texts)
        self._channels = Channels(settings.channels, site.points, settings.period)
        self._link = Link(self, endpoint, settings.eq_sn, settings.api_key, clock, spread)
        self._sender = FogslinkSender(
            self._outbox,
            settings.eq_sn,
            self._link,
            clock,
            now,
            Backoff(RETRY_FIRST, RETRY_MOST, spread),
            self,
            max_age=settings.backlog_age or math.inf,
        )
        self._configurations = Configurations(
            self._channels_setting,
            settings.eq_sn,
            site.store,
            self._channels,
            clock,
            self._outbox,
            self._counts,
            self._link.say,
            self._plan,
        )
        self._last_pack = 0
        self._loading: Deferred[None] | None = None
        self._first = FirstReading(site.devices, clock, self._begin)
        self._next = Timer(clock, self._period_over)
        self._window = Timer(clock, self._report_changes)
        self._begun = self._refused = self._mute = False
        self._refusing = False  # the end of the refused connection is to follow
        self._changed: dict[str, None] = {}  # a set in the order of the changes
        self._care = GuardedLoop(clock, self._outbox.look_after, "the care of the outbox")
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def last_delivered(self) -> float | None:
        return self._sender.last_delivered

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._sender.counts + self._link.counts + self._outbox.counts + self._counts)

    def startService(self) -> None:
        """Read the stored settings, connect, and report once the devices were read."""
        super().startService()
        self._loading = ensureDeferred(self._load())
        self._loading.addErrback(_log_failure)

    def stopService(self) -> Deferred[Any] | None:
        """Stop to report; the outbox keeps unacknowledged reports."""
        super().stopService()
        if self._loading is not None:
            self._loading.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._first.stop()
        self._next.cancel()
        self._window.cancel()
        self._begun = False
        self._care.stop()
        self._sender.stop()
        return self._link.stop()

    def retry(self) -> None:
        self._link.retry()
        self._sender.wake(now=True)

    def attempt(self) -> Deferred[Outage | None]:
        """Log in at once, unless a session stands: its heartbeats, of the last seconds, prove it.
        Fires with None if the cloud answers as it should, else with the cause.
        """
        if self._link.is_online:
            return succeed(self.status.outage)
        outcome = self.status.outcome()
        self._link.retry()
        return outcome

    # -- the start

    async def _load(self) -> None:
        """Read the stored settings; without the last packID nothing may be sent."""
        stored = await self._site.store.settings()
        last = stored.get(self._pack_setting)
        moment = self._site.store.moment()
        self._last_pack = last if isinstance(last, int) else first_pack(moment) - 1
        self._channels.restore(stored.get(self._channels_setting))
        self._sender.start()
        self._link.start()
        self._care.start(CARE_PERIOD)
        self._first.start()

    def _begin(self) -> None:
        self._begun = True
        self._unsubscribe = self._site.points.subscribe(self._points_changed)
        self._channels.begin(self._clock.seconds())
        self.drained()
        self._plan()

    # -- when

    def _plan(self) -> None:
        self._next.cancel()
        due = self._channels.next_due()
        if due is not None and self._begun:
            self._next.start(max(due - self._clock.seconds(), 0.0))

    def _period_over(self) -> None:
        try:
            self._keep(self._channels.items(self._channels.due(self._clock.seconds())))
        except Exception:
            _log.failure("the Fogslink uplink failed at a period")
        self._plan()

    def _points_changed(self, _: str, batch: Batch) -> None:
        names = self._channels.changed(change.new.name for change in batch)
        self._changed.update(dict.fromkeys(names))
        if self._changed and not self._window.running:
            self._report_changes()

    def _report_changes(self) -> None:
        """Report now; changes within the next second are gathered into one more report."""
        changed, self._changed = self._changed, {}
        items = self._channels.news(changed)
        if items:
            self._window.start(GATHER)
            self._keep(items)

    # -- what

    def _keep(self, items: Sequence[Item]) -> None:
        self._channels.reported(items)
        eq_sn = self._settings.eq_sn
        if self._settings.single:
            for each in items:
                single = Single(
                    eq_sn=eq_sn, e_chan=each.e_chan, e_chan_sta=each.e_chan_sta, e_val=each.e_val
                )
                self._store(SINGLE, each.e_chan, single, [each])
            return
        for pack in messages.packs(items):
            self._last_pack += 1
            number = str(self._last_pack)
            message = Pack(eq_sn=eq_sn, pack_id=number, total_size=len(pack), eq_data=pack)
            self._store(PACK, number, message, pack, setting=(self._pack_setting, self._last_pack))

    def _store(
        self,
        kind: str,
        subject: str,
        message: Pack | Single,
        items: Sequence[Item],
        setting: tuple[str, Any] | None = None,
    ) -> None:
        # Values that were not stored count as changed: a channel may have no period to catch up.
        not_kept = partial(self._channels.unreported, items)
        body = messages.encode(message).removesuffix(messages.DELIMITER)
        self._outbox.keep(kind, subject, body, setting=setting, not_kept=not_kept)

    # -- what the sender tells

    def drained(self) -> None:
        """Report the present state of every channel: the cloud gets the newest last."""
        if self._begun:
            self._keep(self._channels.items())

    def answered(self) -> None:
        self._mute = False
        self._cloud.works()

    def unanswered(self, reason: Outage) -> None:
        self._mute = True
        self._cloud.fails(reason)

    # -- what the link tells

    def link_online(self) -> None:
        """Note a session; a cloud that was silent must first answer data."""
        self._refused = False
        self._site.alarms.clear(f"{self.name}.refused")
        if not self._mute:
            self._cloud.works()
        self._sender.online()

    def link_malformed(self, reason: Outage) -> None:
        self.status.error(reason)

    def link_ready(self) -> None:
        self._sender.wake()

    def link_down(self, reason: Outage, was_online: bool, good: bool) -> None:
        """Note the loss of the session; after a good one the alarm waits for a reconnection. A
        refusal has an alarm of its own, which stays until a session is made.
        """
        if self._refused:
            if not self._refusing:
                self.status.offline(reason)
            self._refusing = False
            return
        if good:
            self.status.offline(reason)
        else:
            self._mute = self._mute or (was_online and bool(self._settings.channels))
            self._cloud.fails(reason)

    def link_refused(self, refusal: LoginRefusal) -> None:
        """Report which credential is wrong: this needs a person."""
        en, zh = _REFUSALS[refusal.credential]
        en, zh = f"{en} (code {refusal.code})", f"{zh}（代码{refusal.code}）"
        if not self._refused:
            _log.error("{uplink} is refused: {reason}", uplink=self.name, reason=en)
        self._refused = self._refusing = True
        cause = Cause.PASSWORD if refusal.credential == "api_key" else Cause.WRONG_IDENTITY
        self._cloud.is_refused(outage(cause, en=en, zh=zh))
        self._site.alarms.set(f"{self.name}.refused", Severity.CRITICAL, en, zh)

    # -- what the cloud sets

    def configure(self, message: Configure) -> None:
        self._configurations.take(message)


def first_pack(moment: Moment) -> int:
    """Return the `packID` with which an empty store begins, which no earlier store gave.

    It is the time in milliseconds: under one pack a millisecond goes out. A clock that stands in
    1970 would repeat itself; the number then is above all times, and grows within a boot. Each boot
    has one of 800 ranges. Numbers stay under 2**53, which a cloud may count in doubles.
    """
    if moment.plausible:
        return int(moment.wall * 1000)
    return (1 + crc32(moment.boot.encode()) % 800) * 10**13 + int(moment.mono * 1000)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # cut off by the stop
        _log.failure("the Fogslink uplink failed", failure=failure)


def fogslink_uplink(
    settings: FogslinkSettings,
    site: Site,
    reactor: Any,
    now: Callable[[], float],
    spread: Callable[[], float],
    certificate_seen: Seen = unseen,
) -> FogslinkUplink:
    """Return the uplink over `settings.address`. Raises WrongSetting."""
    for channel in settings.channels:
        if not messages.is_channel(channel):
            raise WrongSetting("channels", f"{channel[:40]!r} is no channel such as P0-C1")
    try:
        tls = ClientTls(settings, certificate_seen)
        endpoint = client_endpoint(reactor, settings.address, tls)
    except (ValueError, TypeError, KeyError, IndexError, OSError, RuntimeError):
        raise WrongSetting(
            "address",
            f"no client endpoint such as tcp:www.fogslink.com:63321: {settings.address!r}",
        ) from None
    uplink = FogslinkUplink(settings, site, endpoint, reactor, now, spread)
    uplink.peer = peer_of(settings, certificate_seen)
    return uplink

"""The uplink to the Fogslink cloud: which values go when, and what the cloud may set.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import IUplink, WrongSetting
from twisted_gantry.core.points import Batch
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Cap
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.uplinks.first_reading import FirstReading
from twisted_gantry.uplinks.fogslink.channels import Channels
from twisted_gantry.uplinks.fogslink.configure import CONFIGURED, Configurations
from twisted_gantry.uplinks.fogslink.link import Link
from twisted_gantry.uplinks.fogslink.sender import PACK, SINGLE, FogslinkSender
from twisted_gantry.uplinks.outbox_alarms import OutboxAlarms
from twisted_gantry.wire.fogslink.client import LoginRefusal
from twisted_gantry.wire.fogslink.messages import (
    DELIMITER,
    Configure,
    Item,
    Pack,
    Single,
    encode,
    is_channel,
    packs,
)

_log = Logger()

NAME = "fogslink"
# Seconds: changes within one are gathered; the outbox is audited this often; and how long until a
# disk that fails is asked again.
GATHER = 1.0
AUDIT_PERIOD = 60.0
DISK_PAUSE = 5.0
# Retries of the sender after the disk failed, seconds.
RETRY_FIRST, RETRY_MOST = 1.0, 60.0

LAST_PACK = "fogslink.last-pack"
"""The name under which the store keeps the last packID."""


class FogslinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[uplink.fogslink]`; `channels` maps `Px-Cy` to the full name of a point.

    `period` and `backlog_age` are seconds, `backlog_size` bytes. `backlog_age` 0 is no limit.
    """

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
    """Reports to the Fogslink cloud: by the period of each channel, and on change.

    `now` returns Unix seconds, `spread` a random number in [0, 1).
    """

    def __init__(
        self,
        settings: FogslinkSettings,
        site: Site,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        now: Callable[[], float],
        spread: Callable[[], float],
    ) -> None:
        super().__init__(NAME)
        self.status = Status(NAME, now)
        self._settings, self._site, self._clock, self._now = settings, site, clock, now
        self._cap = Cap(settings.backlog_size, math.inf)
        self._counts: Counter[str] = Counter()
        self._alarms = OutboxAlarms(NAME, site.alarms)
        self._channels = Channels(settings.channels, site.points, settings.period)
        self._link = Link(self, endpoint, settings.eq_sn, settings.api_key, clock, spread)
        self._sender = FogslinkSender(
            NAME,
            settings.eq_sn,
            site.store,
            self._link,
            clock,
            now,
            Backoff(RETRY_FIRST, RETRY_MOST, spread),
            self._alarms,
            self,
            max_age=settings.backlog_age or math.inf,
        )
        self._configurations = Configurations(
            settings.eq_sn,
            site.store,
            self._channels,
            clock,
            self._alarms,
            self._counts,
            self._link.say,
            self._plan,
        )
        self._last_pack = 0
        self._loading: Deferred[None] | None = None
        self._first = FirstReading(site.devices, clock, self._begin)
        self._next: IDelayedCall | None = None
        self._window: IDelayedCall | None = None
        self._begun = self._refused = self._mute = False
        self._changed: dict[str, None] = {}  # a set in the order of the changes
        self._audit = LoopingCall(self._look_at_ledger)
        self._audit.clock = clock
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def last_delivered(self) -> float | None:
        """Unix seconds of the last acknowledgement."""
        return self._sender.last_delivered

    @property
    def counts(self) -> dict[str, int]:
        """How many messages ended how, and what the cloud did that it should not."""
        return dict(self._sender.counts + self._link.counts + self._counts)

    def startService(self) -> None:
        """Take up what is stored, connect, and report when the devices were read once."""
        super().startService()
        self._loading = ensureDeferred(self._load())
        self._loading.addErrback(_log_failure)

    def stopService(self) -> Deferred[Any] | None:
        """Report no more; the outbox keeps what is not acknowledged."""
        super().stopService()
        if self._loading is not None:
            self._loading.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._first.stop()
        for call in (self._next, self._window):
            if call is not None and call.active():
                call.cancel()
        self._next = self._window = None
        self._begun = False
        if self._audit.running:
            self._audit.stop()
        self._sender.stop()
        return self._link.stop()

    def retry(self) -> None:
        """Try at once."""
        self._link.retry()
        self._sender.wake(now=True)

    # -- the start

    async def _load(self) -> None:
        """Read what is stored; without the last packID nothing may be sent."""
        while True:
            try:
                stored = await self._site.store.settings()
            except CancelledError:
                raise
            except Exception:
                self._alarms.not_kept(Failure())
                await deferLater(self._clock, DISK_PAUSE)
            else:
                break
        last = stored.get(LAST_PACK)
        # Also after the disk was lost no number comes twice: fewer than one a millisecond go out.
        self._last_pack = last if isinstance(last, int) else int(self._now() * 1000) - 1
        self._channels.restore(stored.get(CONFIGURED))
        self._sender.start()
        self._link.start()
        self._audit.start(AUDIT_PERIOD, now=True).addErrback(_log_failure)
        self._first.start()

    def _begin(self) -> None:
        self._begun = True
        self._unsubscribe = self._site.points.subscribe(self._points_changed)
        self._channels.begin(self._clock.seconds())
        self.drained()
        self._plan()

    # -- when

    def _plan(self) -> None:
        """Set the timer for the channel that is due next."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        due = self._channels.next_due()
        if due is not None and self._begun:
            wait = max(due - self._clock.seconds(), 0.0)
            self._next = self._clock.callLater(wait, self._period_over)

    def _period_over(self) -> None:
        self._next = None
        try:
            self._keep(self._channels.items(self._channels.due(self._clock.seconds())))
        except Exception:
            _log.failure("the Fogslink uplink failed at a period")
        self._plan()

    def _points_changed(self, _: str, batch: Batch) -> None:
        names = self._channels.changed(change.new.name for change in batch)
        self._changed.update(dict.fromkeys(names))
        if self._changed and self._window is None:
            self._report_changes()

    def _report_changes(self) -> None:
        """Report now; what changes within the next second is gathered into one more report."""
        self._window = None
        changed, self._changed = self._changed, {}
        items = self._channels.news(changed)
        if items:
            self._window = self._clock.callLater(GATHER, self._report_changes)
            self._keep(items)

    # -- what

    def _keep(self, items: Sequence[Item]) -> None:
        """Store values, as they are to be sent; only now is there something to send."""
        self._channels.reported(items)
        eq_sn = self._settings.eq_sn
        if self._settings.single:
            for each in items:
                single = Single(
                    eq_sn=eq_sn, e_chan=each.e_chan, e_chan_sta=each.e_chan_sta, e_val=each.e_val
                )
                self._store(SINGLE, each.e_chan, single, [each], None)
            return
        for pack in packs(items):
            self._last_pack += 1
            number = str(self._last_pack)
            message = Pack(eq_sn=eq_sn, pack_id=number, total_size=len(pack), eq_data=pack)
            self._store(PACK, number, message, pack, (LAST_PACK, self._last_pack))

    def _store(
        self,
        kind: str,
        subject: str,
        message: Pack | Single,
        items: Sequence[Item],
        setting: tuple[str, Any] | None,
    ) -> None:
        body = encode(message).removesuffix(DELIMITER)
        stored = self._site.store.add_report(NAME, kind, subject, body, False, self._cap, setting)

        def kept(result: tuple[int, Iterable[int]]) -> None:
            self._alarms.kept()
            dropped = len(list(result[1]))
            if dropped:
                self._counts["dropped"] += dropped
                _log.warn("{uplink}: the cap dropped {n} reports", uplink=NAME, n=dropped)
            self._sender.wake()

        def not_kept(failure: Failure) -> None:
            # The next reading is news again: a channel may have no period to make up for it.
            self._channels.unreported(items)
            self._alarms.not_kept(failure)

        stored.addCallbacks(kept, not_kept).addErrback(_log_failure)

    def _look_at_ledger(self) -> None:
        ledger = self._site.store.ledger(NAME)
        ledger.addCallback(self._alarms.audit).addErrback(_log_failure)

    # -- what the sender tells

    def drained(self) -> None:
        """Report every channel as it is: the last that the cloud gets is the newest."""
        if self._begun:
            self._keep(self._channels.items())

    def answered(self) -> None:
        """Note that the cloud takes data, or says at least that it did not."""
        self._mute = False
        self._works()

    def unanswered(self, reason: str) -> None:
        """Note that it says nothing."""
        self._mute = True
        self._unreachable(reason)

    # -- what the link tells

    def link_online(self) -> None:
        """Note a session; a cloud that took no data must first take some."""
        self._refused = False
        self._site.alarms.clear(f"{NAME}.refused")
        if not self._mute:
            self._works()
        self._sender.online()

    def link_ready(self) -> None:
        """Go on: the transport takes data again."""
        self._sender.wake()

    def link_down(self, reason: str, was_online: bool, good: bool) -> None:
        """Note that there is no session; a good one that ends may be back at once."""
        if self._refused:
            return
        if good:
            self.status.offline(reason)
        else:
            self._mute = self._mute or (was_online and bool(self._settings.channels))
            self._unreachable(reason)

    def link_refused(self, refusal: LoginRefusal) -> None:
        """Say which credential is wrong: only a person can help."""
        en = {
            "eq_sn": "the cloud knows no device with this eq_sn",
            "api_key": "the cloud does not accept the api_key of this eq_sn",
        }[refusal.credential]
        zh = {
            "eq_sn": "云平台不存在此eq_sn的CS设备",
            "api_key": "云平台不接受此eq_sn的api_key",
        }[refusal.credential]
        en, zh = f"{en} (code {refusal.code})", f"{zh}(代码{refusal.code})"
        if not self._refused:
            _log.error("{uplink} is refused: {reason}", uplink=NAME, reason=en)
        self._refused = True
        self.status.offline(en)
        self._site.alarms.clear(f"{NAME}.channel")
        self._site.alarms.set(f"{NAME}.refused", Severity.CRITICAL, en, zh)

    def _works(self) -> None:
        self._site.alarms.clear(f"{NAME}.channel")
        self.status.online()

    def _unreachable(self, reason: str) -> None:
        self.status.offline(reason)
        self._site.alarms.set(
            f"{NAME}.channel",
            Severity.WARNING,
            f"values are kept, the cloud does not take them: {reason}",
            f"云平台未接收数据,数据已保存:{reason}",
        )

    # -- what the cloud sets

    def configure(self, message: Configure) -> None:
        """Take a configuration."""
        self._configurations.take(message)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # cut off by the stop
        _log.failure("the Fogslink uplink failed", failure=failure)


def fogslink_uplink(
    settings: FogslinkSettings,
    site: Site,
    reactor: Any,
    now: Callable[[], float],
    spread: Callable[[], float],
) -> FogslinkUplink:
    """Return the uplink over `settings.address`. Raises WrongSetting."""
    for channel in settings.channels:
        if not is_channel(channel):
            raise WrongSetting("channels", f"{channel[:40]!r} is no channel such as P0-C1")
    try:
        endpoint = clientFromString(reactor, settings.address)
    except (ValueError, TypeError, KeyError, IndexError, OSError, RuntimeError):
        raise WrongSetting(
            "address",
            f"no client endpoint such as tcp:www.fogslink.com:63321: {settings.address!r}",
        ) from None
    return FogslinkUplink(settings, site, endpoint, reactor, now, spread)

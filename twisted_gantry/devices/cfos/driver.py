"""A cFos Power Brain / Charging Manager: polled by `get_dev_info`, commanded by API calls.

Source: the cFos document; decisions: `docs/protocols/cfos.md`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import field
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.interfaces import REPAIRED, DeviceContext, IDevice
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.cfos import points as cfos_points
from twisted_gantry.devices.cfos.channel import CfosChannel, Credentials, WrongStatus, wrong_url
from twisted_gantry.devices.cfos.commands import COMMANDS, ManagerCommands
from twisted_gantry.devices.cfos.feeds import Feed, FeedSettings, wrong_feeds
from twisted_gantry.devices.cfos.parts import Parts
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    NotUnderstood,
    Patience,
    Poller,
    PollPeriod,
    gist,
    http_client,
)
from twisted_gantry.devices.power import (
    OVER_VOLTAGE,
    RECHECK,
    UNDER_VOLTAGE,
    Limits,
    NominalVoltage,
    OverVoltage,
    UnderVoltage,
)
from twisted_gantry.net.http.client import CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, outage, outage_of
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.cfos.calls import call
from twisted_gantry.wire.cfos.values import DevInfo, decode_dev_info
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc.conditions import NOMINAL_VOLTAGE
from twisted_gantry.wire.salvage import losses
from twisted_gantry.wire.secret import Secret

LONGEST_REASON = 200
_OFFLINE = frozenset({State.OFFLINE})


class CfosSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `cfos`; see `docs/configuration.md`."""

    url: str
    user: str = "admin"
    password: Secret | None = None
    poll: PollPeriod = 5.0
    patience: Patience = 3.0
    over_voltage: OverVoltage = OVER_VOLTAGE
    under_voltage: UnderVoltage = UNDER_VOLTAGE
    nominal_voltage: NominalVoltage = NOMINAL_VOLTAGE
    feeds: list[FeedSettings] = field(default_factory=list)


_log = Logger()


@implementer(IDevice)
class Cfos(NamedService):
    """The driver. `close` closes the connections of the channel."""

    kind = "cfos"
    commands = COMMANDS

    def __init__(
        self,
        name: str,
        settings: CfosSettings,
        context: DeviceContext,
        channel: CfosChannel,
        close: Callable[[], Deferred[Any]],
    ) -> None:
        super().__init__(name)
        self.device = name
        self.status = Status(name, context.now)
        self.counts: Counter[str] = Counter()
        """Oddities of the manager since the start."""
        self._points, self._channel, self._close = context.points, channel, close
        self._poller = Poller(
            context, self.status, self._poll, settings.poll, backs_off=_OFFLINE, counted=False
        )
        self.poll_seconds = self._poller.seconds
        self.attempt = self._poller.attempt
        self._commands = ManagerCommands(
            channel, context.reactor, self._poller.now, context.in_thread
        )
        context.points.declare(name, cfos_points.MANAGER_POINTS)
        limits = Limits(settings.over_voltage, settings.under_voltage)
        nominal = settings.nominal_voltage
        self._parts = Parts(name, context.points, limits, nominal)
        self.rules = cfos_points.rules(self._parts.meters, limits, nominal)
        self._store, self._key = context.store, f"{name}.live-phases"
        self._kept: dict[str, list[int]] = {}
        self._feeds = [
            Feed(name, each, context.points, channel, context.reactor, self._is_online, self.counts)
            for each in settings.feeds
        ]

    def startService(self) -> None:
        super().startService()
        kept = self._store.settings().addCallback(self._remember).addErrback(self._not_kept)
        kept.addCallback(lambda _: self._poller.start() if self.running else None)
        for feed in self._feeds:
            feed.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        for feed in self._feeds:
            feed.stop()
        self._poller.stop()
        return self._close()

    def _remember(self, settings: Mapping[str, Any]) -> None:
        """Take what an earlier process knew of the meters."""
        given = settings.get(self._key)
        if isinstance(given, dict):
            self._kept = {str(which): [int(n) for n in phases] for which, phases in given.items()}
            self._parts.remember(self._kept)

    def _keep(self) -> None:
        live = {**self._kept, **{k: sorted(v) for k, v in self._parts.meters().items()}}
        if live != self._kept:
            self._kept = live
            self._store.put_setting(self._key, live).addErrback(self._not_kept)

    def _not_kept(self, failure: Failure) -> None:
        _log.warn("{name}: {why}", name=self.device, why=failure.getErrorMessage())

    def _is_online(self) -> bool:
        return self.status.state is State.ONLINE

    async def _poll(self) -> float | None:
        try:
            info = await self._ask()
        except (NoAnswer, WrongStatus, NotUnderstood) as error:
            self._failed(outage_of(error))
            return None
        self._take(info)
        return min(self._poller.period, RECHECK) if self._parts.doubtful else None

    async def _ask(self) -> DevInfo:
        """Return the answer to a poll. Of one that was cut short, what came counts."""
        try:
            body = await self._channel.ask(call("get_dev_info"))
        except CutShort as error:
            if error.answer.status != 200:
                raise
            try:
                return decode_dev_info(error.answer.body)
            except WireError:
                raise error from None
        try:
            return decode_dev_info(body)
        except WireError as error:
            raise NotUnderstood(str(error)[:LONGEST_REASON], body) from None

    def _take(self, info: DevInfo) -> None:
        self.counts.update(info.odd)
        if info.repairs:
            self.counts[REPAIRED] += 1
        update = {name: (each.value, each.quality) for name, each in info.params.items()}
        update |= self._parts.take(info)
        wrong = [
            *info.wrong,
            *losses(info.repairs),
            *self._points.update(self.device, update, self._parts.derive),
        ]
        self._keep()
        self._poller.good()
        if wrong:
            self.status.error(outage(Cause.MALFORMED, gist(wrong), en=gist(wrong)))

    def _failed(self, reason: Outage) -> None:
        self.counts["poll-failed"] += 1
        own = [each.name for each in cfos_points.MANAGER_POINTS]
        self._points.fail(self.device, [*own, *self._parts.names()])
        self._poller.failed(reason)

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return ensureDeferred(self._commands.execute(command, args))


def _part_points(part: str) -> frozenset[str]:
    """Return the names of the points of a part, without its own."""
    types = (*cfos_points.part_points(part), *cfos_points.feed_points(part))
    return frozenset(each.name.removeprefix(f"{part}.") for each in types)


def _wrong_user(user: str) -> str:
    fits = ":" not in user and user.isprintable()
    return "" if fits else "HTTP Basic carries no colon in it"


def _build(name: str, settings: CfosSettings, context: DeviceContext) -> Cfos:
    client, close = http_client(context, settings.patience, settings)
    credentials = Credentials(settings.user, settings.password)
    channel = CfosChannel(settings.url, credentials, client)
    return Cfos(name, settings, context, channel, close)


kind = DeviceKind(
    "cfos",
    CfosSettings,
    _build,
    frozenset({"elec"}),
    cfos_points.PARTS,
    _part_points,
    checks={"url": wrong_url, "user": _wrong_user, "feeds": wrong_feeds},
    point_type=cfos_points.point_type,
)

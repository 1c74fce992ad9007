"""A battery behind the BMS control of an EMS: polled by GET, commanded by POST.

A GET may show an old status and carries no time. Every `sync_period` a PUT makes the EMS ask the
battery. Decisions: `docs/protocols/bms.md`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import DeviceContext, IDevice
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.bms.commands import COMMANDS, BmsCommands
from twisted_gantry.devices.bms.ems import TROUBLE, EmsClient, why
from twisted_gantry.devices.conditions import equals, when
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    Patience,
    Poller,
    PollPeriod,
    http_client,
    wrong_base_url,
    wrong_headers,
)
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.bms import Status as BmsStatus
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret

# States in which the pauses between two polls grow.
_UNPROVED = frozenset({State.CONNECTING, State.OFFLINE})

POINTS = (
    PointType("operating_status", "", "Operating status", "电池运行状态", values=str),
    PointType("contactor_closed", "", "Contactor closed", "接触器闭合", values=bool),
    PointType("alarm_count", "", "Number of alarms", "报警数量"),
)

_IS_OPEN = equals("contactor_closed", False)
# The EMS does not tell which alarms a battery has: fire may be among them.
_HAS_ALARMS = when("alarm_count", lambda count: count != 0)

RULES = (
    Rule("alarm", Severity.CRITICAL, "the battery reports alarms", "电池报警", _HAS_ALARMS),
    Rule("contactor-open", Severity.WARNING, "the battery is powered down", "电池下电", _IS_OPEN),
)


class BmsSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `bms`; times in seconds."""

    url: str
    device_uid: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    headers: dict[str, Secret] = msgspec.field(default_factory=dict)
    poll: PollPeriod = 10.0
    patience: Patience = 5.0
    sync_period: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 300.0
    command_deadline: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0


@implementer(IDevice)
class Bms(NamedService):
    """The driver. `close` closes the connections of `ems`."""

    kind = "bms"
    rules = RULES
    commands = COMMANDS

    def __init__(
        self,
        name: str,
        settings: BmsSettings,
        context: DeviceContext,
        ems: EmsClient,
        close: Callable[[], Deferred[None]],
    ) -> None:
        super().__init__(name)
        self.device = name
        self.status = Status(name, context.now)
        self._settings, self._points, self._clock = settings, context.points, context.reactor
        self._ems, self._close = ems, close
        self.counts = ems.counts
        self._commands = BmsCommands(ems, self._look, context.reactor, settings.command_deadline)
        self._asked = self._shown = 0  # GETs, by number
        self._sync_due = 0.0
        self._poller = Poller(context, self.status, self._poll, settings.poll, backs_off=_UNPROVED)
        self.poll_seconds = self._poller.seconds
        self.attempt = self._poller.attempt
        self._doing: Deferred[CommandResult] | None = None
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        """Begin to read what the EMS has; a restart does not ask the battery."""
        super().startService()
        self._sync_due = self._clock.seconds() + self._settings.sync_period
        self._poller.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._poller.stop()
        if self._doing is not None:
            self._doing.cancel()
        return self._close()

    async def _poll(self) -> None:
        if self._clock.seconds() >= self._sync_due:
            try:
                await self._sync()
            except TROUBLE as error:  # the EMS may still tell what it has
                reason = why(error)
                en, zh = f"not synchronised: {reason.en}", f"未能同步：{reason.zh}"
                self.status.error(Outage(reason.cause, en, zh))
        try:
            await self._get()
        except TROUBLE as error:
            if self.running:
                self._points.fail(self.device)
                self._poller.failed(why(error))

    async def _look(self) -> BmsStatus:
        """Return the present status of the battery. Raises one of TROUBLE."""
        await self._sync()
        return await self._get()

    async def _sync(self) -> None:
        self._sync_due = self._clock.seconds() + self._settings.sync_period
        await self._ems.sync()

    async def _get(self) -> BmsStatus:
        self._asked += 1
        number = self._asked
        status = await self._ems.read()
        if self.running and number > self._shown:  # an overtaken answer is old
            self._shown = number
            self._good(status)
        return status

    def _good(self, status: BmsStatus) -> None:
        state = status.operating_status
        values: dict[str, Value] = {
            "operating_status": None if state is None else state.text,
            "contactor_closed": None if state is None else state.contactor_closed,
            "alarm_count": status.alarm_status,
        }
        self._points.update(
            self.device,
            {
                name: (value, Quality.GET_FAILED if value is None else Quality.GOOD)
                for name, value in values.items()
            },
        )
        self._poller.good()
        if status.wrong:
            wrong = ", ".join(status.wrong)
            self.status.error(outage(Cause.MALFORMED, wrong, en=wrong))

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self._doing = ensureDeferred(self._commands.execute(command, args))
        return self._doing.addCallback(self._look_again)

    def _look_again(self, result: CommandResult) -> CommandResult:
        """Synchronise at once after a command that is not proved done."""
        if result.result in {Outcome.FAILED, Outcome.TIMEOUT} and self.running:
            self._sync_due = self._clock.seconds()
            self._poller.now()
        return result


def _build(name: str, settings: BmsSettings, context: DeviceContext) -> Bms:
    client, close = http_client(context, settings.patience, settings)
    ems = EmsClient(settings.url.rstrip("/"), settings.device_uid, settings.headers, client)
    return Bms(name, settings, context, ems, close)


kind = DeviceKind(
    "bms", BmsSettings, _build, checks={"url": wrong_base_url, "headers": wrong_headers}
)

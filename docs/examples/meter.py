"""A kind of device in one file: a meter that speaks JSON over HTTP and can switch its output."""

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.polled import Poller, PollPeriod, http_client
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.net.outage import outage_of
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, loads
from twisted_gantry.wire.reading import Quality

POINTS = (
    PointType("voltage", "V", "Voltage", "电压"),
    PointType("power", "W", "Power", "功率"),
    PointType("on", "", "Output on", "输出接通"),
)
RULES = (Rule("off", Severity.WARNING, "output off", "输出断开", equals("on", False), delay=1.0),)
SWITCH = CommandType(
    {"on": Argument(bool)},
    "switch the output",
    "通断输出",
    endangers=Endangers.POWER,
    danger="may cut the power of the load",
    danger_zh="可能切断负载供电",
    local_only=True,
)


class MeterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `json-meter`."""

    url: str
    token: Secret
    poll: PollPeriod = 5.0


class Answer(msgspec.Struct, frozen=True):
    """The answer of the meter: V, W, and whether the output is on."""

    voltage: float
    power: float
    on: bool


@implementer(IDevice)
class Meter(NamedService):
    """The driver: polls the meter, and keeps its points and its status."""

    kind, rules, commands = "json-meter", RULES, {"switch": SWITCH}

    def __init__(self, name: str, settings: MeterSettings, context: DeviceContext) -> None:
        super().__init__(name)
        self.device, self.status = name, Status(name, context.now)
        self._settings, self._points = settings, context.points
        self._client, self._close = http_client(context, deadline=3.0)
        not_online = frozenset({State.CONNECTING, State.OFFLINE})
        self._poller = Poller(context, self.status, self._read, settings.poll, backs_off=not_online)
        self.poll_seconds = self._poller.seconds
        self._doing: Deferred[CommandResult] | None = None
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        super().startService()
        self._poller.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._poller.stop()
        if self._doing is not None:
            self._doing.cancel()
        return self._close()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self._doing = ensureDeferred(self._switch(args["on"]))
        return self._doing

    async def _switch(self, on: bool) -> CommandResult:
        try:
            await self._ask("PUT", dumps({"on": on}))
        except NotConnected as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NoAnswer as error:  # the meter may have switched
            return CommandResult(Outcome.TIMEOUT, str(error))
        except WireError as error:
            return CommandResult(Outcome.FAILED, str(error))
        self._poller.now()
        return CommandResult(Outcome.DONE)

    async def _read(self) -> None:
        try:
            values = convert(loads(await self._ask("GET")), Answer)
        except (NoAnswer, WireError) as error:
            self._points.fail(self.device)
            self._poller.failed(outage_of(error))
        else:
            update = {n: (v, Quality.GOOD) for n, v in msgspec.structs.asdict(values).items()}
            self._points.update(self.device, update)
            self._poller.good()

    async def _ask(self, method: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._settings.token.reveal()}"}
        answer = await self._client.request(method, self._settings.url, headers=headers, body=body)
        if answer.status != 200:
            raise BadMessage(f"HTTP status {answer.status}")
        return answer.body


@implementer(IDeviceKind)
class _MeterKind:
    kind, settings, groups, parts = "json-meter", MeterSettings, frozenset[str](), ""

    def build(self, name: str, settings: MeterSettings, context: DeviceContext) -> Meter:
        return Meter(name, settings, context)


kind = _MeterKind()

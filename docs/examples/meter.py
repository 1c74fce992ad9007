"""A kind of device in one file: a meter that answers a GET with its values as JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.polled import Poller, PollPeriod, http_client
from twisted_gantry.net.http.client import NoAnswer
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.json import convert, loads
from twisted_gantry.wire.reading import Quality

POINTS = (
    PointType("voltage", "V", "Voltage", "电压"),
    PointType("power", "W", "Power", "功率"),
)


def _low(read: Any, raised: bool) -> bool | None:
    volts = read("voltage").good
    return None if volts is None else volts < (198 if raised else 187)


class MeterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `json-meter`."""

    url: str
    poll: PollPeriod = 5.0


class Answer(msgspec.Struct, frozen=True):
    """The answer of the meter: V and W."""

    voltage: float
    power: float


@implementer(IDevice)
class Meter(NamedService):
    """The driver: polls the meter, and keeps its points and its status."""

    kind = "json-meter"
    rules = (Rule("low-voltage", Severity.WARNING, "voltage low", "电压低", _low, delay=1.0),)
    commands: Mapping[str, CommandType] = {}

    def __init__(self, name: str, settings: MeterSettings, context: DeviceContext) -> None:
        super().__init__(name)
        self.device, self.status = name, Status(name, context.now)
        self._url, self._points = settings.url, context.points
        self._client, self._close = http_client(context, deadline=3.0)
        not_online = frozenset({State.CONNECTING, State.OFFLINE})
        self._poller = Poller(context, self.status, self._read, settings.poll, backs_off=not_online)
        self.poll_seconds = self._poller.seconds
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        """Begin to read."""
        super().startService()
        self._poller.start()

    def stopService(self) -> Deferred[None]:
        """Read no more."""
        super().stopService()
        self._poller.stop()
        return self._close()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Fail: a meter has no command."""
        return fail(ValueError(f"no command {command}"))

    async def _read(self) -> None:
        try:
            answer = await self._client.request("GET", self._url)
            values = convert(loads(answer.body), Answer)
        except (NoAnswer, WireError) as error:
            self._points.fail(self.device)
            self._poller.failed(str(error))
        else:
            update = {n: (v, Quality.GOOD) for n, v in msgspec.structs.asdict(values).items()}
            self._points.update(self.device, update)
            self._poller.good()


@implementer(IDeviceKind)
class _MeterKind:
    kind, settings, groups, parts = "json-meter", MeterSettings, frozenset[str](), ""

    def build(self, name: str, settings: MeterSettings, context: DeviceContext) -> Meter:
        return Meter(name, settings, context)


kind = _MeterKind()

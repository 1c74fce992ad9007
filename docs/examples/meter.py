"""A kind of device in one file: a meter that answers a GET with its values as JSON."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind
from twisted_gantry.core.status import State, Status
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated
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
    poll: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 5.0


class Answer(msgspec.Struct, frozen=True):
    """What the meter answers: V and W."""

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
        self._settings, self._points = settings, context.points
        self._pool = persistent_pool(context.reactor)
        client = BoundedClient(treq_client(context.reactor, self._pool), context.reactor)
        self._client = context.tap.client(client)
        self._backoff = Backoff(1.0, 60.0, context.random.random)
        self._polling = Repeated(context.reactor, self._poll, f"polling {name}")
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        """Begin to read."""
        super().startService()
        self._polling.start()

    def stopService(self) -> Any:
        """Read no more."""
        super().stopService()
        self._polling.stop()
        return self._pool.closeCachedConnections()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Fail: a meter has no command."""
        return fail(ValueError(f"no command {command}"))

    async def _poll(self) -> float:
        try:
            answer = await self._client.request("GET", self._settings.url)
            read = convert(loads(answer.body), Answer)
        except (NoAnswer, WireError) as error:
            self._points.fail(self.device)
            self.status.offline(str(error))
        else:
            update = {n: (v, Quality.GOOD) for n, v in msgspec.structs.asdict(read).items()}
            self._points.update(self.device, update)
            self._backoff.reset()
            self.status.online()
        online = self.status.state is State.ONLINE
        return self._settings.poll if online else self._backoff.next()


@implementer(IDeviceKind)
class _MeterKind:
    kind, settings, groups, parts = "json-meter", MeterSettings, frozenset[str](), ""

    def build(self, name: str, settings: MeterSettings, context: DeviceContext) -> Meter:
        return Meter(name, settings, context)


kind = _MeterKind()

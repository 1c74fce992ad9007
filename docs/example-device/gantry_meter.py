"""A kind of device: a meter that speaks JSON over HTTP and can switch its output."""

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import DeviceContext
from twisted_gantry.core.secret import Secret
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    NothingRead,
    PolledDevice,
    PollPeriod,
    http_client,
    wrong_base_url,
)
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, loads
from twisted_gantry.wire.reading import Value

POINTS = (
    PointType("voltage", "V", "Voltage", "电压"),
    PointType("power", "W", "Power", "功率"),
    PointType("on", "", "Output on", "输出接通", values=bool),
)
RULES = (Rule("off", Severity.WARNING, "output off", "输出断开", equals("on", False), delay=1.0),)
SWITCH = CommandType(
    {"on": Argument(bool)},
    "switch the output",
    "通断输出",
    endangers=Endangers.POWER,
    danger="may cut the power of the load",
    danger_zh="可能使负载断电",
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


class Meter(PolledDevice):
    """The driver: what is read, and what is done."""

    kind, points, rules, commands = "json-meter", POINTS, RULES, {"switch": SWITCH}

    def __init__(self, name: str, settings: MeterSettings, context: DeviceContext) -> None:
        super().__init__(name, context, settings.poll)
        self._settings = settings
        self._client, self._close = http_client(context, deadline=3.0)

    async def read(self) -> Mapping[str, Value]:
        try:
            answer = convert(loads(await self._ask("GET")), Answer)
        except (NoAnswer, WireError) as error:
            raise NothingRead(error) from None
        return msgspec.structs.asdict(answer)

    async def do(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        try:
            await self._ask("PUT", dumps({"on": args["on"]}))
        except NotConnected as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NoAnswer as error:  # the meter may have switched
            return CommandResult(Outcome.TIMEOUT, str(error))
        except WireError as error:
            return CommandResult(Outcome.FAILED, str(error))
        self.poller.now()
        return CommandResult(Outcome.DONE)

    def close(self) -> Deferred[None]:
        return self._close()

    async def _ask(self, method: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._settings.token.reveal()}"}
        answer = await self._client.request(method, self._settings.url, headers=headers, body=body)
        if answer.status != 200:
            raise BadMessage(f"HTTP status {answer.status}")
        return answer.body


kind = DeviceKind("json-meter", MeterSettings, Meter, checks={"url": wrong_base_url})

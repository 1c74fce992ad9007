"""A relay that cuts the power of another device, and gives it back: `power-cycle`.

Source: the ETC document, section 3.2. Its cmd 1 names a relay by address and port, and no command
set: hence `on` and `off` as bytes. The order of a cycle is in `machine.py`.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType, Endangers
from twisted_gantry.core.interfaces import DeviceContext, IRelay, WrongSetting
from twisted_gantry.core.status import Status
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import Poller
from twisted_gantry.devices.relay.link import LONGEST_BYTES, RelayLink
from twisted_gantry.devices.relay.machine import ON_PENDING, Ended, RelayCore, relay_machine
from twisted_gantry.net.connecting import NotReached
from twisted_gantry.net.endpoints import wrong_client
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.etc.controls import CONTROLS

# Seconds between two checks whether the relay can be reached.
CHECK_PERIOD = 60.0

POWER_CYCLE = "power-cycle"

POINTS = (PointType(ON_PENDING, "", "Power is to be restored", "等待恢复供电"),)
_CYCLE = CONTROLS[POWER_CYCLE]
COMMANDS: Mapping[str, CommandType] = {
    POWER_CYCLE: CommandType(
        {},
        _CYCLE.en,
        _CYCLE.zh,
        once=True,
        endangers=Endangers(_CYCLE.endangers),
        danger=_CYCLE.danger,
        danger_zh=_CYCLE.danger_zh,
    )
}

_PENDING = equals(ON_PENDING, True)
RULES = (
    Rule("power-off", Severity.CRITICAL, "the power is off", "继电器断电，尚未恢复供电", _PENDING),
)

_EXAMPLE = "tcp:192.168.1.40:8080"
_TCP = re.compile(r"tcp:(host=)?(?P<host>([^:=\\]|\\:)+):(port=)?(?P<port>[0-9]{1,5})(:.*)?")


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `relay`. `on`, `off` and `confirm` are bytes as hex;
    `pulse` is seconds. `confirm` is what a relay answers. Without it, bytes count as taken when the
    connection stands for a second after them, or is closed in order. A cycle with 20 s of `pulse`
    ends within the time of a command.
    """

    address: str
    on: str
    off: str
    confirm: str = ""
    pulse: Annotated[float, msgspec.Meta(ge=0.1, le=20)] = 5.0


@implementer(IRelay)
class Relay(NamedService):
    """The driver; `place` is the host and the port that the platform names."""

    kind = "relay"
    rules = RULES
    commands = COMMANDS

    def __init__(
        self,
        name: str,
        settings: RelaySettings,
        context: DeviceContext,
        link: RelayLink,
        place: tuple[str, int],
    ) -> None:
        super().__init__(name)
        self.device, self.place = name, place
        self.status = Status(name, context.now)
        self._poller = Poller(context, self.status, self._check, CHECK_PERIOD)
        self.attempt = self._poller.attempt
        on, off = bytes.fromhex(settings.on), bytes.fromhex(settings.off)
        self._core = RelayCore(
            name, place, context, link, on, off, settings.pulse, self.status, self._poller
        )
        self.pending_on = self._core.key
        self.counts = self._core.counts
        self._machine = relay_machine(self._core)
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        """Give back the power that was cut before the program ended; then watch the relay."""
        super().startService()
        self._machine.started()

    def stopService(self) -> Deferred[Any] | None:
        """Stop; power that is off is given back first, if the relay takes that at once."""
        super().stopService()
        self._machine.stopped()
        return self._core.stopping

    async def _check(self) -> float:
        """Connect, and say nothing; a cycle under way is a check of its own."""
        if self._core.asker is None:
            try:
                await self._core.link.reach()
            except NotReached as error:
                self._core.missed(error.outage)
                return self._poller.backoff.next()
            self._poller.good()
        return CHECK_PERIOD

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Cycle the power; a cycle goes on when its Deferred is cancelled."""
        ended: Ended = Deferred()
        self._machine.asked(ended)
        return ended


def _wrong_bytes(text: str, least: int = 1) -> str:
    try:
        content = bytes.fromhex(text)
    except ValueError:
        return "must be bytes as hex, such as a00101a2"
    fits = least <= len(content) <= LONGEST_BYTES
    return "" if fits else f"must be {least} to {LONGEST_BYTES} bytes"


def _wrong_address(text: str) -> str:
    wrong = wrong_client(text, _EXAMPLE)
    if not wrong and not _TCP.fullmatch(text):  # it has no place that the platform could name
        return f"must be like {_EXAMPLE}; it is {text!r}"
    return wrong


def _build(name: str, settings: RelaySettings, context: DeviceContext) -> Relay:
    if bytes.fromhex(settings.on) == bytes.fromhex(settings.off):
        raise WrongSetting("off", "is the same as on")
    confirm, found = bytes.fromhex(settings.confirm), _TCP.fullmatch(settings.address)
    assert found is not None  # checked
    endpoint = clientFromString(context.reactor, settings.address)
    place = (found["host"].replace("\\:", ":"), int(found["port"]))
    link = RelayLink(context.tap.endpoint(endpoint), confirm, context.reactor)
    return Relay(name, settings, context, link, place)


kind = DeviceKind(
    "relay",
    RelaySettings,
    _build,
    checks={
        "address": _wrong_address,
        "on": _wrong_bytes,
        "off": _wrong_bytes,
        "confirm": partial(_wrong_bytes, least=0),
    },
)

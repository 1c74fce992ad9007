"""Any device that speaks Modbus TCP, or RTU over TCP: meters, UPSs, air conditioners, sensors.

Decisions: `docs/protocols/modbus.md`.
"""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed

from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import DeviceContext, WrongSetting
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.mapped.device import MappedDevice
from twisted_gantry.devices.mapped.points import MappedPoints, groups_of
from twisted_gantry.devices.modbus.link import ModbusLink, NoReply
from twisted_gantry.devices.modbus.reader import RegisterReader
from twisted_gantry.devices.modbus.settings import ModbusSettings, RegisterCommand
from twisted_gantry.net.connecting import NotReached
from twisted_gantry.net.endpoints import client_endpoint, wrong_client
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc.uploads import GROUPS
from twisted_gantry.wire.modbus import ModbusRefused
from twisted_gantry.wire.reading import Value


class ModbusDevice(MappedDevice):
    """The driver. A command is one write; afterwards the device is read at once."""

    kind = "modbus"

    def __init__(
        self, name: str, settings: ModbusSettings, context: DeviceContext, link: ModbusLink
    ) -> None:
        mapped = MappedPoints(name, settings.point, context.points, settings)
        super().__init__(name, context, settings.poll, mapped)
        self._link, self._reader = link, RegisterReader(link, settings, context.reactor)
        self._writes = {each.name: each for each in settings.command}
        self.commands = {each.name: each.type_of for each in settings.command}

    async def read(self) -> Mapping[str, Value]:
        values, self.troubles = await self._reader.read()
        return values

    async def do(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        return await self._write(self._writes[command], args)

    def close(self) -> Deferred[None]:
        self._link.close()
        return succeed(None)

    async def _write(self, command: RegisterCommand, args: Mapping[str, Any]) -> CommandResult:
        given = args["value"] if command.value is None else command.value
        try:
            registers = command.registers(float(given))
        except ValueError as error:
            return CommandResult(Outcome.REFUSED, f"not sent: {error}")
        try:
            request = wire.write(command.writes, command.register, registers)
            wire.check_reply(await self._link.ask(request), command.writes)
        except NotReached as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except ModbusRefused as error:
            return CommandResult(Outcome.FAILED, str(error))
        except (NoReply, WireError) as error:  # the device may have done it
            self._link.close()
            return CommandResult(Outcome.TIMEOUT, str(error))
        self.poller.now()
        return CommandResult(Outcome.DONE)


def _wrong_address(address: str) -> str:
    return wrong_client(address, "tcp:192.168.1.50:502")


def _build(name: str, settings: ModbusSettings, context: DeviceContext) -> ModbusDevice:
    if not wire.installed():
        raise WrongSetting("kind", wire.LACKING)
    tls = ClientTls(settings, context.certificate_seen)
    endpoint = client_endpoint(context.reactor, settings.address, tls)
    means = (context.reactor, settings.framing, settings.unit, settings.patience)
    return ModbusDevice(name, settings, context, ModbusLink(context.tap.endpoint(endpoint), *means))


kind = DeviceKind(
    "modbus",
    ModbusSettings,
    _build,
    frozenset(GROUPS),
    checks={"address": _wrong_address},
    groups_of=lambda settings: groups_of(settings.point),
)

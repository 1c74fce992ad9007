"""A device with registers, played by a table on pymodbus' framers, and the driver before it."""

from typing import Any

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as words
from twisted.internet.protocol import Factory, Protocol

from tests.devices.rig import DriverRig
from tests.support import Bench, MemoryNetwork
from twisted_gantry.config.load import load
from twisted_gantry.devices.modbus.driver import ModbusDevice
from twisted_gantry.devices.modbus.link import ModbusLink
from twisted_gantry.devices.modbus.settings import ModbusSettings

REPLIES = {
    1: bits.ReadCoilsResponse,
    2: bits.ReadDiscreteInputsResponse,
    3: words.ReadHoldingRegistersResponse,
    4: words.ReadInputRegistersResponse,
}


class Table(Factory):
    """The values by address. An address of `bad` is refused with its code; one that is not there
    with code 2. A request that touches `silent` has no answer. `asked` has every request.
    """

    noisy = False

    def __init__(self, values: dict[int, int], framing: str = "tcp", unit: int = 1) -> None:
        self.values, self.framing, self.unit = values, framing, unit
        self.bad: dict[int, int] = {}
        self.silent: set[int] = set()
        self.asked: list[tuple[int, int, int]] = []
        self.says: bytes | None = None

    def buildProtocol(self, addr: Any) -> "_Asked":
        return _Asked(self)

    def answer(self, pdu: Any) -> Any:
        function, addresses = pdu.function_code, range(pdu.address, pdu.address + (pdu.count or 1))
        self.asked.append((function, pdu.address, pdu.count))
        if self.silent & set(addresses):
            return None
        code = next((self.bad[each] for each in addresses if each in self.bad), 0)
        if code == 0 and not set(addresses) <= self.values.keys():
            code = 2
        if code:
            return ExceptionResponse(function, code)
        if function == 5:
            self.values[pdu.address] = int(pdu.bits[0])
            return bits.WriteSingleCoilResponse(address=pdu.address, bits=pdu.bits)
        if function in (6, 16):
            self.values |= {pdu.address + at: value for at, value in enumerate(pdu.registers)}
            if function == 6:
                return words.WriteSingleRegisterResponse(
                    address=pdu.address, registers=pdu.registers
                )
            return words.WriteMultipleRegistersResponse(address=pdu.address, count=pdu.count)
        found = [self.values[each] for each in addresses]
        kind: Any = REPLIES[function]
        return kind(bits=[bool(each) for each in found]) if function < 3 else kind(registers=found)


class _Asked(Protocol):
    def __init__(self, table: Table) -> None:
        framer = FramerSocket if table.framing == "tcp" else FramerRTU
        self._table, self._framer, self._heard = table, framer(DecodePDU(True)), b""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        if self._table.says is not None:
            transport.write(self._table.says)
            return
        self._heard += data
        used, pdu = self._framer.handleFrame(self._heard, self._table.unit, 0)
        self._heard = self._heard[used:]
        answer = None if pdu is None else self._table.answer(pdu)
        if pdu is not None and answer is not None:
            answer.dev_id, answer.transaction_id = pdu.dev_id, pdu.transaction_id
            transport.write(self._framer.buildFrame(answer))


class Rig(DriverRig):
    """A driver made from the TOML of its `[[device]]`, in front of a table."""

    def __init__(self, toml: str, server: Any, **settings: Any) -> None:
        super().__init__(Bench())
        self.network = MemoryNetwork(self.clock, server)
        made = read(toml, **settings)
        link = ModbusLink(self.network, self.clock, made.framing, made.unit, made.patience)
        self.device = ModbusDevice("m1", made, self.bench.context, link)
        self.bench.add(self.device)


def read(toml: str, **settings: Any) -> ModbusSettings:
    """Return the settings of a device, read as those of a configuration are."""
    more = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
    text = f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "m1"
kind = "modbus"
address = "tcp:h:502"
{more}
{toml}
"""
    [entry] = load(text).devices
    assert isinstance(entry.settings, ModbusSettings)
    return entry.settings

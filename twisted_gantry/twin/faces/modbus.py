"""A Modbus TCP gateway of the site: a meter at the incomer, and the sensors and air conditioners of
the first cabinet.

Needs the extra `modbus`. Registers: `docs/protocols/modbus.md`, "The twin".
"""

import struct
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.twin.faces.tcp import FaceSession, SessionFactory
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import MODBUS, Faults
from twisted_gantry.twin.world.model import World, WorldError
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.modbus import Asked, Code

METER, CABINET = 1, 2
"""The units behind the gateway."""
MAX_SESSIONS = 16
_FUNCTIONS = wire.READ_BITS | wire.READ_REGISTERS | wire.WRITES


@frozen
class _Register:
    """A variable of the world in a register: `scale` counts in its unit; f32 takes two."""

    variable: str
    type: str = "s16"
    scale: float = 1.0
    writable: bool = False


@frozen
class _Unit:
    registers: Mapping[int, _Register]
    bits: Mapping[int, str]
    """Bits that functions 1 and 2 read. A coil of `switches` can be written."""
    switches: frozenset[int] = frozenset()


_UNITS: Mapping[int, _Unit] = {
    METER: _Unit(
        {
            **{
                address: _Register(variable, "f32")
                for address, variable in (
                    (0, "mains.voltage_r"),
                    (2, "mains.voltage_s"),
                    (4, "mains.voltage_t"),
                    (6, "mains.frequency"),
                    (8, "cab1.input_w"),
                    (10, "cab1.energy_kwh"),
                )
            },
            20: _Register("mains.voltage_r", scale=10),
            21: _Register("mains.voltage_s", scale=10),
            22: _Register("mains.voltage_t", scale=10),
        },
        {},
    ),
    CABINET: _Unit(
        {
            0: _Register("cab1.temperature", scale=10),
            1: _Register("cab1.humidity", scale=10),
            2: _Register("cab1.lightning_count_1"),
            3: _Register("cab1.air1_cool_above", scale=10, writable=True),
            4: _Register("cab1.air2_cool_above", scale=10, writable=True),
        },
        {
            0: "cab1.smoke",
            1: "cab1.water",
            2: "cab1.front_door_locked",
            3: "cab1.back_door_locked",
            4: "cab1.air1_on",
            5: "cab1.air2_on",
            6: "cab1.air1_running",
            7: "cab1.air2_running",
        },
        frozenset({4, 5}),
    ),
}


class _Refused(Exception):
    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


class ModbusGateway:
    """Answers requests from the world; `counts` tells `read`, `written`, `refused` and `wrong`."""

    def __init__(self, world: World) -> None:
        self.counts: Counter[str] = Counter()
        self.codec = wire.ServerCodec(_FUNCTIONS)
        self._world = world

    def answer(self, asked: Asked, code: Code | None = None) -> bytes:
        """Return the reply; with `code` nothing is executed, and this is the exception."""
        try:
            if code is not None or asked.refused is not None:
                raise _Refused(code or asked.refused or Code.DEVICE_FAILURE)
            unit = _UNITS.get(asked.unit)
            if unit is None:
                raise _Refused(Code.GATEWAY_TARGET)
            return self._executed(asked, unit)
        except _Refused as refused:
            self.counts["wrong"] += 1
            return self.codec.refusal(asked, refused.code)

    def _executed(self, asked: Asked, unit: _Unit) -> bytes:
        if asked.function in wire.WRITES:
            self._write(asked.pdu, unit)
            self.counts["written"] += 1
            return self.codec.written(asked)
        self.counts["read"] += 1
        addresses = range(asked.pdu.address, asked.pdu.address + asked.pdu.count)
        if asked.function in wire.READ_BITS:
            if not all(each in unit.bits for each in addresses):
                raise _Refused(Code.ILLEGAL_ADDRESS)
            return self.codec.bits(
                asked, [bool(self._value(unit.bits[each])) for each in addresses]
            )
        image = self._image(unit)
        if not all(each in image for each in addresses):
            raise _Refused(Code.ILLEGAL_ADDRESS)
        values = [image[each] for each in addresses]
        return self.codec.registers(asked, struct.pack(f">{len(values)}H", *values))

    def _image(self, unit: _Unit) -> dict[int, int]:
        return {
            address + at: word
            for address, each in unit.registers.items()
            for at, word in enumerate(
                wire.registers_of(float(self._value(each.variable)) * each.scale, each.type)
            )
        }

    def _write(self, pdu: Any, unit: _Unit) -> None:
        if pdu.function_code == 5:
            if pdu.address not in unit.switches:
                raise _Refused(Code.ILLEGAL_ADDRESS)
            self._change({unit.bits[pdu.address]: bool(pdu.bits[0])})
            return
        changes = {}
        for address, word in enumerate(pdu.registers, pdu.address):
            register = unit.registers.get(address)
            if register is None or not register.writable:
                raise _Refused(Code.ILLEGAL_ADDRESS)
            value = wire.value_of((word,), register.type)
            changes[register.variable] = (value or 0) / register.scale
        self._change(changes)

    def _change(self, changes: Mapping[str, object]) -> None:
        try:
            self._world.change(changes)
        except WorldError:
            raise _Refused(Code.ILLEGAL_VALUE) from None

    def _value(self, variable: str) -> Any:
        return self._world.value(variable)


class _Session(FaceSession):
    def __init__(self, injector: FaultInjector, gateway: ModbusGateway) -> None:
        super().__init__(injector)
        self._gateway, self._heard = gateway, bytearray()

    def receive(self, data: bytes) -> None:
        self._heard += data
        try:
            for frame in wire.frames(self._heard):
                self._answer(self._gateway.codec.asked(frame))
        except BadMessage:
            self.flow.abort()

    def _answer(self, asked: Asked) -> None:
        faults = self.injector.faults
        code = Code.DEVICE_BUSY if faults.busy else None
        if faults.code is not None:
            code = Code(int(faults.code))
        reply = self._gateway.answer(asked, code)
        for each in self.injector.spoilt(reply):
            self.flow.send(each)


class ModbusFactory(SessionFactory):
    """Serves the gateway; `counts` are its own, and `connections` and `refused`."""

    def __init__(self, world: World, faults: Faults, clock: IReactorTime) -> None:
        gateway = ModbusGateway(world)
        injector = FaultInjector(MODBUS, faults, clock, gateway.counts)
        make = partial(_Session, injector, gateway)
        super().__init__(gateway.counts, make, MAX_SESSIONS, lambda: injector.faults.refuses)

"""The keys of a `[[device]]` of kind `modbus`."""

from typing import Annotated, Literal

import msgspec

from twisted_gantry.devices.mapped.settings import (
    MOST_COMMANDS,
    MOST_POINTS,
    MappedCommand,
    MappedPoint,
    MappedSettings,
    Mistakes,
)
from twisted_gantry.devices.polled import Patience, PollPeriod
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.reading import Value

Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
# What stands for no value in a register, unless the bounds of the point include it.
_MARKS = {"u16": 0xFFFF, "s16": -0x8000, "u32": 0xFFFF_FFFF, "s32": -0x8000_0000}
_ONE_REGISTER = frozenset({"u16", "s16"})


class RegisterPoint(MappedPoint, frozen=True, kw_only=True):
    """`[[device.point]]`. `register` is the address from 0, which functions 1 to 4 read; a `bit` of
    a register has a number from 0, the lowest.
    """

    register: Address
    type: wire.ValueType = "u16"
    function: Literal[1, 2, 3, 4] | None = None
    order: wire.Order = "ABCD"
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None

    @property
    def is_flag(self) -> bool:
        return self.type == "bit"

    @property
    def reads(self) -> int:
        """The function that reads the point."""
        if self.function is not None:
            return self.function
        return 1 if self.is_flag and self.bit is None else 3

    @property
    def width(self) -> int:
        return wire.width(self.type)

    def value_in(self, given: tuple[int, ...]) -> Value:
        """Return the value of the registers, or of the bit; None for a mark of no value."""
        if self.is_flag:
            return bool(
                given[0] if self.reads in wire.READ_BITS else given[0] >> (self.bit or 0) & 1
            )
        value = wire.value_of(given, self.type, self.order)
        return None if value == self._mark else value

    @property
    def _mark(self) -> int | None:
        mark = _MARKS.get(self.type)
        if mark is None or (self.min is None and self.max is None):
            return mark
        scaled = mark * self.scale + self.offset
        low = self.min if self.min is not None else scaled
        high = self.max if self.max is not None else scaled
        return None if low <= scaled <= high else mark

    def mistakes(self) -> Mistakes:
        yield from super().mistakes()
        if self.register + self.width > 65_536:
            yield ("register",), "the value goes beyond register 65535"
        if self.reads in wire.READ_BITS and not self.is_flag:
            yield ("function",), f"{self.reads} reads bits, and {self.type} is none"
        if self.bit is not None and (not self.is_flag or self.reads in wire.READ_BITS):
            yield ("bit",), 'is for type = "bit" in a register, function 3 or 4'


class RegisterCommand(MappedCommand, frozen=True, kw_only=True):
    """`[[device.command]]`. `function` is 5 for a bit, 6 for one register, otherwise 16."""

    register: Address
    type: wire.ValueType = "u16"
    function: Literal[5, 6, 16] | None = None
    order: wire.Order = "ABCD"

    @property
    def is_flag(self) -> bool:
        return self.type == "bit"

    @property
    def writes(self) -> int:
        """The function that writes."""
        if self.function is not None:
            return self.function
        return 5 if self.is_flag else 6 if self.type in _ONE_REGISTER else 16

    def registers(self, given: float) -> tuple[int, ...]:
        """Return what is written for a value. Raises ValueError for one that cannot be."""
        raw = self.raw(given)
        if self.is_flag:
            return (int(bool(raw)),)
        return wire.registers_of(raw, self.type, self.order)

    def mistakes(self) -> Mistakes:
        yield from super().mistakes()
        if self.register + wire.width(self.type) > 65_536:
            yield ("register",), "the value goes beyond register 65535"
        if (self.writes == 5) != self.is_flag:
            yield ("function",), f"{self.writes} does not write {self.type}"
        elif self.writes == 6 and self.type not in _ONE_REGISTER:
            yield ("function",), f"6 writes one register, and {self.type} has two"
        if self.value is not None and self.scale:
            try:
                self.registers(self.value)
            except (BadMessage, ValueError) as error:
                yield ("value",), str(error)


class ModbusSettings(MappedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_gap`: registers that are read along, to make one request of two. `max_registers`: of one
    request; some devices have fewer than the 125 of the specification. Times in seconds.
    """

    address: str
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    framing: wire.Framing = "tcp"
    poll: PollPeriod = 5.0
    patience: Patience = 3.0
    max_gap: Annotated[int, msgspec.Meta(ge=0, le=124)] = 8
    max_registers: Annotated[int, msgspec.Meta(ge=2, le=wire.MOST_REGISTERS)] = wire.MOST_REGISTERS
    point: tuple[RegisterPoint, ...]
    command: tuple[RegisterCommand, ...] = ()

    def mistakes(self) -> Mistakes:
        if not 0 < len(self.point) <= MOST_POINTS:
            yield ("point",), f"there must be 1 to {MOST_POINTS} [[device.point]]"
        if len(self.command) > MOST_COMMANDS:
            yield ("command",), f"at most {MOST_COMMANDS}; there are {len(self.command)}"

"""`[bridge.modbus]`, and the file of an own map."""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from twisted_gantry.net.endpoints import is_local, wrong_server
from twisted_gantry.wire import modbus as wire

EXAMPLE = "tcp:502:interface=127.0.0.1"
_LOOPBACK = "interface=127.0.0.1"

Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
RegisterType = Literal["f32", "s16", "u16", "s32", "u32", "quality", "age", "text"]
TEXT_REGISTERS = 16
"""Registers of a text: 32 bytes of UTF-8."""


def registers_in(kind: str) -> int:
    """Return how many registers a field takes."""
    return TEXT_REGISTERS if kind == "text" else wire.width(kind)


class MapPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[point]]` of a map: a point in registers. An integer is value x `scale`, rounded."""

    point: str
    register: Address
    type: RegisterType = "f32"
    scale: float = 1.0
    order: wire.Order = "ABCD"

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.register + registers_in(self.type) > 65_536:
            yield ("register",), "the value goes beyond register 65535"
        if not -1e9 <= self.scale <= 1e9 or not self.scale:
            yield ("scale",), "must be a number other than 0"


class MapBit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[bit]]` of a map: a point, or an alarm, as a discrete input and a coil. `good`: whether the
    value of the point is.
    """

    point: str = ""
    alarm: str = ""
    bit: Address
    good: bool = False

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if bool(self.point) == bool(self.alarm):
            yield ("point",), "a bit has a point or an alarm"
        elif self.alarm and (self.good or "." not in self.alarm):
            yield ("alarm",), f"is no alarm such as ups1.mains-abnormal: {self.alarm[:80]!r}"


class MapCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[command]]` of a map: a command behind a coil, or with its argument in a register."""

    target: str
    command: str
    coil: Address | None = None
    register: Address | None = None
    type: Literal["f32", "s16"] = "f32"

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if (self.coil is None) == (self.register is None):
            yield ("coil",), "a command has a coil or a register"


class MapFile(msgspec.Struct, frozen=True, kw_only=True):
    """An own map."""

    point: tuple[MapPoint, ...] = ()
    bit: tuple[MapBit, ...] = ()
    command: tuple[MapCommand, ...] = ()

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield what two tables claim."""
        taken: dict[tuple[str, int], str] = {}
        for key, place, start, width, name in self._claims():
            kind = "bit" if place[-1] in {"bit", "coil"} else "register"
            for address in range(start, start + width):
                first = taken.setdefault((kind, address), name)
                if first != name:
                    yield (key, *place), f"{kind} {address} is that of {first}"
                    break

    def _claims(self) -> Iterator[tuple[str, tuple[int, str], int, int, str]]:
        for at, point in enumerate(self.point):
            width = registers_in(point.type)
            yield "point", (at, "register"), point.register, width, f"point {at + 1}"
        for at, bit in enumerate(self.bit):
            yield "bit", (at, "bit"), bit.bit, 1, f"bit {at + 1}"
        for at, command in enumerate(self.command):
            name = f"command {at + 1}"
            if command.coil is not None:
                yield "command", (at, "coil"), command.coil, 1, name
            if command.register is not None:
                width = wire.width(command.type)
                yield "command", (at, "register"), command.register, width, name


class ModbusServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[bridge.modbus]`. `map` is a TOML file; empty is the default map."""

    listen: str = EXAMPLE
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)] = 1
    writes: bool = False
    map: str = ""
    allowed_clients: tuple[str, ...] = ()


class ModbusTable(ModbusServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings with the map that was read; None is the default map."""

    own: MapFile | None = None

    @property
    def place(self) -> str:
        """The endpoint: without an interface it is loopback, unless clients are named."""
        is_bare = self.listen.startswith("tcp:") and "interface=" not in self.listen
        return f"{self.listen}:{_LOOPBACK}" if is_bare and not self.allowed_clients else self.listen


def wrong_modbus_listen(endpoint: str) -> str:
    if endpoint.startswith("ssl:"):
        return f"Modbus TCP is not encrypted: listen at {EXAMPLE}"
    return wrong_server(endpoint, EXAMPLE)


def wrong_modbus(table: ModbusTable) -> dict[str, str]:
    """Return what is wrong with settings beyond single values, by the key."""
    if not wire.installed():
        return {"": wire.LACKING}
    if table.allowed_clients or is_local(table.place):
        return {}
    told = f"{table.listen} can be reached from other machines, and Modbus has no password"
    return {"allowed_clients": f"is missing: {told}"}

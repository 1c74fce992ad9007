"""What stands in a register: a point's value, its quality or its age, as bytes."""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from twisted_gantry.bridges.modbus.settings import TEXT_REGISTERS, registers_in
from twisted_gantry.core.points import Point
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.reading import Quality

QUALITIES: Mapping[Quality, int] = {
    Quality.NO_DATA: 0,
    Quality.GOOD: 1,
    Quality.GET_FAILED: 2,
    Quality.NOT_SUPPORTED: 3,
}
NEVER = 0xFFFF
"""The age of a point that was never read."""
_NAN = struct.pack(">f", math.nan)
_RANGES = {
    "s16": (-0x7FFF, 0x7FFF),
    "u16": (0, 0xFFFE),
    "s32": (-0x7FFF_FFFF, 0x7FFF_FFFF),
    "u32": (0, 0xFFFF_FFFE),
}
_MARKS = {"s16": b"\x80\0", "u16": b"\xff\xff", "s32": b"\x80\0\0\0", "u32": b"\xff\xff\xff\xff"}

Find = Callable[[str], Point | None]


class Field(Protocol):
    """Some registers that belong together."""

    @property
    def width(self) -> int: ...

    def encode(self, find: Find, now: float) -> bytes:
        """Return the bytes, two a register; `now` is Unix seconds."""


def _number(point: Point | None) -> float | None:
    value = None if point is None else point.good
    return float(value) if isinstance(value, bool | int | float) else None


@dataclass(frozen=True, slots=True)
class FloatField:
    """A value as float32; NaN for a text, and while the value is not good."""

    point: str
    width: int = 2

    def encode(self, find: Find, now: float) -> bytes:
        value = _number(find(self.point))
        if value is None or abs(value) > 3.4e38:
            return _NAN
        return struct.pack(">f", value)


@dataclass(frozen=True, slots=True)
class IntegerField:
    """Value x `scale` as an integer, at most the largest one of its type. While the value is not
    good: 0x8000 of s16, 0xFFFF of u16, likewise of 32 bits.
    """

    point: str
    type: str
    scale: float
    width: int

    def encode(self, find: Find, now: float) -> bytes:
        value = _number(find(self.point))
        if value is None:
            return _MARKS[self.type]
        low, high = _RANGES[self.type]
        whole = round(min(max(value * self.scale, low), high))
        return whole.to_bytes(2 * self.width, "big", signed=low < 0)


_BLOCK = struct.Struct(">fhHH")
_UNKNOWN = _BLOCK.pack(math.nan, -0x8000, 0, NEVER)


@dataclass(frozen=True, slots=True)
class BlockField:
    """What the default map has of a point: float32, value x `scale` as s16, quality, age."""

    point: str
    scale: float
    width: int = 5

    def encode(self, find: Find, now: float) -> bytes:
        point = find(self.point)
        if point is None:
            return _UNKNOWN
        number, scaled = _number(point), -0x8000
        if number is None or abs(number) > 3.4e38:
            number = math.nan
        else:
            scaled = round(min(max(number * self.scale, -0x7FFF), 0x7FFF))
        return _BLOCK.pack(number, scaled, QUALITIES[point.quality], _age(point, now))


def _age(point: Point | None, now: float) -> int:
    if point is None or point.at is None:
        return NEVER
    return int(min(max(now - point.at, 0.0), NEVER - 1))


@dataclass(frozen=True, slots=True)
class QualityField:
    point: str
    width: int = 1

    def encode(self, find: Find, now: float) -> bytes:
        point = find(self.point)
        return b"\0\0" if point is None else QUALITIES[point.quality].to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class AgeField:
    """Whole seconds since the last good reading, at most 65534."""

    point: str
    width: int = 1

    def encode(self, find: Find, now: float) -> bytes:
        return _age(find(self.point), now).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class TextField:
    """A text in UTF-8, cut to whole letters, the rest zero; zeros while it is not good."""

    point: str
    width: int = TEXT_REGISTERS

    def encode(self, find: Find, now: float) -> bytes:
        point, size = find(self.point), 2 * self.width
        value = None if point is None else point.good
        text = value if isinstance(value, str) else ""
        cut = text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
        return cut.encode().ljust(size, b"\0")


@dataclass(frozen=True, slots=True)
class EmptyField:
    """Registers that are only written: they read as NaN, or as no value."""

    width: int

    def encode(self, find: Find, now: float) -> bytes:
        return _NAN if self.width == 2 else _MARKS["s16"]


@dataclass(frozen=True, slots=True)
class OrderedField:
    """A field of two registers in another order."""

    field: FloatField | IntegerField
    order: str
    width: int = 2

    def encode(self, find: Find, now: float) -> bytes:
        return wire.ordered(self.field.encode(find, now), self.order)


def made_field(point: str, kind: str, scale: float, order: str) -> Field:
    """Return the field of a point in an own map."""
    if kind == "quality":
        return QualityField(point)
    if kind == "age":
        return AgeField(point)
    if kind == "text":
        return TextField(point)
    plain = FloatField(point) if kind == "f32" else None
    field = plain or IntegerField(point, kind, scale, registers_in(kind))
    return field if order == "ABCD" else OrderedField(field, order, field.width)

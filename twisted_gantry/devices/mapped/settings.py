"""`[[device.point]]` and `[[device.command]]`: the part that every mapped kind has."""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec

from twisted_gantry.core.bounds import Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandType, Endangers
from twisted_gantry.core.points import Measured
from twisted_gantry.devices.mapped.roles import Role, WrongRole
from twisted_gantry.devices.power import (
    OVER_VOLTAGE,
    UNDER_VOLTAGE,
    Limits,
    NominalVoltage,
    OverVoltage,
    UnderVoltage,
)
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.wire.reading import Quality, Value

MOST_POINTS, MOST_COMMANDS = 2000, 100
Mistakes = Iterator[tuple[tuple[str | int, ...], str]]
"""The places of what is wrong with a table, below the table, and what is wrong there."""

PointName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[a-z][a-z0-9_]{0,47}\Z",
        description="small letters, digits and _, a letter first, at most 48",
    ),
]
CommandName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z][A-Za-z0-9_-]{0,47}\Z",
        description="letters, digits, _ and -, a letter first, at most 48",
    ),
]
Label = Annotated[str, msgspec.Meta(max_length=80)]

FAILED: Measured = (None, Quality.GET_FAILED)
_ANY = Bounds(-1e15, 1e15)
_UNIT = re.compile(r"[!-~°²³µΩ]{0,8}")
# The consequences that a confirmation names, where the settings name none.
_DANGERS: Mapping[Endangers, tuple[str, str]] = {
    Endangers.TOLLING: ("may stop the tolling equipment", "可能使收费设备停止工作"),
    Endangers.POWER: ("may cut the power of a load", "可能使负载断电"),
    Endangers.ACCESS: ("may open the site to strangers", "可能使外人得以进入"),
    Endangers.DEVICE: ("writes to the device", "将写入设备"),
}


class MappedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point. Its value is `scale` times what the device says, plus `offset`, within `min` and
    `max`; `texts` turns whole numbers into words. `role` is its meaning for a `[[cabinet]]`.
    """

    name: PointName
    unit: str = ""
    label: Label = ""
    label_zh: Label = ""
    scale: float = 1.0
    offset: float = 0.0
    min: float | None = None
    max: float | None = None
    texts: dict[str, str] = {}
    role: str = ""

    @property
    def is_flag(self) -> bool:
        raise NotImplementedError

    @property
    def is_text(self) -> bool:
        return bool(self.texts)

    @property
    def type_of(self) -> PointType:
        """The point in the catalogue."""
        en = self.label or self.name.replace("_", " ").capitalize()
        low = _ANY.low if self.min is None else self.min
        high = _ANY.high if self.max is None else self.max
        values = str if self.is_text else bool if self.is_flag else None
        bounds = Bounds(low, high) if values is None else None
        return PointType(self.name, self.unit, en, self.label_zh or en, bounds, values)

    def measured(self, value: Value) -> Measured:
        """Return what a value of the device means; None is a failed reading."""
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return FAILED
        if self.texts:
            whole = str(int(value)) if isinstance(value, int | float) else value
            return (self.texts[whole], Quality.GOOD) if whole in self.texts else FAILED
        if isinstance(value, str):
            return (value, Quality.GOOD)
        if self.is_flag:
            return (bool(value * self.scale + self.offset), Quality.GOOD)
        # Rounded, so that 2.3 x 100 is 230.
        return (round(value * self.scale + self.offset, 6), Quality.GOOD)

    def mistakes(self) -> Mistakes:
        yield from _wrong_numbers(self)
        if not _UNIT.fullmatch(self.unit):
            yield ("unit",), f"at most 8 characters without a blank; it is {self.unit[:40]!r}"
        if self.is_flag and self.unit:
            yield ("unit",), "true and false have no unit"
        for key, text in self.texts.items():
            if not 0 < len(text) <= 80:
                yield ("texts", key), "a text has 1 to 80 characters"
        if self.role and (wrong := self._wrong_role()):
            yield ("role",), wrong

    def _wrong_role(self) -> str:
        try:
            role = Role.parse(self.role)
        except WrongRole as error:
            return str(error)
        return role.wrong_for(self.unit, is_text=self.is_text, texts=self.texts)


class MappedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command. It asks, and `danger` is what it may do, unless it endangers `nothing`. Without
    `value` the command has an argument of that name, within `min` and `max`.
    """

    name: CommandName
    value: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    min: float | None = None
    max: float | None = None
    endangers: Literal["tolling", "power", "access", "device", "nothing"] = "device"
    danger: Label = ""
    danger_zh: Label = ""
    label: Label = ""
    label_zh: Label = ""

    @property
    def is_flag(self) -> bool:
        raise NotImplementedError

    @property
    def type_of(self) -> CommandType:
        """The command as the door has it."""
        en = self.label or self.name.replace("-", " ").replace("_", " ")
        arguments = {"value": Argument(bool if self.is_flag else float)}
        given = arguments if self.value is None else {}
        zh = self.label_zh or en
        if self.endangers == "nothing":
            return CommandType(given, en, zh)
        endangers = Endangers(self.endangers)
        danger, danger_zh = _DANGERS[endangers]
        return CommandType(
            given,
            en,
            zh,
            danger=self.danger or danger,
            danger_zh=self.danger_zh or self.danger or danger_zh,
            endangers=endangers,
            local_only=True,
            once=True,
        )

    def raw(self, given: float) -> float:
        """Return what the device is told for a value in our unit. Raises ValueError."""
        low, high = self.min, self.max
        if (low is not None and given < low) or (high is not None and given > high):
            within = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"
            raise ValueError(f"{given:g} is outside {within}")
        return (given - self.offset) / self.scale

    def mistakes(self) -> Mistakes:
        yield from _wrong_numbers(self)
        if self.endangers == "nothing" and (self.danger or self.danger_zh):
            yield ("danger",), "a command that endangers nothing has no danger"


class MappedSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the settings of mapped kinds share: how mains with a role are judged."""

    over_voltage: OverVoltage = OVER_VOLTAGE
    under_voltage: UnderVoltage = UNDER_VOLTAGE
    nominal_voltage: NominalVoltage | None = None

    @classmethod
    def mistakes_in(cls, table: Mapping[str, Any]) -> Mistakes:
        yield from repeated(table)

    @property
    def limits(self) -> Limits:
        return Limits(self.over_voltage, self.under_voltage)


def _wrong_numbers(table: MappedPoint | MappedCommand) -> Mistakes:
    for key in ("value", "scale", "offset", "min", "max"):
        number = getattr(table, key, None)
        if number is not None and not isfinite(number):
            yield (key,), "must be finite"
    if table.scale == 0:
        yield ("scale",), "must not be 0"
    if table.min is not None and table.max is not None and table.min >= table.max:
        yield ("min",), f"must be below max; they are {table.min:g} and {table.max:g}"


def repeated(table: Mapping[str, Any]) -> Mistakes:
    """Yield the names and roles that a device's table, as it was written, gives twice."""
    for key in ("point", "command"):
        given = table.get(key)
        tables = given if isinstance(given, list) else []
        for what in ("name", "role"):
            found: dict[Any, int] = {}
            for at, each in enumerate(tables):
                value = each.get(what) if isinstance(each, dict) else None
                if not isinstance(value, str) or not value:
                    continue
                first = found.setdefault(_role_point(value) if what == "role" else value, at)
                if first != at:
                    yield (key, at, what), f"{key} {first + 1} has it, too"


def _role_point(role: str) -> str:
    try:
        return Role.parse(role).point
    except WrongRole:
        return role

"""The rows of a source that has the report's own fields as points: a smart cabinet below us.

Its points are called `<group>.<field>`, or `<group>.<row>.<field>` where a group has several rows;
groups and fields as in the report, in snake case.
"""

from typing import TypeVar

import msgspec

from twisted_gantry.site.points import Points
from twisted_gantry.wire import etc_reports as wire
from twisted_gantry.wire.etc import SENTINELS, Sentinel, flag, number, percent
from twisted_gantry.wire.reading import Quality, Value

GROUPS: dict[str, type[wire.Group]] = {
    "elec": wire.Elec,
    "rectifier": wire.Rectifier,
    "ups": wire.Ups,
    "air_conditioners": wire.AirConditioner,
    "thermohygrometer": wire.Thermohygrometer,
    "waterlogging_sensor": wire.Sensor,
    "doors": wire.Doors,
    "smoke_sensor": wire.Sensor,
    "thunder_spd": wire.ThunderSpd,
}
"""The row of each group of a report."""

DOORS = ("front", "back")
# What a unit of the catalogue is divided by for the document's: kW, kWh, minutes.
_DIVISORS = {"W": 1000.0, "Wh": 1000.0, "s": 60.0}
_R = TypeVar("_R", bound=wire.Group)


def has_own_rows(points: Points, source: str, group: str) -> bool:
    """Tell whether a source has the report's own fields for a group."""
    return bool(points.under(f"{source}.{group}."))


def own_rows(points: Points, source: str, group: str) -> tuple[wire.Group, ...]:
    """Return the rows of a group as a source has them; an object is one row."""
    row = GROUPS[group]
    if "id" not in row.__struct_fields__:
        return (_row(row, points, f"{source}.{group}"),)
    prefix = f"{source}.{group}."
    ids = dict.fromkeys(
        point.name.removeprefix(prefix).partition(".")[0] for point in points.under(prefix)
    )
    return tuple(_row(row, points, f"{prefix}{each}", id=each) for each in ids)


def _row(row: type[_R], points: Points, prefix: str, **given: str) -> _R:
    values = {
        field: _written(points, f"{prefix}.{field}")
        for field in row.__struct_fields__
        if field not in given
    }
    return row(**values, **given)


def _written(points: Points, name: str) -> str:
    point = points.get(name)
    if point is None:
        return Sentinel.NOT_SUPPORT.value
    if point.quality is not Quality.GOOD:
        return SENTINELS[point.quality].value
    return _text(point.value, points.catalogue[name].unit)


def _text(value: Value, unit: str) -> str:
    if value is None:
        return Sentinel.NO_DATA.value
    if isinstance(value, bool):
        return flag(value)
    if isinstance(value, str):
        return value
    value = value / _DIVISORS.get(unit, 1.0)
    return percent(value) if unit in {"%", "°C"} else number(value)


def door_fields(doors: wire.Doors, which: str) -> dict[str, str]:
    """Return the six fields of one of `DOORS`."""
    return {
        name: getattr(doors, name)
        for name in doors.__struct_fields__
        if name.startswith(f"{which}_door_")
    }


def with_door(doors: wire.Doors, which: str, moved: wire.Doors) -> wire.Doors:
    """Return `doors` with one of them as it stood in `moved`."""
    return msgspec.structs.replace(doors, **door_fields(moved, which))

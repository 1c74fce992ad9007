"""The rows of a source that has the report's own fields as points: a smart cabinet below us.

Its points are called `<group>.<field>`, or `<group>.<row>.<field>` where a group has several rows;
groups and fields as in the report, in snake case.
"""

from collections.abc import Collection, Mapping

import msgspec

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.points import Points
from twisted_gantry.wire.etc import reports as wire
from twisted_gantry.wire.etc import uploads as etc_uploads
from twisted_gantry.wire.etc.envelope import SENTINELS, Sentinel
from twisted_gantry.wire.reading import Quality

GROUPS: Mapping[str, type[wire.Group]] = {
    name: shape.message for name, shape in etc_uploads.GROUPS.items()
}
"""The row of each group of a report."""

DOORS = ("front", "back")

_UNKNOWN = frozenset(sentinel.value for sentinel in Sentinel)


def has_own_rows(points: Points, source: str, group: str) -> bool:
    return bool(points.under(f"{source}.{group}."))


def is_native(points: Points, source: str) -> bool:
    """Tell whether a source has the report's own fields, whatever rows it has now. Such a source
    has the points of all groups that are objects from its start.
    """
    return any(
        has_own_rows(points, source, name)
        for name, shape in etc_uploads.GROUPS.items()
        if not shape.is_array
    )


def own_rows(
    points: Points, source: str, group: str, raised: Collection[Alarm] = ()
) -> tuple[wire.Group, ...]:
    """Return the source's own rows of a group; an object is one row. The texts of our own alarms in
    `raised` about a row stand beside those of the cabinet.
    """
    if not etc_uploads.GROUPS[group].is_array:
        return (_row(group, points, f"{source}.{group}"),)
    prefix = f"{source}.{group}."
    ids = dict.fromkeys(
        point.name.removeprefix(prefix).partition(".")[0] for point in points.under(prefix)
    )
    return tuple(
        _warned(_row(group, points, f"{prefix}{each}", id=each), f"{prefix}{each}", raised)
        for each in ids
    )


def _warned(row: wire.Group, subject: str, raised: Collection[Alarm]) -> wire.Group:
    texts = dict.fromkeys(a.zh for a in raised if a.group and a.about == subject)
    if not texts or not isinstance(row, wire.Elec | wire.Ups | wire.Rectifier):
        return row
    own = () if row.warning_msg in _UNKNOWN else filter(None, row.warning_msg.split(","))
    return msgspec.structs.replace(row, warning_msg=",".join(dict.fromkeys([*own, *texts])))


def _row(group: str, points: Points, prefix: str, **given: str) -> wire.Group:
    values = {
        field.name: _written(points, f"{prefix}.{field.name}", field)
        for field in etc_uploads.GROUPS[group].fields
    }
    return GROUPS[group](**values, **given)


def _written(points: Points, name: str, field: etc_uploads.Field) -> str:
    point = points.get(name)
    if point is None:
        return Sentinel.NOT_SUPPORT.value
    if point.quality is not Quality.GOOD:
        return SENTINELS[point.quality].value
    return field.write(point.value)


def door_fields(doors: wire.Doors, which: str) -> dict[str, str]:
    """Return the six fields of one of `DOORS`."""
    return {
        name: getattr(doors, name)
        for name in doors.__struct_fields__
        if name.startswith(f"{which}_door_")
    }


def with_door(doors: wire.Doors, which: str, moved: wire.Doors) -> wire.Doors:
    return msgspec.structs.replace(doors, **door_fields(moved, which))

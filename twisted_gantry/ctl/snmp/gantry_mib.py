"""TWISTED-GANTRY-MIB (the file beside this one): the site, its devices, points and alarms."""

from collections.abc import Iterator, Mapping

from twisted_gantry.ctl.snmp.snapshot import Snapshot, unix
from twisted_gantry.ctl.snmp.tree import (
    Oid,
    SnmpType,
    SnmpValue,
    index_of,
    integer,
    text,
    unsigned,
)
from twisted_gantry.wire import local_api
from twisted_gantry.wire.reading import Quality, Value

GANTRY_MIB: Oid = (1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 3699)
NOTIFICATIONS: Oid = (*GANTRY_MIB, 0)
RAISED, CLEARED, LOST, BACK = ((*NOTIFICATIONS, number) for number in (1, 2, 3, 4))
ALARM_COLUMN: Oid = (*GANTRY_MIB, 1, 4, 1)
LONGEST_NAME = 100  # bytes

_STATES = {"connecting": 1, "online": 2, "offline": 3}
_SEVERITIES = {"warning": 1, "critical": 2}
_QUALITIES: Mapping[str, int] = {
    Quality.NO_DATA: 1,
    Quality.GOOD: 2,
    Quality.GET_FAILED: 3,
    Quality.NOT_SUPPORTED: 4,
}
_TRUE, _FALSE = 1, 2


def mirror(ups: str) -> Oid:
    """Return the node below which this MIB has the objects of UPS-MIB of a UPS."""
    name = index_of(ups)
    return (*GANTRY_MIB, 1, 5, len(name), *name)


def site_objects(snapshot: Snapshot | None, now: float) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield the objects of the site; None: the gantry does not answer. `now` is Unix seconds."""
    yield (*GANTRY_MIB, 1, 1, 1, 0), _enum(_FALSE if snapshot is None else _TRUE)
    if snapshot is None:
        return
    site = snapshot.site
    for arc, told in ((2, site.gantry_id), (3, site.version), (4, site.started_at or "")):
        yield (*GANTRY_MIB, 1, 1, arc, 0), text(told)
    yield (*GANTRY_MIB, 1, 1, 5, 0), unsigned(len(snapshot.alarms))
    for device in site.devices:
        state = _STATES.get(device.state, 1)
        values = (text(device.kind), _enum(state), text(device.last_error or ""))
        yield from _row((*GANTRY_MIB, 1, 2, 1), device.name, values)
    for point in snapshot.points.values():
        yield from _row((*GANTRY_MIB, 1, 3, 1), point.point, _point(point, now))
    for alarm in snapshot.alarms:
        yield from _row(ALARM_COLUMN, alarm.alarm, alarm_values(alarm))


def alarm_values(alarm: local_api.AlarmView) -> tuple[SnmpValue, ...]:
    """Return the columns of an alarm, from that of the severity."""
    severity = _enum(_SEVERITIES.get(alarm.severity, 2))
    texts = (alarm.message, alarm.message_zh, alarm.raised_at or "", alarm.alarm)
    return (severity, *map(text, texts))


def _enum(value: int) -> SnmpValue:
    return SnmpValue(SnmpType.INTEGER, str(value))


def _row(
    entry: Oid, name: str, values: tuple[SnmpValue | None, ...]
) -> Iterator[tuple[Oid, SnmpValue]]:
    """Yield the columns of a row from the second, the first being its name."""
    index = index_of(name)
    if not 0 < len(index) <= LONGEST_NAME:
        return
    for column, value in enumerate(values, 2):
        if value is not None:
            yield (*entry, column, *index), value


def _point(point: local_api.PointView, now: float) -> tuple[SnmpValue | None, ...]:
    at = unix(point.at)
    return (
        text("" if point.value is None else _shown(point.value)),
        _thousandths(point.value),
        text(point.unit or ""),
        _enum(_QUALITIES.get(point.quality, 1)),
        None if at is None else unsigned(now - at),
    )


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _thousandths(value: Value) -> SnmpValue | None:
    return integer(value * 1000) if isinstance(value, int | float) else None

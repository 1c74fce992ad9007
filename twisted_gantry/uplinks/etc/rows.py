"""Points into the rows of the two ETC reports.

A row is made from the names of a device's points, not from its kind: any device with the points
can be the source of the group. Source: the ETC document, sections 2.1 and 3.1;
decisions: `docs/protocols/etc-gantry.md`, "Meaning".
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from msgspec.structs import replace

from twisted_gantry.core.alarms import Alarm, Severity
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.core.status import State
from twisted_gantry.uplinks.etc import native_rows as native
from twisted_gantry.uplinks.etc.latches import Edge
from twisted_gantry.wire.etc import reports as wire
from twisted_gantry.wire.etc.envelope import SENTINELS, Sentinel, flag, number, percent
from twisted_gantry.wire.reading import Value

NO_DATA, GET_FAILED, NOT_SUPPORT = (
    s.value for s in (Sentinel.NO_DATA, Sentinel.GET_FAILED, Sentinel.NOT_SUPPORT)
)

_UNKNOWN = frozenset({NO_DATA, GET_FAILED, NOT_SUPPORT})

# The point by which a device shows that it is a computer to report.
COMPUTER_MARK = "is_monitor_computer"


class _Row:
    def __init__(self, source: str, points: Points) -> None:
        self._source, self._points = source, points

    def text(self, name: str, write: Callable[[float], str] = number, *, instead: str = "") -> str:
        """Return a point's value, or the sentinel that tells why the value is missing. `instead` is
        the point to use on a device without `name`.
        """
        point = self._points.get(f"{self._source}.{name}")
        if point is None:
            return self.text(instead, write) if instead else NOT_SUPPORT
        value = point.good
        if value is None:
            return SENTINELS[point.quality].value
        if isinstance(value, bool):
            return flag(value)
        return write(value) if isinstance(value, int | float) else value

    def good(self, name: str) -> Value:
        point = self._points.get(f"{self._source}.{name}")
        return None if point is None else point.good


@dataclass(frozen=True)
class _Alarms:
    """The alarms of a row: those raised now, and latched edges not yet reported."""

    raised: Sequence[Alarm]
    edges: Sequence[Alarm]

    def status(self, known: str) -> str:
        """Return 0 for a critical alarm, 1 for none. `known` is the present value of the device. A
        sentinel wins over a raised alarm, which a missing value cannot clear, but not over a
        latched edge.
        """
        if _critical(self.edges):
            return "0"
        if known in _UNKNOWN:
            return known
        return "0" if _critical(self.raised) else "1"

    def warnings(self, known: str) -> str:
        """Return the texts of the alarms; without any, the sentinel of `known`, or nothing."""
        texts = dict.fromkeys(alarm.zh for alarm in (*self.raised, *self.edges))
        return ",".join(texts) or (known if known in {NO_DATA, GET_FAILED} else "")


def _critical(alarms: Sequence[Alarm]) -> bool:
    return any(alarm.severity is Severity.CRITICAL for alarm in alarms)


def computers(site: Site) -> tuple[wire.Computer, ...]:
    """Return the rows of all computers. One that uploads under the number of another gets the first
    number that is free: a platform tells computers apart by it.
    """
    marks = (name for name in site.devices if site.points.get(f"{name}.{COMPUTER_MARK}"))
    rows = [_computer(_Row(name, site.points)) for name in marks]
    given, taken = {row.id for row in rows}, set[str]()
    free = (number for number in map(str, count(1)) if number not in given)
    for at, row in enumerate(rows):
        if row.id in taken:
            rows[at] = replace(row, id=next(free))
        taken.add(row.id)
    return tuple(rows)


def _computer(row: _Row) -> wire.Computer:
    """Make a row: the points of a computer are called as the fields of the report."""
    names = wire.Computer.__struct_fields__
    in_percent = [name for name in names if name.endswith("_usage") or name == "cpu_temperature"]
    return wire.Computer(
        **{name: row.text(name, percent if name in in_percent else number) for name in names}
    )


class _CabinetRows:
    def __init__(self, site: Site, which: Cabinet, edges: Collection[Edge]) -> None:
        self._site, self._which, self._edges = site, which, edges
        self.carried: list[Edge] = []
        self.over = False  # a row shows an edge that has ended already

    def array(self, group: str) -> tuple[wire.Group, ...]:
        made: list[wire.Group] = []
        sources = self._which.sources.get(group, ())
        for source in sources:
            made.extend(self._rows(source, group))
        if len(sources) > 1:
            made = [replace(row, id=str(at)) for at, row in enumerate(made, 1)]
        return tuple(made)

    def object(self, group: str) -> wire.Group:
        for source in self._which.sources.get(group, ()):
            [row] = self._rows(source, group)
            return row
        return wire.filled(native.GROUPS[group], Sentinel.NOT_SUPPORT)

    def _rows(self, source: str, group: str) -> tuple[wire.Group, ...]:
        points = self._site.points
        name = source.partition(".")[0]
        device = self._site.devices.get(name)  # none while a reload makes it anew
        own = native.has_own_rows(points, source, group)
        if device is None or device.status.state is State.OFFLINE:
            # A row of unknown values carries no edge.
            rows = edge_rows(self._site, source, group) if own else ()
            return tuple(failed(group, row) for row in rows) or (failed(group, None),)
        edges = [e for e in self._edges if e.group == group and e.source == source]
        whole = own or native.is_native(points, source)
        # A cabinet that has uploaded lacks the groups without a row.
        told = device.status.state is State.ONLINE
        if own or (whole and told and _numbered(group)):
            return self._own(source, group, edges)
        self.carried.extend(edges)
        if whole:
            return (_no_data(group),)
        raised = [
            alarm
            for alarm in self._site.alarms.holding(name)
            if alarm.group == group and concerns(self._site, alarm, source)
        ]
        latched = [edge.alarm for edge in edges if edge.alarm is not None]
        names = {alarm.name for alarm in raised}
        self.over = self.over or any(alarm.name not in names for alarm in latched)
        make = _MAPPED.get(group)
        if make is None:
            return (_no_data(group),)
        return (make(_Row(source, points), "1", _Alarms(raised, latched), self._which),)

    def _own(self, source: str, group: str, edges: Sequence[Edge]) -> tuple[wire.Group, ...]:
        """Return the source's own rows; for an edge that has ended, the rows of that moment."""
        rows = shown = edge_rows(self._site, source, group)
        carried = edges
        if group == "doors":
            shown = (_doors(rows, edges),)
        else:
            active = {alarm.name for alarm in self._site.alarms.holding(source)}
            then = next((e.rows for e in edges if e.rows and e.name not in active), None)
            shown = rows if then is None else then
            # One report shows one moment: edges of another moment wait for the next report.
            carried = [e for e in edges if then is None or e.rows in ((), then)]
        self.carried.extend(carried)
        self.over = self.over or shown != rows or len(carried) < len(edges)
        return shown


def _doors(rows: tuple[wire.Group, ...], edges: Iterable[Edge]) -> wire.Doors:
    """Return the doors: each moved door as it stood then, and a fault even if it has ended. The
    edge of a door tells what the door did; an alarm beside it adds only the fault.
    """
    [doors] = rows
    assert isinstance(doors, wire.Doors)
    for edge, moved in ((each, row) for each in edges for row in each.rows):
        assert isinstance(moved, wire.Doors)
        if edge.alarm is None:
            doors = native.with_door(doors, edge.name.rpartition(".")[2], moved)
        elif moved.status == "0":
            doors = replace(doors, status=moved.status)
    return doors


def failed(group: str, row: wire.Group | None) -> wire.Group:
    given = {"id": row.id} if row is not None and hasattr(row, "id") else {}
    return wire.filled(native.GROUPS[group], Sentinel.GET_FAILED, **(given or _numbered(group)))


def _no_data(group: str) -> wire.Group:
    return wire.filled(native.GROUPS[group], Sentinel.NO_DATA, **_numbered(group))


def _numbered(group: str) -> dict[str, str]:
    return {"id": "1"} if "id" in native.GROUPS[group].__struct_fields__ else {}


def cabinet(
    site: Site, which: Cabinet, edges: Collection[Edge]
) -> tuple[wire.Cabinet, list[Edge], bool]:
    """Return the report of a cabinet, the `edges` it carries, and whether any of them has ended. A
    latched alarm counts as raised even if it has ended, and a moved door is shown as it was then:
    no pulse may be missed. The rows of an offline device carry no edge: all is `GetFailed`.
    """
    rows = _CabinetRows(site, which, edges)
    groups = {
        name: rows.array(name) if _numbered(name) else rows.object(name) for name in native.GROUPS
    }
    return wire.Cabinet(id=which.id, **groups), rows.carried, rows.over  # type: ignore[arg-type]


def concerns(site: Site, alarm: Alarm, source: str) -> bool:
    """Tell whether an alarm of a device is about a source; a part that is well is left out. A meter
    is a part of its manager; an alarm of the manager is about any of its meters, an alarm of a
    meter about that one. The rows of a cabinet are no sources: its alarms are about the cabinet.
    """
    if source in {alarm.source, alarm.about}:
        return True
    if alarm.about != alarm.source:
        return False
    abnormal = site.points.get(f"{source}.mains_abnormal")
    return abnormal is None or abnormal.good is not False


def edge_rows(site: Site, source: str, group: str) -> tuple[wire.Group, ...]:
    """Return the source's own rows of a group as they are now, none if it has none."""
    if not native.has_own_rows(site.points, source, group):
        return ()
    return native.own_rows(site.points, source, group, site.alarms.holding(source))


def _elec(row: _Row, number_: str, alarms: _Alarms, _: Cabinet) -> wire.Elec:
    """Make the row of the mains; of three phases the first, the others show in `warningMsg`. A UPS
    calls it `input_voltage_r`, a meter `voltage_l1`.
    """
    known = row.text("mains_abnormal")
    return wire.Elec(
        id=number_,
        status="0" if row.good("mains_abnormal") else alarms.status(known),
        voltage=row.text("input_voltage_r", instead="voltage_l1"),
        current=row.text("input_current_r", instead="current_l1"),
        power=row.text("power", lambda watts: number(watts / 1000)),
        frequency=row.text("input_frequency", instead="frequency"),
        elec_consumption=row.text("import_energy", lambda wh: number(wh / 1000)),
        warning_msg=alarms.warnings(known),
    )


# Each of these flags is a fault of the UPS by itself, whatever is unknown beside it.
_UPS_FAULTS = ("output_off", "shutting_down", "battery_low", "overload")


def _ups(row: _Row, number_: str, alarms: _Alarms, which: Cabinet) -> wire.Ups:
    known = row.text("state")
    faulty = any(row.good(name) is True for name in _UPS_FAULTS)
    running = _running_state(row)
    if which.ups_meaning == "ac":
        charge = (row.text("input_voltage_r"), row.text("input_current_r"))
        discharge = (row.text("output_voltage_r"), row.text("output_current_r"))
    else:
        # The battery voltage goes into the pair that applies; the card does not know the current.
        volts, discharging = row.text("battery_voltage"), running in {"3", "5"}
        charge = (NO_DATA if discharging else volts, NOT_SUPPORT)
        discharge = (volts if discharging else NO_DATA, NOT_SUPPORT)
    return wire.Ups(
        id=number_,
        status="0" if faulty else alarms.status(known),
        running_state=running,
        input_voltage=charge[0],
        input_current=charge[1],
        output_voltage=discharge[0],
        output_current=discharge[1],
        power_rate=row.text("battery_charge", percent),
        surplus_time=row.text("battery_runtime", lambda seconds: number(seconds / 60)),
        remain_capacity=row.text("battery_remaining"),
        temperature=row.text("temperature", percent),
        warning_msg=alarms.warnings(known),
    )


def _running_state(row: _Row) -> str:
    """Return 1 float charge, 3 discharging, 4 charging, 5 testing; a card cannot tell 2."""
    state, charge = row.good("state"), row.good("battery_charge")
    if state == "battery":
        return "3"
    if state == "test":
        return "5"
    if state is None:
        return row.text("state")
    # Without mains nothing charges; in a fault the state of the battery is unknown.
    if row.good("mains_abnormal") is not False or state in {"fault", "shutdown"}:
        return NO_DATA
    if not isinstance(charge, int | float):
        return row.text("battery_charge")
    return "1" if charge >= 100 else "4"


_MAPPED: Mapping[str, Callable[[_Row, str, _Alarms, Cabinet], wire.Group]] = {
    "elec": _elec,
    "ups": _ups,
}

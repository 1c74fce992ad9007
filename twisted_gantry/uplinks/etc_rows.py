"""Points into the rows of the two ETC reports.

A row is made from what a device's points are called, not from its kind, so that whatever has the
points can be the source of the group. Source: `001_3191ba0a590d87d6.txt`, sections 2.1 and 3.1;
decisions: `etc-gantry.md`, "Meaning".
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from twisted_gantry.site.alarms import Alarm, Severity
from twisted_gantry.site.points import Points
from twisted_gantry.site.site import Cabinet, Site
from twisted_gantry.site.status import State
from twisted_gantry.wire import etc_reports as wire
from twisted_gantry.wire.etc import SENTINELS, Sentinel, flag, number, percent
from twisted_gantry.wire.reading import Value

NO_DATA, GET_FAILED, NOT_SUPPORT = (
    s.value for s in (Sentinel.NO_DATA, Sentinel.GET_FAILED, Sentinel.NOT_SUPPORT)
)

# The point by which a device shows that it is a computer to report.
COMPUTER_MARK = "is_monitor_computer"


class _Row:
    """The points of one device, written as the report wants them."""

    def __init__(self, device: str, points: Points) -> None:
        self._device, self._points = device, points

    def text(self, name: str, write: Callable[[float], str] = number) -> str:
        """Return a point's value, or the sentinel for why there is none."""
        point = self._points.get(f"{self._device}.{name}")
        if point is None:
            return NOT_SUPPORT
        value = point.good
        if value is None:
            return SENTINELS[point.quality].value
        if isinstance(value, bool):
            return flag(value)
        return write(value) if isinstance(value, int | float) else value

    def good(self, name: str) -> Value:
        """Return a point's value if it holds now, else None."""
        point = self._points.get(f"{self._device}.{name}")
        return None if point is None else point.good


@dataclass(frozen=True)
class _Alarms:
    """The alarms of a row: those that are raised, and the edges that nobody was told of yet."""

    raised: Sequence[Alarm]
    edges: Sequence[Alarm]

    def status(self, known: str) -> str:
        """Return 0 for a critical alarm, 1 for none.

        `known` is what the device says now. A sentinel there wins over an alarm that is raised
        only because a missing value clears nothing, but not over an edge that must be told.
        """
        if _critical(self.edges):
            return "0"
        if known in {NO_DATA, GET_FAILED, NOT_SUPPORT}:
            return known
        return "0" if _critical(self.raised) else "1"

    def warnings(self, known: str) -> str:
        """Return the texts of the alarms; with none, empty, or that nothing is known."""
        texts = dict.fromkeys(alarm.zh for alarm in (*self.raised, *self.edges))
        return ",".join(texts) or (known if known in {NO_DATA, GET_FAILED} else "")


def _critical(alarms: Sequence[Alarm]) -> bool:
    return any(alarm.severity is Severity.CRITICAL for alarm in alarms)


def computers(site: Site) -> tuple[wire.Computer, ...]:
    """Return a row for each computer of the site."""
    return tuple(
        _computer(_Row(name, site.points))
        for name in site.devices
        if site.points.get(f"{name}.{COMPUTER_MARK}") is not None
    )


def _computer(row: _Row) -> wire.Computer:
    return wire.Computer(
        id=row.text("id"),
        is_monitor_computer=row.text("is_monitor_computer"),
        is_main_computer=row.text("is_main_computer"),
        sys_disk_usage=row.text("sys_disk_usage", percent),
        sys_disk_size=row.text("sys_disk_size"),
        data_disk_usage=row.text("data_disk_usage", percent),
        data_disk_size=row.text("data_disk_size"),
        memory_usage=row.text("memory_usage", percent),
        memory_size=row.text("memory_size"),
        net_usage=row.text("net_usage", percent),
        cpu_usage=row.text("cpu_usage", percent),
        cpu_temperature=row.text("cpu_temperature", percent),
        ip=row.text("ip"),
    )


def cabinet(
    site: Site, which: Cabinet, latched: Collection[Alarm]
) -> tuple[wire.Cabinet, list[Alarm]]:
    """Return the report of a cabinet, and which of the `latched` alarms it carries.

    A latched alarm counts as raised although it may be over: a pulse must not be missed. The row
    of a device that is offline carries none: it is `GetFailed` throughout.
    """
    carried: list[Alarm] = []

    def rows(
        group: str,
        make: Callable[[_Row, str, _Alarms, Cabinet], wire.Group],
        blank: type[wire.Group],
    ) -> tuple[wire.Group, ...]:
        made = []
        for index, name in enumerate(which.sources.get(group, ()), 1):
            if site.devices[name].status.state is State.OFFLINE:
                made.append(wire.filled(blank, Sentinel.GET_FAILED, id=str(index)))
                continue
            edges = [a for a in latched if a.source == name and a.group == group]
            carried.extend(edges)
            raised = [a for a in site.alarms.active(name) if a.group == group]
            alarms = _Alarms(raised, edges)
            made.append(make(_Row(name, site.points), str(index), alarms, which))
        return tuple(made)

    lacking = Sentinel.NOT_SUPPORT
    report = wire.Cabinet(
        id=which.id,
        elec=rows("elec", _elec, wire.Elec),  # type: ignore[arg-type]
        rectifier=(),
        ups=rows("ups", _ups, wire.Ups),  # type: ignore[arg-type]
        air_conditioners=(),
        thermohygrometer=wire.filled(wire.Thermohygrometer, lacking),
        waterlogging_sensor=wire.filled(wire.Sensor, lacking),
        doors=wire.filled(wire.Doors, lacking),
        smoke_sensor=wire.filled(wire.Sensor, lacking),
        thunder_spd=(),
    )
    return report, carried


def _elec(row: _Row, number_: str, alarms: _Alarms, _: Cabinet) -> wire.Elec:
    """Make the row of the mains; of three phases the first, the others show in `warningMsg`."""
    known = row.text("mains_abnormal")
    return wire.Elec(
        id=number_,
        status=alarms.status(known),
        voltage=row.text("input_voltage_r"),
        current=row.text("input_current_r"),
        power=NOT_SUPPORT,
        frequency=row.text("input_frequency"),
        elec_consumption=NOT_SUPPORT,
        warning_msg=alarms.warnings(known),
    )


def _ups(row: _Row, number_: str, alarms: _Alarms, which: Cabinet) -> wire.Ups:
    known = row.text("state")
    running = _running_state(row)
    if which.ups_meaning == "ac":
        charge = (row.text("input_voltage_r"), row.text("input_current_r"))
        discharge = (row.text("output_voltage_r"), row.text("output_current_r"))
    else:
        # The battery's volts stand in the pair that applies; its current the card does not know.
        volts, discharging = row.text("battery_voltage"), running in {"3", "5"}
        charge = (NO_DATA if discharging else volts, NOT_SUPPORT)
        discharge = (volts if discharging else NO_DATA, NOT_SUPPORT)
    return wire.Ups(
        id=number_,
        status=alarms.status(known),
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
    # Without mains nothing charges, and in a fault nobody knows.
    if row.good("mains_abnormal") is not False or state in {"fault", "shutdown"}:
        return NO_DATA
    if not isinstance(charge, int | float):
        return row.text("battery_charge")
    return "1" if charge >= 100 else "4"

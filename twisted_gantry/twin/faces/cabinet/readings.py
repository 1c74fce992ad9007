"""The report of a cabinet, and its urgent changes: the ETC document, section 3.1."""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

import msgspec

from twisted_gantry.twin.world import mains as grid
from twisted_gantry.twin.world.air import AirConditioner, AirFault, AirMode
from twisted_gantry.twin.world.battery_test import BatteryTest
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.doors import Door
from twisted_gantry.twin.world.rectifier import (
    OVER_V,
    SHARE,
    UNDER_V,
    DcSupply,
    Rectifier,
    RectifierFault,
)
from twisted_gantry.twin.world.sensors import Sensor
from twisted_gantry.wire.etc import reports as wire
from twisted_gantry.wire.etc.commands import BatteryTestResult
from twisted_gantry.wire.etc.envelope import Sentinel, flag, local_time, number, percent

LOST_PHASE_V = 60.0  # the highest voltage of a lost phase
LOW_CHARGE = 0.2
FLOAT_CHARGE = 0.98
NO_DATA, GET_FAILED = Sentinel.NO_DATA.value, Sentinel.GET_FAILED.value

_RECTIFIER_FAULTS = {
    RectifierFault.FAILED: "整流模块故障",
    RectifierFault.PROTECTION: "整流模块保护",
    RectifierFault.COMMUNICATION: "整流模块通信失败",
}
_AIR_FAULTS = {AirFault.NONE: "", AirFault.COMPRESSOR: "压缩机故障", AirFault.FAN: "风机故障"}


class Moments:
    """The times of changes by the cabinet's clock; those never noted have the time `start`."""

    def __init__(self, start: float, zone: tzinfo) -> None:
        self._start, self._zone = start, zone
        self._noted: dict[str, tuple[float, float]] = {}

    def note(self, cabinet: Cabinet, now: float) -> None:
        for name, changed_s in _changes(cabinet):
            if self._noted.setdefault(name, (changed_s, self._start))[0] != changed_s:
                self._noted[name] = (changed_s, now)

    def text(self, name: str) -> str:
        return local_time(self._noted.get(name, (0.0, self._start))[1], self._zone)


def _changes(cabinet: Cabinet) -> Iterator[tuple[str, float]]:
    for name, door in cabinet.doors.by_name.items():
        yield name, door.changed_s
    yield "smoke", cabinet.smoke.changed_s
    yield "water", cabinet.water.changed_s
    test = cabinet.supply.test
    yield "test", -1.0 if test is None else test.started_s


def urgent_state(cabinet: Cabinet) -> tuple[object, ...]:
    """Return the state whose change is reported at once: alarms, lightning and the doors."""
    supply, doors = cabinet.supply, cabinet.doors
    return (
        tuple(_mains_warnings(cabinet.mains)),
        grid.LOWEST_HZ <= cabinet.mains.frequency_hz <= grid.HIGHEST_HZ,
        tuple(tuple(_rectifier_warnings(each, supply)) for each in supply.rectifiers),
        tuple(_battery_warnings(supply)),
        tuple(unit.fault for unit in cabinet.air_conditioners),
        cabinet.air.too_hot_or_cold,
        cabinet.air.thermohygrometer_fault,
        tuple((each.warns, each.fault) for each in (cabinet.smoke, cabinet.water)),
        doors.fault,
        tuple((d.closed, d.unlocked_by, d.card_id, d.illegal) for d in doors.by_name.values()),
        tuple((each.lightning_count, each.fault) for each in cabinet.surge_protectors),
    )


def report(cabinet: Cabinet, cabinet_id: str, moments: Moments) -> wire.Cabinet:
    supply = cabinet.supply
    rectifiers, units = enumerate(supply.rectifiers, 1), enumerate(cabinet.air_conditioners, 1)
    alarm = cabinet.air.too_hot_or_cold
    return wire.Cabinet(
        id=cabinet_id,
        elec=(_elec(cabinet),),
        rectifier=tuple(_rectifier(str(at), each, supply) for at, each in rectifiers),
        ups=(_ups(cabinet),),
        air_conditioners=tuple(_air_conditioner(str(at), unit, alarm=alarm) for at, unit in units),
        thermohygrometer=_thermohygrometer(cabinet),
        waterlogging_sensor=_sensor(cabinet.water, moments.text("water")),
        doors=_doors(cabinet, moments),
        smoke_sensor=_sensor(cabinet.smoke, moments.text("smoke")),
        thunder_spd=tuple(
            wire.ThunderSpd(
                id=str(at), status=flag(not each.fault), lightning_count=str(each.lightning_count)
            )
            for at, each in enumerate(cabinet.surge_protectors, 1)
        ),
    )


def with_quirks(fields: wire.Cabinet) -> dict[str, Any]:
    """Return a report with the spaces in the keys of the document's example: section 3.1.3."""
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    protectors = plain.pop("thunderSpd")
    for protector in protectors:
        protector[" lightningCount "] = protector.pop("lightningCount")
    return plain | {" thunderSpd": protectors}


def _mains_warnings(mains: grid.Mains) -> Iterator[str]:
    volts = [mains.voltage_v[phase] for phase in grid.PHASES]
    if any(each > grid.HIGHEST_V for each in volts):
        yield "输入过压"
    if any(LOST_PHASE_V <= each < grid.LOWEST_V for each in volts):
        yield "输入欠压"
    for number_, each in enumerate(volts, 1):
        if each < LOST_PHASE_V:
            yield f"交流L{number_}相缺相"


def _elec(cabinet: Cabinet) -> wire.Elec:
    mains = cabinet.mains
    warnings = list(_mains_warnings(mains))
    volts = mains.voltage_v[grid.PHASES[0]]
    good = not warnings and grid.LOWEST_HZ <= mains.frequency_hz <= grid.HIGHEST_HZ
    return wire.Elec(
        id="1",
        status=flag(good),
        voltage=number(volts),
        current=number(cabinet.input_w / volts if volts else 0.0),
        power=number(cabinet.input_w / 1000),
        frequency=number(mains.frequency_hz if volts else 0.0),
        elec_consumption=number(cabinet.energy_kwh),
        warning_msg=",".join(warnings),
    )


def _rectifier_warnings(rectifier: Rectifier, supply: DcSupply) -> Iterator[str]:
    if not rectifier.wanted:
        yield "整流模块已关机"
    if rectifier.fault in _RECTIFIER_FAULTS:
        yield _RECTIFIER_FAULTS[rectifier.fault]
    if not supply.mains_good:
        yield "整流模块掉电"
    elif rectifier.output_w and supply.bus_v < UNDER_V:
        yield "输出电压欠压"
    elif rectifier.output_w and supply.bus_v > OVER_V:
        yield "输出电压过压"


def _rectifier(number_: str, rectifier: Rectifier, supply: DcSupply) -> wire.Rectifier:
    warnings = ",".join(_rectifier_warnings(rectifier, supply))
    if rectifier.fault is RectifierFault.COMMUNICATION:
        return wire.filled(
            wire.Rectifier, Sentinel.GET_FAILED, id=number_, status="0", warning_msg=warnings
        )
    volts = supply.bus_v if rectifier.output_w else 0.0
    return wire.Rectifier(
        id=number_,
        status=flag(rectifier.fault is RectifierFault.NONE and supply.mains_good),
        current_limiting=flag(rectifier.limiting),
        output_voltage=number(volts),
        output_current=number(rectifier.output_w / volts if volts else 0.0),
        output_power=number(rectifier.output_w / 1000),
        warning_msg=warnings,
    )


def _battery_warnings(supply: DcSupply) -> Iterator[str]:
    if supply.fuse_blown:
        yield "电池熔丝断"
    if supply.battery.charge < LOW_CHARGE:
        yield "电池电量低"


def _ups(cabinet: Cabinet) -> wire.Ups:
    supply = cabinet.supply
    battery = supply.battery
    warnings = ",".join(_battery_warnings(supply))
    volts, amps = number(battery.voltage_v * SHARE), number(abs(battery.current_a))
    giving = battery.current_a > 0
    return wire.Ups(
        id="1",
        status=flag(supply.battery_connected and not warnings),
        running_state=_running_state(supply),
        input_voltage="0" if giving else volts,
        input_current="0" if giving else amps,
        output_voltage=volts if giving else "0",
        output_current=amps if giving else "0",
        power_rate=percent(battery.charge * 100),
        surplus_time=number(supply.runtime_s / 60),
        remain_capacity=number(battery.charge_ah),
        temperature=number(cabinet.air.temperature_c),
        warning_msg=warnings,
    )


def _running_state(supply: DcSupply) -> str:
    """Return 1 float charge, 2 equalising, 3 discharging, 4 charging or 5 testing."""
    if supply.testing:
        return "5"
    if not supply.battery_connected:
        return NO_DATA
    if supply.battery.current_a > 0:
        return "3"
    if supply.equalising:
        return "2"
    return "4" if supply.battery.charge < FLOAT_CHARGE else "1"


def battery_test_result(test: BatteryTest | None, moments: Moments) -> BatteryTestResult:
    """Return the result of the last battery test, or no data without a finished one."""
    if test is None or test.end is None:
        names = BatteryTestResult.__struct_fields__
        return BatteryTestResult(**dict.fromkeys(names, NO_DATA) | {"test_result": "1"})
    return BatteryTestResult(
        test_start_time=moments.text("test"),
        test_result=str(test.verdict.value),
        efficiency=percent(test.efficiency * 100),
        discharge_time=number(test.duration_s / 3600),
        discharge_end_voltage=number(test.end_voltage_v),
        discharge_av_current=number(test.average_current_a),
        discharge_ah_current=number(test.discharged_ah),
        test_temperature=number(test.temperature_c),
        test_end_course=str(test.end.value),
    )


def _air_conditioner(number_: str, unit: AirConditioner, *, alarm: bool) -> wire.AirConditioner:
    good = unit.fault is AirFault.NONE
    return wire.AirConditioner(
        id=number_,
        status=flag(good),
        error_msg=_AIR_FAULTS[unit.fault],
        is_working=flag(unit.running),
        work_mode=str((unit.mode if unit.running else AirMode.VENTILATION).value),
        system_warning=flag(good),
        temperature_warning=flag(not alarm),
    )


def _thermohygrometer(cabinet: Cabinet) -> wire.Thermohygrometer:
    air = cabinet.air
    if air.thermohygrometer_fault:
        return wire.filled(wire.Thermohygrometer, Sentinel.GET_FAILED, status="0")
    return wire.Thermohygrometer(
        status="1", temperature=number(air.temperature_c), humidity=percent(air.humidity)
    )


def _sensor(sensor: Sensor, changed: str) -> wire.Sensor:
    return wire.Sensor(
        status=flag(not sensor.fault),
        is_warning=GET_FAILED if sensor.fault else flag(sensor.warns),
        warning_change_time=changed,
    )


def _doors(cabinet: Cabinet, moments: Moments) -> wire.Doors:
    doors = cabinet.doors
    if doors.fault:
        return wire.filled(wire.Doors, Sentinel.GET_FAILED, status="0")
    rows = {
        f"{name}_door_{field}": value
        for name, door in doors.by_name.items()
        for field, value in _door(door, moments.text(name))
    }
    return wire.Doors(status="1", defend_mode=flag(doors.armed), **rows)


def _door(door: Door, changed: str) -> Iterator[tuple[str, str]]:
    yield "closed", flag(door.closed)
    yield "locked", flag(door.locked)
    yield "unlock_type", str(door.unlocked_by.value)
    yield "unlock_card_id", door.card_id or NO_DATA
    yield "open_illegally", flag(door.illegal)
    yield "change_time", changed

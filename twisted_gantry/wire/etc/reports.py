"""The two reports of the ETC gantry interface, as typed messages; every value is text.

Source: the ETC document, sections 2.1 and 3.1. Fields have the document's order; each is a value or
a Sentinel. A missing group is empty, or `NotSupport` in each field.
"""

from typing import Any, TypeVar

import msgspec

from twisted_gantry.wire.etc.envelope import Method, Sentinel
from twisted_gantry.wire.json import convert


class Group(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a report."""


_G = TypeVar("_G", bound=Group)


def filled(group: type[_G], sentinel: Sentinel, **given: str) -> _G:
    """Return a group with `sentinel` in every field except those given."""
    return group(**dict.fromkeys(group.__struct_fields__, sentinel.value) | given)


class Computer(Group, frozen=True):
    """A computer; sizes in KiB, usages in % and the temperature in °C with two decimals."""

    id: str
    is_monitor_computer: str
    is_main_computer: str
    sys_disk_usage: str
    sys_disk_size: str
    data_disk_usage: str
    data_disk_size: str
    memory_usage: str
    memory_size: str
    net_usage: str
    cpu_usage: str
    cpu_temperature: str
    ip: str


class Elec(Group, frozen=True):
    """The mains: `status` 0 abnormal, 1 normal; V, A, kW, Hz, kWh."""

    id: str
    status: str
    voltage: str
    current: str
    power: str
    frequency: str
    elec_consumption: str
    warning_msg: str


class Rectifier(Group, frozen=True):
    """A rectifier module; V, A, kW."""

    id: str
    status: str
    current_limiting: str
    output_voltage: str
    output_current: str
    output_power: str
    warning_msg: str


class Ups(Group, frozen=True):
    """A UPS. `input…` is the battery's charge V/A, `output…` its discharge V/A; minutes; Ah."""

    id: str
    status: str
    running_state: str
    input_voltage: str
    input_current: str
    output_voltage: str
    output_current: str
    power_rate: str
    surplus_time: str
    remain_capacity: str
    temperature: str
    warning_msg: str


class AirConditioner(Group, frozen=True):
    """An air conditioner; the two warnings are 0 abnormal, 1 normal."""

    id: str
    status: str
    error_msg: str
    is_working: str
    work_mode: str
    system_warning: str
    temperature_warning: str


class Thermohygrometer(Group, frozen=True):
    """Temperature in °C and relative humidity in %."""

    status: str
    temperature: str
    humidity: str


class Sensor(Group, frozen=True):
    """A water or smoke sensor: `isWarning` 1 while it warns."""

    status: str
    is_warning: str
    warning_change_time: str


class Doors(Group, frozen=True):
    """The doors of a cabinet, front and back."""

    status: str
    defend_mode: str
    front_door_closed: str
    front_door_locked: str
    front_door_unlock_type: str
    front_door_unlock_card_id: str
    front_door_open_illegally: str
    front_door_change_time: str
    back_door_closed: str
    back_door_locked: str
    back_door_unlock_type: str
    back_door_unlock_card_id: str
    back_door_open_illegally: str
    back_door_change_time: str


class ThunderSpd(Group, frozen=True):
    """A surge arrester: `status` 0 abnormal, and the number of strikes."""

    id: str
    status: str
    lightning_count: str


class Cabinet(Group, frozen=True):
    """One cabinet; a gantry with two sends two messages."""

    id: str
    elec: tuple[Elec, ...]
    rectifier: tuple[Rectifier, ...]
    ups: tuple[Ups, ...]
    air_conditioners: tuple[AirConditioner, ...]
    thermohygrometer: Thermohygrometer
    waterlogging_sensor: Sensor
    doors: Doors
    smoke_sensor: Sensor
    thunder_spd: tuple[ThunderSpd, ...]


Report = tuple[Computer, ...] | Cabinet


def decode_report(method: Method, fields: Any) -> Report:
    """Read a report with every field required. Raises BadMessage, which names the field."""
    if method is Method.COMPUTER_STATUS:
        return convert(fields, tuple[Computer, ...])
    return convert(fields, Cabinet)

"""The devices of a Charging Manager: what all of them have, and the settings.

Source: the cFos document, "get_dev_info", "set_params", "HTTP meters and wallboxes". The answers
have the keys of the document and those of earlier and later firmwares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from twisted_gantry.wire.cfos.calls import Role
from twisted_gantry.wire.cfos.users import ChargingRule

FIRMWARE = "1.8.1095"
MODEL = f"cFos Power Brain,1.0,{FIRMWARE},6d-31-0c"
PHASE_V = 230.0  # the phase voltage with which the manager converts currents to powers
NEVER_FED = "no data yet"  # the communication error of an "HTTP input" before its first data
TYPES = {
    "evse_powerbrain": "cFos Power Brain",
    "evse_ajax": "HTTP input",
    "meter_powerbrain": "cFos Power Brain, S0 / mains",
    "meter_ajax": "HTTP input",
}  # the name (`dev_meta`) of each `dev_type`

Text = Annotated[str, msgspec.Meta(max_length=100)]
MilliAmperes = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_WattHours = Annotated[float, msgspec.Meta(ge=0, le=1e13)]


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a device; None changes nothing. Keys that are only shown are ignored."""

    device_enabled: bool | None = None
    name: Text | None = None
    desc: Text | None = None
    label: Text | None = None
    used_phases: Annotated[int, msgspec.Meta(ge=0, le=7)] | None = None
    min_charging_cur: MilliAmperes | None = None
    max_charging_cur: MilliAmperes | Text | None = None
    prio: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    attach: Text | None = None
    charging_rules: Annotated[list[ChargingRule], msgspec.Meta(max_length=100)] | None = None
    users: Annotated[list[Text], msgspec.Meta(max_length=1000)] | None = None
    battery_save_threshold: MilliAmperes | None = None
    enable_snooze: bool | None = None
    enable_wakeup: bool | None = None
    fixed_rfid: Text | None = None
    group: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    ocpp_gateway_client_id: Text | None = None
    phase_rotation: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    soft_meter: _WattHours | None = None
    role: Role | None = None
    invert: bool | None = None
    is_va: bool | None = None


def given(change: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a change that are not None."""
    values = ((name, getattr(change, name)) for name in change.__struct_fields__)
    return {name: value for name, value in values if value is not None}


@dataclass
class Device:
    """The base of every device. `modbus_id` and `used_phases` are also registers."""

    dev_id: str
    dev_type: str
    address: str
    number: int
    name: str
    desc: str
    enabled: bool = True
    com_error: str = ""  # the communication error; empty without one

    modbus_id: int = 0
    used_phases: int = 0b111

    def common(self, up_s: float) -> dict[str, Any]:
        """Return the keys that EVSEs and meters share; `up_s` is the uptime of the manager."""
        return {
            "dev_type": self.dev_type,
            "device_enabled": int(self.enabled),
            "name": self.name,
            "address": self.address,
            "id": self.modbus_id,
            "dev_id": self.dev_id,
            "number": self.number,
            "desc": self.desc,
            "com_err": bool(self.com_error),
            "com_err_secs": 0 if self.com_error else int(up_s),
            "com_errors": int(bool(self.com_error)),
            "status": "",
            "last_error": self.com_error,
            "is_evse": self.dev_id.startswith("E"),
            "used_phases": self.used_phases,
        }

    def change(self, settings: DeviceSettings) -> None:
        if settings.device_enabled is not None:
            self.enabled = settings.device_enabled
        if settings.used_phases is not None:
            self.set_phases(settings.used_phases)
        self.take(settings, "name", "desc")

    def take(self, settings: DeviceSettings, *names: str) -> None:
        """Set the attributes `names` to the settings of these names, except None."""
        for name in names:
            if (value := getattr(settings, name)) is not None:
                setattr(self, name, value)

    def set_phases(self, phases: int) -> None:
        """Set `used_phases`, which is register 8044; 0 means all phases."""
        self.used_phases = phases


def three(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return the values of L1 to L3; missing phases are 0."""
    return (*values, 0.0, 0.0)[:3]


def by_phase(name: str, values: Iterable[float]) -> dict[str, Any]:
    """Return the value of each phase under its key, such as `current_l1`."""
    return {f"{name}_l{n}": value for n, value in enumerate(values, 1)}

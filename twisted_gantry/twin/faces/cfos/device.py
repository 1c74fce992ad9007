"""What every device of a Charging Manager has, and what can be set in one.

Source: the cFos document, "get_dev_info", "set_params", "HTTP meters and wallboxes". Shown
are the keys of the document and those of the firmwares before and after it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from twisted_gantry.wire.cfos.calls import Role
from twisted_gantry.wire.cfos.users import ChargingRule

FIRMWARE = "1.8.1095"
MODEL = f"cFos Power Brain,1.0,{FIRMWARE},6d-31-0c"
PHASE_V = 230.0
"""What the manager takes for the voltage of a phase."""
NEVER_FED = "no data yet"
"""The communication error of an "HTTP input" before its first data."""
TYPES = {
    "evse_powerbrain": "cFos Power Brain",
    "evse_ajax": "HTTP input",
    "meter_powerbrain": "cFos Power Brain, S0 / mains",
    "meter_ajax": "HTTP input",
}
"""Each `dev_type`, and what it is called (`dev_meta`)."""

_Text = Annotated[str, msgspec.Meta(max_length=100)]
_MilliAmperes = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_WattHours = Annotated[float, msgspec.Meta(ge=0, le=1e13)]


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `set_params` and `set_device` change in a device; None stays as it is.

    Keys that are not here are those that a device shows and nobody sets: they are passed over.
    """

    device_enabled: bool | None = None
    name: _Text | None = None
    desc: _Text | None = None
    label: _Text | None = None
    used_phases: Annotated[int, msgspec.Meta(ge=0, le=7)] | None = None
    min_charging_cur: _MilliAmperes | None = None
    max_charging_cur: _MilliAmperes | _Text | None = None
    prio: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    attach: _Text | None = None
    charging_rules: Annotated[list[ChargingRule], msgspec.Meta(max_length=100)] | None = None
    users: Annotated[list[_Text], msgspec.Meta(max_length=1000)] | None = None
    battery_save_threshold: _MilliAmperes | None = None
    enable_snooze: bool | None = None
    enable_wakeup: bool | None = None
    fixed_rfid: _Text | None = None
    group: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    ocpp_gateway_client_id: _Text | None = None
    phase_rotation: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    soft_meter: _WattHours | None = None
    role: Role | None = None
    invert: bool | None = None
    is_va: bool | None = None


@dataclass
class Device:
    """What every device has. `modbus_id` and `used_phases` are registers too, where it has any."""

    dev_id: str
    dev_type: str
    address: str
    number: int
    name: str
    desc: str
    enabled: bool = True
    com_error: str = ""
    """What is wrong with the communication; empty while nothing is."""

    modbus_id: int = 0
    used_phases: int = 0b111

    def common(self, up_s: float) -> dict[str, Any]:
        """Return what EVSEs and meters show alike; `up_s` is how long the manager runs."""
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
        """Take what every device can be set to."""
        if settings.device_enabled is not None:
            self.enabled = settings.device_enabled
        if settings.used_phases is not None:
            self.set_phases(settings.used_phases)
        self.take(settings, "name", "desc")

    def take(self, settings: DeviceSettings, *names: str) -> None:
        """Take those of some settings that are named, and given."""
        for name in names:
            if (value := getattr(settings, name)) is not None:
                setattr(self, name, value)

    def set_phases(self, phases: int) -> None:
        """Set `used_phases`, which is register 8044; 0 is all."""
        self.used_phases = phases


def three(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return one value for each of L1 to L3; what was not told is 0."""
    return (*values, 0.0, 0.0)[:3]


def by_phase(name: str, values: Iterable[float]) -> dict[str, Any]:
    """Return a value for each phase under its key, as `current_l1`."""
    return {f"{name}_l{n}": value for n, value in enumerate(values, 1)}

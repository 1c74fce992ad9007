"""The registers of a Power Brain: another view of what its EVSE and its meters are.

Source: the cFos document, "Modbus", whose constants these are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted_gantry.twin.faces.cfos.evses import BuiltInEvse
from twisted_gantry.twin.faces.cfos.meters import BuiltInMeter, MeterDevice
from twisted_gantry.wire.cfos.modbus import Read, Write, answer_read, plan_write
from twisted_gantry.wire.cfos.registers import (
    BAD_VALUE,
    EVSE,
    METER,
    Register,
    RegisterError,
    image,
)

Values = Mapping[str, int | str]

_IDENTITY: Values = {
    "vendor_id": -821_755_904,  # as the document prints it, of a device that was set up so
    "product_id": 1,
    "device_id": 257,
    "product_version": 16_777_216,
    "mapping_version": 256,
    "serial_no": "fcf5-c46d-310c",
    "name": "cFos Power Brain",
}
_UNKNOWN_W = -1
_S0_INPUTS = 2
_LARGEST = 10**15  # Wh or pulses: what grows from there still fits 64 bits

# What a register takes; one that is not here takes 0 or 1.
_RANGES: Mapping[str, tuple[int, int]] = {
    "slave_id": (1, 255),
    "pulses_per_kwh": (1, 1_000_000),
    "phases": (0, 7),
    "voltage_l1": (1, 1000),
    "voltage_l2": (1, 1000),
    "voltage_l3": (1, 1000),
    "pulses": (0, _LARGEST),
    "energy": (0, _LARGEST),
    "restarts": (0, 2**31 - 1),
    "default_fixed_current": (0, 630),
    "default_current_limit": (60, 630),
    "fail_safe_time": (0, 2**31 - 1),
    "fail_safe_current": (0, 630),
    "disconnect_cp": (0, 3600),
    "fixed_current": (0, 630),
    "current_limit": (60, 630),
    "reset_pulses": (0, 65_535),
    "reset_energy": (0, 65_535),
}

# Registers that are attributes of the hardware by another name.
_HARDWARE = {
    "default_fixed_current": "default_fixed",
    "default_current_limit": "default_limit",
    "default_enabled": "default_enabled",
    "fail_safe_time": "fail_safe_s",
    "fail_safe_current": "fail_safe_current",
    "relay_select": "relay_select",
    "relay2": "relay2",
    "fixed_current": "fixed",
    "pulses": "pulses",
    "restarts": "restarts",
}
_VOLTAGES = ("voltage_l1", "voltage_l2", "voltage_l3")


class MeterRegisters:
    """`meter1` or `meter2`."""

    registers = METER

    def __init__(self, device: BuiltInMeter) -> None:
        self._device, self._meter = device, device.meter

    def values(self) -> Values:
        """Return what the registers hold, by their names."""
        device, meter = self._device, self._meter
        return {
            **_IDENTITY,
            **_measured(device),
            "slave_id": device.modbus_id,
            "restarts": device.restarts,
            "phases": device.used_phases,
            **dict(zip(_VOLTAGES, meter.nominal_v, strict=True)),
            "pulses": meter.pulses,
            "input": meter.input,
            "pulses_per_kwh": meter.pulses_per_kwh,
            "pulse_time": meter.ms_per_pulse,
        }

    def set(self, name: str, value: int) -> None:
        """Set one register to a value that it takes."""
        device, meter = self._device, self._meter
        setters: dict[str, Callable[[], None]] = {
            "slave_id": lambda: setattr(device, "modbus_id", value),
            "restarts": lambda: setattr(device, "restarts", value),
            "phases": lambda: device.set_phases(value),
            "energy": lambda: meter.set_energy(value),
            "reset_energy": lambda: meter.set_energy(0),
            "reset_pulses": lambda: setattr(meter, "pulses", 0),
        }
        if name in _VOLTAGES:
            meter.nominal_v[_VOLTAGES.index(name)] = value
        elif name in setters:
            setters[name]()
        else:
            setattr(meter, name, value)  # pulses, pulses_per_kwh


class EvseRegisters:
    """`evse`. `seconds` is the manager's clock; `attached` is the meter at the wallbox, if any."""

    registers = EVSE

    def __init__(
        self, device: BuiltInEvse, attached: MeterDevice | None, seconds: Callable[[], float]
    ) -> None:
        self._device, self._attached, self._seconds = device, attached, seconds

    def values(self) -> Values:
        """Return what the registers hold, by their names."""
        device, hardware, evse = self._device, self._device.hardware, self._device.evse
        return {
            **_IDENTITY,
            **({} if self._attached is None else _measured(self._attached)),
            **{name: getattr(hardware, attribute) for name, attribute in _HARDWARE.items()},
            **dict(zip(_VOLTAGES, hardware.nominal_v, strict=True)),
            "slave_id": device.modbus_id,
            "phases": device.used_phases,
            "disconnect_cp": max(0, round(hardware.pilot_off_until - self._seconds())),
            "cable_current": round(10 * evse.cable_a),
            "pilot_state": int(evse.state),
            "current_limit": int(device.limit_ma // 100),
            "enabled": int(device.enable),
            "charging_current": int(device.offer_ma // 100) if evse.charging else 0,
            "last_rfid": device.last_rfid,
            "has_meter": int(self._attached is not None),
            "s0_inputs": _S0_INPUTS,
        }

    def set(self, name: str, value: int) -> None:
        """Set one register to a value that it takes."""
        device, hardware = self._device, self._device.hardware
        setters: dict[str, Callable[[], None]] = {
            "slave_id": lambda: setattr(device, "modbus_id", value),
            "phases": lambda: device.set_phases(value),
            "disconnect_cp": lambda: setattr(hardware, "pilot_off_until", self._seconds() + value),
            "current_limit": lambda: device.set_limit(100.0 * value),
            "enabled": lambda: setattr(device, "enable", bool(value)),
        }
        if name in _VOLTAGES:
            hardware.nominal_v[_VOLTAGES.index(name)] = value
        elif name in setters:
            setters[name]()
        else:
            setattr(hardware, _HARDWARE[name], value)


def _measured(meter: MeterDevice) -> Values:
    measured = meter.measured()
    known = not isinstance(meter, BuiltInMeter) or meter.meter.known
    currents = measured.current or ()
    return {
        "energy": int(measured.import_wh or 0),
        "power": _fit(measured.power_w) if known else _UNKNOWN_W,
        **{f"current_l{n}": _fit(each / 100) for n, each in enumerate(currents, 1)},
    }


def _fit(value: float | None) -> int:
    """Return a number as 32 bits can hold it: one that was fed may be any."""
    return min(max(round(value or 0), -(2**31)), 2**31 - 1)


def read(view: MeterRegisters | EvseRegisters, request: Read) -> Any:
    """Answer a read. Raises RegisterError."""
    values = view.values()
    numbers = {each.address: values[each.name] for each in _named(view.registers, values)}
    return answer_read(request, view.registers, image(view.registers, numbers))


def write(view: MeterRegisters | EvseRegisters, request: Write) -> None:
    """Do a write, all of it or nothing. Raises RegisterError."""
    changes = plan_write(request, view.registers)
    for address, value in changes.items():
        low, high = _RANGES.get(view.registers[address].name, (0, 1))
        if not low <= value <= high:
            raise RegisterError(BAD_VALUE)
    for address, value in changes.items():
        view.set(view.registers[address].name, value)


def _named(registers: Mapping[int, Register], values: Values) -> list[Register]:
    return [each for each in registers.values() if each.name in values]

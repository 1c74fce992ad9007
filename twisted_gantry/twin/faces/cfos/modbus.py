"""The registers of a Power Brain, and their constants: the cFos document, "Modbus"."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar

from twisted_gantry.twin.faces.cfos.evses import BuiltInEvse, EvseHardware
from twisted_gantry.twin.faces.cfos.meters import BuiltInMeter, MeterDevice
from twisted_gantry.twin.world.meter import Meter
from twisted_gantry.wire.cfos import registers as wire
from twisted_gantry.wire.cfos.modbus import Read, Write, answer_read, plan_write

Values = Mapping[str, int | str]

_IDENTITY: Values = {
    "vendor_id": -821_755_904,  # as in the document
    "product_id": 1,
    "device_id": 257,
    "product_version": 16_777_216,
    "mapping_version": 256,
    "serial_no": "fcf5-c46d-310c",
    "name": "cFos Power Brain",
}
_UNKNOWN_W = -1
_S0_INPUTS = 2
_LARGEST = 10**15  # Wh or pulses, with room to count in 64 bits

_VOLTAGES = ("voltage_l1", "voltage_l2", "voltage_l3")

# The ranges of registers that may be written; all others take 0 or 1.
_RANGES: Mapping[str, tuple[int, int]] = {
    "slave_id": (1, 255),
    "pulses_per_kwh": (1, 1_000_000),
    "phases": (0, 7),
    **dict.fromkeys(_VOLTAGES, (1, 1000)),
    **dict.fromkeys(("pulses", "energy"), (0, _LARGEST)),
    **dict.fromkeys(("restarts", "fail_safe_time"), (0, 2**31 - 1)),
    **dict.fromkeys(("default_fixed_current", "fail_safe_current", "fixed_current"), (0, 630)),
    **dict.fromkeys(("default_current_limit", "current_limit"), (60, 630)),
    "disconnect_cp": (0, 3600),
    **dict.fromkeys(("reset_pulses", "reset_energy"), (0, 65_535)),
}

# The attributes of EvseHardware that are registers of the same name.
_HARDWARE = {each.name for each in fields(EvseHardware)} - {"nominal_v", "pilot_off_until"}


class _Registers:
    """The registers of a device. One without a setter is an attribute of `owner`."""

    registers: ClassVar[Mapping[int, wire.Register]]

    def __init__(self, device: BuiltInMeter | BuiltInEvse, owner: Meter | EvseHardware) -> None:
        self._owner = owner
        self._setters: dict[str, Callable[[int], object]] = {
            "slave_id": lambda value: setattr(device, "modbus_id", value),
            "phases": device.set_phases,
        }

    def set(self, name: str, value: int) -> None:
        if name in _VOLTAGES:
            self._owner.nominal_v[_VOLTAGES.index(name)] = value
        elif name in self._setters:
            self._setters[name](value)
        else:
            setattr(self._owner, name, value)


class MeterRegisters(_Registers):
    registers = wire.METER

    def __init__(self, device: BuiltInMeter) -> None:
        meter = device.meter
        super().__init__(device, meter)
        self._device, self._meter = device, meter
        self._setters |= {
            "restarts": lambda value: setattr(device, "restarts", value),
            "energy": meter.set_energy,
            "reset_energy": lambda _: meter.set_energy(0),
            "reset_pulses": lambda _: setattr(meter, "pulses", 0),
        }

    def values(self) -> Values:
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


class EvseRegisters(_Registers):
    """`evse`. `seconds` is the manager's clock; `attached` is the meter at the wallbox, if any."""

    registers = wire.EVSE

    def __init__(
        self, device: BuiltInEvse, attached: MeterDevice | None, seconds: Callable[[], float]
    ) -> None:
        hardware = device.hardware
        super().__init__(device, hardware)
        self._device, self._attached, self._seconds = device, attached, seconds
        self._setters |= {
            "disconnect_cp": lambda value: setattr(hardware, "pilot_off_until", seconds() + value),
            "current_limit": lambda value: device.set_limit(100.0 * value),
            "enabled": lambda value: setattr(device, "enable", bool(value)),
        }

    def values(self) -> Values:
        device, hardware, evse = self._device, self._device.hardware, self._device.evse
        return {
            **_IDENTITY,
            **({} if self._attached is None else _measured(self._attached)),
            **{name: getattr(hardware, name) for name in _HARDWARE},
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
    """Return a number clamped to 32 bits: data that were fed have no bounds."""
    return min(max(round(value or 0), -(2**31)), 2**31 - 1)


def read(view: MeterRegisters | EvseRegisters, request: Read) -> Any:
    """Answer a read. Raises RegisterError."""
    values = view.values()
    named = (each for each in view.registers.values() if each.name in values)
    numbers = {each.address: values[each.name] for each in named}
    return answer_read(request, view.registers, wire.image(view.registers, numbers))


def write(view: MeterRegisters | EvseRegisters, request: Write) -> None:
    """Do the whole write or nothing. Raises RegisterError."""
    changes = plan_write(request, view.registers)
    for address, value in changes.items():
        low, high = _RANGES.get(view.registers[address].name, (0, 1))
        if not low <= value <= high:
            raise wire.RegisterError(wire.BAD_VALUE)
    for address, value in changes.items():
        view.set(view.registers[address].name, value)

"""The readings of a UPS on its card: live data and ratings.

Source: the UPS card document, section 3 b 2. Values are rounded to 0.1; input currents are not
supported (`---`), as in the document's example.
"""

from twisted_gantry.twin.world import battery
from twisted_gantry.twin.world.load import POWER_FACTOR, RATED_VA
from twisted_gantry.twin.world.mains import NOMINAL_HZ, NOMINAL_V, PHASES
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.wire.reading import Quality, Reading, missing

_NOISE_V = 0.2
_NOISE_HZ = 0.05


def _shown(value: float, unit: str) -> Reading:
    return Reading(round(value, 1) + 0.0, unit)


def _noisy(value: float, noise: float) -> float:
    return max(value + noise, 0.0) if value else 0.0


def live(ups: Ups) -> dict[str, Reading]:
    """Return the readings of a QAD, by the names of `encode_live`."""
    jitter = ups.jitter
    outputs = ups.output_voltage_v
    readings: dict[str, Reading] = {}
    for at, phase in enumerate(PHASES):
        volts = _noisy(ups.mains.voltage_v[phase], jitter[at] * _NOISE_V)
        there = phase in ups.load.inputs
        readings[f"input_voltage_{phase}"] = _shown(volts, "V") if there else _none("V")
        readings[f"input_current_{phase}"] = _none("A")
        if phase not in outputs:
            for name, unit in (("output_voltage", "V"), ("output_current", "A"), ("load", "%")):
                readings[f"{name}_{phase}"] = _none(unit)
            continue
        volts = outputs[phase]
        amps = ups.load.of(phase) / POWER_FACTOR / volts if ups.powered and volts else 0.0
        percent = ups.load.percent(phase) if ups.powered else 0.0
        readings[f"output_voltage_{phase}"] = _shown(_noisy(volts, jitter[3 + at] * _NOISE_V), "V")
        readings[f"output_current_{phase}"] = _shown(amps, "A")
        readings[f"load_{phase}"] = _shown(percent, "%")
    # Without a voltage no frequency can be measured.
    alive = any(ups.mains.voltage_v[phase] for phase in ups.load.inputs)
    hertz = _noisy(ups.mains.frequency_hz, jitter[6] * _NOISE_HZ) if alive else 0.0
    store = ups.battery
    return readings | {
        "input_frequency": _shown(hertz, "Hz"),
        "fault_voltage": _shown(ups.fault_voltage_v, "V"),
        "output_frequency": _shown(ups.output_frequency_hz, "Hz"),
        "battery_voltage": _shown(_noisy(store.voltage_v, jitter[7] * _NOISE_V), "V"),
        "battery_runtime": Reading(float(round(ups.runtime_s)), "s"),
        "battery_charge": _shown(store.charge * 100, "%"),
        "temperature": _shown(ups.temperature_c, "°C"),
        "ups_type": Reading("online"),
        "self_test": Reading(ups.self_test),
        "overload": Reading(ups.overload),
        "mains_abnormal": Reading(not ups.mains_good),
        "battery_low": Reading(ups.battery_low),
        "shutting_down": Reading(ups.shutting_down),
        "buzzer_muted": Reading(ups.buzzer_muted),
        "state": Reading(ups.state.text),
    }


def _none(unit: str) -> Reading:
    return missing(unit, Quality.NOT_SUPPORTED)


def ratings(ups: Ups) -> dict[str, Reading]:
    """Return the readings of an RTD, by the names of `encode_ratings`."""
    return {
        "manufacturer": Reading("Sunshine"),
        "hardware_version": Reading("V1.0"),
        "model": Reading("C10KS"),
        "rated_input_voltage": Reading(int(NOMINAL_V), "V"),
        "rated_output_voltage": Reading(int(NOMINAL_V), "V"),
        "rated_current": Reading(20, "A"),
        # The document writes 50.0: text keeps the zero.
        "rated_frequency": Reading(f"{NOMINAL_HZ:.1f}", "Hz"),
        "rated_battery_voltage": Reading(int(battery.NOMINAL_V), "V"),
        "phases": Reading(ups.load.phases),
        "rated_power": Reading(int(RATED_VA), "VA"),
    }

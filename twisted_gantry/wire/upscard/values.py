"""The values of a UPS card: ratings (RTD), live data (QAD), and the answer to a control.

Source: the UPS card document, section 3 b 2 (1) to (4). Fields have the names of points; units are
those of the document.
"""

import re
from collections.abc import Mapping

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.reading import Quality, Reading, Texted, Value, missing


class UpsState(Texted):
    """Bits 3 to 0 of the status word; 10 to 15 are undefined."""

    POWER_ON = 0
    STANDBY = 1
    BYPASS = 2
    LINE = 3
    BATTERY = 4
    TEST = 5
    FAULT = 6
    CONVERTER = 7
    HE = 8
    SHUTDOWN = 9


# A number, and the texts for no value: `---`, and `---.-` as the document prints it.
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d{1,9})?")
_NO_VALUE = re.compile(r"[-.]+")
_WORD = re.compile(r"[01]{16}")
# Bits of the status word that are True or False, and the codes of its bits 11 and 10.
_FLAGS = {
    "overload": 8,
    "mains_abnormal": 7,
    "battery_low": 6,
    "shutting_down": 5,
    "buzzer_muted": 4,
}
_SELF_TESTS = {0b01: "failed", 0b10: "good"}

LIVE_UNITS: Mapping[str, str] = {
    **{f"input_voltage_{phase}": "V" for phase in "rst"},
    "input_frequency": "Hz",
    **{f"input_current_{phase}": "A" for phase in "rst"},
    "fault_voltage": "V",
    **{f"output_voltage_{phase}": "V" for phase in "rst"},
    "output_frequency": "Hz",
    **{f"output_current_{phase}": "A" for phase in "rst"},
    **{f"load_{phase}": "%" for phase in "rst"},
    "battery_voltage": "V",
    "battery_runtime": "s",
    "battery_charge": "%",
    "temperature": "°C",
}
"""The 22 numbers of a QAD, in their order; the status word is the 23rd field."""

_RATED_NUMBERS: Mapping[str, str] = {
    "rated_input_voltage": "V",
    "rated_output_voltage": "V",
    "rated_current": "A",
    "rated_frequency": "Hz",
    "rated_battery_voltage": "V",
}
RATED_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("manufacturer", "hardware_version", "model"), ""),
    **_RATED_NUMBERS,
    "phases": "",
    "rated_power": "VA",
}
"""The 10 fields of an RTD, in their order."""

STATUS_NAMES = ("ups_type", "self_test", *_FLAGS, "state")

Readings = dict[str, Reading]


def _body(value: str) -> str:
    """Return what follows the opening bracket, which may be a full-width one."""
    text = value.strip()
    if not text.startswith(("(", "（")):
        raise BadMessage("a value that does not begin with '('")
    return text[1:].strip()


def _number(name: str, token: str, unit: str) -> Reading:
    if _NO_VALUE.fullmatch(token):
        return missing(unit, Quality.NOT_SUPPORTED)
    if not _NUMBER.fullmatch(token):
        raise BadMessage(f"{name} is no number: {token[:20]!r}")
    return Reading(float(token), unit)


def _text(token: str) -> Reading:
    return missing("", Quality.NOT_SUPPORTED) if _NO_VALUE.fullmatch(token) else Reading(token)


def decode_live(value: str, *, runtime_unit: str = "s") -> Readings:
    """Read the answer to QAD into the 22 numbers and the points of the status word. `runtime_unit`
    is the card's unit of the battery's time left, `s` or `min`: the document names none. The result
    is in seconds either way. Raises BadMessage for a wrong number of fields or a field that is no
    number, rather than return a partial or a shifted reading.
    """
    tokens = _body(value).split()
    if len(tokens) != len(LIVE_UNITS) + 1:
        raise BadMessage(f"QAD has {len(tokens)} fields, not {len(LIVE_UNITS) + 1}")
    readings = {
        name: _number(name, token, unit)
        for (name, unit), token in zip(LIVE_UNITS.items(), tokens[:-1], strict=True)
    }
    runtime = readings["battery_runtime"]
    if runtime_unit == "min" and isinstance(runtime.value, float):
        readings["battery_runtime"] = Reading(runtime.value * 60, "s")
    return readings | decode_status(tokens[-1])


def decode_status(word: str) -> Readings:
    """Read the 16 characters of the status word, b15 first. Raises BadMessage."""
    if not _WORD.fullmatch(word):
        raise BadMessage(f"the status word is not 16 of 0 and 1: {word[:20]!r}")
    bits = int(word, 2)
    number = bits & 0b1111
    try:
        state = Reading(UpsState(number).text)
    except ValueError:  # undefined
        state = missing("", Quality.GET_FAILED)
    return {
        "ups_type": Reading("backup" if bits >> 15 & 1 else "online"),
        "self_test": Reading(_SELF_TESTS.get(bits >> 10 & 0b11, "unknown")),
        **{name: Reading(bool(bits >> bit & 1)) for name, bit in _FLAGS.items()},
        "state": state,
    }


def decode_ratings(value: str) -> Readings:
    """Read an RTD answer from the right: a maker's name may hold spaces. Raises BadMessage."""
    tokens = _body(value).split()
    if len(tokens) < len(RATED_UNITS):
        raise BadMessage(f"RTD has {len(tokens)} fields, not {len(RATED_UNITS)}")
    *maker, version, model = tokens[:-7]
    numbers, phases, power = tokens[-7:-2], tokens[-2], tokens[-1]
    if not (_NO_VALUE.fullmatch(phases) or re.fullmatch(r"[1-3]/[1-3]", phases)):
        raise BadMessage(f"phases are not like 1/1: {phases[:20]!r}")
    return {
        "manufacturer": _text(" ".join(maker)),
        "hardware_version": _text(version),
        "model": _text(model),
        **{
            name: _number(name, token, unit)
            for (name, unit), token in zip(_RATED_NUMBERS.items(), numbers, strict=True)
        },
        "phases": _text(phases),
        "rated_power": _number("rated_power", power, "VA"),
    }


def control_succeeded(value: str) -> bool:
    """Return True for `(OK`, False for `(FAILED`. Raises BadMessage for anything else."""
    answer = _body(value).rstrip(" .)）").upper()
    if answer not in {"OK", "FAILED"}:
        raise BadMessage(f"neither (OK nor (FAILED: {answer[:20]!r}")
    return answer == "OK"


def _token(reading: Reading | None) -> str:
    if reading is None or reading.value is None:
        return "---"
    if isinstance(reading.value, float):
        return f"{reading.value:.9f}".rstrip("0").rstrip(".")
    return str(reading.value)


def encode_live(readings: Mapping[str, Reading]) -> str:
    """Write a QAD answer (with the time left in seconds); a missing reading becomes `---`."""
    tokens = [_token(readings.get(name)) for name in LIVE_UNITS]
    return "(" + " ".join([*tokens, encode_status({n: readings[n].value for n in STATUS_NAMES})])


def encode_status(status: Mapping[str, Value]) -> str:
    """Write the status word; `state` is one of UpsState's texts, or None for an unknown code."""
    states = {state.text: state.value for state in UpsState}
    self_tests = {text: code for code, text in _SELF_TESTS.items()}
    bits = (status["ups_type"] == "backup") << 15
    bits |= self_tests.get(str(status["self_test"]), 0) << 10
    bits |= states.get(str(status["state"]), 15)
    for name, bit in _FLAGS.items():
        bits |= bool(status[name]) << bit
    return f"{bits:016b}"


def encode_ratings(readings: Mapping[str, Reading]) -> str:
    return "(" + " ".join(_token(readings.get(name)) for name in RATED_UNITS)

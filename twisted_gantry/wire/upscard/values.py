"""The values of a UPS card: ratings (RTD), live data (QAD), and the answer to a control.

Source: the UPS card document, section 3 b 2 (1) to (4). Fields have the names of points; units are
those of the document.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

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


_STATES: Mapping[int, str] = {each.value: each.text for each in UpsState}

# A number, and the texts for no value: `---`, and `---.-` as the document prints it.
_NUMBER = re.compile(r"[-+]?(\d{1,9}(\.\d{0,9})?|\.\d{1,9})")
_NO_VALUE = re.compile(r"[-.]+")
_WORD = re.compile(r"[01]{16}")
_WORD_WITHIN = re.compile(r"(?<![0-9])[01]{16}(?![0-9])")
_WORD_AT_END = re.compile(r"(\S+)([01]{16})")
_PHASES = re.compile(r"0*([1-3])(?:\.0+)?/0*([1-3])(?:\.0+)?")
_VERSION = re.compile(r"[Vv]\d\S*|\d+(\.\d+)+")
_WORD_BITS = 16
# Characters of a card's text in an error.
_MOST_QUOTED = 40
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
_NAMES = ("manufacturer", "hardware_version", "model")
RATED_UNITS: Mapping[str, str] = {
    **dict.fromkeys(_NAMES, ""),
    **_RATED_NUMBERS,
    "phases": "",
    "rated_power": "VA",
}
"""The 10 fields of an RTD, in their order."""

STATUS_NAMES = ("ups_type", "self_test", *_FLAGS, "state")

Readings = dict[str, Reading]


class Values(NamedTuple):
    """The readings of one answer. `wrong` describes each value that could not be read."""

    readings: Readings
    wrong: tuple[str, ...] = ()


def _printable(text: str) -> str:
    """Return a text with a blank for each control character: a Megatec reply ends with CR."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _bare(value: str) -> str:
    """Return what stands within the brackets, of which the first may be full-width."""
    return _printable(value).lstrip(" (（").rstrip(" ,;.)）")


class _Fields:
    """Reads fields one by one; an unreadable one costs its reading, and is noted in `wrong`."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def number(self, name: str, token: str | None, unit: str) -> Reading:
        if token is None:
            return missing(unit, Quality.GET_FAILED)
        if _NUMBER.fullmatch(token):
            return Reading(float(token), unit)
        if _NO_VALUE.fullmatch(token):
            return missing(unit, Quality.NOT_SUPPORTED)
        self.wrong.append(f"{name} is no number: {token[:20]!r}")
        return missing(unit, Quality.GET_FAILED)

    def numbers(self, units: Mapping[str, str], tokens: Sequence[str | None]) -> Readings:
        return {
            name: self.number(name, token, unit)
            for (name, unit), token in zip(units.items(), tokens, strict=True)
        }

    def values(self, readings: Readings, value: str) -> Values:
        """Return the readings. Raises BadMessage when none of them was there to be read."""
        if all(each.quality is Quality.GET_FAILED for each in readings.values()):
            raise _refused(self.wrong[0] if self.wrong else "it has no fields", value)
        return Values(readings, tuple(self.wrong))


def _refused(why: str, value: str) -> BadMessage:
    return BadMessage(f"{why}; the answer is {_printable(value)[:_MOST_QUOTED]!r}")


def _is_number(token: str) -> bool:
    return bool(_NUMBER.fullmatch(token) or _NO_VALUE.fullmatch(token))


def read_live(value: str, *, runtime_unit: str = "s") -> Values:
    """Read the answer to QAD into the 22 numbers and the points of the status word. `runtime_unit`
    is the card's unit of the battery's time left, `s` or `min`: the document names none. The result
    is in seconds either way.

    A field that cannot be read costs its own points. The status word is known by its shape, and is
    read whatever stands before it. Raises BadMessage when nothing can be read.
    """
    fields, tokens = _Fields(), _bare(value).split()
    wanted = len(LIVE_UNITS)
    for place, token in enumerate(tokens):  # characters that are stuck to the status word
        if within := _WORD_WITHIN.search(token):
            tokens[place] = within[0]
    if len(tokens) == wanted and (glued := _WORD_AT_END.fullmatch(tokens[-1])):
        tokens[-1:] = glued.groups()
    at, lacks = wanted, False
    if len(tokens) != wanted + 1 or not _WORD.fullmatch(tokens[wanted]):
        # Behind the status word are fields of a newer card.
        words = [place for place, token in enumerate(tokens) if _WORD.fullmatch(token)]
        at = wanted if wanted in words or not words else words[-1]
        lacks = not words and len(tokens) != wanted + 1
    numbers = None if lacks else _live_numbers(tokens[:at])
    if numbers is None:
        fields.wrong.append(f"QAD has {len(tokens)} fields, not {wanted + 1}")
        numbers = [None] * wanted
    readings = fields.numbers(LIVE_UNITS, numbers)
    runtime = readings["battery_runtime"]
    if runtime_unit == "min" and isinstance(runtime.value, float):
        readings["battery_runtime"] = Reading(runtime.value * 60, "s")
    word = "" if lacks else tokens[at]
    return fields.values(readings | _status(word, fields), value)


def _live_numbers(tokens: list[str]) -> list[str | None] | None:
    """Return the tokens of the 22 numbers, None if it is not known which is which. Two that lost
    the blank between them are found as the one token that is no number.
    """
    if len(tokens) == len(LIVE_UNITS):
        return [*tokens]
    odd = [place for place, token in enumerate(tokens) if not _is_number(token)]
    if len(tokens) == len(LIVE_UNITS) - 1 and len(odd) == 1:
        return [*tokens[: odd[0]], tokens[odd[0]], tokens[odd[0]], *tokens[odd[0] + 1 :]]
    return None


def decode_status(word: str) -> Readings:
    """Read the 16 characters of the status word, b15 first; an odd character costs what its bit
    says. Raises BadMessage for another number of characters, and when no bit can be read.
    """
    fields = _Fields()
    return fields.values(_status(word, fields), word).readings


def _status(word: str, fields: _Fields) -> Readings:
    if len(word) != _WORD_BITS:
        if word:
            fields.wrong.append(f"the status word is not 16 of 0 and 1: {word[:20]!r}")
        word = "?" * _WORD_BITS
    elif not _WORD.fullmatch(word):
        fields.wrong.append(f"a bit of the status word is neither 0 nor 1: {word!r}")

    def number(highest: int, lowest: int) -> int | None:
        bits = word[_WORD_BITS - 1 - highest : _WORD_BITS - lowest]
        return int(bits, 2) if set(bits) <= {"0", "1"} else None

    def told(bits: int | None, meaning: Callable[[int], Value]) -> Reading:
        return missing("", Quality.GET_FAILED) if bits is None else Reading(meaning(bits))

    state = number(3, 0)
    return {
        "ups_type": told(number(15, 15), lambda bit: "backup" if bit else "online"),
        "self_test": told(number(11, 10), lambda code: _SELF_TESTS.get(code, "unknown")),
        **{name: told(number(bit, bit), bool) for name, bit in _FLAGS.items()},
        # Codes from 10 on are undefined.
        "state": told(state if state in _STATES else None, lambda code: _STATES[code]),
    }


def read_ratings(value: str) -> Values:
    """Read an RTD answer around its phases, which are known by their shape: five numbers stand
    before them, the power behind. What is left are the names, which may hold blanks or be missing.

    A field that cannot be read costs its own point. The five numbers fail together when the names
    do not show where they begin. Raises BadMessage when nothing can be read.
    """
    fields, tokens = _Fields(), _bare(value).split()
    found = [place for place, token in enumerate(tokens) if _PHASES.fullmatch(token)]
    count = f"RTD has {len(tokens)} fields, not {len(RATED_UNITS)}"
    if not found and len(tokens) < len(RATED_UNITS):
        raise _refused(count, value)  # nothing shows which field is which
    at = found[-1] if found else max(len(tokens) - 2, 0)
    wanted = len(_RATED_NUMBERS)
    names = tokens[: max(at - wanted, 0)]
    numbers: list[str | None] = [*tokens[len(names) : at]]
    exact = len(tokens) == len(RATED_UNITS) and at == len(tokens) - 2
    exact = exact and not tokens[len(names)][0].isalpha()  # a name: a number is missing
    if not exact and not _fits(names, tokens[len(names) : at]):
        fields.wrong.append(count)
        numbers = [None] * wanted
        texts = [missing("", Quality.GET_FAILED)] * len(_NAMES)
    else:
        texts = _names(names)
    phases, power = [*tokens[at:], "", ""][:2]
    return fields.values(
        {
            **dict(zip(_NAMES, texts, strict=True)),
            **fields.numbers(_RATED_NUMBERS, numbers),
            "phases": _phases(phases, fields),
            "rated_power": fields.number("rated_power", power or None, "VA"),
        },
        value,
    )


def _fits(names: list[str], numbers: list[str]) -> bool:
    """Tell whether the five numbers are all there, and no part of one stands among the names."""
    if len(numbers) < len(_RATED_NUMBERS) or not all(map(_is_number, numbers)):
        return False
    part = len(names) > len(_NAMES) and _NUMBER.fullmatch(names[-1])
    return not part or bool(_VERSION.fullmatch(names[-2]))


def _phases(token: str, fields: _Fields) -> Reading:
    phases = _PHASES.fullmatch(token)
    if phases is not None:
        return _text(f"{phases[1]}/{phases[2]}")
    if _NO_VALUE.fullmatch(token):
        return _text(token)
    if token:
        fields.wrong.append(f"phases are not like 1/1: {token[:20]!r}")
    return missing("", Quality.GET_FAILED)


def _names(tokens: list[str]) -> list[Reading]:
    """Return manufacturer, version and model, around the token that looks like a version; without
    one the version is the last but one of three or more.
    """
    versions = [place for place, token in enumerate(tokens) if _VERSION.fullmatch(token)]
    usual = len(tokens) - 2
    if len(versions) == 1 and (usual < 1 or usual not in versions):
        [at] = versions
    elif usual >= 1:
        at = usual
    else:
        quality = Quality.GET_FAILED if tokens else Quality.NOT_SUPPORTED
        return [missing("", quality)] * len(_NAMES)
    parts = (tokens[:at], tokens[at : at + 1], tokens[at + 1 :])
    return [_text(" ".join(part) or "-") for part in parts]


def _text(token: str) -> Reading:
    return missing("", Quality.NOT_SUPPORTED) if _NO_VALUE.fullmatch(token) else Reading(token)


def control_succeeded(value: str) -> bool:
    """Return True for `(OK`, False for `(FAILED`. Raises BadMessage for anything else."""
    answer = _bare(value).upper()
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

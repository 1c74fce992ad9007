"""The variables of a UPS by NUT's names, and the points that they show.

Names and descriptions are those of NUT (its page nut-names).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite

from twisted_gantry.core.alarms import Read
from twisted_gantry.core.points import Point
from twisted_gantry.wire.nut import number
from twisted_gantry.wire.reading import Quality, Value

STATUS, TEST_RESULT = "ups.status", "ups.test.result"
LONGEST_TEXT = 64
"""Characters that `GET TYPE` tells for a text."""

Shown = Callable[[Value], str | None]


def _as_number(value: Value) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return number(value)


def _as_text(value: Value) -> str | None:
    return None if value is None else str(value)


def _as_seconds(value: Value) -> str | None:
    text = _as_number(value)
    return None if text is None else text.partition(".")[0]


def _count(at: int) -> Shown:
    """Return how to show one of the two digits of `3/1`."""
    return lambda value: value[at] if isinstance(value, str) and len(value) == 3 else None


@dataclass(frozen=True)
class Variable:
    """A variable that shows a point of the UPS. A rating is shown as it was last known."""

    name: str
    point: str
    en: str
    shown: Shown = _as_number
    rating: bool = False

    @property
    def type(self) -> str:
        return "NUMBER" if self.shown in (_as_number, _as_seconds) else f"STRING:{LONGEST_TEXT}"


def _rating(name: str, point: str, en: str, shown: Shown = _as_number) -> Variable:
    return Variable(name, point, en, shown, rating=True)


def _phases(side: str) -> Iterator[Variable]:
    """Yield what each phase of a side has; phase R stands for the whole, too."""
    yield Variable(f"{side}.voltage", f"{side}_voltage_r", f"{side.title()} voltage, phase 1 (V)")
    yield Variable(f"{side}.current", f"{side}_current_r", f"{side.title()} current, phase 1 (A)")
    for at, phase in enumerate("rst", 1):
        of = f"{side.title()} phase {at}"
        yield Variable(f"{side}.L{at}-N.voltage", f"{side}_voltage_{phase}", f"{of} voltage (V)")
        yield Variable(f"{side}.L{at}.current", f"{side}_current_{phase}", f"{of} current (A)")


_BEEPER = {True: "muted", False: "enabled"}
_TYPES = {"online": "online", "backup": "offline"}

VARIABLES = (
    Variable("battery.charge", "battery_charge", "Battery charge (percent)"),
    Variable("battery.runtime", "battery_runtime", "Battery runtime (seconds)", _as_seconds),
    Variable("battery.voltage", "battery_voltage", "Battery voltage (V)"),
    _rating("battery.voltage.nominal", "rated_battery_voltage", "Nominal battery voltage (V)"),
    _rating("device.mfr", "manufacturer", "Device manufacturer", _as_text),
    _rating("device.model", "model", "Device model", _as_text),
    *_phases("input"),
    Variable("input.frequency", "input_frequency", "Input line frequency (Hz)"),
    _rating("input.frequency.nominal", "rated_frequency", "Nominal input frequency (Hz)"),
    _rating("input.phases", "phases", "Number of input phases", _count(0)),
    Variable("input.voltage.fault", "fault_voltage", "Input voltage at the last fault (V)"),
    Variable("input.voltage.nominal", "nominal_voltage", "Nominal input voltage of a phase (V)"),
    *_phases("output"),
    *(
        Variable(f"output.L{at}.power.percent", f"load_{phase}", f"Load of phase {at} (percent)")
        for at, phase in enumerate("rst", 1)
    ),
    _rating("output.current.nominal", "rated_current", "Nominal output current (A)"),
    Variable("output.frequency", "output_frequency", "Output frequency (Hz)"),
    _rating("output.phases", "phases", "Number of output phases", _count(2)),
    _rating("output.voltage.nominal", "rated_output_voltage", "Nominal output voltage (V)"),
    Variable(
        "ups.beeper.status",
        "buzzer_muted",
        "UPS beeper status",
        lambda value: _BEEPER.get(value) if isinstance(value, bool) else None,
    ),
    _rating("ups.firmware", "hardware_version", "UPS hardware version", _as_text),
    _rating("ups.mfr", "manufacturer", "UPS manufacturer", _as_text),
    _rating("ups.model", "model", "UPS model", _as_text),
    _rating("ups.power.nominal", "rated_power", "UPS power rating (VA)"),
    Variable("ups.temperature", "temperature", "UPS temperature (degrees C)"),
    Variable("ups.type", "ups_type", "UPS type", lambda value: _TYPES.get(str(value))),
)
BY_NAME = {variable.name: variable for variable in VARIABLES}

COMPUTED = {
    STATUS: ("UPS status", f"STRING:{LONGEST_TEXT}"),
    TEST_RESULT: ("Results of last self test", f"STRING:{LONGEST_TEXT}"),
    "ups.load": ("Load on UPS, of its fullest phase (percent)", "NUMBER"),
    "battery.runtime.low": ("Remaining battery runtime when UPS switches to LB", "NUMBER"),
    "device.type": ("Device type", f"STRING:{LONGEST_TEXT}"),
    "driver.name": ("Driver name", f"STRING:{LONGEST_TEXT}"),
    "driver.version": ("Driver version", f"STRING:{LONGEST_TEXT}"),
}
"""Variables that show no point of their own: description and type."""
_TESTS = {"good": "Done and passed", "failed": "Done and error"}


def _load(read: Read, holds: Callable[[Point], Value]) -> str | None:
    values = [holds(read(f"load_{phase}")) for phase in "rst"]
    numbers = [each for each in values if isinstance(each, int | float)]
    return number(max(numbers)) if numbers else None


def values(read: Read, fresh: Callable[[Point], bool]) -> dict[str, str]:
    """Return the variables that show points, those without a value left out. `fresh` tells whether
    a value of a reading that failed is young enough.
    """

    def holds(point: Point) -> Value:
        if point.quality is Quality.GET_FAILED and not fresh(point):
            return None
        return point.value

    shown = {
        each.name: each.shown(read(each.point).value if each.rating else holds(read(each.point)))
        for each in VARIABLES
    }
    shown["ups.load"] = _load(read, holds)
    if read("state").value == "test":
        shown[TEST_RESULT] = "In progress"
    else:
        shown[TEST_RESULT] = _TESTS.get(str(read("self_test").value), "No test initiated")
    return {name: text for name, text in shown.items() if text is not None}


def described(name: str) -> tuple[str, str] | None:
    """Return the description and the type of a variable; None for an unknown one."""
    variable = BY_NAME.get(name)
    return (variable.en, variable.type) if variable is not None else COMPUTED.get(name)

"""What follows from the readings of a UPS card: its phases, its nominal voltage, mains and output.

Source: the UPS card document, section 3 b 2; decisions: `docs/protocols/ups-card.md`, "Power".
"""

from collections.abc import Mapping
from math import sqrt

from twisted_gantry.core.points import Measured
from twisted_gantry.devices.power import (
    Limits,
    MainsJudge,
    Nominal,
    OutputJudge,
    Shares,
    dead,
    good_frequency,
    no_frequency,
    none_flows,
    share,
)
from twisted_gantry.devices.upscard.points import INPUTS, NOMINAL, OUTPUT_OFF, OUTPUTS
from twisted_gantry.wire.etc.conditions import NOMINAL_VOLTAGE
from twisted_gantry.wire.reading import Quality, Value

_NOT_SUPPORTED: Measured = (None, Quality.NOT_SUPPORTED)
_HIGHEST_PHASE_VOLTAGE = 300.0
"""A rated output voltage above is from line to line."""

Ratings = Mapping[str, Value]
"""The last known ratings by the names of their points."""


class Supply:
    """Judges the live readings of one UPS, in their order. `nominal` is the setting, if given."""

    def __init__(self, limits: Limits, nominal: float | None) -> None:
        self._nominal = Nominal(nominal)
        self._mains, self._output = MainsJudge(limits), OutputJudge()
        self._seen: set[int] = set()
        """The input phases that ever had a voltage."""

    @property
    def doubtful(self) -> bool:
        """Whether a voltage is gone in the last reading alone: another one is needed soon."""
        return self._mains.doubtful or self._output.doubtful

    def derive(self, live: Mapping[str, Measured], ratings: Ratings) -> dict[str, Measured]:
        """Return the points that follow from one QAD; some replace its own."""
        known = _phases(ratings.get("phases"))
        inputs, outputs = known or (self._inputs(live), 3)
        derived = {
            name: _NOT_SUPPORTED
            for count, quantities in ((inputs, INPUTS), (outputs, OUTPUTS))
            for names in quantities
            for name in names[count:]
        }
        readings = {**live, **derived}
        volts = [readings[name][0] for name in INPUTS[0]]
        rating, three_phase = ratings.get("rated_input_voltage"), known is None or inputs == 3
        nominal = self._nominal.of(rating, three_phase=three_phase, volts=volts)
        derived[NOMINAL] = (nominal, Quality.GOOD)
        derived["mains_abnormal"] = self._mains.judge(
            _shares(readings, INPUTS[0], nominal),
            flag=readings["mains_abnormal"],
            agrees=no_frequency(readings["input_frequency"])
            or none_flows([readings[name] for name in INPUTS[1]]),
            on_battery=readings["state"][0] == "battery",
            good_frequency=good_frequency(readings["input_frequency"]),
        )
        derived[OUTPUT_OFF] = self._output.judge(
            _shares(readings, OUTPUTS[0], _output_nominal(ratings, outputs)),
            readings["state"],
            agrees=no_frequency(readings["output_frequency"]) or readings["state"][0] == "fault",
        )
        return derived

    def _inputs(self, live: Mapping[str, Measured]) -> int:
        """Return how many input phases there are by the voltages of a card that tells no ratings:
        the second and the third are missing as long as both never had one, beside a first that had.
        """
        volts = [live[name][0] for name in INPUTS[0]]
        known = {at: each for at, each in enumerate(volts) if isinstance(each, int | float)}
        self._seen |= {at for at, each in known.items() if not dead(each / NOMINAL_VOLTAGE)}
        return 1 if self._seen == {0} and {1, 2} <= known.keys() else 3


def _phases(text: Value) -> tuple[int, int] | None:
    """Return how many phases a UPS has in and out; None until the card has told."""
    if isinstance(text, str) and len(text) == 3:
        return int(text[0]), int(text[2])
    return None


def _shares(readings: Mapping[str, Measured], names: tuple[str, ...], nominal: float) -> Shares:
    given = enumerate(readings[name] for name in names)
    return {
        phase: share(value, nominal)
        for phase, (value, quality) in given
        if quality is not Quality.NOT_SUPPORTED
    }


def _output_nominal(ratings: Ratings, phases: int) -> float:
    rated = ratings.get("rated_output_voltage")
    if not isinstance(rated, int | float) or rated <= 0:
        return NOMINAL_VOLTAGE
    return rated / sqrt(3) if phases == 3 and rated > _HIGHEST_PHASE_VOLTAGE else float(rated)

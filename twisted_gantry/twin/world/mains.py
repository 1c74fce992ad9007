"""The mains of the site: three phases, a frequency, and the limits of equipment.

A sag is that of IEC 61000-4-30: for a time the voltage of one phase, or of all, is no more than the
residual voltage. The phase voltages are those of the moment.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from twisted_gantry.twin.world.variables import Part, Variable, Variables, choice, number

PHASES = ("r", "s", "t")
NOMINAL_V = 220.0
NOMINAL_HZ = 50.0
# The input range of a double-conversion UPS: the nominal voltage within 20 %, and 45 to 55 Hz.
LOWEST_V, HIGHEST_V = 176.0, 264.0
LOWEST_HZ, HIGHEST_HZ = 45.0, 55.0
LONGEST_SAG_S = 60.0  # IEEE 1159: anything longer than a minute is an undervoltage, not a sag
SAG_PHASES = ("rst", *PHASES)


class Consumer(Protocol):
    def phase_w(self) -> Mapping[str, float]:
        """Return the power from each phase that it uses, in W; below 0 it gives power."""


@dataclass
class Mains(Part):
    """Voltages in V against neutral, by phase, and the frequency in Hz.

    `sag_v` and `sag_phases` are the depth and the phases of the next sag; `sag_left_s` is above 0
    while one lasts.
    """

    voltage_v: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, NOMINAL_V))
    frequency_hz: float = NOMINAL_HZ
    sag_v: float = 110.0
    sag_phases: str = SAG_PHASES[0]
    sag_left_s: float = 0.0
    # The voltages before and during the sag, of the phases that sag.
    _sagging: dict[str, tuple[float, float]] = field(default_factory=dict)

    def bad_voltages(self, phases: tuple[str, ...]) -> list[float]:
        given = (self.voltage_v[phase] for phase in phases)
        return [volts for volts in given if not LOWEST_V <= volts <= HIGHEST_V]

    def usable(self, phases: tuple[str, ...]) -> bool:
        if not LOWEST_HZ <= self.frequency_hz <= HIGHEST_HZ:
            return False
        return not self.bad_voltages(phases)

    def sag(self, seconds: float) -> None:
        """Begin a sag, or end one with 0. A phase that is set during a sag keeps its voltage."""
        for phase, (before, during) in self._sagging.items():
            if self.voltage_v[phase] == during:
                self.voltage_v[phase] = before
        self._sagging.clear()
        self.sag_left_s = seconds
        for phase in self.sag_phases if seconds > 0 else "":
            before = self.voltage_v[phase]
            self.voltage_v[phase] = min(before, self.sag_v)
            self._sagging[phase] = before, self.voltage_v[phase]

    @property
    def until_change_s(self) -> float:
        return self.sag_left_s or math.inf

    def step(self, dt: float) -> None:
        if self.sag_left_s:
            left = self.sag_left_s - dt
            if left > 0:
                self.sag_left_s = left
            else:
                self.sag(0.0)

    def variables(self) -> Variables:
        """Yield its variables; a sag begins from the voltages that are set with it."""
        yield "voltage", self._voltage(*PHASES)
        for phase in PHASES:
            yield f"voltage_{phase}", self._voltage(phase)
        yield "frequency", number(self, "frequency_hz", 0, 100)
        yield "sag_v", number(self, "sag_v", 0, 500)
        yield "sag_phases", choice(self, "sag_phases", SAG_PHASES)
        # The value is the time that is left; setting it begins a sag, and 0 ends one.
        yield "sag_s", Variable(lambda: self.sag_left_s, self.sag, low=0, high=LONGEST_SAG_S)

    def _voltage(self, *phases: str) -> Variable:
        get = (lambda: self.voltage_v[phases[0]]) if len(phases) == 1 else None
        return Variable(get, lambda v: self.voltage_v.update(dict.fromkeys(phases, v)), 0, 500)

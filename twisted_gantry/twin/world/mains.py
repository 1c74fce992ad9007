"""The mains of the site: three phases and a frequency, and what can be worked from.

A sag is that of IEC 61000-4-30: for a time the voltage of one phase, or of all, is no more than
what is left of it (the residual voltage). The phase voltages that are seen are those of the moment.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from twisted_gantry.twin.world.variables import Variable, attribute, item

PHASES = ("r", "s", "t")
NOMINAL_V = 220.0
NOMINAL_HZ = 50.0
# A double-conversion UPS takes the nominal voltage within 20 %, and 45 to 55 Hz.
LOWEST_V, HIGHEST_V = 176.0, 264.0
LOWEST_HZ, HIGHEST_HZ = 45.0, 55.0
LONGEST_SAG_S = 60.0
"""IEEE 1159: what lasts longer than a minute is an undervoltage, and no sag."""
SAG_PHASES = ("rst", *PHASES)


class Consumer(Protocol):
    """What hangs on the mains."""

    def phase_w(self) -> Mapping[str, float]:
        """Return what it takes from each phase that it uses, in W; below 0 it gives."""


@dataclass
class Mains:
    """Voltages in V against neutral, by phase, and the frequency in Hz.

    `sag_v` and `sag_phases` say how deep and where the next sag is; `sag_left_s` is above 0 while
    one lasts.
    """

    voltage_v: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, NOMINAL_V))
    frequency_hz: float = NOMINAL_HZ
    sag_v: float = 110.0
    sag_phases: str = SAG_PHASES[0]
    sag_left_s: float = 0.0
    # The voltages before the sag, and during it, of the phases that sag.
    _sagging: dict[str, tuple[float, float]] = field(default_factory=dict)

    def bad_voltages(self, phases: tuple[str, ...]) -> list[float]:
        """Return the voltages outside the limits, of those phases that are used."""
        given = (self.voltage_v[phase] for phase in phases)
        return [volts for volts in given if not LOWEST_V <= volts <= HIGHEST_V]

    def usable(self, phases: tuple[str, ...]) -> bool:
        """Tell whether a UPS on these phases can work from the mains."""
        if not LOWEST_HZ <= self.frequency_hz <= HIGHEST_HZ:
            return False
        return all(LOWEST_V <= self.voltage_v[phase] <= HIGHEST_V for phase in phases)

    def sag(self, seconds: float) -> None:
        """Begin a sag of this length, or end one with 0. A second one takes the place of the first.

        A phase that is set while it sags stays as it was set.
        """
        for phase, (before, during) in self._sagging.items():
            if self.voltage_v[phase] == during:
                self.voltage_v[phase] = before
        self._sagging.clear()
        self.sag_left_s = seconds
        for phase in self.sag_phases if seconds > 0 else "":
            before = self.voltage_v[phase]
            self.voltage_v[phase] = min(before, self.sag_v)
            self._sagging[phase] = before, self.voltage_v[phase]

    # -- as a part of the world: the other parts do nothing to it

    @property
    def until_change_s(self) -> float:
        """When the sag ends."""
        return self.sag_left_s or math.inf

    def step(self, dt: float) -> None:
        """Let a sag pass."""
        if self.sag_left_s:
            left = self.sag_left_s - dt
            if left > 0:
                self.sag_left_s = left
            else:
                self.sag(0.0)

    def settle(self) -> None:
        """Stay as it is."""

    def draw_noise(self) -> None:
        """Have none: what measures it has."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables; a sag begins from the voltages that are set with it."""

        def set_all_phases(volts: float) -> None:
            self.voltage_v.update(dict.fromkeys(PHASES, volts))

        yield "voltage", Variable(None, set_all_phases, 0, 500)
        for phase in PHASES:
            yield f"voltage_{phase}", Variable(*item(self.voltage_v, phase), low=0, high=500)
        yield "frequency", Variable(*attribute(self, "frequency_hz"), low=0, high=100)
        yield "sag_v", Variable(*attribute(self, "sag_v"), low=0, high=500)
        yield "sag_phases", Variable(*attribute(self, "sag_phases"), choices=SAG_PHASES)
        # Read, it is what is left; set, it begins a sag, and 0 ends one.
        yield "sag_s", Variable(lambda: self.sag_left_s, self.sag, low=0, high=LONGEST_SAG_S)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find nothing: every combination can be."""
        return iter(())

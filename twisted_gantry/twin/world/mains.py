"""The mains of the site: three phases and a frequency, and what a UPS can work from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from twisted_gantry.twin.world.variables import Variable, attribute, item

PHASES = ("r", "s", "t")
NOMINAL_V = 220.0
NOMINAL_HZ = 50.0
# A double-conversion UPS takes the nominal voltage within 20 %, and 45 to 55 Hz.
LOWEST_V, HIGHEST_V = 176.0, 264.0
LOWEST_HZ, HIGHEST_HZ = 45.0, 55.0


@dataclass
class Mains:
    """Voltages in V against neutral, by phase, and the frequency in Hz."""

    voltage_v: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, NOMINAL_V))
    frequency_hz: float = NOMINAL_HZ

    def bad_voltages(self, phases: tuple[str, ...]) -> list[float]:
        """Return the voltages outside the limits, of those phases that are used."""
        given = (self.voltage_v[phase] for phase in phases)
        return [volts for volts in given if not LOWEST_V <= volts <= HIGHEST_V]

    def usable(self, phases: tuple[str, ...]) -> bool:
        """Tell whether a UPS on these phases can work from the mains."""
        frequency_good = LOWEST_HZ <= self.frequency_hz <= HIGHEST_HZ
        return frequency_good and not self.bad_voltages(phases)

    # -- as a part of the world: time and the other parts do nothing to it

    def step(self, dt: float) -> None:
        """Stay as it is."""

    def settle(self) -> None:
        """Stay as it is."""

    def draw_noise(self) -> None:
        """Have none: what measures it has."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""

        def set_all_phases(volts: float) -> None:
            self.voltage_v.update(dict.fromkeys(PHASES, volts))

        yield "voltage", Variable(None, set_all_phases, 0, 500)
        for phase in PHASES:
            yield f"voltage_{phase}", Variable(*item(self.voltage_v, phase), low=0, high=500)
        yield "frequency", Variable(*attribute(self, "frequency_hz"), low=0, high=100)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find nothing: every combination can be."""
        return iter(())

"""The charging place of the site: a wallbox, what else hangs on its feeder, and the meters.

`E1` is the wallbox; `M1` measures the feeder, with the voltages of the mains; `M2` counts the
pulses of the meter in the wallbox.
"""

from collections.abc import Callable, Iterator, Mapping

from twisted_gantry.twin.world.evse import Evse
from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.twin.world.meter import MainsMeter, PulseMeter
from twisted_gantry.twin.world.variables import Variable, attribute

MOST_OTHER_W = 50_000.0


class ChargingSite:
    """The part of the world. `control`, if set, is asked whenever something changed or time passed.

    It sets what the wallbox offers; without it the offer stays as it is. `other_w` is the rest of
    the feeder, on three phases alike: negative while there is more sun than need.
    """

    def __init__(self, mains: Mains) -> None:
        self.other_w = 900.0
        self.control: Callable[[], None] | None = None
        evse = Evse(mains)
        self.evses = {"E1": evse}
        self.mains_meter = MainsMeter(mains, self._currents_a)
        self.pulse_meter = PulseMeter(lambda: evse.power_w)
        self.meters: dict[str, MainsMeter | PulseMeter] = {
            "M1": self.mains_meter,
            "M2": self.pulse_meter,
        }
        self._mains = mains

    def _currents_a(self) -> dict[str, float]:
        currents = dict.fromkeys(PHASES, 0.0)
        for phase in PHASES:
            if self._mains.usable((phase,)):
                currents[phase] = self.other_w / len(PHASES) / self._mains.voltage_v[phase]
        for evse in self.evses.values():
            for phase, amps in evse.phase_currents_a.items():
                currents[phase] += amps
        return currents

    # -- as a part of the world

    def step(self, dt: float) -> None:
        """Let the present currents flow for `dt` seconds; then they move on."""
        for meter in self.meters.values():
            meter.step(dt)
        for evse in self.evses.values():
            evse.step(dt)
        self.settle()

    def settle(self) -> None:
        """Do at once what follows from the mains, the cars and the controller."""
        # What the controller decides depends on the pilots, and they on its offers.
        for evse in self.evses.values():
            evse.settle()
        if self.control is not None:
            self.control()
            for evse in self.evses.values():
                evse.settle()

    def draw_noise(self) -> None:
        """Have none: these meters are of class 1, and show whole numbers."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        yield "other_w", Variable(*attribute(self, "other_w"), low=-MOST_OTHER_W, high=MOST_OTHER_W)
        for name, part in {**self.evses, **self.meters}.items():
            for variable, how in part.variables():
                yield f"{name}.{variable}", how

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find nothing: every combination can be."""
        return iter(())

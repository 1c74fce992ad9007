"""The charging place of the site: a wallbox, what else hangs on its feeder, and the meters.

`E1` is the wallbox; `M1` measures all that hangs on the mains, with their voltages; `M2` counts
the pulses of the meter in the wallbox.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from twisted_gantry.twin.world.evse import Evse
from twisted_gantry.twin.world.mains import PHASES, Consumer, Mains
from twisted_gantry.twin.world.meter import MainsMeter, PulseMeter
from twisted_gantry.twin.world.variables import Variable, attribute

MOST_OTHER_W = 50_000.0


class ChargingSite:
    """The part of the world. `control`, if set, is asked whenever something changed or time passed.

    It sets what the wallbox offers; without it the offer stays as it is. `consumers` is what else
    of the world hangs on the mains; `other_w` is the rest, on three phases alike: negative while
    there is more sun than need.
    """

    def __init__(self, mains: Mains, consumers: Sequence[Consumer] = ()) -> None:
        self.other_w = 900.0
        self.consumers = consumers
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
        for consumer in self.consumers:
            for phase, watts in consumer.phase_w().items():
                if watts:  # so there is a voltage
                    currents[phase] += watts / self._mains.voltage_v[phase]
        return currents

    # -- as a part of the world

    @property
    def until_change_s(self) -> float:
        """When a car comes or goes."""
        return min(evse.until_change_s for evse in self.evses.values())

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

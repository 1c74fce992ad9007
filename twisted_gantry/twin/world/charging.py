"""The charging place of the site: a wallbox, the other loads of its feeder, and the meters.

`E1` is the wallbox; `M1` measures all loads of the mains, and the voltages; `M2` counts the pulses
of the meter in the wallbox.
"""

from collections.abc import Callable, Sequence

from twisted_gantry.twin.world.evse import Evse
from twisted_gantry.twin.world.mains import PHASES, Consumer, Mains
from twisted_gantry.twin.world.meter import MainsMeter, Meter, PulseMeter
from twisted_gantry.twin.world.variables import Part, Variables, number

MOST_OTHER_W = 50_000.0


class ChargingSite(Part):
    """The charging place. `control` is called after each change and step, to set the offers.

    `consumers` are the other parts of the world on the mains. `other_w` is any further load, equal
    on the three phases; below 0 the site gives power, such as from solar panels.
    """

    def __init__(self, mains: Mains, consumers: Sequence[Consumer] = ()) -> None:
        self.other_w = 900.0
        self.consumers = consumers
        self.control: Callable[[], None] | None = None
        evse = Evse(mains)
        self.evses = {"E1": evse}
        self.mains_meter = MainsMeter(mains, self._currents_a)
        self.pulse_meter = PulseMeter(lambda: evse.power_w)
        self.meters: dict[str, Meter] = {"M1": self.mains_meter, "M2": self.pulse_meter}
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
                if watts:  # and therefore a voltage
                    currents[phase] += watts / self._mains.voltage_v[phase]
        return currents

    @property
    def until_change_s(self) -> float:
        return min(evse.until_change_s for evse in self.evses.values())

    def step(self, dt: float) -> None:
        for meter in self.meters.values():
            meter.step(dt)
        for evse in self.evses.values():
            evse.step(dt)
        self.settle()

    def settle(self) -> None:
        # The controller decides by the pilot states, and these depend on its offers.
        for evse in self.evses.values():
            evse.settle()
        if self.control is not None:
            self.control()
            for evse in self.evses.values():
                evse.settle()

    def variables(self) -> Variables:
        yield "other_w", number(self, "other_w", -MOST_OTHER_W, MOST_OTHER_W)
        parts: dict[str, Evse | Meter] = {**self.evses, **self.meters}
        for name, part in parts.items():
            for variable, how in part.variables():
                yield f"{name}.{variable}", how

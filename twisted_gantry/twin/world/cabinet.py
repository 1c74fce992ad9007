"""A smart cabinet of the gantry: doors, air, sensors, surge protection and its 48 V supply.

Source: the ETC document, sections 3.1 and 3.2. The supply and the air conditioners hang
on phase L1 of the mains; `heat_sources` is what else warms the air in it. Time passes in `step`
alone; times are seconds of the world, from 0.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from twisted_gantry.twin.world.air import Air, AirConditioner
from twisted_gantry.twin.world.doors import Doors
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.rectifier import FEEDS_FROM, DcSupply
from twisted_gantry.twin.world.sensors import Sensor, SurgeProtector
from twisted_gantry.twin.world.variables import Variable, attribute

AIR_CONDITIONERS = 2
SURGE_PROTECTORS = 2
MOST_POWER_MODE = 3
REAR_PLATE_READERS_W, REAR_ANTENNAS_W = 120.0, 80.0  # on the gantry, fed from the cabinet
CONTROLLER_W = 10.0
MOST_CLOCK_OFFSET_S = 10 * 366 * 86_400.0
_JOULES_A_KWH = 3_600_000.0


class Cabinet:
    """The cabinet. Whoever changes a public attribute, or the mains, calls `settle` after it.

    `observer` is called whenever something may have changed. `clock_offset_s` is how far the clock
    of the cabinet is off; `clock_good` False: its battery was dead, and the cabinet knows it.
    """

    def __init__(self, mains: Mains) -> None:
        self.elapsed_s = 0.0
        self.mains = mains
        self.doors = Doors(lambda: self.elapsed_s)
        self.smoke = Sensor(lambda: self.elapsed_s)
        self.water = Sensor(lambda: self.elapsed_s)
        self.surge_protectors = tuple(SurgeProtector() for _ in range(SURGE_PROTECTORS))
        self.air_conditioners = tuple(AirConditioner() for _ in range(AIR_CONDITIONERS))
        self.air = Air()
        self.supply = DcSupply(mains)
        self.power_mode = 0
        self.energy_kwh = 0.0
        self.clock_offset_s = 0.0
        self.clock_good = True
        self.observer: Callable[[], None] | None = None
        self.heat_sources: list[Callable[[], float]] = []
        self.settle()

    # -- what follows from it

    @property
    def powered(self) -> bool:
        """Whether its own controller is fed."""
        return self.supply.powered

    @property
    def input_w(self) -> float:
        """What it takes from the mains, in W."""
        return self.supply.input_w + sum(unit.input_w for unit in self.air_conditioners)

    def phase_w(self) -> dict[str, float]:
        """Return what it takes from each phase that it uses, in W."""
        return {phase: self.input_w / len(FEEDS_FROM) for phase in FEEDS_FROM}

    @property
    def cooling_allowed(self) -> bool:
        """Whether the power mode and the mains let the air conditioners run."""
        return self.power_mode < 1 and self.mains.usable(FEEDS_FROM)

    @property
    def plate_readers_on(self) -> bool:
        """Whether the rear plate readers are fed."""
        return self.power_mode < 2 and self.powered

    @property
    def antennas_on(self) -> bool:
        """Whether the rear antennas are fed."""
        return self.power_mode < 3 and self.powered

    # -- time, and what needs none

    @property
    def until_change_s(self) -> float:
        """Nothing in it is awaited to the moment."""
        return math.inf

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass, at most a second or so; `settle` has been called before."""
        self.energy_kwh += self.input_w * dt / _JOULES_A_KWH
        self.elapsed_s += dt
        self.doors.step(dt)
        heat_w = self.supply.heat_w + sum(source() for source in self.heat_sources)
        self.air.step(dt, heat_w, self.air_conditioners, self.doors.open_count)
        self.supply.step(dt, self.air.temperature_c)
        self.settle()

    def settle(self) -> None:
        """Do at once what follows from what was changed here, or in the mains."""
        readers_w = REAR_PLATE_READERS_W * (self.power_mode < 2)
        antennas_w = REAR_ANTENNAS_W * (self.power_mode < 3)
        self.supply.outside_w = readers_w + antennas_w + CONTROLLER_W
        self.supply.settle()
        self.air.settle()
        for unit in self.air_conditioners:
            unit.follow(self.air.temperature_c, supplied=self.cooling_allowed)
        if self.observer is not None:
            self.observer()

    # -- as a part of the world

    def draw_noise(self) -> None:
        """Have none: what a cabinet shows is rounded more than it would tremble."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        # The clock comes first: whether a card is admitted depends on it.
        offset = attribute(self, "clock_offset_s")
        most = MOST_CLOCK_OFFSET_S
        yield "clock_offset", Variable(*offset, low=-most, high=most)
        yield "clock_good", Variable(*attribute(self, "clock_good"))
        yield from self.doors.variables()
        yield from self.smoke.variables("smoke")
        yield from self.water.variables("water")
        for number, protector in enumerate(self.surge_protectors, 1):
            yield from protector.variables(number)
        yield from self.air.variables()
        for number, unit in enumerate(self.air_conditioners, 1):
            yield from unit.variables(number)
        yield from self.supply.variables()
        mode = attribute(self, "power_mode", int)
        yield "power_mode", Variable(*mode, low=0, high=MOST_POWER_MODE)
        yield "plate_readers_on", Variable(lambda: self.plate_readers_on)
        yield "antennas_on", Variable(lambda: self.antennas_on)
        yield "input_w", Variable(lambda: self.input_w)
        yield "energy_kwh", Variable(lambda: self.energy_kwh)
        yield "powered", Variable(lambda: self.powered)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find locked doors that are to be opened, and set points that cross."""
        yield from self.doors.complaints(values)
        for number, unit in enumerate(self.air_conditioners, 1):
            yield from unit.complaints(number, values)

"""A smart cabinet of the gantry: doors, air, sensors, surge protection and its 48 V supply.

Source: the ETC document, sections 3.1 and 3.2. Phase L1 of the mains feeds the supply and the air
conditioners. Times are seconds of the world, from 0.
"""

from collections.abc import Callable, Iterator, Mapping

from twisted_gantry.twin.world.air import Air, AirConditioner
from twisted_gantry.twin.world.doors import Doors
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.rectifier import FEEDS_FROM, DcSupply
from twisted_gantry.twin.world.sensors import Sensor, SurgeProtector
from twisted_gantry.twin.world.variables import Part, Variables, number, readings, switch

AIR_CONDITIONERS = 2
SURGE_PROTECTORS = 2
MOST_POWER_MODE = 3
REAR_PLATE_READERS_W, REAR_ANTENNAS_W = 120.0, 80.0  # on the gantry, fed from the cabinet
CONTROLLER_W = 10.0
MOST_CLOCK_OFFSET_S = 10 * 366 * 86_400.0
_JOULES_A_KWH = 3_600_000.0


class Cabinet(Part):
    """The cabinet. Call `settle` after a change of a public attribute or of the mains.

    `observer` is called whenever something may have changed. `heat_sources` return the W of other
    equipment in the cabinet. `clock_offset_s` is the error of its clock; `clock_good` is False
    after the battery of the clock has died.
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

    @property
    def powered(self) -> bool:
        return self.supply.powered

    @property
    def input_w(self) -> float:
        return self.supply.input_w + sum(unit.input_w for unit in self.air_conditioners)

    def phase_w(self) -> dict[str, float]:
        return {phase: self.input_w / len(FEEDS_FROM) for phase in FEEDS_FROM}

    @property
    def cooling_allowed(self) -> bool:
        return self.power_mode < 1 and self.mains.usable(FEEDS_FROM)

    @property
    def plate_readers_on(self) -> bool:
        return self.power_mode < 2 and self.powered

    @property
    def antennas_on(self) -> bool:
        return self.power_mode < 3 and self.powered

    def step(self, dt: float) -> None:
        self.energy_kwh += self.input_w * dt / _JOULES_A_KWH
        self.elapsed_s += dt
        self.doors.step(dt)
        heat_w = self.supply.heat_w + sum(source() for source in self.heat_sources)
        self.air.step(dt, heat_w, self.air_conditioners, self.doors.open_count)
        self.supply.step(dt, self.air.temperature_c)
        self.settle()

    def settle(self) -> None:
        readers_w = REAR_PLATE_READERS_W * (self.power_mode < 2)
        antennas_w = REAR_ANTENNAS_W * (self.power_mode < 3)
        self.supply.outside_w = readers_w + antennas_w + CONTROLLER_W
        self.supply.settle()
        self.air.settle()
        for unit in self.air_conditioners:
            unit.follow(self.air.temperature_c, supplied=self.cooling_allowed)
        if self.observer is not None:
            self.observer()

    def variables(self) -> Variables:
        # The clock comes first: whether a card is admitted depends on it.
        most = MOST_CLOCK_OFFSET_S
        yield "clock_offset", number(self, "clock_offset_s", -most, most)
        yield "clock_good", switch(self, "clock_good")
        yield from self.doors.variables()
        yield from self.smoke.variables("smoke")
        yield from self.water.variables("water")
        for at, protector in enumerate(self.surge_protectors, 1):
            yield from protector.variables(at)
        yield from self.air.variables()
        for at, unit in enumerate(self.air_conditioners, 1):
            yield from unit.variables(f"air{at}")
        yield from self.supply.variables()
        yield "power_mode", number(self, "power_mode", 0, MOST_POWER_MODE, int)
        yield from readings(self, "plate_readers_on", "antennas_on")
        yield from readings(self, "input_w", "energy_kwh", "powered")

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        yield from self.doors.complaints(values)
        for at, unit in enumerate(self.air_conditioners, 1):
            yield from unit.complaints(f"air{at}", values)

"""The readings of a fleet: its gantries share worlds, each gantry with its own offset.

For a load test a world for each gantry would cost more than all else. Gantries of one world differ
in the voltage and current of the mains, the temperature, the meter and the load of the computer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from twisted_gantry.twin.faces.cabinet.readings import Moments, report
from twisted_gantry.twin.fleet.settings import FleetSettings, counted
from twisted_gantry.twin.times import CHINA
from twisted_gantry.twin.world.cabinet import Cabinet as CabinetModel
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.etc.envelope import flag, number, percent
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.fogslink.messages import Item, item
from twisted_gantry.wire.reading import Quality

# Of the voltage, either way; of the temperature in °C.
_SHARE, _DEGREES = 0.01, 1.5
_LOAD_PERIOD_S = 600.0

CHANNELS = {
    "P0-C1": "mains.voltage_r",
    "P0-C2": "mains.frequency",
    "P0-C3": "ups1.load_w",
    "P0-C4": "ups1.battery_voltage",
    "P0-C5": "ups1.state",
    "P0-C6": "cab1.temperature",
    "P0-C7": "cab1.humidity",
    "P0-C8": "bms1.state_of_charge",
}
"""The channels of a gantry at the cloud, and the variables of the world that they show."""


class SharedWorld:
    """A world under many gantries. `now` gives Unix seconds."""

    def __init__(self, world: World, now: Callable[[], float]) -> None:
        self._world, self._now = world, now
        self._moments = Moments(now(), CHINA)
        self._report: Cabinet | None = None
        self._variables: dict[str, Any] = {}

    @property
    def elapsed_s(self) -> float:
        return self._world.elapsed_s

    @property
    def cabinet(self) -> CabinetModel:
        return self._world.cabinet

    def step(self, dt: float) -> None:
        self._world.step(dt)
        self._moments.note(self._world.cabinet, self._now())
        self._report, self._variables = None, {}

    def change(self, values: dict[str, object]) -> None:
        """Set variables. Raises WorldError."""
        self._world.change(values)
        self.step(0.0)

    def report(self) -> Cabinet:
        if self._report is None:
            self._report = report(self._world.cabinet, "1", self._moments)
        return self._report

    def variables(self) -> dict[str, Any]:
        if not self._variables:
            self._variables = self._world.snapshot()
        return self._variables


@dataclass(frozen=True, slots=True)
class Gantry:
    """One gantry of a fleet; `offset`, -1 to 1, makes its readings differ from the next one's."""

    number: int
    gantry_id: str
    eq_sn: str
    api_key: str = field(repr=False)
    world: SharedWorld = field(repr=False)
    offset: float

    def cabinet(self) -> Cabinet:
        shared = self.world.report()
        elec = shared.elec[0]
        volts = float(elec.voltage) * (1 + _SHARE * self.offset)
        watts = float(elec.power) * 1000
        elec = msgspec.structs.replace(
            elec,
            voltage=number(volts),
            current=number(watts / volts if volts else 0.0),
            elec_consumption=number(float(elec.elec_consumption) + self.number),
        )
        air = shared.thermohygrometer
        if air.status == flag(True):
            air = msgspec.structs.replace(air, temperature=number(self._warmed(air.temperature)))
        return msgspec.structs.replace(shared, elec=(elec,), thermohygrometer=air)

    def computers(self) -> tuple[Computer, ...]:
        """Return the report of its computer; the load swings slowly."""
        swing = math.sin(2 * math.pi * (self.world.elapsed_s / _LOAD_PERIOD_S + self.offset))
        used = 30 + 20 * swing
        return (
            Computer(
                id="1",
                is_monitor_computer="1",
                is_main_computer="1",
                sys_disk_usage=percent(40 + 10 * self.offset),
                sys_disk_size=str(120 * 2**20),
                data_disk_usage=percent(50 + 10 * self.offset),
                data_disk_size=str(500 * 2**20),
                memory_usage=percent(45 + 5 * swing),
                memory_size=str(8 * 2**20),
                net_usage=percent(2 + swing),
                cpu_usage=percent(used),
                cpu_temperature=percent(40 + used / 3),
                ip=f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}",
            ),
        )

    def items(self) -> tuple[Item, ...]:
        return tuple(
            item(channel, self._own(variable), Quality.GOOD)
            for channel, variable in CHANNELS.items()
        )

    def _own(self, variable: str) -> Any:
        value = self.world.variables()[variable]
        if variable == "mains.voltage_r":
            return value * (1 + _SHARE * self.offset)
        return self._warmed(value) if variable == "cab1.temperature" else value

    def _warmed(self, celsius: float | str) -> float:
        return float(celsius) + _DEGREES * self.offset


def shared_worlds(random: Random, now: Callable[[], float], number: int) -> list[SharedWorld]:
    worlds = []
    for _ in range(number):
        shared = SharedWorld(World(Random(random.random())), now)  # noqa: S311 - noise, no secret
        shared.change(
            {
                "mains.voltage": round(random.uniform(214, 228), 1),
                "cab1.outside_temperature": round(random.uniform(5, 35), 1),
                "cab1.equipment_w": round(random.uniform(300, 600)),
                "ups1.load_w": round(random.uniform(800, 2400)),
                "bms1.state_of_charge": round(random.uniform(30, 90)),
            }
        )
        worlds.append(shared)
    return worlds


def gantries(
    settings: FleetSettings, worlds: list[SharedWorld], random: Random
) -> Iterator[Gantry]:
    """Make gantries: ids count up from the first ones, worlds are assigned in turn. `{eqSN}` in the
    `api_key` stands for the `eqSN` of each.
    """
    first_id = settings.first_id
    for at in range(settings.gantries):
        eq_sn = counted(settings.first_eq_sn, at)
        yield Gantry(
            at,
            first_id[0] + counted(first_id[1:], at),
            eq_sn,
            settings.api_key.replace("{eqSN}", eq_sn),
            worlds[at % len(worlds)],
            random.uniform(-1, 1),
        )

"""The gantry's own loads: what stands on the gantry and beside it, behind the two UPSs.

Each hangs on one phase of a UPS, is switched, and goes dark with its UPS. Their powers are what the
UPS carries: there is no second figure of it.
"""

from collections.abc import Iterator, Mapping

from twisted_gantry.twin.world.load import Appliance
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.variables import Variable, attribute

MOST_W = 10_000.0


def gantry_appliances() -> dict[str, tuple[Appliance, ...]]:
    """Return what hangs on each UPS: 20, 30 and 25 % of its phases."""
    return {
        "ups1": (
            Appliance("antennas", "r", 533.0),
            Appliance("toll_computers", "s", 800.0),
            Appliance("lane_controllers", "t", 667.0),
        ),
        "ups2": (
            Appliance("plate_readers", "r", 533.0),
            Appliance("video_servers", "s", 800.0),
            Appliance("network", "t", 667.0),
        ),
    }


class GantryLoads:
    """The part of the world; what it shows and sets is the load of the UPSs."""

    def __init__(self, ups: Mapping[str, Ups]) -> None:
        self._ups = ups

    @property
    def until_change_s(self) -> float:
        """Never: nothing happens by itself."""
        return float("inf")

    def step(self, dt: float) -> None:
        """Stay as it is."""

    def settle(self) -> None:
        """Stay as it is."""

    def draw_noise(self) -> None:
        """Have none."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        yield "total_w", Variable(lambda: sum(ups.output_w for ups in self._ups.values()))
        for ups in self._ups.values():
            for appliance in ups.load.appliances:
                yield from _of(ups, appliance)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find nothing: every combination can be."""
        return iter(())


def _of(ups: Ups, appliance: Appliance) -> Iterator[tuple[str, Variable]]:
    name = appliance.name
    yield f"{name}_w", Variable(*attribute(appliance, "watts"), low=0, high=MOST_W)
    yield f"{name}_on", Variable(*attribute(appliance, "on"))
    yield f"{name}_fed_w", Variable(lambda: ups.load.taken_w(appliance) if ups.powered else 0.0)
    yield f"{name}_powered", Variable(lambda: appliance.on and ups.powered)

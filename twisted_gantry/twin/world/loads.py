"""The gantry's own loads: the equipment on the gantry and beside it, behind the two UPSs.

Each is on one phase of a UPS, can be switched, and loses power with its UPS. Their power is part of
the load of the UPS.
"""

from collections.abc import Mapping

from twisted_gantry.twin.world.load import USUAL_W, Appliance
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.variables import Part, Variable, Variables, number, switch

MOST_W = 10_000.0


_APPLIANCES = {
    "ups1": ("antennas", "toll_computers", "lane_controllers"),
    "ups2": ("plate_readers", "video_servers", "network"),
}


def gantry_appliances() -> dict[str, tuple[Appliance, ...]]:
    usual = (USUAL_W, USUAL_W.values())
    return {ups: tuple(map(Appliance, names, *usual)) for ups, names in _APPLIANCES.items()}


class GantryLoads(Part):
    def __init__(self, ups: Mapping[str, Ups]) -> None:
        self._ups = ups

    def variables(self) -> Variables:
        yield "total_w", Variable(lambda: sum(ups.output_w for ups in self._ups.values()))
        for ups in self._ups.values():
            for appliance in ups.load.appliances:
                yield from _of(ups, appliance)


def _of(ups: Ups, appliance: Appliance) -> Variables:
    name = appliance.name
    yield f"{name}_w", number(appliance, "watts", 0, MOST_W)
    yield f"{name}_on", switch(appliance, "on")
    yield f"{name}_fed_w", Variable(lambda: ups.load.taken_w(appliance) if ups.powered else 0.0)
    yield f"{name}_powered", Variable(lambda: appliance.on and ups.powered)

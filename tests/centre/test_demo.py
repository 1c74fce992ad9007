"""The province of the demonstration."""

from random import Random
from typing import Any

from twisted.internet.task import Clock

from twisted_gantry.centre.demo import GANTRIES, STORY, Story, gantries
from twisted_gantry.twin.fleet.readings import SharedWorld, shared_worlds


class Fleet:
    """The worlds of a fleet, without its sessions."""

    def __init__(self) -> None:
        self.worlds = shared_worlds(Random(1), lambda: 0.0, 1)
        self.gantries: list[Any] = [self] * GANTRIES

    @property
    def world(self) -> SharedWorld:
        return self.worlds[0]


def test_the_registry() -> None:
    """Each gantry has its own identity, and a place on one of five roads."""
    made = list(gantries())
    assert len({each.id for each in made}) == len({each.eq_sn for each in made}) == GANTRIES
    assert len({(each.road, each.section) for each in made}) == 20
    assert len({(each.road, each.stake) for each in made}) == GANTRIES
    assert len({each.remote_control for each in made}) == GANTRIES


def test_the_story() -> None:
    """Every event changes its world, at its time; the story begins anew."""
    clock, fleet = Clock(), Fleet()
    fleet_: Any = fleet
    story = Story(fleet_, clock)
    story.startService()
    clock.advance(STORY[0].after)
    assert fleet.world.variables()["mains.voltage_r"] == 0.0
    for _ in range(2 * int(STORY[-1].after)):
        clock.advance(1)
    story.stopService()
    assert not clock.getDelayedCalls()

"""A gantry that starts anew in the middle of whatever happens: every alarm goes on."""

import pytest

from tests.simulation.day import EVENTS
from tests.simulation.site import SimulatedSite
from twisted_gantry.core.alarms import Alarm

BEFORE_S, AFTER_S, RESTS_S = 120, 60, 240


@pytest.mark.long
def test_no_alarm_ends_or_begins_with_a_restart() -> None:
    """In each event of a day: the same alarms, raised at the same time, and nobody is told."""
    site = SimulatedSite({}, poll=10.0)
    with site.reactor.installed():
        site.start()
        site.run(120)
        for event in EVENTS:
            told: list[Alarm] = []
            site.twin.world.change(event.prepare)
            site.run(60)
            site.twin.world.change(event.begin)
            site.run(BEFORE_S)
            before = {each.name: each.raised_at for each in site.alarms.active()}
            assert event.alarms & before.keys(), event.name
            site.restart()
            site.alarms.subscribe(told.append)
            site.run(AFTER_S)
            assert told == [], event.name
            after = {each.name: each.raised_at for each in site.alarms.active()}
            assert after == before, event.name
            site.twin.world.change(event.end)
            for target, command in event.repair:
                site.command(target, command)
            site.run(RESTS_S)
        assert site.stop() == []

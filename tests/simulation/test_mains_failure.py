"""A mains failure at the site of the demo: many alarms, one line."""

from collections.abc import Iterator

import pytest

from tests.simulation.site import SimulatedSite
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.ctl.commands.views import alarm_row, folded
from twisted_gantry.ctl.texts.catalogue import Texts
from twisted_gantry.net.times import times_in
from twisted_gantry.web.api.views import alarm
from twisted_gantry.wire.local_api import AlarmView

SETTLING_S, LASTS_S, RESTS_S = 60, 90, 30
RAISED = {
    *(f"{device}.mains-abnormal" for device in ("ups1", "ups2", "cfos", "cab1")),
    *("ups1.on-battery", "ups2.on-battery", "cab1.ups.1.on-battery"),
    *("cab1.mains-warning", "cab1.rectifier-fault", "cab1.rectifier-warning"),
}


@pytest.fixture
def site() -> Iterator[SimulatedSite]:
    """Return the site of the demo, which is in order."""
    made = SimulatedSite({}, poll=10.0)
    with made.reactor.installed():
        made.start()
        made.run(SETTLING_S)
        assert made.alarms.active() == []
        yield made
        assert made.stop() == []


def views(site: SimulatedSite) -> list[AlarmView]:
    """Return the active alarms as the API has them."""
    core, time = site.tree.site, times_in("Asia/Shanghai")
    return [alarm(each, time, core.fold()) for each in core.alarms.active()]


def test_values_are_of_the_types_that_are_declared(site: SimulatedSite) -> None:
    """What `--check` knows of the values of points holds: numbers, true or false, text."""
    points = site.tree.site.points
    known = 0
    for point in points.under(""):
        declared = points.catalogue[point.name]
        types = (int, float) if declared.is_number else declared.values
        if point.good is None or types is None:
            continue
        known += 1
        assert isinstance(point.good, types), (point, declared)
        assert declared.values is bool or not isinstance(point.good, bool), point
    assert known > 200


def test_a_mains_failure_is_one_line(site: SimulatedSite) -> None:
    """One cause from the first alarm to the last; after the return of the mains there is none."""
    told: list[Alarm] = []
    site.alarms.subscribe(told.append)
    site.twin.world.change({"mains.voltage": 0})
    causes = set()
    for _ in range(LASTS_S):
        site.run(1)
        causes |= {each.alarm for each in folded(views(site))}
    assert {each.name for each in told} == RAISED
    assert causes == {told[0].name}
    [line] = folded(views(site))
    assert set(line.consequences) == RAISED - causes
    row = [str(cell) for cell in alarm_row(Texts("zh"), line)]
    assert row[1] == "严重"
    assert row[2].startswith("市电异常，引起 9 条：")
    # A restart changes neither the cause nor the times; nobody is told anew.
    site.restart()
    site.alarms.subscribe(told.append)
    site.run(60)
    assert folded(views(site)) == [line]
    assert len(told) == len(RAISED)
    # The mains come back: device by device, and never two lines.
    site.twin.world.change({"mains.voltage": 220})
    for _ in range(RESTS_S):
        site.run(1)
        assert len(folded(views(site))) <= 1
    assert site.alarms.active() == []
    assert len(told) == 2 * len(RAISED)
    # One notification, one recovery, and nothing of the restart.
    site.run(120)
    called = [(each["signature"], each["body"]) for each in site.twin.receiver.kept]
    assert [(how, body["event"]) for how, body in called] == [
        ("good", "raised"),
        ("good", "cleared"),
    ]
    for _, body in called:
        assert [each["alarm"] for each in body["alarms"]] == [told[0].name]

"""Own rules: alarms that a site declares over any points."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarm, Alarms, Severity
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.own_rules import OwnRule, OwnRules
from twisted_gantry.core.points import Points
from twisted_gantry.core.status import Status
from twisted_gantry.wire.causes import Graph
from twisted_gantry.wire.reading import Quality

HOT = "ups1.temperature > 45"
COOL = "ups1.temperature < 42"


def own(when: str = HOT, clear: str | None = None, name: str = "hot", **given: Any) -> OwnRule:
    end = None if clear is None else Condition.parse(clear)
    return OwnRule(name, Condition.parse(when), Severity.WARNING, "hot", "过热", end, **given)


class Bench:
    """Two devices and their alarms; `told` is what was raised and cleared."""

    def __init__(self) -> None:
        self.clock = Clock()
        now = self.clock.seconds
        self.points = Points(Catalogue(), now)
        for device in ("ups1", "ups2"):
            types = [PointType("temperature", "°C", "", ""), PointType("state", "", "", "")]
            self.points.declare(device, types)
        self.alarms = Alarms(self.points, self.clock, now)
        self.rules = OwnRules(self.points, self.alarms)
        self.told: list[tuple[str, bool]] = []
        self.alarms.subscribe(lambda alarm: self.told.append((alarm.name, alarm.active)))

    def read(self, value: float | str | None, point: str = "ups1.temperature") -> None:
        """Hand in a reading; None is a failed one."""
        device, _, name = point.partition(".")
        quality = Quality.GET_FAILED if value is None else Quality.GOOD
        self.points.update(device, {name: (value, quality)})

    @property
    def active(self) -> list[Alarm]:
        return self.alarms.active()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_own_alarm_is_raised_and_cleared(bench: Bench) -> None:
    """`when` has to hold for its time; the alarm is over as soon as `when` does not hold."""
    bench.rules.add(own(delay=60.0))
    bench.read(46)
    bench.clock.advance(59)
    bench.read(50)
    assert bench.told == []
    bench.clock.advance(1)
    [alarm] = bench.active
    assert (alarm.name, alarm.en, alarm.zh) == ("rule.hot", "hot", "过热")
    assert (alarm.source, alarm.about, alarm.condition) == ("ups1", "ups1", "hot")
    bench.read(45)
    assert bench.told == [("rule.hot", True), ("rule.hot", False)]


def test_a_time_that_is_cut_short_begins_anew(bench: Bench) -> None:
    """A value that falls back in between raises nothing."""
    bench.rules.add(own(delay=60.0))
    for value in (46, 44, 46, 44):
        bench.read(value)
        bench.clock.advance(40)
    assert bench.told == []


def test_clear_is_a_hysteresis(bench: Bench) -> None:
    """With `clear` an alarm stays raised until that holds; in between nothing happens."""
    bench.rules.add(own(HOT, COOL))
    for value in (46, 44, 42, 46):
        bench.read(value)
    assert bench.told == [("rule.hot", True)]
    bench.read(41.9)
    bench.read(44)
    assert bench.told == [("rule.hot", True), ("rule.hot", False)]


def test_clear_may_read_another_point(bench: Bench) -> None:
    """The point of `clear` decides when it changes, also on another device."""
    bench.rules.add(own("ups1.state == fault", "ups2.state == line"))
    bench.read("battery", "ups2.state")
    bench.read("fault", "ups1.state")
    assert [alarm.value for alarm in bench.active] == ["fault"]
    bench.read("line", "ups1.state")
    assert bench.told == [("rule.hot", True)]
    bench.read("line", "ups2.state")
    assert bench.told == [("rule.hot", True), ("rule.hot", False)]


def test_missing_values_neither_raise_nor_clear(bench: Bench) -> None:
    """A failed reading, a value of another type, or a point that is gone changes nothing."""
    bench.rules.add(own(HOT, COOL))
    bench.read(None)
    bench.read("hot")
    assert bench.told == []
    bench.read(46)
    bench.read(None)
    bench.read("cold")
    bench.points.retract("ups1", ["temperature"])
    bench.clock.advance(1000)
    assert bench.told == [("rule.hot", True)]
    bench.points.declare("ups1", [PointType("temperature", "°C", "", "")])
    bench.read(40)
    assert bench.told == [("rule.hot", True), ("rule.hot", False)]


def test_a_rule_is_judged_only_when_its_points_change(bench: Bench) -> None:
    """Readings of other points, and the same value again, cost nothing."""
    judged: list[float] = []

    class Counted(Condition):
        def holds(self, value: Any) -> bool | None:
            judged.append(value)
            return super().holds(value)

    when = Counted("ups1.temperature", ">", 45.0)
    bench.rules.add(OwnRule("hot", when, Severity.WARNING, "", ""))
    judged.clear()
    for value in (40, 40, 40, None, None, 40):
        bench.read(value)
        bench.read("line", "ups1.state")
        bench.read(value, "ups2.temperature")
    assert judged == [40, None, 40]


def test_a_rule_is_judged_when_it_comes(bench: Bench) -> None:
    """A new rule sees what holds already."""
    bench.read(50)
    bench.rules.add(own())
    assert bench.told == [("rule.hot", True)]


def test_the_end_of_a_rule_leaves_others_alone(bench: Bench) -> None:
    """A rule that ends is judged no more, also if its time runs; its alarm stays as it is."""
    ends: list[Callable[[], None]] = [
        bench.rules.add(own(name=name, delay=delay))
        for name, delay in (("a", 0.0), ("b", 10.0), ("c", 0.0))
    ]
    bench.read(50)
    ends[0]()
    ends[1]()
    bench.clock.advance(10)
    bench.read(40)
    assert [alarm.name for alarm in bench.active] == ["rule.a"]
    assert bench.told == [("rule.a", True), ("rule.c", True), ("rule.c", False)]


def test_a_device_that_goes_leaves_the_alarms_of_rules(bench: Bench) -> None:
    """A reload that makes a device anew does not end an alarm of a rule over its points."""
    bench.alarms.watch("ups1", (), Status("ups1", bench.clock.seconds))
    bench.rules.add(own())
    bench.read(50)
    bench.alarms.set("ups1.offline", Severity.WARNING, "", "")
    bench.alarms.unwatch("ups1")
    bench.alarms.settle(lambda alarm: alarm.owner == "rule")
    assert [alarm.name for alarm in bench.active] == ["rule.hot"]


def test_maintenance_of_the_device_holds_for_its_rules(bench: Bench) -> None:
    """Nobody is called for a rule over a point of a device in maintenance."""
    bench.alarms.maintain("ups1", 600, "me")
    bench.rules.add(own())
    bench.rules.add(own("ups2.temperature > 45", name="other"))
    bench.read(50)
    bench.read(50, "ups2.temperature")
    assert [(each.name, each.muted) for each in bench.active] == [
        ("rule.hot", True),
        ("rule.other", False),
    ]
    bench.alarms.stop()


def test_an_own_rule_is_in_no_fold(bench: Bench) -> None:
    """A rule explains nothing and is explained by nothing, even under the name of a condition."""
    bench.rules.add(own(name="on-battery"))
    bench.rules.add(own(name="mains-abnormal"))
    bench.read(50)
    bench.alarms.set("ups1.mains-abnormal", Severity.CRITICAL, "", "")
    bench.alarms.set("ups1.mains-warning", Severity.WARNING, "", "")
    assert Graph().fold(bench.active).causes == {"ups1.mains-warning": "ups1.mains-abnormal"}


def test_a_rule_that_fails_hurts_no_other(bench: Bench, logged_failures: list[Failure]) -> None:
    """A failure is logged, and the next rule is judged."""

    class Broken(Condition):
        def holds(self, value: Any) -> bool | None:
            if value is not None:
                raise RuntimeError("broken")
            return None

    bench.rules.add(OwnRule("broken", Broken("ups1.temperature"), Severity.WARNING, "", ""))
    bench.rules.add(own())
    bench.read(50)
    assert bench.told == [("rule.hot", True)]
    assert [failure.type for failure in logged_failures] == [RuntimeError]
    logged_failures.clear()

"""Interlocks: a condition commands a device, and undoes it; through the door, once."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from tests.support import Bench, fired
from twisted_gantry.site.catalogue import PointType
from twisted_gantry.site.interfaces import Argument, CommandResult, CommandType, Outcome
from twisted_gantry.site.interlocks import (
    RETRY,
    SETTING,
    Action,
    Condition,
    Interlock,
    Interlocks,
    fight,
)
from twisted_gantry.site.status import Status
from twisted_gantry.wire.reading import Quality, Value

OVERRIDE = CommandType(
    {"dev_id": Argument(subject=True), "flags": Argument(required=False)}, "override", "覆盖"
)
OFF = Action("cfos", "override", {"dev_id": "E1", "flags": "C"})
ON = Action("cfos", "override", {"dev_id": "E1", "flags": "c"})
LOCK = Interlock("1", Condition("ups1.mains_abnormal"), 5.0, OFF, ON)


class Charger(Service):
    """A device that does what it is told when the test says so."""

    kind = "fake"
    rules = ()
    commands = {"override": OVERRIDE}  # noqa: RUF012

    def __init__(self, bench: Bench) -> None:
        self.name = "cfos"
        self.status = Status("cfos", bench.clock.now)
        self.told: list[str] = []
        self.hold = False
        self.waiting: Deferred[CommandResult] = Deferred()
        self.outcome = Outcome.DONE
        bench.add(self)

    def execute(self, command: str, args: dict[str, Any]) -> Deferred[CommandResult]:
        """Note what was asked."""
        self.told.append(args["flags"])
        self.waiting = Deferred()
        if not self.hold:
            self.end()
        return self.waiting

    def end(self) -> None:
        """End what is under way."""
        self.waiting.callback(CommandResult(self.outcome, "it says so"))


class Rig:
    """A site with a UPS's point, a charger and one interlock."""

    def __init__(self, *locks: Interlock) -> None:
        self.bench = Bench()
        self.clock = self.bench.clock
        self.locks = locks or (LOCK,)
        self.charger = Charger(self.bench)
        names = ("mains_abnormal", "battery_charge", "state")
        self.bench.points.declare("ups1", [PointType(name, "", name, name) for name in names])
        self.interlocks = self.make()

    def make(self) -> Interlocks:
        """Return interlocks that watch, as after a start."""
        bench = self.bench
        made = Interlocks(
            self.locks, bench.points, bench.door, bench.alarms, bench.store, self.clock
        )
        made.start()
        return made

    def read(self, value: Value, point: str = "mains_abnormal") -> None:
        """Take a reading; None is a failed one."""
        quality = Quality.GET_FAILED if value is None else Quality.GOOD
        self.bench.points.update("ups1", {point: (value, quality)})

    @property
    def told(self) -> list[str]:
        """What the charger was told, by its flags."""
        return self.charger.told


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig that leaves no timer."""
    made = Rig()
    yield made
    made.interlocks.stop()
    assert made.clock.getDelayedCalls() == []


def test_it_acts_after_its_delay_and_undoes_when_it_is_over(rig: Rig) -> None:
    """Once each, with who asked in the audit."""
    rig.read(True)
    rig.clock.advance(4.9)
    rig.read(True)
    assert rig.told == []
    rig.clock.advance(0.1)
    rig.read(True)
    assert rig.told == ["C"]
    rig.read(False)
    rig.read(False)
    assert rig.told == ["C", "c"]
    [entries] = fired(rig.bench.store.audit(10))
    assert {entry.who for entry in entries} == {"interlock 1"}


def test_a_short_condition_does_nothing(rig: Rig) -> None:
    """What is over before the delay was not there."""
    rig.read(True)
    rig.clock.advance(4)
    rig.read(False)
    rig.clock.advance(10)
    assert rig.told == []


def test_a_missing_value_neither_begins_nor_ends_it(rig: Rig) -> None:
    """A UPS that does not answer switches nothing; the delay counts anew when it does."""
    rig.read(True)
    rig.clock.advance(4)
    rig.read(None)
    rig.clock.advance(10)
    assert rig.told == []
    rig.read(True)
    rig.clock.advance(5)
    rig.read(None)
    assert rig.told == ["C"]
    rig.read(False)
    assert rig.told == ["C", "c"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
def test_what_fails_is_told_and_tried_again(rig: Rig, outcome: Outcome) -> None:
    """An alarm says that it could not act; it acts a minute later, and the alarm is over."""
    rig.charger.outcome = outcome
    rig.read(True)
    rig.clock.advance(5)
    assert rig.bench.raised() == {"interlock.1"}
    rig.charger.outcome = Outcome.DONE
    rig.clock.advance(RETRY)
    assert rig.told == ["C", "C"]
    assert rig.bench.raised() == set()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C", "C"]


def test_what_may_have_been_done_is_not_repeated(rig: Rig) -> None:
    """A timeout raises the alarm, and that is all."""
    rig.charger.outcome = Outcome.TIMEOUT
    rig.read(True)
    rig.clock.advance(5)
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C"]
    assert rig.bench.raised() == {"interlock.1"}


def test_an_end_while_it_acts_is_undone_after_it(rig: Rig) -> None:
    """The undo waits for what is under way, and is not lost."""
    rig.charger.hold = True
    rig.read(True)
    rig.clock.advance(5)
    rig.read(False)
    assert rig.told == ["C"]
    rig.charger.hold = False
    rig.charger.end()
    assert rig.told == ["C", "c"]


def test_a_restart_does_not_lose_the_undo(rig: Rig) -> None:
    """The mains came back while the gantry was down: what it had done is undone."""
    rig.read(True)
    rig.clock.advance(5)
    rig.interlocks.stop()
    rig.interlocks = rig.make()
    rig.clock.advance(60)
    assert rig.told == ["C"]
    rig.interlocks.stop()
    rig.read(False)
    rig.interlocks = rig.make()
    assert rig.told == ["C", "c"]
    [settings] = fired(rig.bench.store.settings())
    assert SETTING not in settings


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("ups1.battery_charge < 30", 29.5, True),
        ("ups1.battery_charge<30", 30.0, False),
        ("ups1.battery_charge >= 30", 30, True),
        ("ups1.state == battery", "battery", True),
        ('ups1.state != "line"', "line", False),
        ("ups1.mains_abnormal == false", False, True),
        ("ups1.mains_abnormal", True, True),
        ("ups1.mains_abnormal", 1, None),
        ("ups1.battery_charge < 30", True, None),
        ("ups1.battery_charge < 30", "low", None),
        ("ups1.battery_charge < 30", None, None),
    ],
)
def test_conditions(text: str, value: Value, holds: bool | None) -> None:
    """A condition compares what is alike; of anything else nobody can tell."""
    condition = Condition.parse(text)
    assert condition.point.startswith("ups1.")
    assert condition.holds(value) is holds


@pytest.mark.parametrize(
    "text",
    ["", "ups1.x <", "< 3", "ups1.x = 3", "ups1.x < low", "ups1.x < true", "a b", "x < 1 < 2"],
)
def test_what_is_no_condition(text: str) -> None:
    """A text that is none is refused."""
    with pytest.raises(ValueError, match=r"condition|compares"):
        Condition.parse(text)


def lock(name: str, do: Action, undo: Action | None = None) -> Interlock:
    """Return an interlock on a condition of its own."""
    return Interlock(name, Condition(f"ups{name}.mains_abnormal"), 0.0, do, undo)


E2_OFF = Action("cfos", "override", {"dev_id": "E2", "flags": "C"})
OPEN, CLOSE = Action("bms1", "open-contactor"), Action("bms1", "close-contactor")
TYPES = {
    "cfos.override": OVERRIDE,
    "bms1.open-contactor": CommandType({}, "", "", about="contactor"),
    "bms1.close-contactor": CommandType({}, "", "", about="contactor"),
    "bms1.sync": CommandType({}, "", ""),
}


@pytest.mark.parametrize(
    ("first", "second", "fights"),
    [
        (lock("1", OFF), lock("2", ON), True),
        (lock("1", OFF, ON), lock("2", OFF, ON), True),
        (lock("1", OFF), lock("2", OFF), False),
        (lock("1", OFF, ON), lock("2", E2_OFF), False),
        (lock("1", OPEN), lock("2", CLOSE), True),
        (lock("1", OPEN), lock("2", Action("bms1", "sync")), False),
        (lock("1", OPEN), lock("2", Action("bms2", "close-contactor")), False),
    ],
)
def test_which_interlocks_fight(first: Interlock, second: Interlock, fights: bool) -> None:
    """Two that would set one thing differently fight, also by an undo of one under the other."""
    assert fight(first, second, TYPES) is fights
    assert fight(second, first, TYPES) is fights

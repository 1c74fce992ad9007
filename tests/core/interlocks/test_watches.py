"""Interlocks: a condition commands a device, and undoes it; through the door, once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.support import Bench, fired
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandResult, CommandType, Outcome
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interlocks.machine import MOST_UNDOS, RETRY, UNDO_WINDOW
from twisted_gantry.core.interlocks.rules import Action, Interlock
from twisted_gantry.core.interlocks.watches import SETTING, Interlocks
from twisted_gantry.core.status import Status
from twisted_gantry.wire.reading import Quality, Value

OVERRIDE = CommandType(
    {"dev_id": Argument(subject=True), "flags": Argument(required=False)}, "override", "覆盖"
)
OFF = Action("cfos", "override", {"dev_id": "E1", "flags": "C"})
ON = Action("cfos", "override", {"dev_id": "E1", "flags": "c"})
E2_OFF = Action("cfos", "override", {"dev_id": "E2", "flags": "C"})
E2_ON = Action("cfos", "override", {"dev_id": "E2", "flags": "c"})
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
        self.done: list[str] = []
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
        if self.outcome is Outcome.DONE:
            self.done.append(self.told[-1])
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

    def restart(self, *locks: Interlock) -> None:
        """Stop, and start again; with other interlocks if there are any."""
        self.interlocks.stop()
        for each in self.bench.alarms.active():
            self.bench.alarms.clear(each.name)  # the next process knows of none
        self.locks = locks or self.locks
        self.interlocks = self.make()

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


def act(rig: Rig) -> None:
    """Let the condition hold for its delay."""
    rig.read(True)
    rig.clock.advance(5)


def test_an_undo_that_failed_is_not_lost_by_a_restart(rig: Rig) -> None:
    """The charger did not answer when the mains came back: it is switched on after the restart."""
    act(rig)
    rig.charger.outcome = Outcome.FAILED
    rig.read(False)
    assert rig.told == ["C", "c"]
    rig.restart()
    assert rig.bench.raised() == {"interlock.1"}
    rig.charger.outcome = Outcome.DONE
    rig.clock.advance(RETRY)
    assert rig.told == ["C", "c", "c"]
    assert rig.bench.raised() == set()
    rig.restart()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C", "c", "c"]


def test_what_failed_is_done_after_a_restart_while_it_is_wanted(rig: Rig) -> None:
    """A charger that could not be switched off is switched off by the next process."""
    rig.charger.outcome = Outcome.FAILED
    act(rig)
    rig.restart()
    assert rig.bench.raised() == {"interlock.1"}
    rig.charger.outcome = Outcome.DONE
    rig.clock.advance(RETRY)
    assert rig.told == ["C", "C"]
    assert rig.bench.raised() == set()
    rig.read(False)
    assert rig.told == ["C", "C", "c"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
@pytest.mark.parametrize("restart", [False, True])
def test_what_was_not_done_is_not_undone(rig: Rig, outcome: Outcome, restart: bool) -> None:
    """A contactor that an interlock did not open is not closed by it."""
    rig.charger.outcome = outcome
    act(rig)
    if restart:
        rig.restart()
    rig.charger.outcome = Outcome.DONE
    rig.read(False)
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C"]
    assert rig.bench.raised() == set()


def test_what_failed_after_its_condition_was_over_is_not_undone(rig: Rig) -> None:
    """The end of the condition came before the answer, and the answer was no."""
    rig.charger.hold = True
    act(rig)
    rig.read(False)
    rig.charger.outcome = Outcome.FAILED
    rig.charger.end()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C"]
    assert rig.bench.raised() == set()


def test_a_condition_that_is_back_before_the_answer_needs_no_undo(rig: Rig) -> None:
    """Off and on again while the first command is under way: once is enough."""
    rig.charger.hold = True
    act(rig)
    rig.read(False)
    act(rig)
    rig.charger.end()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C"]


def test_a_condition_that_is_back_while_it_is_undone_is_done_again(rig: Rig) -> None:
    """The new command waits for the undo."""
    act(rig)
    rig.charger.hold = True
    rig.read(False)
    act(rig)
    assert rig.told == ["C", "c"]
    rig.charger.hold = False
    rig.charger.end()
    assert rig.told == ["C", "c", "C"]


def test_an_undo_that_failed_needs_no_doing_again(rig: Rig) -> None:
    """The mains fail again before the charger could be switched on: it is off."""
    act(rig)
    rig.charger.outcome = Outcome.FAILED
    rig.read(False)
    act(rig)
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C", "c"]
    assert rig.bench.raised() == set()


def test_a_command_that_the_end_of_the_process_cut_is_decided_anew(rig: Rig) -> None:
    """While the condition lasts the command is sent again, with an audit entry of its own."""
    rig.charger.hold = True
    act(rig)
    rig.restart()
    rig.charger.hold = False
    rig.charger.end()  # the process that waited for it is gone
    rig.clock.advance(LOCK.delay)
    assert rig.told == ["C", "C"]
    [entries] = fired(rig.bench.store.audit(10))
    assert len({entry.id for entry in entries}) == 2
    rig.read(False)
    assert rig.told == ["C", "C", "c"]
    assert rig.bench.raised() == set()


def test_a_command_that_was_cut_is_undone_when_its_condition_is_over(rig: Rig) -> None:
    """The command may have been done; it is not sent again once the condition is over."""
    rig.charger.hold = True
    act(rig)
    rig.interlocks.stop()
    rig.read(False)
    rig.charger.hold = False
    rig.charger.end()  # the process that waited for it is gone
    rig.interlocks = rig.make()
    assert rig.told == ["C", "c"]
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C", "c"]


def test_a_command_for_once_is_not_repeated(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output off, battery test, power cycle: the alarm says so, and the undo is not forgotten."""
    monkeypatch.setitem(Charger.commands, "override", replace(OVERRIDE, once=True))
    rig.charger.hold = True
    act(rig)
    rig.restart()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C"]
    assert rig.bench.raised() == {"interlock.1"}
    rig.charger.hold = False
    rig.charger.end()
    rig.read(False)
    assert rig.told == ["C", "c"]
    assert rig.bench.raised() == set()


def test_an_undo_under_way_at_the_end_of_the_process_is_not_repeated(rig: Rig) -> None:
    """An undo whose outcome is unknown is told and not sent again."""
    act(rig)
    rig.charger.hold = True
    rig.read(False)
    rig.restart()
    rig.clock.advance(10 * RETRY)
    assert rig.told == ["C", "c"]
    assert rig.bench.raised() == {"interlock.1"}


def test_an_interlock_undoes_only_what_it_did_itself(rig: Rig) -> None:
    """A rule put before it in the file gets its number, and not its past."""
    act(rig)
    other = Interlock("1", Condition("ups1.battery_charge", "<", 30.0), 0.0, E2_OFF, E2_ON)
    rig.read(90.0, "battery_charge")
    rig.restart(other, Interlock("2", LOCK.when, LOCK.delay, LOCK.do, LOCK.undo))
    assert rig.told == ["C"]
    rig.read(False)
    assert rig.told == ["C", "c"]
    [last, *_] = fired(rig.bench.store.audit(1))[0]
    assert last.args["dev_id"] == "E1"


def test_a_store_that_cannot_be_read_stops_no_interlock(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """What an earlier process did is lost; what is to come is not."""
    rig.interlocks.stop()
    monkeypatch.setattr(rig.bench.store, "settings", lambda: fail(OSError("the disk")))
    rig.interlocks = rig.make()
    act(rig)
    assert rig.told == ["C"]
    assert logged_failures.pop().check(OSError)


def test_an_interlock_on_its_own_effect_does_not_turn_for_ever(rig: Rig) -> None:
    """It stops a charger that charges, which then does not: undoing it again and again ends."""
    rig.interlocks.stop()
    rig.locks = (Interlock("1", Condition("ups1.state", "==", "charging"), 0.0, OFF, ON),)
    rig.interlocks = rig.make()

    def charge() -> None:
        off = rig.told[-1:] == ["C"]
        rig.read("present" if off else "charging", "state")

    began = rig.clock.seconds()
    while rig.clock.seconds() < began + 4 * UNDO_WINDOW:
        charge()
        rig.clock.advance(5)
    turns = rig.told.count("c")
    assert MOST_UNDOS < turns <= 5 * MOST_UNDOS
    assert rig.told[-1] == "C"
    assert rig.bench.raised() == {"interlock.1"}
    [alarm] = rig.bench.alarms.active()
    assert "back and forth" in alarm.en


def test_an_undo_that_waits_for_its_turn_is_done(rig: Rig) -> None:
    """Mains that come and go leave the charger off for a while, then on; off is never late."""
    for _ in range(MOST_UNDOS + 1):
        act(rig)
        rig.read(False)
    assert rig.told == ["C", "c"] * MOST_UNDOS + ["C"]
    act(rig)
    assert rig.told[-1] == "C"
    assert rig.bench.raised() == set()
    rig.read(False)
    rig.clock.advance(UNDO_WINDOW)
    assert rig.told == ["C", "c"] * (MOST_UNDOS + 1)
    assert rig.bench.raised() == set()


_STEPS = st.lists(
    st.sampled_from(
        [
            *("true", "false", "silent", "wait", "restart"),
            *(Outcome.DONE, Outcome.FAILED, Outcome.REFUSED),
        ]
    ),
    max_size=40,
)


@given(_STEPS)
def test_at_rest_the_device_is_as_the_condition_wants_it(steps: list[str]) -> None:
    """Whatever fails, and whenever the process ends: nothing is done twice, nothing is lost."""
    rig = Rig()
    last = False
    for step in steps:
        if step in ("true", "false"):
            last = step == "true"
            rig.read(last)
        elif step == "silent":
            rig.read(None)
        elif step == "wait":
            rig.clock.advance(5)
        elif step == "restart":
            rig.restart()
        else:
            rig.charger.outcome = Outcome(step)
    rig.charger.outcome = Outcome.DONE
    rig.read(last)
    rig.clock.advance(UNDO_WINDOW)
    rig.clock.advance(RETRY)
    assert rig.charger.done == ["C", "c"] * (len(rig.charger.done) // 2) + ["C"] * last
    assert rig.bench.raised() == set()
    rig.interlocks.stop()
    assert rig.clock.getDelayedCalls() == []

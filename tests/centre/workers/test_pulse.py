"""A process lives, tells what it suffers from, and calls people when the database is away."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.centre.workers.people import Faulty, entry, office
from tests.notify.receiver import Receiver
from tests.support import TestClock, fired
from twisted_gantry.centre.own_troubles import STORE, OwnTroubles
from twisted_gantry.centre.store import processes, troubles
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.centre.workers.alone import Alone
from twisted_gantry.centre.workers.pulse import CLOCK, MOST_SKEW, PATIENCE, Identity, Pulse
from twisted_gantry.testing.centre_store import InlineStore


class Process:
    def __init__(self, clock: TestClock, store: InlineStore) -> None:
        self.clock, self.real, self.store = clock, store, Faulty(store)
        self.skew = 0.0
        self.own = OwnTroubles(self.now)
        self.found: Found | None = None
        self.receiver = Receiver()
        self.services: list[Any] = []

    def now(self) -> float:
        return self.clock.now() + self.skew

    def start(self, role: str) -> None:
        faulty: Any = self.store
        checks = [("centre.test", lambda: self.found)]
        identity = Identity(f"{role}-1", f"host {role}", role)
        pulse = Pulse(identity, faulty, self.clock, self.now, self.own, checks)
        alone = Alone([entry(self.receiver)], office(self.clock), self.own)
        self.services = [pulse, *([alone] if identity.works else [])]
        for each in self.services:
            each.startService()

    def run(self, seconds: float) -> None:
        self.clock.pump([0.5] * round(seconds * 2))

    def stored(self) -> set[str]:
        """Return the faults that the database has."""
        [found] = fired(self.real.read(troubles.current))
        return {each.name for each in found}

    def stop(self) -> None:
        for each in self.services:
            fired(each.stopService())
        self.run(30)


@pytest.fixture
def process(clock: TestClock, memory: InlineStore) -> Iterator[Process]:
    made = Process(clock, memory)
    yield made
    made.stop()
    assert clock.getDelayedCalls() == []


def test_a_process_is_seen_and_leaves(process: Process) -> None:
    """A front serves; its end is no fault, and takes its faults along."""
    process.found = Found("centre.test", "warning", "x", "x")
    process.start("front")
    process.run(30)
    [[seen]] = fired(process.real.read(processes.processes))
    assert (seen.name, seen.place, seen.serving_since) == ("front-1", "host front", seen.started)
    assert process.stored() == {"centre.test"}
    process.stop()
    assert fired(process.real.read(processes.processes)) == [[]]
    assert process.stored() == set()


def test_a_fault_ends_with_its_check(process: Process) -> None:
    process.start("worker")
    process.found = Found("centre.test", "warning", "x", "x")
    process.run(20)
    assert process.stored() == {"centre.test"}
    process.found = None
    process.run(20)
    assert process.stored() == set()


@pytest.mark.parametrize("skew", [MOST_SKEW + 1, -MOST_SKEW - 1])
def test_clocks_are_compared(process: Process, skew: float) -> None:
    """A difference of more than five seconds is a fault, which ends when the clock is right."""
    process.start("worker")
    process.skew = skew / 2
    process.run(20)
    assert process.stored() == set()
    process.skew = skew
    process.run(20)
    assert process.stored() == {CLOCK}
    process.skew = 0.0
    process.run(20)
    assert process.stored() == set()


@pytest.mark.parametrize("fault", ["down", "hangs"])
def test_people_hear_that_the_database_is_away(process: Process, fault: str) -> None:
    """One call from memory, however long it lasts, and one when the database is back."""
    process.start("worker")
    process.run(30)
    setattr(process.store, fault, True)
    process.run(600)
    setattr(process.store, fault, False)
    process.run(60)
    assert process.receiver.told == [("raised", [STORE]), ("cleared", [STORE])]
    assert process.receiver.got[0]["alarms"][0]["severity"] == "critical"
    assert process.stored() == set()


def test_a_standby_that_takes_over_calls_nobody(process: Process) -> None:
    """A database that is away for less than half a minute is no reason to call."""
    process.start("worker")
    process.run(15)
    process.store.down = True
    process.run(PATIENCE - 5)
    process.store.down = False
    process.run(60)
    assert process.receiver.told == []


def test_a_store_that_refuses_reports_is_told(process: Process) -> None:
    """A disk that fills up is told by a worker itself, by a front through the database."""
    process.start("worker")
    process.store.trouble = "the disk of the database is 91 % full"
    process.run(PATIENCE - 1)
    assert process.receiver.told == []
    process.run(20)
    assert process.receiver.told == [("raised", [STORE])]
    [alarm] = process.receiver.got[0]["alarms"]
    assert "91 %" in alarm["message"]
    assert alarm["messageZh"] == "数据库无法写入（worker worker-1）：数据库磁盘已用91%"
    assert process.stored() == set()


def test_a_front_does_not_tell_of_an_outage_that_is_over(process: Process) -> None:
    """The first sign of life after it has no fault of the store."""
    process.start("front")
    process.run(15)
    process.store.down = True
    process.run(100)
    assert STORE in process.own
    process.store.down = False
    process.run(10)
    [found] = fired(process.real.read(lambda s: s.rows("SELECT name FROM troubles")))
    assert found == []
    assert STORE not in process.own


def test_a_front_whose_store_fails_does_not_serve(process: Process) -> None:
    process.start("front")
    process.store.trouble = "the disk of the database is 91 % full"
    process.run(20)
    assert fired(process.real.read(processes.serving_since)) == [None]
    process.run(PATIENCE)
    assert process.stored() == {STORE}
    assert process.receiver.got == []

"""All duties of a worker together."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.centre.store import rows
from tests.centre.workers.people import entry, office
from tests.notify.receiver import Receiver
from tests.support import TestClock, fired
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.own_troubles import OwnTroubles
from twisted_gantry.centre.store import leases
from twisted_gantry.centre.workers.duties import DUTIES, PATIENCE, Duties
from twisted_gantry.centre.workers.gantry_work import PICTURES
from twisted_gantry.testing.centre_store import InlineStore


class Worker:
    def __init__(self, clock: TestClock, store: InlineStore) -> None:
        self.clock, self.store, self.receiver = clock, store, Receiver()
        self.own = OwnTroubles(clock.now)
        self.retained = 0
        entries, desk = [entry(self.receiver)], office(clock)
        faulty: Any = store
        self.duties = Duties("one", faulty, clock, self._retain, entries, desk, self.own)
        self.duties.startService()

    def _retain(self, session: Session) -> bool:
        self.retained += 1
        return self.retained % 3 != 0

    def run(self, seconds: float) -> None:
        self.clock.pump([0.5] * round(seconds * 2))


@pytest.fixture
def worker(clock: TestClock, memory: InlineStore) -> Iterator[Worker]:
    made = Worker(clock, memory)
    yield made
    assert fired(made.duties.stopService())
    assert clock.getDelayedCalls() == []


def test_a_worker_does_all_duties(worker: Worker) -> None:
    """Alone, it holds each duty; an alarm becomes an incident, and a call; slices are retained
    until none is left.
    """
    fired(worker.store.write(lambda session: rows.gantry(session, "G1")))
    fired(worker.store.write(rows.alarm))
    worker.run(3)
    assert worker.receiver.told == [("raised", ["incident-1"])]
    assert worker.retained == 3
    [found] = fired(worker.store.read(leases.all_leases))
    assert {each.duty for each in found} == set(DUTIES) - {PICTURES}


def test_a_duty_that_fails_is_a_fault(worker: Worker, logged_failures: list[Failure]) -> None:
    """After a minute; of notifications that fail people hear from memory. Both end."""
    fired(worker.store.write(lambda s: s.run("ALTER TABLE incidents RENAME TO away")))
    worker.run(PATIENCE - 1)
    assert list(worker.own) == []
    worker.run(5)
    assert {each.name for each in worker.own} == {"duty.incidents.failing", "duty.notify.failing"}
    assert worker.receiver.told == [("raised", ["duty.notify.failing"])]
    fired(worker.store.write(lambda s: s.run("ALTER TABLE away RENAME TO incidents")))
    worker.run(15)
    assert list(worker.own) == []
    assert worker.receiver.told[1:] == [("cleared", ["duty.notify.failing"])]
    assert logged_failures
    logged_failures.clear()

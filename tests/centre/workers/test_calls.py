"""People are called once for one thing, whichever worker calls."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.centre.scratch import Scratch
from tests.centre.store import rows
from tests.centre.workers.people import Entry, Worker, entry, office
from tests.notify.receiver import Receiver
from tests.support import TestClock, fired
from twisted_gantry.centre.interfaces import Job
from twisted_gantry.centre.store import care, notices
from twisted_gantry.centre.store.leases import LEASE
from twisted_gantry.centre.workers.caller import send_test
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.notify.interfaces import NotSent
from twisted_gantry.notify.plan import PlanState
from twisted_gantry.notify.target import FAILING_AFTER
from twisted_gantry.testing.centre_store import InlineStore

SMOKE = "cabinet-1.smoke"


class Place:
    def __init__(self, clock: TestClock, store: InlineStore) -> None:
        self.clock, self.store = clock, store
        self.receiver = Receiver()
        self.entries = [entry(self.receiver)]
        self.workers: list[Worker] = []

    def worker(self, name: str, *entries: Entry) -> Worker:
        made = Worker(name, self.clock, self.store, list(entries) or self.entries)
        self.workers.append(made)
        return made

    def do(self, job: Job[Any]) -> Any:
        [done] = fired(self.store.write(job))
        return done

    def incident(self, gantries: int = 1) -> int:
        """Begin an incident with an alarm of each gantry."""
        which: int = self.do(lambda session: rows.incident(session, of=None, since=session.now()))
        for number in range(gantries):
            self.do(partial(rows.alarm, of=f"G{which}-{number}", incident=which))
        return which

    def end(self, which: int) -> None:
        self.do(lambda s: s.run("UPDATE alarms SET ended = ? WHERE incident = ?", s.now(), which))
        self.do(lambda s: s.run("UPDATE incidents SET ended = ? WHERE id = ?", s.now(), which))

    def run(self, seconds: float) -> None:
        self.clock.pump([0.5] * round(seconds * 2))


@pytest.fixture
def place(clock: TestClock, memory: InlineStore) -> Iterator[Place]:
    made = Place(clock, memory)
    yield made
    for worker in made.workers:
        if worker.duty.running:
            worker.stop()
    made.run(20)
    assert clock.getDelayedCalls() == []


def test_a_regional_failure_is_one_call(place: Place) -> None:
    """Forty gantries without mains are one message, and one when all have them again."""
    place.worker("one")
    which = place.incident(40)
    place.run(30)
    place.end(which)
    place.run(30)
    name = f"incident-{which}"
    assert place.receiver.told == [("raised", [name]), ("cleared", [name])]
    [alarm] = place.receiver.got[0]["alarms"]
    assert alarm["message"] == "G42 East: mains abnormal at 40 gantries"
    assert len(alarm["consequences"]) == 40
    assert place.receiver.got[0]["gantryId"] == ""


def test_smoke_is_told_at_once_and_by_itself(place: Place) -> None:
    """An emergency within an incident leaves beside it, whatever people muted."""
    place.do(partial(rows.gantry, which="G1"))
    place.worker("one")
    which = place.incident()
    place.run(2)
    place.do(lambda s: care.shelve(s, care.incident(s, which), 3600.0, "Li"))
    place.do(lambda s: rows.alarm(s, SMOKE, incident=which))
    place.run(2)
    assert place.receiver.told[1:] == [("raised", [f"G1.{SMOKE}"])]


def test_a_worker_that_is_killed_loses_no_call(place: Place) -> None:
    """The other one tells what came after the kill, and nothing a second time."""
    one = place.worker("one")
    first = place.incident()
    place.run(20)
    place.worker("two")
    place.run(1)
    one.kill()
    second = place.incident()
    place.end(first)
    place.run(LEASE + 30)
    assert place.receiver.told == [
        ("raised", [f"incident-{first}"]),
        ("raised", [f"incident-{second}"]),
        ("cleared", [f"incident-{first}"]),
    ]


def test_a_message_under_way_is_sent_again_by_its_id(place: Place) -> None:
    """A worker that is killed before the receiver answered leaves the message to the next one."""
    place.receiver.hangs = True
    one = place.worker("one")
    place.incident()
    place.run(5)
    one.kill()
    place.receiver.hangs = False
    place.worker("two")
    place.run(LEASE + 30)
    assert [each["event"] for each in place.receiver.got] == ["raised", "raised"]
    assert len({each["id"] for each in place.receiver.got}) == 1


def test_a_worker_that_stops_hands_its_calls_on(place: Place) -> None:
    """The next worker repeats nothing, and knows when to repeat and to escalate."""
    boss = Receiver()
    entries = [
        entry(place.receiver, escalate_after=120.0, escalate_to="boss"),
        entry(boss, "boss", min_severity=None),
    ]
    one = place.worker("one", *entries)
    place.worker("two", *entries)
    which = place.incident()
    place.run(60)
    assert one.stop() == [None]
    place.run(50)
    assert (len(place.receiver.got), boss.got) == (1, [])
    place.run(20)
    assert boss.told == [("raised", [f"incident-{which}"])]


def test_people_who_acknowledged_are_not_called_again(place: Place) -> None:
    """An incident is repeated until all of it is acknowledged."""
    place.worker("one", entry(place.receiver, repeat=60.0))
    which = place.incident(3)
    place.run(70)
    place.do(lambda s: care.acknowledge(s, care.incident(s, which), "Li"))
    place.run(200)
    assert [event for event, _ in place.receiver.told] == ["raised", "repeated"]
    place.do(lambda s: rows.alarm(s, of="G77", incident=which))
    place.run(60)
    assert [event for event, _ in place.receiver.told] == ["raised", "repeated", "repeated"]


def test_a_target_that_fails_is_a_fault_of_the_centre(place: Place) -> None:
    """After five minutes; it ends with the next success, and the message is not lost."""
    place.receiver.error = NotSent(outage(Cause.REFUSED, "nobody listens"))
    worker = place.worker("one")
    place.incident()
    place.run(FAILING_AFTER + 70)
    assert [each.name for each in worker.own] == ["notify.duty.failing"]
    place.receiver.error = None
    place.run(70)
    assert list(worker.own) == []
    [target] = place.do(notices.targets)
    assert (target.created, target.delivered, target.queued) == (1, 1, 0)


def test_what_a_target_refuses_is_kept_for_a_person(place: Place) -> None:
    """The message is set aside, and the fault stays until a message gets through."""
    place.receiver.error = NotSent(outage(Cause.REFUSED, "no"), refused=True)
    worker = place.worker("one")
    place.incident()
    place.run(30)
    assert [each.name for each in worker.own] == ["notify.duty.set-aside"]
    [target] = place.do(notices.targets)
    assert (target.created, target.set_aside, target.queued) == (1, 1, 0)


def test_a_target_that_is_left_off_is_forgotten(place: Place) -> None:
    """Its message is set aside; when it comes back it begins anew."""
    place.receiver.hangs = True
    one = place.worker("one")
    place.incident()
    place.run(5)
    one.kill()
    place.run(LEASE)
    other = Receiver()
    place.worker("two", entry(other, "other"))
    place.run(15)
    found = {each.name: each for each in place.do(notices.targets)}
    assert (found["duty"].queued, found["duty"].set_aside) == (0, 1)
    assert len(other.got) == 1


def test_a_clock_of_a_worker_does_not_matter(place: Place) -> None:
    """Delays are those of the database's clock: a worker that is an hour ahead does not hurry."""
    worker = place.worker("one", entry(place.receiver, delay=60.0))
    worker.calls._clock._now = lambda: place.clock.now() + 3600.0
    worker.calls._local = worker.calls._clock._now
    place.incident()
    place.run(50)
    assert place.receiver.got == []
    place.run(20)
    assert len(place.receiver.got) == 1


def test_a_test_message_needs_no_worker(place: Place) -> None:
    """Any process sends a test, and hears what became of it."""
    assert fired(send_test(place.entries[0], office(place.clock))) == [None]
    assert place.receiver.told == [("raised", ["notify.test"])]
    place.receiver.error = NotSent(outage(Cause.REFUSED, "nobody listens"))
    [failure] = fired(send_test(place.entries[0], office(place.clock)))
    assert failure.check(NotSent)


def test_both_engines_keep_messages(scratch: Scratch) -> None:
    """Messages wait in their order, are counted, and the newest refused ones are kept."""
    state = PlanState(last=5.0)

    def job(session: Any) -> None:
        assert notices.state(session, "duty") is None
        first = notices.add(session, "duty", "raised", "id-1", b"one", state)
        second = notices.add(session, "duty", "cleared", "id-2", b"two", state)
        assert notices.state(session, "duty") == state
        notices.tried(session, first, "no answer")
        waiting = notices.waiting(session, "duty")
        assert waiting is not None
        assert (waiting.number, waiting.body, waiting.tries) == (first, b"one", 1)
        notices.delivered(session, first)
        notices.delivered(session, first)
        notices.set_aside(session, second, "refused")
        assert notices.waiting(session, "duty") is None
        [target] = notices.targets(session)
        assert (target.created, target.delivered, target.set_aside, target.queued) == (2, 1, 1, 0)
        assert target.last_delivered is not None

    scratch.run(job)

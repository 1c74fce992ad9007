"""One worker does a duty at a time; another one takes over when that worker fails."""

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from tests.centre import postgres
from tests.centre.scratch import Scratch
from tests.centre.workers.people import Faulty
from tests.support import TestClock, fired
from twisted_gantry.centre.interfaces import Job, Session
from twisted_gantry.centre.store import leases
from twisted_gantry.centre.store.leases import LEASE, Lease, NotHeld
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.workers.lease import GRACE, LONGEST, Duty, Hold
from twisted_gantry.testing.centre_store import InlineStore


class Worker:
    """A worker with one duty: notes when it acted, and does what `does` is set to."""

    def __init__(self, place: "Place", name: str) -> None:
        self.place, self.name = place, name
        self.acted: list[float] = []
        self.ended: list[float] = []
        self.does: Any = lambda hold: succeed(None)
        self.ends: Any = lambda: None
        store: Any = place.store
        self.duty = Duty("notify", name, store, place.clock, self._act, 1.0, ended=self._ended)

    async def _act(self, hold: Hold) -> None:
        self.acted.append(self.place.clock.seconds())
        await self.does(hold)

    def _ended(self) -> Any:
        self.ended.append(self.place.clock.seconds())
        return self.ends()

    def kill(self) -> None:
        """End at once, without a word to the database: what `kill -9` leaves."""
        self.duty._renewal.stop()
        self.duty._loop.stop()
        self.duty._expiry.cancel()


class Place:
    def __init__(self, clock: TestClock, store: InlineStore) -> None:
        self.clock, self.real = clock, store
        self.store = Faulty(store)
        self.workers: list[Worker] = []

    def worker(self, name: str) -> Worker:
        made = Worker(self, name)
        self.workers.append(made)
        made.duty.startService()
        return made

    def run(self, seconds: float) -> None:
        self.clock.pump([0.5] * round(seconds * 2))


@pytest.fixture
def place(clock: TestClock, memory: InlineStore) -> Iterator[Place]:
    made = Place(clock, memory)
    yield made
    for worker in made.workers:
        if worker.duty.running:
            fired(worker.duty.stopService())
            made.run(3 * GRACE)
    assert made.clock.getDelayedCalls() == []


def within(store: InlineStore, job: Job[Any]) -> Any:
    """Return what a job returns, in a transaction; raises what it raises."""
    [done] = fired(store.write(job))
    if isinstance(done, Failure):
        done.raiseException()
    return done


def take(place: Place, holder: str, seconds: float = LEASE) -> Lease | None:
    found: Lease | None = within(
        place.real, lambda session: leases.take(session, "notify", holder, seconds)
    )
    return found


def hold(place: Place, lease: Lease | None) -> None:
    assert lease is not None
    within(place.real, lambda session: leases.hold(session, lease))


def test_one_worker_holds_a_duty(place: Place) -> None:
    """Of two workers one acts, each period, and goes on acting beyond the time of a lease."""
    one, two = place.worker("one"), place.worker("two")
    place.run(3 * LEASE)
    assert len(one.acted) >= 3 * LEASE
    assert two.acted == []
    assert (one.duty.held, two.duty.held) == (True, False)


def test_a_killed_worker_is_replaced_when_its_lease_is_over(place: Place) -> None:
    """After a kill the other worker acts, not before the lease is over and soon after."""
    one, two = place.worker("one"), place.worker("two")
    place.run(60)
    one.kill()
    place.run(3 * LEASE)
    assert one.acted[-1] <= 60
    assert 60 + LEASE <= two.acted[0] <= 60 + LEASE + LEASE / 3  # renewed at the moment of the kill


def test_a_graceful_stop_hands_on(place: Place) -> None:
    """The other worker begins at its next look, and after the end of the first one."""
    one, two = place.worker("one"), place.worker("two")
    place.run(10)
    stopped = fired(one.duty.stopService())
    assert stopped == [None]
    place.run(LEASE / 3)
    assert one.ended == [10]
    assert two.acted[0] <= 10 + LEASE / 3


def test_the_stop_waits_for_the_act_and_its_end(place: Place) -> None:
    """No other worker is let in while an act, or what it has to end, is under way."""
    one, two = place.worker("one"), place.worker("two")
    act: Deferred[None] = Deferred()
    end: Deferred[None] = Deferred()
    one.does, one.ends = lambda hold: act, lambda: end
    place.run(2)
    stopped = fired(one.duty.stopService())
    place.run(1)
    assert (stopped, one.ended) == ([], [])
    act.callback(None)
    assert (stopped, one.ended) == ([], [3])
    place.run(1)
    assert two.acted == []
    end.callback(None)
    assert stopped == [None]


def test_the_stop_cancels_an_act_that_hangs(place: Place) -> None:
    """An act has GRACE seconds at the stop."""
    one = place.worker("one")
    one.does = lambda hold: Deferred()
    place.run(1)
    stopped = fired(one.duty.stopService())
    place.run(GRACE)
    assert stopped == [None]


def test_a_stalled_holder_writes_nothing(place: Place) -> None:
    """A job of a holder whose lease has gone to another one is not run, and the duty is lost."""
    one = place.worker("one")
    place.run(1)
    wrote: list[str] = []
    stalled: list[Deferred[None]] = []

    async def act(hold: Hold) -> None:
        pause: Deferred[None] = Deferred()
        stalled.append(pause)
        await pause
        await hold.write(lambda session: wrote.append(one.name))

    one.does = act
    place.run(1)
    within(place.real, lambda session: session.run("UPDATE lease SET until = 0"))
    assert take(place, "two") is not None
    stalled[0].callback(None)
    assert wrote == []
    assert not one.duty.held
    assert one.ended == [2]
    assert one.duty.failures == 0


def test_a_lease_that_is_over_is_no_lease(place: Place) -> None:
    """The check fails for an expired lease although no other worker has taken the duty."""
    lease = take(place, "one")
    assert lease is not None
    hold(place, lease)
    place.run(LEASE)
    with pytest.raises(NotHeld):
        hold(place, lease)


def test_a_holder_that_had_lost_the_duty_has_another_fence(place: Place) -> None:
    """A lease that came back by way of another worker is not the old one."""
    first = take(place, "one", 1.0)
    place.run(1)
    take(place, "two", 1.0)
    place.run(1)
    again = take(place, "one")
    assert first is not None
    assert again is not None
    assert again.fence == first.fence + 2
    with pytest.raises(NotHeld):
        hold(place, first)
    hold(place, again)


def test_leases_go_by_the_clock_of_the_database(scratch: Scratch) -> None:
    """Both engines give, renew, refuse and end leases by their own clock."""

    def job(session: Session) -> None:
        first = leases.take(session, "notify", "one", 60.0)
        assert first is not None
        assert abs(first.until - session.now() - 60.0) < 30.0
        assert leases.take(session, "notify", "two", 60.0) is None
        again = leases.take(session, "notify", "one", 60.0)
        assert again is not None
        assert again.fence == first.fence
        leases.hold(session, again)
        leases.take(session, "notify", "one", -1.0)
        second = leases.take(session, "notify", "two", 60.0)
        assert second is not None
        assert second.fence == first.fence + 1
        with pytest.raises(NotHeld):
            leases.hold(session, again)

    scratch.run(job)


@pytest.mark.parametrize("fault", ["down", "hangs"])
def test_without_a_database_nobody_acts(place: Place, fault: str) -> None:
    """A holder that cannot renew stops before its lease is over, and goes on afterwards."""
    one = place.worker("one")
    place.run(10)
    if fault == "hangs":
        one.kill()
        one.duty._renewal.start(LEASE / 3, now=False)
        one.duty._loop.start(1.0)
        one.duty._expiry.start(LEASE)
    setattr(place.store, fault, True)
    place.run(LEASE)
    before = len(one.acted)
    assert not one.duty.held
    assert one.ended
    place.run(10)
    assert len(one.acted) == before


def test_a_database_that_comes_back_is_used_again(place: Place) -> None:
    """After an outage longer than a lease the duty is taken and done again."""
    one = place.worker("one")
    place.run(10)
    place.store.down = True
    place.run(60)
    place.store.down = False
    place.run(LEASE / 3 + 1)
    assert one.duty.held
    assert one.acted[-1] > 70


def test_an_exception_ends_no_duty(place: Place, logged_failures: list[Failure]) -> None:
    """An act that fails is counted, logged once, and done again."""
    one = place.worker("one")

    async def fails(hold: Hold) -> None:
        raise RuntimeError("a mistake")

    one.does = fails
    place.run(10)
    assert one.duty.failures >= 10
    assert one.duty.held
    one.does = lambda hold: succeed(None)
    place.run(1)
    assert one.duty.last_act is not None
    assert [failure.type for failure in logged_failures] == [RuntimeError]
    logged_failures.clear()


def test_an_act_that_never_ends_is_cancelled(place: Place, logged_failures: list[Failure]) -> None:
    """After LONGEST seconds the act is cancelled, and the next one begins."""
    one = place.worker("one")
    one.does = lambda hold: Deferred()
    place.run(2.5 * LONGEST)
    assert len(one.acted) == 4  # the first one ended
    assert one.duty.failures == 2
    logged_failures.clear()


def test_leases_are_listed(place: Place) -> None:
    """The list names each duty with its holder."""
    lease = take(place, "one")
    assert within(place.real, leases.all_leases) == [lease]


def test_a_duty_that_was_handed_on_is_free(place: Place) -> None:
    """Another holder takes it at once; an old lease hands nothing on."""
    lease = take(place, "one")
    assert lease is not None
    assert take(place, "two") is None
    within(place.real, lambda session: leases.hand_on(session, lease))
    second = take(place, "two")
    within(place.real, lambda session: leases.hand_on(session, lease))
    assert second is not None
    hold(place, second)


def test_a_take_over_waits_for_the_work_of_the_holder() -> None:
    """On PostgreSQL the check locks the lease: what the holder does is committed, and only then
    may another worker take the duty, however late that is.
    """
    url = postgres.new_database()
    engine = PostgresEngine(url)
    one, two = engine.connect(), engine.connect()
    order: list[str] = []
    took: list[Lease | None] = []
    lease = one.transaction(lambda session: leases.take(session, "notify", "one", 1.0))
    assert lease is not None

    def other() -> None:
        while not took or took[0] is None:
            took[:] = [two.transaction(lambda s: leases.take(s, "notify", "two", 60.0))]
        order.append("taken")

    thread = Thread(target=other)

    def work(session: Session) -> None:
        leases.hold(session, lease)
        thread.start()
        while session.rows("SELECT clock_timestamp() < to_timestamp(?)", lease.until + 0.2)[0][0]:
            session.rows("SELECT pg_sleep(0.05)")
        order.append("done")

    one.transaction(work)
    thread.join(60)
    assert order == ["done", "taken"]
    with pytest.raises(NotHeld):
        one.transaction(lambda session: leases.hold(session, lease))
    one.close()
    two.close()
    engine.close()
    postgres.drop_database(url)

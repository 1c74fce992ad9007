"""A job that is repeated: when it is done, and that nothing of it is left."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twisted_gantry.net.timers import AFTER_MISTAKE_S, GuardedLoop, Repeated, Timer


class Job:
    """A job that ends when the test says so, or at once; `began` tells when it was done."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.began: list[float] = []
        self.open: list[Deferred[None]] = []
        self.pause, self.waits = 10.0, False
        self.during: Callable[[], object] = lambda: None
        self.repeated = Repeated(self.clock, self._do, "the job")

    async def _do(self) -> float:
        self.began.append(self.clock.seconds())
        self.during()
        if self.waits:
            self.open.append(Deferred())
            await self.open[-1]
        return self.pause


@pytest.fixture
def job() -> Job:
    """A job that was not begun."""
    return Job()


def test_it_is_done_at_once_and_again_after_what_it_says(job: Job) -> None:
    """The pause counts from its end; a negative one is none."""
    job.repeated.start()
    job.waits = True
    job.clock.advance(10)
    job.clock.advance(7)
    job.open.pop().callback(None)
    job.clock.advance(9.9)
    assert job.began == [0, 10]
    job.clock.advance(0.1)
    job.pause = -1.0
    job.open.pop().callback(None)
    job.clock.advance(0)
    assert job.began == [0, 10, 27, 27]
    job.repeated.stop()
    assert job.clock.getDelayedCalls() == []


def test_it_may_begin_later(job: Job) -> None:
    """After so many seconds, or never, when it is stopped before."""
    job.repeated.start(5)
    job.clock.advance(4.9)
    job.repeated.stop()
    job.clock.advance(10)
    assert job.began == []
    job.repeated.start(5)
    job.clock.advance(5)
    assert job.began == [pytest.approx(19.9)]
    job.repeated.stop()


def test_who_cannot_wait_has_it_done_now(job: Job) -> None:
    """While it waits, at once; while it is being done, once more after that, however often."""
    job.repeated.start()
    job.clock.advance(3)
    job.waits = True
    job.repeated.now()
    job.clock.advance(0)
    assert job.began == [0, 3]
    job.repeated.now()
    job.repeated.now()
    job.waits = False
    job.open.pop().callback(None)
    job.clock.advance(0)
    assert job.began == [0, 3, 3]
    job.clock.advance(9.9)
    assert job.began == [0, 3, 3]
    job.repeated.stop()


def test_it_may_ask_for_itself(job: Job) -> None:
    """A job that finds more to do says so from within."""
    job.during = lambda: job.repeated.now() if len(job.began) < 3 else None
    job.repeated.start()
    job.clock.advance(0)
    assert job.began == [0, 0, 0]
    job.repeated.stop()


def test_a_stop_cancels_what_is_under_way(job: Job) -> None:
    """No timer is left, and a request after the stop does nothing."""
    job.waits = True
    job.repeated.start()
    job.repeated.now()
    job.repeated.stop()
    job.repeated.now()
    job.clock.advance(100)
    assert job.began == [0]
    assert job.clock.getDelayedCalls() == []


def test_it_may_stop_itself(job: Job) -> None:
    """From within the job, too."""
    job.during = job.repeated.stop
    job.repeated.start()
    job.clock.advance(100)
    assert job.began == [0]
    assert job.clock.getDelayedCalls() == []


def test_it_may_stop_itself_and_wait(job: Job) -> None:
    """What it waits for is cancelled, as by any stop."""
    job.during, job.waits = job.repeated.stop, True
    job.repeated.start()
    assert job.open[0].called
    job.clock.advance(100)
    assert job.began == [0]


def test_it_may_begin_itself_anew(job: Job) -> None:
    """There is one job afterwards, not two."""
    job.during = lambda: job.repeated.start(5) if len(job.began) == 1 else None
    job.repeated.start()
    job.clock.pump([1.0] * 20)
    assert job.began == [0, 5, 15]
    assert len(job.clock.getDelayedCalls()) == 1
    job.repeated.stop()
    assert job.clock.getDelayedCalls() == []


def test_a_start_begins_anew(job: Job) -> None:
    """What was under way ends, and there is one job, not two."""
    job.waits = True
    job.repeated.start()
    job.waits = False
    job.clock.advance(1)
    job.repeated.start()
    job.clock.advance(10)
    assert job.began == [0, 1, 11]
    assert len(job.clock.getDelayedCalls()) == 1
    job.repeated.stop()


def test_a_mistake_is_logged_and_not_the_end(job: Job, logged_failures: list[Any]) -> None:
    """A job that raises is done again, after a while."""

    def fail() -> None:
        raise ZeroDivisionError

    job.during = fail
    job.repeated.start()
    job.during = lambda: None
    job.clock.advance(AFTER_MISTAKE_S - 0.1)
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()
    assert job.began == [0]
    job.clock.advance(0.1)
    assert job.began == [0, AFTER_MISTAKE_S]
    job.repeated.stop()


def test_a_timer_calls_once_at_the_last_time_it_was_given() -> None:
    """A second start moves the call; a cancelled one never comes."""
    clock, calls = Clock(), []
    timer = Timer(clock, lambda: calls.append(clock.seconds()))
    timer.cancel()
    timer.start(5)
    clock.advance(4)
    timer.start(5)
    clock.advance(4)
    assert timer.running
    clock.advance(1)
    assert (calls, timer.running) == ([9], False)
    timer.start(1)
    timer.cancel()
    clock.advance(1)
    assert (calls, clock.getDelayedCalls()) == ([9], [])


def test_a_loop_goes_on_after_a_turn_that_failed(logged_failures: list[Any]) -> None:
    """Each turn is told, failed or not; of one error in a row only the first is logged."""
    clock, told = Clock(), list[Exception | None]()
    errors: list[Exception | None] = [None, ValueError("no"), ValueError("no"), None]

    def job() -> Deferred[None] | None:
        error = errors.pop(0)
        if error is not None:
            raise error
        return None

    loop = GuardedLoop(clock, job, "the loop", told.append)
    loop.start(2.0)
    clock.pump([2.0] * 3)
    assert [type(each) for each in told] == [type(None), ValueError, ValueError, type(None)]
    assert [failure.type for failure in logged_failures] == [ValueError]
    assert (loop.running, loop.period) == (True, 2.0)
    loop.stop()
    loop.stop()
    assert clock.getDelayedCalls() == []
    logged_failures.clear()


def test_a_loop_waits_for_a_turn_and_takes_another_period(logged_failures: list[Any]) -> None:
    """A Deferred is one turn, however late it fires; one that fails does not end the loop."""
    clock, turns = Clock(), list[Deferred[None]]()

    def job() -> Deferred[None]:
        turns.append(Deferred())
        return turns[-1]

    loop = GuardedLoop(clock, job, "the loop")
    loop.start(1.0, now=False)
    clock.advance(1)
    clock.advance(5)
    assert len(turns) == 1
    turns[0].errback(ValueError("no"))
    clock.advance(1)
    assert len(turns) == 2
    turns[1].callback(None)
    loop.start(3.0, now=False)
    clock.advance(2)
    assert len(turns) == 2
    clock.advance(1)
    assert len(turns) == 3
    loop.stop()
    turns[2].callback(None)
    logged_failures.clear()


def test_a_loop_that_began_anew_in_the_midst_of_a_turn_is_one_loop() -> None:
    """The end of the old turn schedules no second chain of turns."""
    clock, turns = Clock(), list[Deferred[None]]()

    def job() -> Deferred[None]:
        turns.append(Deferred())
        return turns[-1]

    loop = GuardedLoop(clock, job, "the loop")
    loop.start(1.0)
    loop.start(1.0)
    for each in list(turns):
        each.callback(None)
    assert len(clock.getDelayedCalls()) == 1
    loop.stop()
    assert clock.getDelayedCalls() == []

"""The history as it is asked: buckets, gaps, steps, bounds; and its keeper of the roll-up."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.store.history.rig import DAY0, HOLD, Rig
from tests.store.material import Calls, failure_of, result_of
from twisted_gantry.core.history import Sample
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.store.history.query import MOST_BUCKETS, fitting_step
from twisted_gantry.store.history.schema import FILE, SUSPECT
from twisted_gantry.store.history.sqlite import BUSY_PAUSE, IDLE_PAUSE, Upkeep, open_history


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.db.close()


def test_it_is_a_history(rig: Rig) -> None:
    """It provides what the interface says."""
    assert verifyObject(IHistory, rig.history)


# -- buckets


def test_a_mean_is_weighted_by_time(rig: Rig) -> None:
    """A value counts for as long as it held, not for how often it was read."""
    rig.add("p", (0, 10.0), (45, 20.0), (50, 30.0), (55, 20.0))
    rig.now = 60
    [bucket, _] = rig.query("p")
    assert bucket == (0, 10.0, (45 * 10 + 5 * 20 + 5 * 30 + 5 * 20) / 60, 30.0)


def test_a_sample_holds_into_the_next_bucket(rig: Rig) -> None:
    """What was read before a bucket began is still so in it."""
    rig.add("p", (50, 10.0), (90, 20.0))
    rig.now = 119
    assert rig.query("p")[1] == (60, 10.0, pytest.approx(15.0, abs=0.1), 20.0)


def test_a_sample_holds_no_longer_than_it_may(rig: Rig) -> None:
    """Without another sample a value ends; what follows is a gap, and no zero."""
    rig.add("p", (0, 10.0), (600, 20.0))
    rig.now = 620
    assert [bucket[0] for bucket in rig.query("p", step=30)] == [0, 30, 60, 600]


def test_a_gap_ends_a_value(rig: Rig) -> None:
    """From a gap on there is nothing until the next value; the gap itself is no number."""
    rig.add("p", (0, 10.0), (30, None), (180, 20.0))
    rig.now = 200
    assert rig.query("p") == [(0, 10.0, 10.0, 10.0), (180, 20.0, 20.0, 20.0)]


def test_nothing_is_known_of_the_future(rig: Rig) -> None:
    """The last value is not taken to hold beyond the present moment."""
    rig.add("p", (0, 10.0))
    rig.now = 25
    assert [bucket[0] for bucket in rig.query("p", until=500, step=10)] == [0, 10, 20]


def test_a_sample_of_this_moment_is_seen(rig: Rig) -> None:
    """The running bucket has what came just now."""
    rig.now = 60
    rig.add("p", (60, 7.0))
    assert rig.query("p") == [(60, 7.0, 7.0, 7.0)]


def test_points_do_not_mix(rig: Rig) -> None:
    """Each point has its own values, also after the roll-up; one that is unknown has none."""
    for n in range(30):
        rig.steady(f"p{n}", 0, 3600, float(n))
    for settled in (False, True):
        if settled:
            rig.settled(1)
        for n in (0, 7, 29):
            assert {bucket[1:] for bucket in rig.query(f"p{n}", until=3599)} == {(n, n, n)}
    assert rig.query("nowhere") == []


def test_values_keep_all_their_digits(rig: Rig) -> None:
    """Least and greatest are exact, in every tier, and the mean lies between them."""
    values = (0.1, 1e99, -1e99, 2.0**53, 1 / 3, 5e-324)
    for n, value in enumerate(values):
        rig.steady(f"p{n}", 0, 86_400, value)
    rig.settled(24)
    for step in (1.0, 60.0, 900.0):
        for n, value in enumerate(values):
            found = rig.query(f"p{n}", 0, 80_000 if step > 1 else 1_500, step)
            assert {bucket[1:] for bucket in found} == {(value, value, value)}


def test_the_first_bucket_is_whole(rig: Rig) -> None:
    """Buckets begin at multiples of the step, so that asking again gives the same ones."""
    rig.steady("p", 0, 1200, 5.0)
    rig.now = 1200
    assert [b[0] for b in rig.query("p", since=130, until=250)] == [120, 180, 240]


# -- steps


@pytest.mark.parametrize(
    ("span", "wanted", "step"),
    [
        (3600, None, 2.0),
        (86_400, None, 60.0),
        (7 * 86_400, None, 600.0),
        (365 * 86_400, None, 21_600.0),
        (3600, 7.5, 7.5),
        (3600, 1.0, 2.0),
        (8000 * 365 * 86_400, 0.001, None),
    ],
)
def test_steps(rig: Rig, span: float, wanted: float | None, step: float | None) -> None:
    """A step that is not given, or makes too many buckets, is the least round one that fits."""
    asked = rig.history.query("p", 0.0, span, wanted)
    found = result_of(asked).step
    assert step is None or found == step
    assert span // found + 1 <= MOST_BUCKETS


@pytest.mark.parametrize("span", [1, 999, 1_999_000, 2_000_000, 86_399_999, 10**13])
def test_never_more_than_the_most(span: int) -> None:
    """However a span lies to the buckets, there are at most 2,000."""
    for since in (0, 1, 59_999, 86_399_999):
        step = fitting_step(since, since + span, None)
        assert (since + span) // step - since // step + 1 <= MOST_BUCKETS


def test_the_most_buckets(rig: Rig) -> None:
    """A whole year of one point is answered in at most 2,000 buckets."""
    for day in range(0, 365, 5):
        rig.steady("p", day * 86_400, day * 86_400 + 3600, 1.0)
        rig.settled((day + 1) * 24)
    rig.now = 365 * 86_400
    buckets = rig.query("p", step=None)
    assert len(buckets) == 73
    assert {b[1:] for b in buckets} == {(1.0, 1.0, 1.0)}


# -- the file


def test_what_the_disk_refuses_is_a_failure(rig: Rig) -> None:
    """Adding, asking and rolling up fail as the disk does, and work again when it does."""
    rig.add("p", (0, 1.0))
    rig.db.execute("PRAGMA query_only = ON")
    assert isinstance(
        failure_of(rig.history.add([Sample("p", DAY0, 1.0)])), sqlite3.OperationalError
    )
    rig.db.execute("PRAGMA query_only = OFF")
    assert rig.query("p", until=1) == [(0, 1.0, 1.0, 1.0)]


def test_in_its_thread(tmp_path: Path) -> None:
    """Opened in a folder, it keeps what it is given over a restart, each in a thread of its own."""
    for expected in (0, 1):
        calls = Calls()
        history = open_history(tmp_path, calls, lambda: DAY0 + 5, HOLD)
        asked = history.query("p", DAY0, DAY0 + 5, 60)
        added = history.add([Sample("p", DAY0, 3.0)])
        step = history.step()
        calls.run(asked, added, step)
        assert len(result_of(asked).buckets) == expected
        assert result_of(step) is False
        calls.run(history.close())
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_found_corrupt_while_used(tmp_path: Path) -> None:
    """When SQLite finds the file corrupt, the next start puts it aside."""
    calls = Calls()
    history = open_history(tmp_path, calls, lambda: DAY0, HOLD)
    added = history.add([Sample(f"p{n}", DAY0 + n, 3.0) for n in range(5000)])
    closed = history.close()
    calls.run(added, closed)
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192 * 20)
    history = open_history(tmp_path, calls, lambda: DAY0, HOLD)
    assert history.found == ()
    asked = history.query("p1", DAY0, DAY0 + 5, 60)
    calls.run(asked)
    assert isinstance(failure_of(asked), sqlite3.DatabaseError)
    calls.run(history.close())
    assert (tmp_path / SUSPECT).exists()
    history = open_history(tmp_path, calls, lambda: DAY0, HOLD)
    assert "corrupt" in history.found[0].en
    assert not (tmp_path / SUSPECT).exists()
    calls.run(history.close())


# -- the keeper


class Work:
    """So much work, and how often it was asked for."""

    def __init__(self, left: int) -> None:
        self.left, self.asked = left, 0
        self.broken = False

    def step(self) -> Deferred[bool]:
        self.asked += 1
        if self.broken:
            return fail(OSError("the disk is ill"))
        self.left -= 1
        return succeed(self.left >= 0)


def test_upkeep_paces_itself() -> None:
    """While there is work it goes on after a short pause, else it looks again after a minute."""
    clock, work = Clock(), Work(3)
    upkeep = Upkeep(work.step, clock)
    upkeep.start()
    clock.pump([BUSY_PAUSE] * 4)
    assert work.asked == 4
    clock.advance(IDLE_PAUSE - 1)
    assert work.asked == 4
    clock.advance(1)
    assert work.asked == 5
    upkeep.stop()
    assert clock.getDelayedCalls() == []


def test_upkeep_survives_a_failure() -> None:
    """A failing disk does not end the roll-up for good."""
    clock, work = Clock(), Work(0)
    work.broken = True
    upkeep = Upkeep(work.step, clock)
    upkeep.start()
    clock.pump([BUSY_PAUSE, IDLE_PAUSE, IDLE_PAUSE])
    assert work.asked == 3
    work.broken, work.left = False, 1
    clock.pump([IDLE_PAUSE, BUSY_PAUSE])
    assert work.asked == 5
    upkeep.stop()


def test_upkeep_stops_while_a_step_runs() -> None:
    """A step that ends after the stop begins no other."""
    clock = Clock()
    running: Deferred[bool] = Deferred()
    upkeep = Upkeep(lambda: running, clock)
    upkeep.start()
    clock.advance(BUSY_PAUSE)
    upkeep.stop()
    running.callback(True)
    assert clock.getDelayedCalls() == []

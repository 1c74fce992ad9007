"""The roll-up: tiers, restarts, clocks that jump, samples that come late, what is pruned."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.history.rig import DAY0, Rig
from tests.store.material import result_of
from twisted_gantry.core.history import Bucket, Sample
from twisted_gantry.store.history import rollup as history_rollup

HOUR, DAY = 3600, 86_400
FIRST_HOUR, FIRST_DAY = int(DAY0) // HOUR, int(DAY0) // DAY


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.db.close()


def saw(rig: Rig, begin: int, end: int, point: str = "p") -> None:
    """Record a saw of 10 s teeth: 0 to 5 in steps of 1 each minute."""
    samples = ((float(at), float(at // 10 % 6)) for at in range(begin, end, 10))
    rig.add(point, *samples)


def alike(found: list[Bucket], expected: list[Bucket]) -> bool:
    """Tell whether two series are the same but for the last digits of means."""
    return len(found) == len(expected) and all(
        (a[0], a[1], a[3]) == (b[0], b[1], b[3]) and a[2] == pytest.approx(b[2], abs=1e-3)
        for a, b in zip(found, expected, strict=True)
    )


# -- tiers


def test_an_hour_becomes_blocks(rig: Rig) -> None:
    """After its end and the grace the samples of an hour are a block of each tier, and no rows."""
    saw(rig, 0, HOUR + 600)
    assert rig.settle(HOUR + 60) == 0  # a batch may still be under way
    assert rig.settled(1) == 1
    assert rig.rows("SELECT key >> 16 FROM raw") == [(FIRST_HOUR,)]
    assert rig.rows("SELECT key >> 16 FROM minute") == [(FIRST_HOUR,)]
    assert rig.rows("SELECT count(*) FROM sample") == [(60,)]
    assert rig.rows("SELECT count(*) FROM quarter") == [(0,)]
    rig.settled(24)
    assert rig.rows("SELECT key >> 16 FROM quarter") == [(FIRST_DAY,)]
    assert rig.rows("SELECT * FROM due") == []


@pytest.mark.parametrize("step", [10, 60, 120, 900, 3600])
def test_the_roll_up_changes_no_answer(rig: Rig, step: int) -> None:
    """What is answered is the same before the roll-up, half way, and after it."""
    saw(rig, 0, DAY)
    rig.add("p", (DAY - 5, None))
    until = (2 * HOUR if step < 60 else DAY) - 1
    rig.now = DAY
    before = rig.query("p", 0, until, step)
    assert len(before) == (until + 1) // step
    for hours in (5, 23, 24):
        rig.settled(hours)
        rig.now = DAY
        assert alike(rig.query("p", 0, until, step), before)


def test_a_step_is_small(rig: Rig) -> None:
    """Many points are settled in several steps, and between two of them all answers are right."""
    for n in range(40):
        saw(rig, 0, HOUR, f"p{n}")
    rig.now = HOUR + 200
    expected = rig.query("p39", until=HOUR - 0.001)
    steps = 0
    while result_of(rig.history.step()):
        steps += 1
        for name in ("p0", "p20", "p39"):
            assert alike(rig.query(name, until=HOUR - 0.001), expected)
    assert steps == -(-40 * 360 // history_rollup.STEP_SAMPLES)


def test_a_restart_goes_on(rig: Rig) -> None:
    """A restart after every single step loses and doubles nothing."""
    for n in range(30):
        saw(rig, 0, HOUR, f"p{n}")
    rig.now = DAY + 200
    expected = rig.query("p29", until=HOUR - 0.001)
    steps = 0
    while result_of(rig.history.step()):
        rig.history = rig.opened()
        steps += 1
    assert steps > 4
    assert alike(rig.query("p29", until=HOUR - 0.001), expected)
    assert rig.rows("SELECT count(*) FROM quarter") == [(30,)]


def test_a_value_holds_over_the_hour(rig: Rig) -> None:
    """The first minute of an hour knows the last value of the hour before."""
    rig.add("p", (HOUR - 30, 1.0), (HOUR + 30, 3.0), (HOUR + 60, None))
    rig.settled(2)
    buckets = {bucket[0]: bucket for bucket in rig.query("p")}
    assert buckets[HOUR] == (HOUR, 1.0, 2.0, 3.0)


def test_a_short_time_counts_for_little(rig: Rig) -> None:
    """A quarter weighs its minutes by the time in which the value was known."""
    rig.add("p", (0, 100.0), (6, None), (60, 0.0), (114, None))
    rig.settled(24)
    [bucket] = rig.query("p", until=899, step=900)
    assert bucket == (0, 0.0, pytest.approx(10.0), 100.0)


def test_a_gap_stays_a_gap(rig: Rig) -> None:
    """An hour without a value has no entries in any tier, and no zeros."""
    saw(rig, 0, HOUR)
    rig.add("p", (HOUR, None))
    saw(rig, 3 * HOUR, 4 * HOUR)
    rig.settled(24)
    for step in (60, 900, 3600):
        hours = {bucket[0] // HOUR for bucket in rig.query("p", step=step)}
        assert hours == {0, 3} or (hours == {0, 3, 4} and step >= 60)


# -- clocks and late samples


def test_late_samples_join_their_hour(rig: Rig) -> None:
    """What a fault of the disk held back comes into the minutes and quarters of its time."""
    saw(rig, 0, 1800)
    saw(rig, HOUR, DAY)
    rig.settled(24)
    assert rig.settled(24) == 0
    saw(rig, 1800, HOUR)
    rig.add("p", (DAY, None))
    direct = rig.query("p", step=900)
    rig.settled(24)
    assert alike(rig.query("p", step=900), direct)
    assert {b[1:] for b in rig.query("p", until=DAY - 1, step=900)} == {(0.0, 2.5, 5.0)}


def test_a_clock_set_back_records_an_hour_twice(rig: Rig) -> None:
    """Both passes of an hour are kept in its blocks; nothing is doubled, nothing fails."""
    rig.steady("p", 0, 2 * HOUR, 1.0)
    rig.settled(2)
    rig.add("p", *((at + 30.0, 9.0) for at in range(HOUR, 2 * HOUR, 60)))  # set back by an hour
    rig.settled(2)
    found = rig.query("p", HOUR + 60, 2 * HOUR - 60, 60)
    assert {bucket[1:] for bucket in found} == {(1.0, 5.0, 9.0)}
    rig.add("p", *((at + 30.0, 9.0) for at in range(HOUR, 2 * HOUR, 60)))
    rig.settled(2)
    assert rig.query("p", HOUR + 60, 2 * HOUR - 60, 60) == found


def test_samples_out_of_order_within_the_hour(rig: Rig) -> None:
    """A clock that is set back by seconds puts samples behind each other; they are sorted."""
    rig.add("p", (20, 3.0), (40, None), (0, 1.0), (10, 2.0))
    rig.now = 59
    expected = [(0, 1.0, 2.25, 3.0)]
    assert rig.query("p", until=59) == expected
    rig.settled(1)
    assert rig.query("p", until=59) == expected


def test_a_clock_far_ahead_prunes_nothing(rig: Rig) -> None:
    """A clock that is wrong by years, and set right again, costs no history."""
    for hour in range(0, 240, 24):
        rig.steady("p", hour * HOUR, hour * HOUR + 600, 1.0)
    rig.settled(240)
    years = 20 * 365 * DAY
    rig.steady("p", years, years + 2 * HOUR, 2.0)
    rig.settle(years + 3 * HOUR)
    rig.settle(241 * HOUR)
    assert len(rig.query("p", step=3600)) == 10
    assert rig.rows("SELECT count(*) FROM sample") == [(0,)]
    assert len(rig.query("p", years, years + 2 * HOUR, 3600)) == 2


def test_a_clock_that_was_years_behind(rig: Rig) -> None:
    """A day that was rolled up before its time, under a clock that was behind, is not cut short."""
    saw(rig, 0, 2 * HOUR)
    rig.settle(-20 * 365 * DAY)
    assert rig.rows("SELECT count(*) FROM quarter") == [(1,)]
    saw(rig, 2 * HOUR, 6 * HOUR)
    rig.settled(6)
    for step in (60, 900, 3600):
        found = rig.query("p", until=6 * HOUR - 0.001, step=step)
        assert len(found) == 6 * HOUR // step
    rig.settled(24)
    assert len(rig.query("p", until=6 * HOUR - 0.001, step=900)) == 24


def test_samples_ahead_of_the_clock_do_not_pile_up(rig: Rig) -> None:
    """What was recorded under a clock that was ahead is settled when the clock is right again."""
    rig.steady("p", 50 * HOUR, 53 * HOUR, 1.0)
    rig.settle(600)
    assert rig.rows("SELECT count(*) FROM sample") == [(0,)]


# -- what is kept


def test_samples_are_kept_for_a_week(rig: Rig) -> None:
    """Of the samples 168 hours are kept; before them the minutes answer."""
    for hour in range(175):
        saw(rig, hour * HOUR, hour * HOUR + 60)
        rig.add("p", (hour * HOUR + 60, None))
    rig.settled(175)
    assert rig.rows("SELECT min(key >> 16), count(*) FROM raw") == [(FIRST_HOUR + 7, 168)]
    assert rig.rows("SELECT count(*) FROM minute") == [(175,)]
    fine = rig.query("p", 7 * HOUR, 7 * HOUR + 100, 10)
    assert [bucket[1] for bucket in fine] == [0, 1, 2, 3, 4, 5]
    assert rig.query("p", 6 * HOUR, 6 * HOUR + 100, 10) == [(6 * HOUR, 0.0, 2.5, 5.0)]
    # An hour whose samples are gone is not made again from a few that come late.
    rig.add("p", (5 * HOUR, 1000.0))
    rig.settled(175)
    assert rig.query("p", 5 * HOUR, 5 * HOUR + 100) == [(5 * HOUR, 0.0, 2.5, 5.0)]


def test_minutes_are_kept_for_60_days(rig: Rig) -> None:
    """Of the minutes 1,440 hours are kept; before them the quarters answer, hour by hour."""
    for hour in range(60 * 24 + 30):
        rig.add("p", (hour * HOUR, 1.0), (hour * HOUR + 60, None))
    rig.settled(60 * 24 + 30)
    assert rig.rows("SELECT min(key >> 16), count(*) FROM minute") == [(FIRST_HOUR + 30, 1440)]
    found = rig.query("p", DAY, DAY + 12 * HOUR, 60)
    assert found == [(at, 1.0, 1.0, 1.0) for at in range(DAY, DAY + 12 * HOUR + 1, HOUR)]


def test_quarters_are_kept_for_two_years(rig: Rig) -> None:
    """Of the quarters 731 days are kept, and not one more."""
    for day in range(740):
        rig.add("p", (day * DAY, 1.0), (day * DAY + 60, None))
    rig.settled(740 * 24)
    assert rig.rows("SELECT min(key >> 16), count(*) FROM quarter") == [(FIRST_DAY + 9, 731)]


def test_a_file_that_is_too_large_gives_up_its_oldest(rig: Rig) -> None:
    """Above the size the oldest samples go, then minutes and quarters, but never the last day."""
    for n in range(10):
        rig.steady(f"p{n}", 0, 3 * DAY, float(n))
    rig.settled(72)
    used = rig.rows("SELECT count(*) FROM raw")
    assert used == [(72 * 10,)]
    while history_rollup.step(rig.db, int((DAY0 + 80 * HOUR) * 1000), 90_000, 1000):
        pass
    for table in ("raw", "minute"):
        assert rig.rows(f"SELECT count(*) FROM {table}") == [(24 * 10,)]
    assert rig.rows("SELECT count(*) FROM quarter") == [(3 * 10,)]


def test_a_damaged_block_is_a_gap(rig: Rig) -> None:
    """A block that cannot be read fails neither the query nor the roll-up."""
    saw(rig, 0, 2 * HOUR)
    rig.settled(2)
    rig.db.execute("UPDATE minute SET body = x'00ff' WHERE key >> 16 = ?", (FIRST_HOUR,))
    rig.db.execute("UPDATE raw SET body = x'' WHERE key >> 16 = ?", (FIRST_HOUR,))
    assert min(b[0] for b in rig.query("p")) == HOUR
    rig.query("p", 0, 1800, 1)
    rig.add("p", (100, 1.0))
    rig.settled(24)
    assert (0 * HOUR + 60, 1.0, 1.0, 1.0) in rig.query("p", step=60)


# -- against a plain model

_VALUES = st.one_of(st.none(), st.integers(-5, 5).map(float))
_SAMPLES = st.lists(
    st.tuples(st.integers(0, 3 * HOUR // 5).map(lambda n: n * 5), _VALUES), max_size=60
)


def model(samples: dict[int, float | None], step: int, end: int) -> list[Bucket]:
    """Return what a history of samples is, second by second."""
    found: dict[int, list[float]] = {}
    value, since = None, 0
    for second in range(end):
        if second in samples:
            value, since = samples[second], second
        if value is not None and second < since + 90:
            found.setdefault(second // step, []).append(value)
    return [
        (float(n * step), min(seen), sum(seen) / len(seen), max(seen))
        for n, seen in sorted(found.items())
    ]


@given(_SAMPLES, st.booleans(), st.sampled_from([6, 60, 300, 900, 3600]))
def test_as_the_model(samples: list[tuple[int, float | None]], settled: bool, step: int) -> None:
    """Samples in any order give what a plain model gives, before the roll-up and after it."""
    rig = Rig()
    # An hour without a sample is not known to have begun as the last one ended.
    samples = [*samples, (HOUR + 5, 1.0), (2 * HOUR + 5, 2.0)]
    rig.add("p", *samples)
    rig.now = DAY
    if settled:
        rig.settled(24)
    found = rig.query("p", 0, 3 * HOUR - 0.001, step)
    assert alike(found, model(dict(samples), step, 3 * HOUR))
    rig.db.close()


def test_a_second_sample_of_a_moment_wins(rig: Rig) -> None:
    """Of two samples of one moment the one that came later is kept."""
    result_of(rig.history.add([Sample("p", DAY0, 1.0), Sample("p", DAY0, 2.0)]))
    rig.now = 1
    assert rig.query("p") == [(0, 2.0, 2.0, 2.0)]

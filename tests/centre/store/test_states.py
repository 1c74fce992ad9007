"""States and alarms as reports move them; their rows in both engines."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.centre.store.histories import Sent, batches, expected, histories, stored
from tests.centre.store.samples import report
from twisted_gantry.centre.conditions import CLOCK_SKEW, SILENT
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD, Received, Told, Verdict
from twisted_gantry.centre.store import alarms
from twisted_gantry.centre.store.days import table_of
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START
from twisted_gantry.wire.etc.envelope import Method

STORED, LATE = Verdict.STORED, Verdict.LATE
CLEAR = ("alarms", "states", "gantry_states")


@pytest.fixture
def filing() -> Filing:
    return Filing("front-1")


def read(store: InlineStore, sql: str, *values: Any) -> list[Any]:
    found: list[Any] = []
    store.read(lambda session: session.rows(sql, *values)).addCallback(found.extend)
    return found


def spans(store: InlineStore) -> list[Any]:
    """Return the alarms: name, seconds after START of begin and end, whether late."""
    rows = read(store, "SELECT name, began, ended, late FROM alarms ORDER BY began, id")
    return [(n, b - START, None if e is None else e - START, late) for n, b, e, late in rows]


def at(seconds: float, raised: str = "", *, after: float = 1.0, **more: Any) -> Received:
    """Return a report of `seconds` after START that comes `after` seconds later."""
    given_ = report("G1", START + seconds, received=START + seconds + after, raised=raised)
    told = replace(given_.told[0], **more)
    return replace(given_, told=(told,), method=Method.CABINET_STATUS)


def empty(session: Session) -> None:
    for table in (*CLEAR, "seen"):
        session.run(f"DELETE FROM {table}")
    for (day,) in session.rows("SELECT day FROM days"):
        session.run(f"DELETE FROM {table_of(day)}")


ARRIVALS = histories.flatmap(
    lambda found: st.tuples(
        st.just(found),
        st.permutations(found),
        st.lists(st.sampled_from(found), max_size=3),
        st.lists(st.integers(0, 20), max_size=4),
    )
)


def test_alarms_follow_from_the_set_of_reports(store: InlineStore) -> None:
    """Whatever the order in which reports come, and how often, the alarms are those in order."""
    engines: list[str] = []
    store.read(lambda session: session.engine).addCallback(engines.append)

    @settings(deadline=None, max_examples=10 if engines == ["postgresql"] else 40)
    @given(ARRIVALS)
    def check(drawn: tuple[list[Sent], list[Sent], list[Sent], list[int]]) -> None:
        in_order, shuffled, again, cuts = drawn
        store.write(empty)
        for batch in batches([*shuffled, *again], cuts):
            store.put_all(batch)
        found: list[Any] = []
        store.read(stored).addCallback(found.extend)
        assert found == expected(in_order)
        by_position = sorted(in_order, key=lambda e: (e.stamp, e.stamp + e.delay))
        newest = {e.subject: e.received() for e in by_position}
        rows = read(store, "SELECT subject, stamp, received FROM states")
        assert {s: (t, r) for s, t, r in rows} == {
            s: (e.stamp, e.received_at) for s, e in newest.items()
        }

    check()


def test_no_edge_of_a_group_is_lost(memory: InlineStore) -> None:
    """An alarm that begins and ends within one transaction is a row; a second one is another."""
    group = [at(0), at(10, "smoke"), at(20), at(30, "smoke water"), at(40, "water")]
    assert memory.put_all(group) == [STORED] * 5
    assert spans(memory) == [
        ("cabinet-1.smoke", 10, 20, 0),
        ("cabinet-1.smoke", 30, 40, 0),
        ("cabinet-1.water", 30, None, 0),
    ]
    severities = read(memory, "SELECT DISTINCT severity FROM alarms")
    assert severities == [("critical",)]


def test_a_condition_that_is_not_told_stays(memory: InlineStore) -> None:
    """Unknown neither raises nor clears."""
    memory.put_all([at(0, "smoke")])
    memory.put_all([at(10, unknown=frozenset({"smoke", "water"}))])
    assert spans(memory) == [("cabinet-1.smoke", 0, None, 0)]
    memory.put_all([at(20)])
    assert spans(memory) == [("cabinet-1.smoke", 0, 20, 0)]


def test_a_stamp_of_the_future_is_its_reception(memory: InlineStore) -> None:
    """The effective stamp is the lesser one, and on a tie of stamps the later arrival wins."""
    memory.put_all([at(100, "smoke", after=-60)])
    assert spans(memory) == [("cabinet-1.smoke", 40, None, 0)]
    assert memory.put_all([at(40, "water", after=5)]) == [STORED]
    assert [name for name, *_ in spans(memory)] == ["cabinet-1.smoke", "cabinet-1.water"]
    assert spans(memory)[0] == ("cabinet-1.smoke", 40, 40, 0)


def test_a_late_report_changes_the_history_alone(memory: InlineStore) -> None:
    """A late report cuts an alarm in two: the later part keeps its row and its acknowledgement."""
    memory.put_all([at(0, "smoke"), at(100, "smoke", battery_minutes=5.0, on_battery=True)])
    memory.write(lambda s: s.run("UPDATE alarms SET acked_by = 'li', note = 'seen'"))
    before = read(memory, "SELECT stamp, received, on_battery, battery_until FROM states")
    assert memory.put_all([at(50, after=90)]) == [LATE]
    rows = read(memory, "SELECT began, ended, late, acked_by FROM alarms ORDER BY began")
    assert rows == [(START, START + 50, 1, ""), (START + 100, None, 0, "li")]
    assert read(memory, "SELECT stamp, received, on_battery, battery_until FROM states") == before
    assert read(memory, "SELECT heard FROM states") == [(START + 140,)]
    # One that tells the same again joins nothing, and one more begins an alarm that is over.
    assert memory.put_all([at(20, "smoke", after=90), at(60, "water", after=90)]) == [LATE] * 2
    assert spans(memory)[1] == ("cabinet-1.water", 60, 100, 1)


def test_a_late_report_may_raise_what_nothing_has_told_since(memory: InlineStore) -> None:
    """What later reports do not tell is carried on from the late one, as in order."""
    memory.put_all([at(0), at(20, unknown=frozenset({"smoke"}))])
    assert memory.put_all([at(10, "smoke", after=60)]) == [LATE]
    assert spans(memory) == [("cabinet-1.smoke", 10, None, 1)]
    assert read(memory, "SELECT worst FROM gantry_states") == [(3,)]


def test_a_clock_that_fell_back_is_judged_by_reception(memory: InlineStore) -> None:
    """After two periods without anything newer the reception counts, until the stamps agree."""
    memory.put_all([at(0)])
    back = -86_400.0
    for after in (PERIOD, 2 * PERIOD):  # the first report came a second after its stamp
        assert memory.put_all([at(back + after, "smoke", after=-back)]) == [LATE]
    assert CLOCK_SKEW not in [name for name, *_ in spans(memory)]
    assert memory.put_all([at(back + 3 * PERIOD, "smoke", after=-back)]) == [STORED]
    assert (CLOCK_SKEW, 3 * PERIOD, None, 0) in spans(memory)
    assert ("cabinet-1.smoke", 3 * PERIOD, None, 0) in spans(memory)
    assert memory.put_all([at(back + 4 * PERIOD, after=-back)]) == [STORED]
    assert ("cabinet-1.smoke", 3 * PERIOD, 4 * PERIOD, 0) in spans(memory)
    assert memory.put_all([at(5 * PERIOD)]) == [STORED]
    assert (CLOCK_SKEW, 3 * PERIOD, 5 * PERIOD + 1, 0) in spans(memory)
    # What was judged by reception is not found by its stamp.
    assert memory.put_all([at(back + 3.5 * PERIOD, "water", after=7 * PERIOD - back)]) == [LATE]
    assert ("cabinet-1.water", back + 3.5 * PERIOD, 0, 1) in spans(memory)


def test_packs_hide_no_clock_that_fell_back(memory: InlineStore) -> None:
    """A Fogslink pack has no stamp: those of a gantry with a wrong clock tell nothing of it."""
    memory.put_all([at(0)])
    for minute in range(1, 13):
        came = START + 60 * minute
        told = (Told("fogslink", frozenset(), ended=frozenset({"P0-C1-abnormal"})),)
        body = b"%d" % minute
        pack = Received("G1", "req200", None, came + 1, body, body, told, str(minute))
        memory.put_all([at(60 * minute - 7200, after=7200), pack])
    assert [name for name, *_ in spans(memory)] == [CLOCK_SKEW]


def test_an_old_report_after_a_long_silence_is_no_clock_that_fell_back(
    memory: InlineStore,
) -> None:
    """What waited at the gantry for hours tells nothing of its clock, until it keeps coming."""
    memory.put_all([at(0)])
    assert memory.put_all([at(-10, after=20_000), at(-5, after=20_200)]) == [LATE] * 2
    assert memory.put_all([at(20_200)]) == [STORED]
    assert spans(memory) == []


def test_a_backlog_is_no_clock_that_fell_back(memory: InlineStore) -> None:
    """Stamps that run ahead of their reception are old reports, however long they take."""
    now = 86_400.0
    memory.put_all([at(0), at(now)])
    for minute in range(40):
        old = 2000.0 * (minute + 1)
        assert memory.put_all([at(old, "smoke", after=now + 60 * minute - old)]) == [LATE]
    assert CLOCK_SKEW not in [name for name, *_ in spans(memory)]
    assert spans(memory) == [("cabinet-1.smoke", 2000, now, 1)]


def test_a_stamp_that_cannot_be_one_is_a_wrong_clock(memory: InlineStore) -> None:
    """A stamp of 1970, or none, is judged by reception at once."""
    for stamp in (1000.0, None):
        memory.write(empty)
        odd = replace(at(50, "smoke"), stamp=stamp)
        assert memory.put_all([at(0), odd]) == [STORED] * 2
        names = {name: began for name, began, *_ in spans(memory)}
        assert names == {"cabinet-1.smoke": 51, CLOCK_SKEW: 51}
        memory.put_all([at(60)])
        assert {name: ended for name, _, ended, _ in spans(memory)} == {
            "cabinet-1.smoke": 60,
            CLOCK_SKEW: 61,
        }


def test_a_report_older_than_all_that_is_kept_is_late(memory: InlineStore) -> None:
    """A stamp before the oldest day is that of a backlog: the state and its alarms stay."""
    memory.put_all([at(0, "water")])
    old = -100 * 86_400.0
    sent = [at(old, "smoke", after=10 - old), at(old + 300, after=11 - old)]
    assert memory.put_all(sent) == [LATE] * 2
    assert memory.put_all([replace(sent[0], received_at=START + 500)]) == [Verdict.DUPLICATE]
    assert spans(memory) == [
        ("cabinet-1.smoke", old, old + 300, 1),
        ("cabinet-1.water", 0, None, 0),
    ]
    # Their rows, which are filed by reception, tell nothing of that time.
    assert memory.put_all([at(5, after=20)]) == [STORED]
    assert memory.put_all([at(3, "smoke", after=30)]) == [LATE]
    assert ("cabinet-1.smoke", 3, 5, 1) in spans(memory)
    assert read(memory, "SELECT oldest FROM backlogs") == [(START + 3,)]


def test_in_one_second_the_later_arrival_wins(memory: InlineStore) -> None:
    """A stamp is a whole second, whether the gantry wrote it or the reception gave it."""
    for first in (None, START + 60):
        memory.write(empty)
        fast = replace(at(0, "smoke", after=0.4), stamp=first)
        assert memory.put_all([fast, at(0, after=0.7)]) == [STORED] * 2
        assert ("cabinet-1.smoke", 0, 0, 0) in spans(memory)


def test_a_report_ends_the_silence(memory: InlineStore) -> None:
    """A gantry that sends is not silent, whatever the stamp of its report."""
    found: list[bool] = []

    def change(session: Session) -> None:
        found.append(alarms.begin(session, "G1", SILENT, START + 700))
        found.append(alarms.begin(session, "G1", SILENT, START + 800))

    memory.put_all([at(0)])
    memory.write(change)
    assert read(memory, "SELECT silent_since, worst FROM gantry_states") == [(START + 700, 0)]
    memory.put_all([at(-50, after=1000)])
    assert spans(memory) == [(SILENT, 700, 950, 0)]
    assert read(memory, "SELECT silent_since FROM gantry_states") == [(None,)]
    memory.write(lambda session: found.append(alarms.end(session, "G1", SILENT, START + 960)))
    assert found == [True, False, False]


def test_the_worst_alarm_and_the_mains_are_kept(memory: InlineStore) -> None:
    """A gantry's row has the rank of its worst alarm, and since when."""
    query = "SELECT g.worst, g.since, s.mains_off, s.battery_until FROM gantry_states g, states s"
    for seconds, raised, worst, since in (
        (0, "", 0, 0),
        (10, "front-door-open", 1, 10),
        (20, "front-door-open on-battery mains-abnormal", 2, 20),
        (30, "front-door-open mains-abnormal smoke", 3, 30),
        (40, "front-door-open", 1, 40),
        (50, "front-door-open", 1, 40),
    ):
        off = "mains-abnormal" in raised
        memory.put_all([at(seconds, raised, battery_minutes=2.0 if off else None)])
        until = START + seconds + 120 if off else None
        assert read(memory, query) == [(worst, START + since, int(off), until)]


def test_a_strike_of_lightning_shows_between_two_reports(memory: InlineStore) -> None:
    """A count that rises is a strike, each one of its own; the next report without one ends it."""
    for seconds, counts in enumerate(
        [(5, 0), (5, 1), (6, 1), None, (6, 1), (0, 1), (0, 1, 9), None, (0, 1, 10)]
    ):
        memory.put_all([at(10 * seconds, strikes=counts)])
    memory.put_all([at(15, strikes=(9, 9), after=100)])
    assert spans(memory) == [
        ("cabinet-1.lightning", 10, 20, 0),
        ("cabinet-1.lightning", 20, 40, 0),
        ("cabinet-1.lightning", 80, None, 0),
    ]


def test_a_report_tells_of_several_subjects(memory: InlineStore) -> None:
    """A report is late only if it is older than the states of all its subjects."""
    one, two = Told("computer-1", frozenset()), Told("computer-2", frozenset({"x"}))
    memory.put_all([replace(at(100), told=(one,))])
    assert memory.put_all([replace(at(50), told=(one, two))]) == [STORED]
    assert memory.put_all([replace(at(40), told=(one, two))]) == [LATE]
    assert spans(memory) == [("computer-2.x", 40, None, 0)]

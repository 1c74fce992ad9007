"""Many late reports in one transaction, in both engines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.centre.store.histories import Sent, histories
from tests.centre.store.samples import report
from tests.centre.store.test_states import empty
from twisted_gantry.centre.conditions import CLOCK_SKEW
from twisted_gantry.centre.fold import told_of, told_text
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD, Received, Told, Verdict
from twisted_gantry.centre.store import reports
from twisted_gantry.centre.store.days import DAY, table_of
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START

GANTRIES = ("G1", "G2", "G3")
KEPT = (
    """SELECT gantry, name, began, began_received, ended, ended_received, late FROM alarms
    ORDER BY gantry, name, began, ended""",
    "SELECT * FROM states ORDER BY gantry, subject",
    "SELECT * FROM gantry_states ORDER BY gantry",
    "SELECT gantry, stamp, digest, late, told FROM {} ORDER BY gantry, stamp, digest",
)


@pytest.fixture
def filing() -> Filing:
    return Filing("front-1")


class Counting:
    """A session that counts what it is asked."""

    def __init__(self, session: Session) -> None:
        self.asked: Counter[str] = Counter()
        self._session = session

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        if not callable(found):
            return found

        def ask(sql: str = "", *values: Any) -> Any:
            self.asked[sql] += 1
            return found(sql, *values) if sql else found()

        return ask


def put(store: InlineStore, filing: Filing, group: Sequence[Received]) -> Counter[str]:
    """Store a group in a day that has its table; returns how often each statement was asked."""

    def job(session: Session) -> Counter[str]:
        counting: Any = Counting(session)
        reports.store(counting, filing, group, session.now())
        return Counter(counting.asked)

    return store.writing(job)


def kept(store: InlineStore) -> list[Any]:
    table = table_of(int(START // DAY))
    return store.writing(lambda session: [session.rows(sql.format(table)) for sql in KEPT])


def of_gantry(gantry: str, sent: Sent) -> Received:
    return replace(sent.received(), gantry=gantry)


def test_a_group_is_as_its_reports_one_by_one(store: InlineStore) -> None:
    """A group of reports of several gantries, most of them late, gives the same alarms, states and
    verdicts as its reports one by one.
    """
    engines: list[str] = []
    store.read(lambda session: session.engine).addCallback(engines.append)
    drawn = st.lists(
        st.tuples(st.sampled_from(GANTRIES), histories).map(
            lambda found: [of_gantry(found[0], each) for each in found[1]]
        ),
        min_size=1,
        max_size=4,
    ).flatmap(lambda lists: st.permutations([each for part in lists for each in part]))

    @settings(deadline=None, max_examples=8 if engines == ["postgresql"] else 30)
    @given(drawn, st.integers(0, 12))
    def check(came: list[Received], before: int) -> None:
        store.write(empty)
        one_by_one = [store.put_all([each])[0] for each in came]
        wanted = kept(store)
        store.write(empty)
        first = [store.put_all([each])[0] for each in came[:before]]
        rest = store.put_all(came[before:]) if came[before:] else []
        assert [*first, *rest] == one_by_one
        assert kept(store) == wanted

    check()


def backlog(gantries: int, each: int, raised: str = "") -> list[Received]:
    """Return reports of an outage as they drain: each gantry's in their order."""
    return [
        report(
            f"G{number}",
            START - 3600 + 60 * step,
            received=START + 10.0 + step,
            raised=raised if step else "",
        )
        for step in range(each)
        for number in range(gantries)
    ]


@pytest.mark.parametrize("raised", ["", "mains-abnormal"])
def test_late_reports_cost_no_statements_of_their_own(
    store: InlineStore, filing: Filing, raised: str
) -> None:
    """The statements of a group are as many for one late report as for two hundred, whether alarms
    began meanwhile or not.
    """
    fresh = [report(f"G{number}", START) for number in range(40)]
    store.put_all(fresh)
    few = put(store, filing, backlog(1, 2, raised))
    many = put(store, filing, [each for each in backlog(40, 5, raised) if each.gantry != "G0"])
    assert set(many) == set(few)
    assert set(many.values()) <= {1, few[""]}
    late = store.writing(lambda s: s.rows("SELECT count(*) FROM alarms WHERE late = 1"))
    assert late == [(40 if raised else 0,)]


def test_reports_of_a_wrong_clock_leave_the_timeline_by_one_statement(
    store: InlineStore, filing: Filing
) -> None:
    """A gantry whose clock fell back is judged by reception: its reports tell nothing of their
    stamps' time.
    """
    store.put_all([report("G1", START)])
    wrong = [
        report("G1", START - 7200 + step, received=START + step, body=b"%d" % step)
        for step in range(int(PERIOD), int(4 * PERIOD), 100)
    ]
    asked = put(store, filing, wrong)
    names = store.writing(lambda s: s.rows("SELECT name FROM alarms"))
    assert names == [(CLOCK_SKEW,)]
    hidden = [sql for sql in asked if "SET told" in sql]
    assert len(hidden) == 1
    assert asked[hidden[0]] == 1
    told = store.writing(
        lambda s: s.rows(
            f"SELECT told FROM {table_of(int(START // DAY))} WHERE stamp < ? ORDER BY stamp", START
        )
    )
    assert [text == "[]" for (text,) in told] == sorted(text == "[]" for (text,) in told)
    assert ("[]",) in told


def test_late_is_a_verdict_of_its_own(memory: InlineStore) -> None:
    """Late reports of a group are stored, and marked."""
    memory.put_all([report("G0", START)])
    assert memory.put_all(backlog(1, 3)) == [Verdict.LATE] * 3
    table = table_of(int(START // DAY))
    late = memory.writing(lambda s: s.rows(f"SELECT late FROM {table} ORDER BY stamp"))
    assert late == [(1,), (1,), (1,), (0,)]


def test_a_second_is_one_moment_in_the_past_as_well(memory: InlineStore) -> None:
    """A report of a clock that runs ahead stands at the second of its reception, and not behind a
    late one of that second.
    """
    memory.put_all([report("G1", START)])
    memory.put_all([report("G1", START + 60, received=START + 50.7, raised="smoke")])
    memory.put_all([report("G1", START + 100)])
    assert memory.put_all([report("G1", START + 50, received=START + 300)]) == [Verdict.LATE]
    found = memory.writing(lambda s: s.rows("SELECT name, began, ended FROM alarms"))
    assert found == [("cabinet-1.smoke", START + 50, START + 50)]


@given(
    st.frozensets(st.sampled_from(["P0-C1-abnormal", "P0-C2-abnormal", "smoke"])),
    st.none() | st.frozensets(st.sampled_from(["P1-C1-abnormal", "P1-C2-abnormal", "water"])),
)
def test_the_text_of_a_row_tells_what_the_report_told(
    raised: frozenset[str], ended: frozenset[str] | None
) -> None:
    """Nothing is lost in the short spelling of many channels."""
    unknown = frozenset({"mains-abnormal"}) if ended is None else frozenset()
    told = Told("fogslink", raised, unknown, ended=ended)
    text = told_text((Told("cabinet-1", raised), told))
    assert told_of(text, "fogslink") == told
    assert told_of(text, "cabinet-1") == Told("cabinet-1", raised)
    assert told_of(text, "cabinet") is None

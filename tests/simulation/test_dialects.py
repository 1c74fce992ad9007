"""A day against each dialect of the twin: no false alarm, none missed, as the page says."""

from functools import cache

import pytest

from tests.simulation.day import EVENTS, Day, live
from tests.simulation.dialects import PAGE, Round, judge, rounds, spoken, table, written
from twisted_gantry.twin.dialects.registry import listed

QUIET_S, POLL_S = 900.0, 10.0
ROUNDS = rounds()
ROWS = {
    (cells[0], cells[1].strip("`")): cells[2:]
    for line in PAGE.read_text("utf-8").splitlines()
    if len(cells := [each.strip() for each in line.strip("|").split(" | ")]) == 6
}


@cache
def plain() -> Day:
    return live({}, QUIET_S, POLL_S)


def test_the_page_has_a_row_for_each_dialect() -> None:
    """The rows of the page are the dialects of the registry, with their sentences."""
    rows = {key: row[0] for key, row in ROWS.items() if key[0] != "peer"}
    assert rows == {(e["peer"], e["name"]): f"{e['en']} · {e['zh']}" for e in listed()}


def test_the_days_meet_each_dialect_once() -> None:
    """No dialect is left out, and none is met twice."""
    met = [(peer.value, each.name) for which in ROUNDS for peer, each in which.items()]
    assert sorted(met) == sorted((each["peer"], each["name"]) for each in listed())


def test_a_table_replaces_the_one_before() -> None:
    """Writing the same table again leaves the page as it is."""
    page = PAGE.read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert written(page, "\n".join(rows)) == page
    assert written(page, table([])).count("\n| ") == 1


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_day_without_a_dialect() -> None:
    """The quiet hours are quiet, each event raises at least its alarms, and all of them end."""
    day = plain()
    assert (day.quiet, day.offline, day.failures, day.refused) == (set(), set(), [], set())
    for event in EVENTS:
        happened = day.events[event.name]
        assert event.alarms <= happened.raised, event.name
        assert (happened.left, happened.unreported) == (set(), set()), event.name
        assert happened.repair_failed == set(), event.name


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("which", ROUNDS[1:], ids=lambda which: "+".join(spoken(which).values()))
def test_a_day_with_dialects(which: Round) -> None:
    """No alarm is false and none is missed; the values that a dialect costs are on the page."""
    day = live(spoken(which), QUIET_S, POLL_S)
    assert (day.failures, day.refused) == ([], set())
    for verdict in judge(which, day, plain()):
        assert (verdict.false, verdict.missed) == ((), ()), verdict.row
        lost = ROWS[verdict.peer.value, verdict.dialect.name][1]
        assert verdict.row.split(" | ")[3] == lost

"""What is too old goes, in slices, and takes nothing younger with it."""

import pytest

from tests.centre.store.samples import report
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store import days, ledger, retention
from twisted_gantry.centre.store.days import DAY, day_of
from twisted_gantry.testing.centre_store import InlineStore

KEEP = 90


def test_days_are_dropped_and_made_ahead(
    store: InlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports older than the days that are kept go with their table; the last such day stays. The
    tables of the next days are there before them.
    """
    now = store.writing(lambda session: session.now())
    monkeypatch.setattr(retention, "SLICE", 2)
    ages = (0, KEEP - 1, KEEP, KEEP + 1, KEEP + 2)
    for age in ages:  # each came when it was fresh
        stamp = now - age * DAY
        store.put_all(
            [report(stamp=stamp), report(stamp=None, key=f"{age}", body=b"pack", received=stamp)]
        )
    steps = 1
    while store.writing(lambda session: retention.step(session, KEEP)):
        steps += 1
    assert steps >= 3
    today = day_of(now)
    left = store.writing(days.existing)
    assert left == [today + 2, today + 1, today, today - KEEP + 1, today - KEEP]
    [(seen,)] = store.writing(lambda session: session.rows("SELECT count(*) FROM seen"))
    assert seen in (2, 3)  # a pack is kept to the second


def test_a_report_older_than_all_days_is_filed_by_reception(store: InlineStore) -> None:
    """A stamp from before the days that are kept makes no table; the repetition is a duplicate."""
    now = store.writing(lambda session: session.now())
    old = report(stamp=now - 400 * DAY, received=now)
    again = report(stamp=now - 400 * DAY, received=now + 600.0)
    assert store.put_all([old, report(stamp=now, body=b"now"), again]) == [
        Verdict.STORED,
        Verdict.STORED,
        Verdict.DUPLICATE,
    ]
    assert set(store.writing(days.existing)) <= {day_of(now), day_of(now + 600.0)}


def test_totals_survive_when_hours_are_condensed(store: InlineStore) -> None:
    """Counts older than a year are kept as one row a front and count."""
    now = store.writing(lambda session: session.now())

    def fill(session: Session) -> None:
        for age in (500, 499, 400, 0):
            ledger.add(session, "front-1", now - age * DAY, {"stored": 3, "duplicate": 1})

    store.writing(fill)
    before = store.writing(ledger.totals)
    store.writing(lambda session: retention.step(session, KEEP))
    assert store.writing(ledger.totals) == before == {"stored": 12, "duplicate": 4}
    [(rows,)] = store.writing(lambda session: session.rows("SELECT count(*) FROM ledger"))
    assert rows == 4

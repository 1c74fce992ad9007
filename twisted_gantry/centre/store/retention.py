"""What is kept how long: whole days of reports, and slices of all that grows beside them.

Each `step` is a short transaction, so that reports never wait long for it. The duty that calls it
holds a lease, but a second caller does no harm.
"""

from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import days, ledger, pictures
from twisted_gantry.centre.store.days import DAY, day_of

YEAR = 366
"""Days for which alarms, incidents and the audit are kept."""
SLICE = 2000
"""Rows that one step removes."""
AHEAD = 2
"""Days for which tables exist before their first report."""


@dataclass(frozen=True, slots=True)
class _Aged:
    """A table that loses rows by age: those whose `column` is older, by their `key`."""

    table: str
    key: str
    column: str
    order: str
    """The indexed column in whose order rows are found; it is not later than `column`."""


_RAW = (
    _Aged("seen", "source, key, digest", "at", "at"),
    _Aged("rejected", "gantry, method, key, digest", "received_at", "received_at"),
    _Aged("pictures", "gantry, cabinet, opened_ms", "fetched_at", "fetched_at"),
    _Aged("picture_questions", "gantry, cabinet, opened_ms", "asked_at", "asked_at"),
)
_YEARS = (
    _Aged("alarms", "id", "ended", "began"),
    _Aged("incidents", "id", "ended", "since"),
    _Aged("troubles", "id", "ended", "since"),
    _Aged("orders", "id", "ended_at", "asked"),
    _Aged("commands", "id", "expires", "asked"),
    _Aged("audit", "id", "at", "at"),
    _Aged("channel_wishes", "id", "changed_at", "asked_at"),
)


def step(session: Session, keep_days: int) -> bool:
    """Make the tables of the next days, and remove one slice of what is too old; returns whether
    more is to be done.
    """
    now = session.now()
    _make_ahead(session, now)
    if _drop_day(session, day_of(now) - keep_days):
        return True
    raw, year = now - keep_days * DAY, now - YEAR * DAY
    removed = [_remove(session, table, raw) for table in _RAW]
    removed += [_remove(session, table, year) for table in _YEARS]
    ledger.condense(session, now)
    removed.append(pictures.trim(session, SLICE))
    return any(rows >= SLICE for rows in removed)


def _make_ahead(session: Session, now: float) -> None:
    for day in range(day_of(now), day_of(now) + AHEAD + 1):
        days.make(session, day)


def _drop_day(session: Session, first: int) -> bool:
    """Drop the oldest table before the `first` day that is kept. Reports of such a day are filed by
    reception, so that nobody writes to it.
    """
    old = [day for day in days.existing(session) if day < first]
    if old:
        days.drop(session, old[-1])
    return bool(old)


def _remove(session: Session, aged: _Aged, before: float) -> int:
    return session.run(
        f"DELETE FROM {aged.table} WHERE ({aged.key}) IN (SELECT {aged.key} FROM {aged.table} "  # noqa: S608
        f"WHERE {aged.order} < ? AND {aged.column} < ? ORDER BY {aged.order} LIMIT ?)",
        *(before, before, SLICE),
    )

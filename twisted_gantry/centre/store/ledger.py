"""Counts of what came and what became of it. Each front has rows of its own, so that fronts do not
wait for each other; a row is an hour, or an old day, so that the API can say `since`.

Received = stored + duplicate + refused. `late` and `rejected` are among the stored.
"""

from collections import Counter
from collections.abc import Mapping

from twisted_gantry.centre.interfaces import Session

HOUR, DAY = 3600, 86400
HOURS, DAYS = 14, 366
"""Days for which hours are kept, and for which days are."""

TABLES = (
    """CREATE TABLE ledger (
        front TEXT NOT NULL, hour {int} NOT NULL, what TEXT NOT NULL, total {int} NOT NULL,
        PRIMARY KEY (front, hour, what))""",
    "CREATE TABLE backlogs (front TEXT PRIMARY KEY, at {real} NOT NULL, oldest {real} NOT NULL)",
)

STORED, DUPLICATE, LATE, REJECTED = "stored", "duplicate", "late", "rejected"
"""`rejected` are reports that the database did not take as they were: their bytes are kept."""
_REFUSED = "refused-"
_ADD = (
    "INSERT INTO ledger (front, hour, what, total) {rows:text,int,text,int} "
    "ON CONFLICT (front, hour, what) DO UPDATE SET total = ledger.total + excluded.total"
)


def refused(code: str) -> str:
    """Return the name of the count of reports that were refused with a code."""
    return _REFUSED + code


def add(session: Session, front: str, at: float, counts: Mapping[str, int]) -> None:
    """Add to the counts of a front, in the same transaction as what they count. Even a group of
    duplicates writes here: its commit then waits for the standby, which has what they repeat.
    """
    _add(session, front, at, {what: total for what, total in counts.items() if total})


def _add(session: Session, front: str, at: float, counts: Mapping[str, int]) -> None:
    hour = int(at // HOUR) * HOUR
    rows = [(front, hour, what, total) for what, total in sorted(counts.items())]
    session.many(_ADD, rows)


def touch(session: Session, front: str, at: float) -> None:
    """Write without a change: whether the database takes commits, the standby included."""
    _add(session, front, at, {STORED: 0})


def condense(session: Session, now: float) -> None:
    """Add the hours older than `HOURS` days up to days, and what is older than `DAYS` days to the
    hour 0 of each front: totals stay as they are, and few rows are left.
    """
    for age, where in ((HOURS, f"hour % {DAY} <> 0"), (DAYS, "hour > 0")):
        before = int(now // DAY - age) * DAY
        old = session.rows(
            f"DELETE FROM ledger WHERE {where} AND hour < ? RETURNING front, hour, what, total",  # noqa: S608
            before,
        )
        sums: Counter[tuple[str, int, str]] = Counter()
        for front, hour, what, total in old:
            sums[front, hour // DAY * DAY if age == HOURS else 0, what] += total
        session.many(_ADD, [(*key, total) for key, total in sorted(sums.items())])


def note_backlog(session: Session, front: str, oldest: float) -> None:
    """Note the oldest stamp, Unix seconds, among late reports that a front has just stored."""
    session.run(
        "INSERT INTO backlogs VALUES (?, ?, ?) ON CONFLICT (front) DO UPDATE SET"
        " at = excluded.at, oldest = excluded.oldest",
        *(front, session.now(), oldest),
    )


def oldest_backlog(session: Session, within: float) -> float | None:
    """Return the oldest stamp that any front noted in the last `within` seconds; None if all that
    came since then is fresh.
    """
    now = session.now()
    [(oldest,)] = session.rows("SELECT min(oldest) FROM backlogs WHERE at > ?", now - within)
    return None if oldest is None else float(oldest)


def totals(session: Session, since: float = 0.0) -> dict[str, int]:
    """Return the sum of each count over all fronts, since the hour of a moment in Unix seconds; of
    one older than `HOURS` days, since the next midnight UTC.
    """
    hour = int(since // HOUR) * HOUR
    rows = session.rows(
        "SELECT what, CAST(sum(total) AS BIGINT) FROM ledger WHERE hour >= ? GROUP BY what", hour
    )
    return {what: int(total) for what, total in rows}


def received(counts: Mapping[str, int]) -> int:
    """Return how many reports came, of the counts that `totals` returned."""
    taken = counts.get(STORED, 0) + counts.get(DUPLICATE, 0)
    return taken + sum(refusals(counts).values())


def refusals(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many reports were refused by code, of the counts that `totals` returned."""
    return {
        what.removeprefix(_REFUSED): total
        for what, total in counts.items()
        if what.startswith(_REFUSED)
    }

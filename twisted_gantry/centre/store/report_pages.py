"""The stored reports of a gantry, page by page, newest first: a table a day, each by its key."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store.days import day_of, existing, table_of
from twisted_gantry.centre.store.packing import unpacked

ReportKey = tuple[float, int]
"""The stamp by which a report is filed, and its id."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it is stored. `filed` is its stamp, or the reception of one whose stamp cannot be
    used, Unix seconds.
    """

    id: int
    method: str
    filed: float
    received_at: float
    late: bool
    body: bytes = field(repr=False)

    @property
    def key(self) -> ReportKey:
        return (self.filed, self.id)


def reports_of(
    session: Session,
    gantry: str,
    *,
    method: str = "",
    since: float | None = None,
    until: float | None = None,
    before: ReportKey | None = None,
    limit: int = 100,
) -> list[StoredReport]:
    """Return reports filed from `since` on and before `until`, from behind the key `before`."""
    found: list[StoredReport] = []
    for day in _days(session, since, until, before):
        found += _of_day(session, day, gantry, method, since, until, before, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _days(
    session: Session, since: float | None, until: float | None, before: ReportKey | None
) -> Iterator[int]:
    newest = min((e for e in (until, before and before[0]) if e is not None), default=None)
    for day in existing(session):
        if since is not None and day < day_of(since):
            return
        if newest is None or day <= day_of(newest):
            yield day


def _of_day(
    session: Session,
    day: int,
    gantry: str,
    method: str,
    since: float | None,
    until: float | None,
    before: ReportKey | None,
    limit: int,
) -> list[StoredReport]:
    where, values = ["gantry = ?"], list[object]([gantry])
    conditions = (("method = ?", method or None), ("stamp >= ?", since), ("stamp < ?", until))
    for condition, value in conditions:
        if value is not None:
            where.append(condition)
            values.append(value)
    if before is not None:
        where.append("(stamp < ? OR (stamp = ? AND id < ?))")
        values += [before[0], before[0], before[1]]
    rows = session.rows(
        f"SELECT id, method, stamp, received_at, late, body FROM {table_of(day)}"  # noqa: S608
        f" WHERE {' AND '.join(where)} ORDER BY stamp DESC, id DESC LIMIT ?",
        *(*values, limit),
    )
    return [StoredReport(r[0], r[1], r[2], r[3], bool(r[4]), _body(bytes(r[5]))) for r in rows]


def _body(column: bytes) -> bytes:
    try:
        return unpacked(column)
    except zlib.error:  # bytes that the database did not take as a report
        return column

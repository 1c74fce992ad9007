"""What late reports need of the past of their gantries: alarms, and reports that were folded.

It is loaded for all gantries of a group by few statements; what is asked beyond, gantry by gantry.
The gantries are locked, so that what was read once stays true to the end of the transaction.
"""

from collections.abc import Iterable, Iterator, Mapping

from twisted_gantry.centre.conditions import FOGSLINK
from twisted_gantry.centre.fold import AHEAD, Position, Span, told_of
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Row, Told
from twisted_gantry.centre.store.days import DAY, day_of, existing, table_of
from twisted_gantry.centre.store.sql import POSTGRESQL, SQLITE

SPAN = "id, gantry, name, began, began_received, ended, ended_received, late"
"""The columns of `alarms` that `span_of` takes."""

_DAYS = 2
"""Days whose reports are loaded ahead: that of a late report, and the next one."""
_MOST = 1000
"""Reports of a gantry and day that are loaded ahead. A cabinet and a computer send 576 a day."""

_SPANS = f"""WITH k (g, s) AS ({{rows:text,real}})
    SELECT {SPAN} FROM k JOIN alarms ON gantry = g AND ended >= s"""  # noqa: S608
# Packs are many, and tell of their own subject alone.
_OF_GANTRY = """SELECT gantry, stamp, received_at, id, told FROM {table}
    WHERE gantry = {gantry} AND stamp >= {since} AND method NOT IN ('req200', 'req201')
    LIMIT {most}"""
_REPORTS = {
    SQLITE: _OF_GANTRY.replace("{gantry}", "?").replace("{since}", "?"),
    POSTGRESQL: (
        "WITH k (g, s) AS ({{rows:text,real}}) SELECT r.* FROM k CROSS JOIN LATERAL ("  # noqa: S608
        + _OF_GANTRY.replace("{gantry}", "k.g").replace("{since}", "k.s")
        + ") AS r"
    ),
}


def span_of(row: Row) -> Span:
    """Return the alarm of a row of `SPAN`."""
    ended = None if row[5] is None else Position(row[5], row[6])
    return Span(row[2], Position(row[3], row[4]), ended, bool(row[7]), row[0])


class Pasts:
    """The pasts of gantries within one transaction. `waiting` are the ids of reports in the log
    that are not folded, or have no part in the timeline.
    """

    def __init__(self, session: Session, waiting: set[int]) -> None:
        self.waiting = waiting
        self._session = session
        self._existing: list[int] | None = None
        self._spans: dict[str, tuple[float, list[Row]]] = {}
        self._reports: dict[tuple[str, int], tuple[float, list[Row]]] = {}

    def of(self, gantry: str) -> "_Past":
        return _Past(self, gantry)

    @property
    def days(self) -> list[int]:
        """The days that have a table, in their order."""
        if self._existing is None:
            self._existing = sorted(existing(self._session))
        return self._existing

    def load_spans(self, since: Mapping[str, float]) -> None:
        """Load the alarms of gantries that ended at a stamp or later."""
        for gantry, first in since.items():
            self._spans[gantry] = first, []
        for row in self._session.many_rows(_SPANS, sorted(since.items())):
            self._spans[row[1]][1].append(row)

    def load_reports(self, since: Mapping[str, float]) -> None:
        """Load the reports of gantries with a stamp or a later one, of its day and the next."""
        days: dict[int, list[tuple[str, float]]] = {}
        for each in sorted(since.items()):
            first = day_of(each[1])
            for day in [day for day in self.days if day >= first][:_DAYS]:
                days.setdefault(day, []).append(each)
        for day, gantries in days.items():
            sql = _REPORTS[self._session.engine].format(table=table_of(day), most=_MOST)
            found: dict[str, list[Row]] = {gantry: [] for gantry, _ in gantries}
            for row in self._session.many_rows(sql, gantries):
                found[row[0]].append(row)
            for gantry, first_stamp in gantries:
                if len(found[gantry]) < _MOST:
                    self._reports[gantry, day] = first_stamp, found[gantry]

    def spans(self, gantry: str, since: float) -> Iterable[Row]:
        first, rows = self._spans.get(gantry, (None, []))
        if first is None or since < first:
            self.load_spans({gantry: since})
            first, rows = self._spans[gantry]
        return [row for row in rows if row[5] >= since]

    def reports(self, gantry: str, day: int, since: float, subject: str) -> Iterable[Row]:
        """Return the reports of a day that may tell of a subject."""
        first, rows = self._reports.get((gantry, day), (None, []))
        if subject != FOGSLINK and first is not None and first <= since:
            return rows
        return self._session.rows(
            "SELECT gantry, stamp, received_at, id, told "  # noqa: S608
            f"FROM {table_of(day)} WHERE gantry = ? AND stamp >= ?",
            *(gantry, since),
        )


class _Past:
    """The past of one gantry, as its fold asks for it."""

    def __init__(self, pasts: Pasts, gantry: str) -> None:
        self._pasts, self._gantry = pasts, gantry

    def spans(self, since: float) -> Iterable[Span]:
        return map(span_of, self._pasts.spans(self._gantry, since))

    def after(self, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        found: list[tuple[Position, Told]] = []
        first = day_of(at.stamp)
        for day in [day for day in self._pasts.days if day >= first]:
            found += self._of_day(day, at, subject)
            found.sort(key=lambda each: each[0])
            # A report is filed by its stamp, which may be later than its reception.
            sure = (day + 1) * DAY - AHEAD
            while found and found[0][0].stamp < sure:
                yield found.pop(0)
        yield from found

    def _of_day(self, day: int, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        waiting = self._pasts.waiting
        for _, stamp, received, which, text in self._pasts.reports(
            self._gantry, day, at.stamp, subject
        ):
            position = Position.of(stamp, received)
            if position > at and which not in waiting:
                told = told_of(text, subject)
                if told is not None:
                    yield position, told

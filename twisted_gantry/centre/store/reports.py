"""Stores reports: the one transaction of the centre."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted_gantry.centre.fold import AHEAD, may_be, told_text
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Verdict
from twisted_gantry.centre.store import channels, days, ledger, rejected, seen
from twisted_gantry.centre.store.days import DAY, Key, day_of, table_of
from twisted_gantry.centre.store.packing import packed
from twisted_gantry.centre.store.sql import SQLITE
from twisted_gantry.centre.store.states import Fresh, fold_reports

MOST = 1000
"""Reports of one transaction, at most."""
_AT_ONCE = 100  # transactions whose numbers a front takes at once

TABLES = (
    *days.TABLES,
    *seen.TABLES,
    *rejected.TABLES,
    f"{{postgresql}} CREATE SEQUENCE report_ids INCREMENT BY {MOST * _AT_ONCE}",
    "{sqlite} CREATE TABLE report_ids (last {int} NOT NULL)",
    "{sqlite} INSERT INTO report_ids VALUES (1)",
)

Fold = Callable[[Session, Sequence[Fresh]], Sequence[Verdict]]
"""Changes states and alarms by new reports, in their order; returns STORED or LATE for each."""


class Ids:
    """Hands out numbers for reports, which no other front has."""

    def __init__(self) -> None:
        self._next = self._end = 0

    def take(self, session: Session) -> int:
        """Return the first of `MOST` numbers."""
        if session.engine == SQLITE:
            [(first,)] = session.rows("UPDATE report_ids SET last = last + ? RETURNING last", MOST)
            return int(first)
        if self._next == self._end:  # a sequence knows no rollback: the rest is for later groups
            [(self._next,)] = session.rows("SELECT nextval('report_ids')")
            self._end = self._next + MOST * _AT_ONCE
        self._next += MOST
        return self._next - MOST


@dataclass(frozen=True, slots=True)
class Filing:
    """What storing reports needs beside them. `keep_days` are the days that are kept raw."""

    front: str
    keep_days: int = 90
    fold: Fold = fold_reports
    ids: Ids = field(default_factory=Ids)


_AGAIN_WITHIN = 240.0
"""Seconds in which the same report without a stamp is a repetition. A device whose clock cannot be
read may send the same words each period, and they are news: an alarm that comes back, for example.
"""
_INSERT = """INSERT INTO {table}
    (gantry, stamp, method, digest, id, received_at, told, body)
    {{rows:text,real,text,bytes,int,real,text,bytes}}
    ON CONFLICT DO NOTHING RETURNING id"""


def days_of(filing: Filing, reports: Sequence[Received]) -> set[int]:
    """Return the days whose tables must exist before reports are stored."""
    return {day_of(each.at) for each in _filed(filing, reports)}


def store(
    session: Session, filing: Filing, reports: Sequence[Received], at: float
) -> list[Verdict]:
    """Store at most `MOST` reports with all that they change; returns what became of each. `at` is
    now, Unix seconds.
    """
    first = filing.ids.take(session)
    filed = _filed(filing, reports)
    new = _insert(session, filed, first)
    fresh = [
        Fresh(number, each.report, each.at)
        for number, each in enumerate(filed, first)
        if number in new
    ]
    verdicts = [Verdict.DUPLICATE] * len(reports)
    late: list[Fresh] = []
    for each, verdict in zip(fresh, filing.fold(session, fresh), strict=True):
        verdicts[each.id - first] = verdict
        if verdict is Verdict.LATE:
            late.append(each)
    channels.merge(session, [each.report for each in fresh])
    days.change(session, "late = 1", [each.row for each in late])
    _count(session, filing, verdicts, at)
    if late:
        ledger.note_backlog(session, filing.front, min(map(_since, late)))
    return verdicts


def _since(late: Fresh) -> float:
    """Return since when a late report waited."""
    stamp = late.report.stamp
    return stamp if stamp is not None and may_be(stamp, late.filed) else late.filed


class _Filed(NamedTuple):
    """A report, the stamp by which it is filed, and whether that is its reception."""

    report: Received
    at: float
    by_reception: bool


def _filed(filing: Filing, reports: Sequence[Received]) -> list[_Filed]:
    found = []
    for report in reports:
        stamp, received = report.stamp, report.received_at
        # A whole day of grace at the end, so that a day is dropped before its reports come here.
        first = (day_of(received) - filing.keep_days) * DAY
        if report.key or stamp is None or not first <= stamp <= received + AHEAD:
            found.append(_Filed(report, received, True))
        else:
            found.append(_Filed(report, stamp, False))
    return found


def _insert(session: Session, filed: Sequence[_Filed], first: int) -> set[int]:
    """Insert the reports that are new, sorted by their keys; returns their ids."""
    repeated = _repeated(session, filed, first)
    tables: dict[int, dict[Key, tuple[object, ...]]] = {}
    for number, (report, stamp, _) in enumerate(filed, first):
        if number in repeated:
            continue
        key = (report.gantry, stamp, report.method, report.digest)
        rows = tables.setdefault(day_of(stamp), {})
        if key not in rows:
            told, body = told_text(report.told), packed(report.body)
            rows[key] = (*key, number, report.received_at, told, body)
    new: set[int] = set()
    for day in sorted(tables):
        rows = tables[day]
        sql = _INSERT.format(table=table_of(day))
        new.update(n for (n,) in session.many_rows(sql, [rows[key] for key in sorted(rows)]))
    return new


def _repeated(session: Session, filed: Sequence[_Filed], first: int) -> set[int]:
    """Note the reports that are filed by reception; returns the ids of those that were noted
    before.
    """
    repeated: set[int] = set()
    marks: dict[tuple[str, str, bytes], tuple[int, float, float]] = {}
    for number, (report, _, by_reception) in enumerate(filed, first):
        if not by_reception:
            continue
        has_name = bool(report.key) or report.stamp is not None
        key = f"{report.method} {report.key or report.stamp}"
        mark = (report.gantry, key, report.digest)
        if mark in marks:
            repeated.add(number)
        else:
            within = seen.FOREVER if has_name else _AGAIN_WITHIN
            marks[mark] = (number, report.received_at, within)
    if marks:
        new = seen.note(session, [(*mark, at, within) for mark, (_, at, within) in marks.items()])
        repeated.update(number for mark, (number, _, _) in marks.items() if mark not in new)
    return repeated


def _count(session: Session, filing: Filing, verdicts: Sequence[Verdict], at: float) -> None:
    found = Counter(verdicts)
    counts = {
        ledger.STORED: found[Verdict.STORED] + found[Verdict.LATE],
        ledger.LATE: found[Verdict.LATE],
        ledger.DUPLICATE: found[Verdict.DUPLICATE],
    }
    ledger.add(session, filing.front, at, counts)

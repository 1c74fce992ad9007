"""The state of each gantry and subject, moved by reports within the transaction that stores them.

The rules are those of `centre/fold.py`. The row of a gantry in `gantry_states` is its lock: who
changes its states or begins and ends its alarms holds it to the end of the transaction, which must
see what others commit (READ COMMITTED). Rows are locked in the order of the ids.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.fold import (
    AHEAD,
    NOTHING_TOLD,
    GantryFold,
    GantryMark,
    Position,
    Span,
    SubjectState,
    told_of,
)
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Row, Told, Verdict
from twisted_gantry.centre.store.days import DAY, day_of, existing, table_of

TABLES: tuple[str, ...] = (
    """CREATE TABLE gantry_states (
        gantry TEXT PRIMARY KEY, behind_since {real}, behind_stamp {real}, skewed {int} NOT NULL,
        worst {int} NOT NULL, since {real}, silent_since {real})""",
    """CREATE TABLE states (
        gantry TEXT NOT NULL, subject TEXT NOT NULL, stamp {real} NOT NULL,
        received {real} NOT NULL, heard {real} NOT NULL, on_battery {int}, battery_until {real},
        mains_off {int} NOT NULL, strikes TEXT, PRIMARY KEY (gantry, subject))""",
)

_MARK = "behind_since, behind_stamp, skewed, worst, since, silent_since"
_SPAN = "id, gantry, name, began, began_received, ended, ended_received, late"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A report that is new in the log: the id of its row, and the stamp by which it is filed: that
    of the gantry, or the reception for one without a stamp that can be used (older than
    `retention_days`, unreadable, a Fogslink pack).
    """

    id: int
    report: Received
    filed: float


def fold_reports(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
    """Fold new reports, given in the order in which they came, into states and alarms; returns
    STORED or LATE for each.
    """
    waiting = {each.id for each in fresh}
    folds = load(session, {each.report.gantry for each in fresh}, waiting)
    verdicts = []
    for each in fresh:
        late, misfiled = folds[each.report.gantry].take(each.report, each.filed)
        waiting.discard(each.id)
        verdicts.append(Verdict.LATE if late else Verdict.STORED)
        if misfiled:
            _hide(session, each)
    save(session, folds)
    return verdicts


def load(
    session: Session, gantries: Collection[str], waiting: Collection[int] = ()
) -> dict[str, GantryFold]:
    """Lock gantries and return what is known of them. `waiting` are the ids of reports in the log
    that are not folded yet.
    """
    ids = sorted(gantries)
    marks = _locked(session, ids)
    missing = [each for each in ids if each not in marks]
    if missing:
        session.many(
            "INSERT INTO gantry_states (gantry, skewed, worst) {rows:text,int,int} "
            "ON CONFLICT DO NOTHING",
            [(each, 0, 0) for each in missing],
        )
        marks |= _locked(session, missing)
    states: dict[str, dict[str, SubjectState]] = {each: {} for each in ids}
    for row in session.rows(
        "SELECT gantry, subject, stamp, received, heard, on_battery, battery_until, mains_off, "
        "strikes FROM states WHERE gantry {in}",
        ids,
    ):
        on_battery = None if row[5] is None else bool(row[5])
        at = Position(row[2], row[3])
        strikes = None if row[8] is None else tuple(map(int, row[8].split(",")))
        states[row[0]][row[1]] = SubjectState(at, row[4], on_battery, row[6], bool(row[7]), strikes)
    spans: dict[str, list[Span]] = {each: [] for each in ids}
    for row in session.rows(
        f"SELECT {_SPAN} FROM alarms WHERE gantry {{in}} AND ended IS NULL",  # noqa: S608
        ids,
    ):
        spans[row[1]].append(_span(row))
    return {
        each: GantryFold(marks[each], states[each], spans[each], _Past(session, each, waiting))
        for each in ids
    }


def save(session: Session, folds: dict[str, GantryFold]) -> None:
    """Write what changed, each row once."""
    session.many(
        "INSERT INTO states (gantry, subject, stamp, received, heard, on_battery, battery_until, "
        "mains_off, strikes) {rows:text,text,real,real,real,int,real,int,text} "
        "ON CONFLICT (gantry, subject) DO UPDATE SET stamp = excluded.stamp, "
        "received = excluded.received, heard = excluded.heard, on_battery = excluded.on_battery, "
        "battery_until = excluded.battery_until, mains_off = excluded.mains_off, "
        "strikes = excluded.strikes",
        [
            (gantry, subject, *_state_row(state))
            for gantry, fold in folds.items()
            for subject, state in sorted(fold.states.items())
            if state.changed
        ],
    )
    session.many(
        f"INSERT INTO gantry_states (gantry, {_MARK}) "
        "{rows:text,real,real,int,int,real,real} ON CONFLICT (gantry) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _MARK.split(", ")),
        [(gantry, *_mark_row(fold.mark)) for gantry, fold in folds.items() if fold.mark.changed],
    )
    _save_spans(session, folds)


_PUT_SPANS = """INSERT INTO alarms (gantry, name, severity, began, began_received, ended,
    ended_received, late{id}) {{rows:text,text,text,real,real,real,real,int{int}}}"""
_ADD_SPANS = _PUT_SPANS.format(id="", int="")
# Each row exists: one statement for all, where UPDATE would be one for each.
_CHANGE_SPANS = f"""{_PUT_SPANS.format(id=", id", int=",int")} ON CONFLICT (id) DO UPDATE SET
    began = excluded.began, began_received = excluded.began_received, ended = excluded.ended,
    ended_received = excluded.ended_received"""


def _save_spans(session: Session, folds: dict[str, GantryFold]) -> None:
    known: list[Row] = []
    new: list[Row] = []
    for gantry, fold in folds.items():
        for each in fold.spans:
            if each.changed:
                times = (*each.began, *(each.ended or (None, None)))
                severity = condition(each.name).severity
                row = (gantry, each.name, severity, *times, int(each.late))
                if each.id is None:
                    new.append(row)
                else:
                    known.append((*row, each.id))
    # What ends makes room for what is open under the same name.
    if known:
        session.many(_CHANGE_SPANS, sorted(known, key=lambda row: row[-1]))
    if new:
        session.many(_ADD_SPANS, new)


def _locked(session: Session, ids: Sequence[str]) -> dict[str, GantryMark]:
    rows = session.rows(
        f"SELECT gantry, {_MARK} FROM gantry_states WHERE gantry {{in}} "  # noqa: S608
        "ORDER BY gantry FOR UPDATE",
        ids,
    )
    return {row[0]: GantryMark(row[1], row[2], bool(row[3]), *row[4:]) for row in rows}


def _mark_row(mark: GantryMark) -> Row:
    behind = mark.behind_since, mark.behind_stamp
    return (*behind, int(mark.skewed), mark.worst, mark.since, mark.silent_since)


def _state_row(state: SubjectState) -> Row:
    on_battery = None if state.on_battery is None else int(state.on_battery)
    strikes = None if state.strikes is None else ",".join(map(str, state.strikes))
    power = on_battery, state.battery_until, int(state.mains_off)
    return (*state.at, state.heard, *power, strikes)


def _span(row: Row) -> Span:
    ended = None if row[5] is None else Position(row[5], row[6])
    return Span(row[2], Position(row[3], row[4]), ended, bool(row[7]), row[0])


def _hide(session: Session, fresh: Fresh) -> None:
    """Take a report out of the timeline in which it is filed: its place is another one."""
    report = fresh.report
    session.run(
        f"UPDATE {table_of(day_of(fresh.filed))} SET told = ? "  # noqa: S608
        "WHERE gantry = ? AND stamp = ? AND method = ? AND digest = ?",
        *(NOTHING_TOLD, report.gantry, fresh.filed, report.method, report.digest),
    )


class _Past:
    """The past of a gantry, from its alarms and its reports in the log."""

    def __init__(self, session: Session, gantry: str, waiting: Collection[int]) -> None:
        self._session, self._gantry, self._waiting = session, gantry, waiting

    def spans(self, since: float) -> Iterable[Span]:
        rows = self._session.rows(
            f"SELECT {_SPAN} FROM alarms WHERE gantry = ? AND ended >= ?",  # noqa: S608
            *(self._gantry, since),
        )
        return [_span(row) for row in rows]

    def after(self, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        found: list[tuple[Position, Told]] = []
        first = day_of(at.stamp)
        for day in sorted(day for day in existing(self._session) if day >= first):
            found += self._of_day(day, at, subject)
            found.sort(key=lambda each: each[0])
            # A report is filed by its stamp, which may be later than its reception.
            sure = (day + 1) * DAY - AHEAD
            while found and found[0][0].stamp < sure:
                yield found.pop(0)
        yield from found

    def _of_day(self, day: int, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        for stamp, received, which, text in self._session.rows(
            f"SELECT stamp, received_at, id, told FROM {table_of(day)} "  # noqa: S608
            "WHERE gantry = ? AND stamp >= ?",
            *(self._gantry, at.stamp),
        ):
            position = Position.of(stamp, received)
            told = told_of(text, subject)
            if told is not None and position > at and which not in self._waiting:
                yield position, told

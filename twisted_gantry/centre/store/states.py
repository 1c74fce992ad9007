"""The state of each gantry and subject, moved by reports within the transaction that stores them.

The rules are those of `centre/fold.py`. The row of a gantry in `gantry_states` is its lock: who
changes its states or begins and ends its alarms holds it to the end of the transaction, which must
see what others commit (READ COMMITTED). Rows are locked in the order of the ids.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.fold import (
    NOTHING_TOLD,
    GantryFold,
    GantryMark,
    Position,
    Span,
    SubjectState,
)
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Row, Told, Verdict
from twisted_gantry.centre.store.days import Key, change
from twisted_gantry.centre.store.pasts import SPAN, Pasts, span_of

TABLES: tuple[str, ...] = (
    """CREATE TABLE gantry_states (
        gantry TEXT PRIMARY KEY, behind_since {real}, behind_stamp {real}, skewed {int} NOT NULL,
        worst {int} NOT NULL, since {real}, silent_since {real})""",
    """CREATE TABLE states (
        gantry TEXT NOT NULL, subject TEXT NOT NULL, stamp {real} NOT NULL,
        received {real} NOT NULL, heard {real} NOT NULL, on_battery {int}, battery_until {real},
        mains_off {int} NOT NULL, strikes TEXT, PRIMARY KEY (gantry, subject))""",
)

_NOWHERE = Position(float("-inf"), float("-inf"))
_MARK = "behind_since, behind_stamp, skewed, worst, since, silent_since"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A report that is new in the log: the id of its row, and the stamp by which it is filed: that
    of the gantry, or the reception for one without a stamp that can be used (older than
    `retention_days`, unreadable, a Fogslink pack).
    """

    id: int
    report: Received
    filed: float

    @property
    def row(self) -> Key:
        return self.report.gantry, self.filed, self.report.method, self.report.digest


def fold_reports(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
    """Fold new reports, given in the order in which they came, into states and alarms; returns
    STORED or LATE for each.
    """
    pasts = Pasts(session, {each.id for each in fresh})
    folds = _load(session, {each.report.gantry for each in fresh}, pasts)
    _look_back(pasts, folds, fresh)
    verdicts = []
    hidden: list[Key] = []
    for each in fresh:
        late, misfiled = folds[each.report.gantry].take(each.report, each.filed)
        if misfiled:  # judged by its reception, it leaves the timeline of its stamp
            hidden.append(each.row)
        else:
            pasts.waiting.discard(each.id)
        verdicts.append(Verdict.LATE if late else Verdict.STORED)
    change(session, f"told = '{NOTHING_TOLD}'", hidden)
    save(session, folds)
    return verdicts


def _look_back(pasts: Pasts, folds: dict[str, GantryFold], fresh: Sequence[Fresh]) -> None:
    """Load what late reports will ask for, by few statements for all; what this does not foresee
    costs statements of its own.
    """
    newest: dict[tuple[str, str], Position] = {}
    late: list[tuple[str, Told, Position]] = []
    for each in fresh:
        report = each.report
        if report.key:  # a pack is hardly ever late
            continue
        fold = folds[report.gantry]
        at = fold.position(report)
        for told in report.told:
            key = (report.gantry, told.subject)
            top = newest.get(key)
            if top is None:
                known = fold.states.get(told.subject)
                top = _NOWHERE if known is None else known.at
            if at < top:
                late.append((report.gantry, told, at))
            newest[key] = max(top, at)
    if not late:
        return
    pasts.load_spans(_earliest((gantry, at.stamp) for gantry, _, at in late))
    pasts.load_reports(
        _earliest((gantry, at.stamp) for gantry, told, at in late if folds[gantry].alters(told, at))
    )


def _earliest(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    first: dict[str, float] = {}
    for gantry, stamp in found:
        first[gantry] = min(stamp, first.get(gantry, stamp))
    return first


def load(session: Session, gantries: Collection[str]) -> dict[str, GantryFold]:
    """Lock gantries and return what is known of them."""
    return _load(session, gantries, Pasts(session, set()))


def _load(session: Session, gantries: Collection[str], pasts: Pasts) -> dict[str, GantryFold]:
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
        f"SELECT {SPAN} FROM alarms WHERE gantry {{in}} AND ended IS NULL",  # noqa: S608
        ids,
    ):
        spans[row[1]].append(span_of(row))
    return {
        each: GantryFold(marks[each], states[each], spans[each], pasts.of(each)) for each in ids
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

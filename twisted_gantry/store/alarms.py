"""Alarms and their ledger, as jobs for the writer.

A row and the ledger change in one transaction: raised = cleared + active holds in the file at every
moment, also after a crash.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.alarm import Alarm, AlarmLedger, AlarmsAtStart, Raised
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.rules import Severity
from twisted_gantry.store import settings

YEAR = 366 * 86_400.0
"""Seconds for which an ended alarm is kept."""
MOST = 100_000
"""Alarms that are kept: a door that never rests must not fill the disk."""
TRIM_EVERY = 100  # alarms between two looks at age and number
RECENT = 1000  # ended alarms that a start reads

_FIELDS = (
    *("id", "name", "severity", "en", "zh", "raised_at", "cleared_at", "value", "count"),
    *("flapping", "acked_at", "acked_by", "note", "shelved_until", "in_maintenance", "ended_by"),
    *("subject", "called"),
)
# "group" is a word of SQL.
_OWN = ("report_group", "made", "raises")
_COLUMNS = ", ".join((*_FIELDS, *_OWN))
_SHOWN = f"number, {', '.join(_FIELDS)}, report_group, '', ''"
"""The columns of a list, which needs no moments."""
_INSERT = f"INSERT INTO alarms ({_COLUMNS}) VALUES ({', '.join('?' * len((*_FIELDS, *_OWN)))})"  # noqa: S608
_UPDATE = f"UPDATE alarms SET {', '.join(f'{each} = ?' for each in (*_FIELDS, *_OWN))} WHERE id = ?"  # noqa: S608


def keep(db: Connection, alarms: Sequence[Alarm]) -> None:
    """Keep alarms, each in place of what the table has of it; an ended one stays ended."""
    for alarm in alarms:
        row = db.execute("SELECT cleared_at FROM alarms WHERE id = ?", (alarm.id,)).fetchone()
        if row is None:
            added = db.execute(_INSERT, _row(alarm))
            _count(db, raised=1, active=int(alarm.active), cleared=int(not alarm.active))
            if (added.lastrowid or 0) % TRIM_EVERY == 0:
                trim(db, alarm.raised_at)
        elif row[0] is None or not alarm.active:
            db.execute(_UPDATE, (*_row(alarm), alarm.id))
            if row[0] is None and not alarm.active:
                _count(db, active=-1, cleared=1)


def end_others(db: Connection, but: Sequence[str], at: float, why: str) -> AlarmLedger:
    """End the active alarms but those with these ids; returns the ledger."""
    ended = db.execute(
        "UPDATE alarms SET cleared_at = max(?1, raised_at), ended_by = ?2 WHERE cleared_at IS NULL "
        "AND id NOT IN (SELECT value FROM json_each(?3))",
        (at, why, json.dumps(list(but))),
    ).rowcount
    if ended:
        _count(db, active=-ended, cleared=ended)
    return ledger(db)


def ledger(db: Connection) -> AlarmLedger:
    row = db.execute("SELECT raised, cleared, active FROM alarm_ledger").fetchone()
    return AlarmLedger() if row is None else AlarmLedger(*row)


def raised_between(db: Connection, since: float, until: float, limit: int) -> list[Alarm]:
    """Return alarms that were raised from `since` to `until`, newest first, without moments."""
    # By the number, not by the time: the clock may have been set back.
    rows = db.execute(
        f"SELECT {_SHOWN} FROM alarms WHERE raised_at BETWEEN ? AND ? "  # noqa: S608
        "ORDER BY number DESC LIMIT ?",
        (since, until, limit),
    )
    return _alarms(rows)


def at_start(db: Connection) -> AlarmsAtStart:
    """Return what a start takes up."""
    rows = db.execute(
        f"SELECT number, {_COLUMNS} FROM alarms WHERE cleared_at IS NULL OR number > "  # noqa: S608
        f"(SELECT coalesce(max(number), 0) - {RECENT} FROM alarms) ORDER BY number"
    )
    recent = _alarms(rows)
    [(last,)] = db.execute("SELECT coalesce(max(number), 0) FROM alarms").fetchall()
    return AlarmsAtStart(recent, ledger(db), last, settings.read(db))


def without_the_disk(path: Path) -> AlarmsAtStart:
    """Return what a start takes up from a file that cannot be opened for writing, as far as it can
    be read: without what is in its log. Alarms that have ended since end at the first reading.
    """
    with suppress(sqlite3.Error):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        with closing(db):
            return at_start(db)
    return AlarmsAtStart()


def trim(db: Connection, now: float) -> None:
    """Remove ended alarms that are over a `YEAR` old, and the oldest beyond `MOST`."""
    db.execute("DELETE FROM alarms WHERE cleared_at IS NOT NULL AND raised_at < ?", (now - YEAR,))
    db.execute(
        "DELETE FROM alarms WHERE cleared_at IS NOT NULL AND number <= "
        "(SELECT number FROM alarms ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (MOST,),
    )


def balance(db: Connection) -> None:
    """Make the ledger fit the rows of a file that was saved."""
    [(active, cleared)] = db.execute(
        "SELECT count(*) FILTER (WHERE cleared_at IS NULL), count(cleared_at) FROM alarms"
    ).fetchall()
    known = ledger(db)
    cleared = max(cleared, known.cleared, known.raised - active)
    db.execute("DELETE FROM alarm_ledger")
    _count(db, raised=cleared + active, cleared=cleared, active=active)


def _count(db: Connection, raised: int = 0, cleared: int = 0, active: int = 0) -> None:
    db.execute(
        "INSERT INTO alarm_ledger (one, raised, cleared, active) VALUES (1, ?1, ?2, ?3) "
        "ON CONFLICT (one) DO UPDATE SET "
        "raised = raised + ?1, cleared = cleared + ?2, active = active + ?3",
        (raised, cleared, active),
    )


def _row(alarm: Alarm) -> tuple[Any, ...]:
    given = {name: getattr(alarm, name) for name in _FIELDS}
    given["severity"] = alarm.severity.value
    given["value"] = json.dumps(alarm.value, ensure_ascii=False)
    given["called"] = json.dumps(alarm.called, ensure_ascii=False)
    return (*given.values(), alarm.group, _text(alarm.made), _raises(alarm.raised))


def _alarms(rows: Iterable[tuple[Any, ...]]) -> list[Alarm]:
    """Return the alarms of rows, but for damaged ones."""
    found: list[Alarm] = []
    for row in rows:
        with suppress(ValueError, TypeError):
            found.append(_alarm(row))
    return found


def _alarm(row: tuple[Any, ...]) -> Alarm:
    number, *values = row
    given = dict(zip(_FIELDS, values, strict=False))
    group, made, raises = values[len(_FIELDS) :]
    severity = Severity(given.pop("severity"))
    value = json.loads(given.pop("value"))
    given["called"] = tuple((whom, at) for whom, at in json.loads(given["called"]))
    for flag in ("flapping", "in_maintenance"):
        given[flag] = bool(given[flag])
    more = {"value": value, "group": group, "made": _made(made), "raised": _raised(raises)}
    return Alarm(severity=severity, serial=number, **given, **more)


def _text(moment: Moment | None) -> str:
    if moment is None:
        return ""
    return json.dumps([moment.wall, moment.boot, moment.mono, moment.trusted])


def _made(text: str) -> Moment | None:
    return Moment(*json.loads(text)) if text else None


def _raises(raised: Raised | None) -> str:
    return "" if raised is None else json.dumps([_text(raised.at), raised.ages])


def _raised(text: str) -> Raised | None:
    if not text:
        return None
    at, ages = json.loads(text)
    moment = _made(at)
    return None if moment is None else Raised(moment, tuple((age, n) for age, n in ages))

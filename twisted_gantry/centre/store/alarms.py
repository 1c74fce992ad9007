"""Alarms of gantries: one row for each time that a condition held.

A name is `SUBJECT.CONDITION`: `cabinet-1.mains-abnormal`, `gantry.silent`. Texts and severities are
those of `wire/etc/conditions.py`. `began` and `ended` are effective stamps, Unix seconds; an alarm
that is `late` became known by a report that came after a newer one: nobody is called for it once it
is over.
`incident` is the incident that the alarm belongs to (`centre/store/incidents.py`).
"""

from dataclasses import dataclass, fields

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Row
from twisted_gantry.centre.store import states

TABLES: tuple[str, ...] = (
    """CREATE TABLE alarms (
        id {id}, gantry TEXT NOT NULL, name TEXT NOT NULL, severity TEXT NOT NULL,
        began {real} NOT NULL, began_received {real} NOT NULL,
        ended {real}, ended_received {real}, late {int} NOT NULL DEFAULT 0,
        incident {int},
        acked_at {real}, acked_by TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '',
        shelved_until {real})""",
    "CREATE UNIQUE INDEX alarms_open ON alarms (gantry, name) WHERE ended IS NULL",
    "CREATE INDEX alarms_of_gantry ON alarms (gantry, began)",
    "CREATE INDEX alarms_ended ON alarms (gantry, ended)",
    "CREATE INDEX alarms_began ON alarms (began, id)",
    "CREATE INDEX alarms_of_incident ON alarms (incident)",
    """CREATE INDEX alarms_loose ON alarms (gantry)
        WHERE incident IS NULL AND (late = 0 OR ended IS NULL)""",
)


@dataclass(frozen=True, slots=True)
class GantryAlarm:
    """An alarm; `ended` is None while it is open."""

    id: int
    gantry: str
    name: str
    severity: str
    began: float
    ended: float | None
    late: bool
    incident: int | None
    acked_at: float | None
    acked_by: str
    note: str
    shelved_until: float | None


COLUMNS = tuple(each.name for each in fields(GantryAlarm))
"""The columns of `alarms` that `alarm_of` takes."""


def alarm_of(row: Row) -> GantryAlarm:
    """Return the alarm of a row of `COLUMNS`."""
    given = dict(zip(COLUMNS, row, strict=True))
    return GantryAlarm(**{**given, "late": bool(given["late"])})


def begin(session: Session, gantry: str, name: str, at: float) -> bool:
    """Begin an alarm that no report tells of, such as `gantry.silent`. Returns whether none of the
    name was open. Locks the gantry.
    """
    return _set(session, gantry, name, True, at)


def end(session: Session, gantry: str, name: str, at: float) -> bool:
    """End an alarm that no report tells of. Returns whether one was open. Locks the gantry."""
    return _set(session, gantry, name, False, at)


def _set(session: Session, gantry: str, name: str, holds: bool, at: float) -> bool:
    folds = states.load(session, [gantry])
    changed = folds[gantry].set_own(name, holds, at)
    if changed:
        states.save(session, folds)
    return changed

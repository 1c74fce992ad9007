"""Which gantries are silent: no report for two periods, by the clock of the database.

Packs of its Fogslink device do not stand for the reports of a gantry: cabinets, mains and smoke are
in the reports alone. They count only where nothing else ever came.

A gantry that never reported is not silent, and none is while the centre itself took no reports for
all of that time. A silence begins as a warning; it is critical after `LONG`, or at once for a
gantry that was on battery when it was heard last: its batteries may be empty now. Work at a gantry
mutes the alarm as any other.
"""

from twisted_gantry.centre.conditions import SILENT
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD
from twisted_gantry.centre.store import alarms, processes

SILENCE = 2 * PERIOD
"""Seconds without any report, by reception, after which a gantry is silent."""
LONG = 12 * PERIOD
"""Seconds of silence after which it is critical."""
_HEARD = "coalesce(max(CASE WHEN s.subject <> 'fogslink' THEN s.heard END), max(s.heard))"
MOST = 200
"""Gantries that one look calls silent: a transaction must be short. The next look goes on."""


def look(session: Session) -> bool:
    """Begin and end the silence of gantries; returns whether more are silent than one look takes.

    The alarm begins when the second period ended, and ends when the next report came.
    """
    now = session.now()
    _end(session, now)
    more = _begin(session, now)
    session.run(
        "UPDATE alarms SET severity = 'critical' WHERE name = ? AND ended IS NULL "
        "AND severity <> 'critical' AND (began <= ? OR EXISTS (SELECT 1 FROM states s "
        "WHERE s.gantry = alarms.gantry AND s.on_battery = 1))",
        *(SILENT, now - LONG + SILENCE),
    )
    return more


def _begin(session: Session, now: float) -> bool:
    serving = processes.serving_since(session)
    if serving is None or serving > now - SILENCE:
        return False
    silent = session.rows(
        f"SELECT s.gantry, {_HEARD} FROM states s JOIN gantries g ON g.id = s.gantry "  # noqa: S608
        "WHERE g.pending = 0 AND NOT EXISTS (SELECT 1 FROM alarms a WHERE a.gantry = s.gantry "
        f"AND a.name = ? AND a.ended IS NULL) GROUP BY s.gantry HAVING {_HEARD} <= ? "
        "ORDER BY s.gantry LIMIT ?",
        *(SILENT, now - SILENCE, MOST),
    )
    for gantry, heard in silent:
        alarms.begin(session, gantry, SILENT, max(heard, serving) + SILENCE)
    return len(silent) == MOST


def _end(session: Session, now: float) -> None:
    """End the silence of gantries that were heard, and all alarms of those that are not registered
    any more: no report would end them.
    """
    heard = session.rows(
        f"SELECT a.gantry, {_HEARD} FROM alarms a JOIN states s ON s.gantry = a.gantry "  # noqa: S608
        f"WHERE a.name = ? AND a.ended IS NULL GROUP BY a.gantry HAVING {_HEARD} > ? "
        "ORDER BY a.gantry",
        *(SILENT, now - SILENCE),
    )
    for gantry, at in heard:
        alarms.end(session, gantry, SILENT, at)
    removed = session.rows(
        "SELECT a.gantry, a.name FROM alarms a WHERE a.ended IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM gantries g WHERE g.id = a.gantry) ORDER BY a.gantry, a.name LIMIT ?",
        MOST,
    )
    for gantry, name in removed:
        alarms.end(session, gantry, name, now)

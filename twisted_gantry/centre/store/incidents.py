"""Incidents in the database: alarms folded by cause, at a gantry or along a section of a road.

The rules are those of `centre/incidents.py`. One worker at a time refreshes the incidents, under a
lease. All that it needs is in the database, so that another worker goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from twisted_gantry.centre.incidents import Case, CausedAlarm, Place, plan
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.wire.etc.conditions import CRITICAL, WARNING

TABLES: tuple[str, ...] = (
    """CREATE TABLE incidents (
        id {id}, cause TEXT NOT NULL, severity TEXT NOT NULL, road TEXT NOT NULL,
        section TEXT NOT NULL, gantry TEXT, since {real} NOT NULL, grew {real} NOT NULL,
        ended {real}, gantries {int} NOT NULL, merged {int})""",
    "CREATE INDEX incidents_open ON incidents (id) WHERE ended IS NULL",
    "CREATE INDEX incidents_since ON incidents (since, id)",
    "CREATE INDEX incidents_merged ON incidents (merged) WHERE merged IS NOT NULL",
)

LOOSE = "incident IS NULL AND (late = 0 OR ended IS NULL)"
"""An alarm that gets an incident: what came late and is over has none."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident: `cause` is a condition (`mains-abnormal`), `gantry` is None for several ones.
    `gantries` is how many it struck. An incident keeps its id while it lives.
    """

    id: int
    cause: str
    severity: str
    road: str
    section: str
    gantry: str | None
    since: float
    ended: float | None
    gantries: int


def refresh(session: Session) -> bool:
    """Bring the incidents up to date with the alarms; called under a lease, each second. Returns
    whether something changed. `alarms.incident` of each alarm that is not late is set by this.
    """
    joined = _join(session)
    return _settle(session) or joined


_ELSEWHERE = (
    "EXISTS (SELECT 1 FROM gantries g WHERE g.id = {gantry} "
    "AND (g.road <> {incident}.road OR g.section <> {incident}.section))"
)


def follow(session: Session) -> None:
    """Let open incidents follow gantries that the registry has moved: that of one gantry goes with
    the gantry; an alarm leaves the incident of several, and gets another one.
    """
    session.run(
        "UPDATE incidents SET "  # noqa: S608
        "road = (SELECT g.road FROM gantries g WHERE g.id = incidents.gantry), "
        "section = (SELECT g.section FROM gantries g WHERE g.id = incidents.gantry) "
        "WHERE ended IS NULL AND gantry IS NOT NULL AND "
        + _ELSEWHERE.format(gantry="incidents.gantry", incident="incidents")
    )
    session.run(
        "UPDATE alarms SET incident = NULL WHERE ended IS NULL AND EXISTS ("  # noqa: S608
        "SELECT 1 FROM incidents i WHERE i.id = alarms.incident AND i.ended IS NULL "
        "AND i.gantry IS NULL AND " + _ELSEWHERE.format(gantry="alarms.gantry", incident="i") + ")"
    )


def _join(session: Session) -> bool:
    """Give each new alarm its incident."""
    places = {
        gantry: (road, section)
        for gantry, road, section in session.rows(
            "SELECT DISTINCT g.id, g.road, g.section FROM alarms a JOIN gantries g "  # noqa: S608
            f"ON g.id = a.gantry WHERE {LOOSE}"
        )
    }
    if not places:
        return False
    rows = session.rows(
        "SELECT id, gantry, name, severity, began, incident FROM alarms "  # noqa: S608
        f"WHERE gantry {{in}} AND (ended IS NULL OR ({LOOSE})) ORDER BY id",
        sorted(places),
    )
    alarms = [CausedAlarm(*row) for row in rows]
    sizes: dict[Place, int] = {
        (road, section): count
        for road, section, count in session.rows(
            "SELECT road, section, count(*) FROM gantries WHERE pending = 0 GROUP BY road, section"
        )
    }
    cases = plan(alarms, _living(session), places, sizes)
    _lock(session, cases)
    for case in sorted(cases, key=lambda each: (each.id is None, each.id or 0, each.since)):
        _write(session, case)
    return True


def _living(session: Session) -> list[Case]:
    rows = session.rows(
        "SELECT id, cause, road, section, gantry, since, grew FROM incidents WHERE ended IS NULL"
    )
    return [Case(row[0], row[1], (row[2], row[3]), *row[4:]) for row in rows]


def _write(session: Session, case: Case) -> None:
    if case.id is None:
        [(case.id,)] = session.rows(
            "INSERT INTO incidents (cause, severity, road, section, gantry, since, grew, gantries) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 0) RETURNING id",
            *(case.cause, WARNING, *case.place, case.gantry, case.since, case.grew),
        )
    else:
        session.run(
            "UPDATE incidents SET cause = ?, gantry = ?, since = ?, grew = ? WHERE id = ?",
            *(case.cause, case.gantry, case.since, case.grew, case.id),
        )
    if case.merged:
        session.run(
            "UPDATE incidents SET ended = ?, merged = ? WHERE id {in}",
            *(session.now(), case.id, case.merged),
        )
    session.run("UPDATE alarms SET incident = ? WHERE id {in}", case.id, case.joined)


def _lock(session: Session, cases: Sequence[Case]) -> None:
    """Lock the alarms that change their incident, in the order of their ids; those of incidents
    that end in another one join that.
    """
    merged = {each: case for case in cases for each in case.merged}
    if merged:
        for which, incident in session.rows(
            "SELECT id, incident FROM alarms WHERE incident {in}", sorted(merged)
        ):
            merged[incident].joined.append(which)
    ids = sorted(each for case in cases for each in case.joined)
    session.rows("SELECT id FROM alarms WHERE id {in} ORDER BY id FOR UPDATE", ids)


def _settle(session: Session) -> bool:
    """Bring what incidents say of their alarms up to date, and end those without an open one. An
    alarm of a gantry that is no longer in the registry is not open.
    """
    found = session.rows(
        """SELECT i.id, i.severity, i.since, i.gantries, min(a.began), count(DISTINCT a.gantry),
            max(CASE WHEN a.ended IS NOT NULL OR g.id IS NULL THEN 0
                WHEN a.severity = ? THEN 2 ELSE 1 END), max(a.ended)
        FROM incidents i JOIN alarms a ON a.incident = i.id LEFT JOIN gantries g ON g.id = a.gantry
        WHERE i.ended IS NULL GROUP BY i.id, i.severity, i.since, i.gantries""",
        CRITICAL,
    )
    changed = 0
    for which, severity, since, gantries, began, struck, worst, last in found:
        ended = None
        now = {0: severity, 1: WARNING, 2: CRITICAL}[worst]
        if worst == 0:
            ended = session.now() if last is None else last
            now = _worst_ever(session, which)
        if (now, began, struck) != (severity, since, gantries) or ended is not None:
            changed += session.run(
                "UPDATE incidents SET severity = ?, since = ?, gantries = ?, ended = ? "
                "WHERE id = ?",
                *(now, began, struck, ended, which),
            )
    return changed > 0


def _worst_ever(session: Session, incident: int) -> str:
    worst = session.rows(
        "SELECT 1 FROM alarms WHERE incident = ? AND severity = ? LIMIT 1", incident, CRITICAL
    )
    return CRITICAL if worst else WARNING

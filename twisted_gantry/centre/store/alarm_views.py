"""Questions of API and page about alarms and incidents."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from twisted_gantry.centre.fold import rank
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store.alarms import COLUMNS, GantryAlarm, alarm_of
from twisted_gantry.centre.store.incidents import Incident
from twisted_gantry.centre.store.mutes import IN_MAINTENANCE
from twisted_gantry.centre.store.pages import Key, Page, Roads, Where, listed
from twisted_gantry.wire.emergencies import EMERGENCIES, is_emergency
from twisted_gantry.wire.etc.conditions import CRITICAL


@dataclass(frozen=True, slots=True)
class Struck:
    """An incident with what its alarms tell: their distinct names, the least battery minutes, who
    acknowledged all of them, and whether all are muted.
    """

    incident: Incident
    alarms: tuple[str, ...]
    battery_minutes: float | None
    acked_by: str
    muted: bool


_ALARM = ", ".join(f"a.{name}" for name in COLUMNS)
_INCIDENT = ", ".join(f"i.{each.name}" for each in fields(Incident))


def alarm_history(
    session: Session,
    *,
    active: bool = False,
    gantry: str | None = None,
    road: str | None = None,
    section: str | None = None,
    incident: int | None = None,
    since: float | None = None,
    until: float | None = None,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[GantryAlarm]:
    """Return alarms, newest first: open ones, or those that stood at a time from `since` on and
    before `until`.
    """
    where, places = Where(), Where()
    if active:
        where.add("a.ended IS NULL")
    where.given("a.gantry = ?", gantry)
    where.given("a.incident = ?", incident)
    where.given("(a.ended IS NULL OR a.ended >= ?)", since)
    where.given("a.began < ?", until)
    places.given("road = ?", road)
    places.given("section = ?", section)
    places.given("road {in}", listed(roads))
    if places.values:
        known = f"a.gantry IN (SELECT id FROM gantries WHERE {places.sql})"  # noqa: S608
        where.add(known, *places.values)
    if after is not None:
        where.add("(a.began < ? OR (a.began = ? AND a.id < ?))", after[0], *after)
    rows = session.rows(
        f"SELECT {_ALARM} FROM alarms a WHERE {where.sql} "  # noqa: S608
        "ORDER BY a.began DESC, a.id DESC LIMIT ?",
        *(*where.values, limit + 1),
    )
    alarms = [alarm_of(row) for row in rows[:limit]]
    last = (alarms[-1].began, alarms[-1].id) if len(rows) > limit else None
    return Page(alarms, last)


_URGENCY = "CASE WHEN i.cause {in} THEN 0 WHEN i.severity = ? THEN 1 ELSE 2 END"


def incident_views(
    session: Session,
    *,
    active: bool = False,
    road: str | None = None,
    section: str | None = None,
    since: float | None = None,
    until: float | None = None,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[Struck]:
    """Return incidents: the active ones by urgency (emergencies, then critical ones, then the
    newest), or with those of the past, newest first.
    """
    where = Where()
    where.add("i.merged IS NULL")
    if active:
        where.add("i.ended IS NULL")
    where.given("i.road = ?", road)
    where.given("i.section = ?", section)
    where.given("i.road {in}", listed(roads))
    where.given("(i.ended IS NULL OR i.ended >= ?)", since)
    where.given("i.since < ?", until)
    # Those of the past have one urgency.
    urgency, own = "0", list[Any]()
    if active:
        urgency, own = _URGENCY, [sorted(EMERGENCIES), CRITICAL]
    if after is not None:
        rest = "(i.since < ? OR (i.since = ? AND i.id < ?))"
        where.add(
            f"({urgency} > ? OR ({urgency} = ? AND {rest}))",
            *(*own, after[0], *own, after[0], after[1], after[1], after[2]),
        )
    rows = session.rows(
        f"SELECT {urgency}, {_INCIDENT} FROM incidents i WHERE {where.sql} "  # noqa: S608
        "ORDER BY 1, i.since DESC, i.id DESC LIMIT ?",
        *(*own, *where.values, limit + 1),
    )
    incidents = [Incident(*row[1:]) for row in rows[:limit]]
    last = None
    if len(rows) > limit:
        last = (rows[limit - 1][0], incidents[-1].since, incidents[-1].id)
    return Page(_struck(session, incidents), last)


def incident_view(session: Session, incident: int, roads: Roads = None) -> Struck | None:
    """Return one incident, None for an unknown one. An incident that became a part of another one
    is that one.
    """
    where = Where()
    where.given("i.road {in}", listed(roads))
    rows = session.rows(
        f"SELECT {_INCIDENT} FROM incidents i WHERE i.id = coalesce("  # noqa: S608
        f"(SELECT merged FROM incidents WHERE id = ?), ?) AND {where.sql}",
        *(incident, incident, *where.values),
    )
    return next(iter(_struck(session, [Incident(*row) for row in rows])), None)


@dataclass(slots=True)
class _Told:
    """What the alarms of an incident tell together."""

    names: set[str]
    acked_by: str = ""
    all_acked: bool = True
    muted: bool = True


def _struck(session: Session, incidents: Sequence[Incident]) -> list[Struck]:
    ids, now = [each.id for each in incidents], session.now()
    told: dict[int, _Told] = {each: _Told(set()) for each in ids}
    for which, name, unseen, who, heard in session.rows(
        f"""SELECT a.incident, a.name, max(CASE WHEN a.acked_at IS NULL THEN 1 ELSE 0 END),
            max(a.acked_by),
            max(CASE WHEN a.shelved_until > ? OR {IN_MAINTENANCE} THEN 0 ELSE 1 END)
        FROM alarms a JOIN incidents i ON i.id = a.incident LEFT JOIN gantries g ON g.id = a.gantry
        WHERE a.incident {{in}} AND (a.ended IS NULL OR i.ended IS NOT NULL)
        GROUP BY a.incident, a.name""",  # noqa: S608
        *(now, now, ids),
    ):
        each = told[which]
        each.names.add(name)
        each.all_acked = each.all_acked and not unseen
        each.acked_by = max(each.acked_by, who)
        each.muted = each.muted and not heard and not is_emergency(name)
    minutes = {
        which: max(0.0, (until - now) / 60)
        for which, until in session.rows(
            "SELECT a.incident, min(s.battery_until) FROM alarms a "
            "JOIN states s ON s.gantry = a.gantry WHERE a.incident {in} AND a.ended IS NULL "
            "AND s.battery_until IS NOT NULL GROUP BY a.incident",
            ids,
        )
    }
    return [
        Struck(
            each,
            tuple(sorted(told[each.id].names, key=lambda name: (-rank(name), name))),
            minutes.get(each.id),
            told[each.id].acked_by if told[each.id].all_acked else "",
            told[each.id].muted and bool(told[each.id].names),
        )
        for each in incidents
    ]


def open_incidents(session: Session, roads: Roads = None) -> int:
    """Return how many incidents last."""
    where = Where()
    where.given("road {in}", listed(roads))
    [(number,)] = session.rows(
        f"SELECT count(*) FROM incidents WHERE ended IS NULL AND {where.sql}",  # noqa: S608
        *where.values,
    )
    return int(number)


def open_alarms(session: Session, roads: Roads = None) -> int:
    """Return how many alarms are open."""
    return _count_alarms(session, "ended IS NULL", [], roads)


def alarm_rate(session: Session, seconds: float = 3600.0, roads: Roads = None) -> int:
    """Return how many alarms that are not late began within the last `seconds`."""
    return _count_alarms(session, "late = 0 AND began >= ?", [session.now() - seconds], roads)


def _count_alarms(session: Session, which: str, values: Sequence[Any], roads: Roads) -> int:
    where = Where()
    where.add(which, *values)
    mine = "gantry IN (SELECT id FROM gantries WHERE road {in})"
    where.given(mine, listed(roads))
    [(number,)] = session.rows(
        f"SELECT count(*) FROM alarms WHERE {where.sql}",  # noqa: S608
        *where.values,
    )
    return int(number)

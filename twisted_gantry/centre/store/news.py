"""What people are to be told now: incidents, emergencies, alarms without an incident, and faults of
the centre itself.

An incident is one thing to tell, however many gantries it strikes. Emergencies are told each, also
one that is over before anybody looks: it stays news for `LEAST` seconds. A late alarm that is over
is history, and never told; one that is open is told, because no newer report says that it ended. An
alarm belongs to an incident within a second or two; while no worker makes incidents, alarms are
told by themselves after `LOOSE` seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD, Row
from twisted_gantry.centre.store import troubles
from twisted_gantry.centre.store.mutes import IN_MAINTENANCE
from twisted_gantry.notify.notice import MOST_CONSEQUENCES, WARNING, Notice
from twisted_gantry.wire.emergencies import EMERGENCIES

LOOSE = 60.0
"""Seconds after which an alarm without an incident is told: longer than a duty changes hands."""
LEAST = 60.0
"""Seconds for which an emergency is told at least, also while a duty changes hands."""
_SHORT_AGO = 2 * PERIOD
"""Seconds after which an emergency that is over is no news, however late it came."""

_EMERGENCY = "(" + " OR ".join(f"a.name LIKE '%.{each}'" for each in sorted(EMERGENCIES)) + ")"
_MUTED = f"CASE WHEN a.shelved_until > ? OR {IN_MAINTENANCE} THEN 1 ELSE 0 END"
_INCIDENTS = f"""
    SELECT i.id, i.cause, i.road, i.section, i.gantry, i.since, count(*), count(DISTINCT t.gantry),
        coalesce(min(CASE WHEN t.muted = 0 THEN t.severity END), min(t.severity)),
        min(CASE WHEN t.acked_at IS NULL AND t.muted = 0 THEN 0 ELSE 1 END), min(t.muted),
        min(t.gantry)
    FROM (
        SELECT a.incident, a.gantry, a.severity, a.acked_at, {_MUTED} AS muted
        FROM alarms a LEFT JOIN gantries g ON g.id = a.gantry
        WHERE a.ended IS NULL AND a.incident IS NOT NULL AND NOT {_EMERGENCY}
    ) t JOIN incidents i ON i.id = t.incident
    WHERE i.ended IS NULL GROUP BY i.id ORDER BY i.id"""  # noqa: S608
# "critical" sorts before "warning".
_ALARM = f"""
    SELECT a.id, a.gantry, a.name, a.severity, a.began, a.acked_at, {_MUTED},
        g.name, g.road, g.stake, CASE WHEN {_EMERGENCY} THEN 1 ELSE 0 END
    FROM alarms a JOIN gantries g ON g.id = a.gantry"""  # noqa: S608
_SHORT = f"""{_ALARM}
    WHERE a.began > ? AND a.began_received > ? AND a.ended IS NOT NULL AND a.late = 0
        AND {_EMERGENCY}
    ORDER BY a.id"""
_SINGLE = f"""{_ALARM}
    WHERE a.ended IS NULL
        AND ({_EMERGENCY} OR (a.incident IS NULL AND a.began_received <= ?))
    ORDER BY a.id"""
_MERGED = """
    WITH RECURSIVE living (id, root) AS (
        SELECT id, id FROM incidents WHERE ended IS NULL
        UNION ALL SELECT i.id, living.root FROM incidents i JOIN living ON i.merged = living.id
    )
    SELECT i.id, i.cause, i.since, living.root FROM incidents i JOIN living ON living.id = i.id
    WHERE living.root <> i.id ORDER BY i.id"""


@dataclass(frozen=True)
class News:
    """All notices of now, and the time of the database."""

    notices: tuple[Notice, ...]
    now: float


class NewsReader:
    """Reads the news again and again; remembers the parts of incidents that did not change."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[Row, tuple[str, ...]]] = {}

    def read(self, session: Session) -> News:
        now = session.now()
        incidents = list(self._incidents(session, now))
        merged = _merged(session, {each.name for each in incidents})
        return News((*incidents, *merged, *_singles(session, now), *_own(session)), now)

    def _incidents(self, session: Session, now: float) -> Iterator[Notice]:
        parts: dict[int, tuple[Row, tuple[str, ...]]] = {}
        names: dict[str, tuple[str, str]] = {}
        rows = session.rows(_INCIDENTS, now, now)
        for row in rows:
            which, cause, road, section, gantry, since, alarms, gantries, *rest = row
            severity, acked, muted, first = rest
            known, key = self._parts.get(which), (gantry, alarms, gantries, first)
            if known is None or known[0] != key:
                known = (key, _parts(session, which, alarms, gantries if gantry is None else 1))
            parts[which] = known
            about = condition(cause)
            if gantry is not None:
                where = names.get(gantry) or _place(session, gantry)
                names[gantry] = where
                en, zh = f"{where[0]}: {about.en}", f"{where[1]}：{about.zh}"
            else:
                place = " ".join(each for each in (road, section) if each)
                en = f"{place}: {about.en} at {gantries} gantries"
                zh = f"{place}：{gantries}个门架{about.zh}"
            yield Notice(
                *(f"incident-{which}", severity, en, zh, since),
                muted=bool(muted),
                acknowledged=bool(acked),
                # An incident that spread beyond its first gantry is news.
                id=f"{which}" if gantry is not None else f"{which}+",
                parts=known[1],
            )
        self._parts = parts


def _merged(session: Session, told: set[str]) -> Iterator[Notice]:
    """Return incidents that went into others: their alarms last, and people must not hear that they
    are over. They are folded under what they went into.
    """
    for which, cause, since, root in session.rows(_MERGED):
        if (name := f"incident-{root}") in told:
            about = condition(cause)
            yield Notice(
                *(f"incident-{which}", WARNING, about.en, about.zh, since),
                cause=name,
                id=str(which),
            )


def _parts(session: Session, which: int, alarms: int, gantries: int) -> tuple[str, ...]:
    """Return the gantries of an incident; the alarms, if it is about one gantry."""
    if alarms == 1:
        return ()
    column = "gantry" if gantries > 1 else "name"
    rows = session.rows(
        f"SELECT DISTINCT {column} FROM alarms WHERE incident = ? AND ended IS NULL "  # noqa: S608
        f"ORDER BY {column} LIMIT ?",
        *(which, MOST_CONSEQUENCES),
    )
    return tuple(row[0] for row in rows)


def _place(session: Session, gantry: str) -> tuple[str, str]:
    rows = session.rows("SELECT name, road, stake FROM gantries WHERE id = ?", gantry)
    return _where(gantry, *rows[0]) if rows else (gantry, gantry)


def _where(gantry: str, name: str | None, road: str | None, stake: str | None) -> tuple[str, str]:
    """Return how people find a gantry, in both languages."""
    named = name or ""
    place = " ".join(each for each in (road, stake) if each and each not in named)
    place = f"{place} {named}".strip()
    return (f"{place} ({gantry})", f"{place}（{gantry}）") if place else (gantry, gantry)


def _singles(session: Session, now: float) -> Iterator[Notice]:
    found = session.rows(_SHORT, now, now, now - _SHORT_AGO, now - LEAST)
    found += session.rows(_SINGLE, now, now, now - LOOSE)
    newest = {(row[1], row[2]): row for row in found}  # of one that came back, what is open
    for row in newest.values():
        which, gantry, name, severity, began, acked_at, muted, *place, emergency = row
        about, where = condition(name), _where(gantry, *place)
        yield Notice(
            *(f"{gantry}.{name}", severity, f"{where[0]}: {about.en}", f"{where[1]}：{about.zh}"),
            began,
            emergency=bool(emergency),
            muted=bool(muted) and not emergency,
            acknowledged=acked_at is not None,
            id=str(which),
        )


def _own(session: Session) -> Iterator[Notice]:
    for name, each in troubles.by_name(troubles.current(session)).items():
        yield Notice(
            *(name, each.severity, each.en, each.zh, each.since),
            acknowledged=each.acked_at is not None,
            id=f"own-{each.id}",
        )

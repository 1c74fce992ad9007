"""For how long nobody is called: of an alarm that is shelved, and for a gantry, a section or a road
where people work.

A shelf of an alarm counts for the gantry and the name: also when the alarm ends and begins again
meanwhile. Emergencies are never muted. Times are those of the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from twisted_gantry.centre.interfaces import Session

LONGEST = 7 * 86_400.0  # seconds

TABLES: tuple[str, ...] = (
    """CREATE TABLE mutes (
        kind TEXT NOT NULL, place TEXT NOT NULL, subject TEXT NOT NULL, since {real} NOT NULL,
        until {real} NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL,
        PRIMARY KEY (kind, place, subject))""",
)


class MuteKind(StrEnum):
    ALARM = "alarm"
    GANTRY = "gantry"
    SECTION = "section"
    ROAD = "road"


MAINTENANCE = (MuteKind.GANTRY, MuteKind.SECTION, MuteKind.ROAD)


@dataclass(frozen=True, slots=True)
class Muted:
    """What is muted. `place` is the gantry of an alarm, or the place where people work: a gantry or
    a road. `subject` is the name of the alarm, or the section of the road.
    """

    kind: MuteKind
    place: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Mute:
    """From `since` until `until`, Unix seconds, no one is called for `muted`; `who` wants that."""

    muted: Muted
    since: float
    until: float
    who: str = ""
    note: str = ""


def alarm(gantry: str, name: str) -> Muted:
    return Muted(MuteKind.ALARM, gantry, name)


def place(*, gantry: str = "", road: str = "", section: str = "") -> Muted:
    """Return a place of work: a gantry, a section of a road, or a whole road."""
    if gantry:
        return Muted(MuteKind.GANTRY, gantry)
    return Muted(MuteKind.SECTION, road, section) if section else Muted(MuteKind.ROAD, road)


def begin(session: Session, muted: Muted, seconds: float, who: str, note: str = "") -> Mute:
    """Begin a mute, or put another in its place; `seconds` are cut to `LONGEST`."""
    now = session.now()
    made = Mute(muted, now, now + min(seconds, LONGEST), who, note)
    session.run(
        "INSERT INTO mutes (kind, place, subject, since, until, who, note) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, place, subject) DO UPDATE SET "
        "since = excluded.since, until = excluded.until, who = excluded.who, note = excluded.note",
        *(muted.kind.value, muted.place, muted.subject, made.since, made.until, who, note),
    )
    return made


def end(session: Session, muted: Muted) -> Mute | None:
    """End a mute; returns None if nothing was muted."""
    rows = session.rows(
        "DELETE FROM mutes WHERE kind = ? AND place = ? AND subject = ? "
        "RETURNING since, until, who, note",
        *(muted.kind.value, muted.place, muted.subject),
    )
    found = [Mute(muted, *row) for row in rows]
    return found[0] if found and found[0].until > session.now() else None


def mutes(session: Session, kinds: Iterable[MuteKind]) -> list[Mute]:
    """Return the mutes that last, of some kinds, in a fixed order."""
    rows = session.rows(
        "SELECT kind, place, subject, since, until, who, note FROM mutes "
        "WHERE until > ? AND kind {in} ORDER BY kind, place, subject",
        *(session.now(), [each.value for each in kinds]),
    )
    return [Mute(Muted(MuteKind(row[0]), row[1], row[2]), *row[3:]) for row in rows]


def maintenance(session: Session) -> list[Mute]:
    """Return where people work."""
    return mutes(session, MAINTENANCE)


_AT_WORK = """FROM mutes m WHERE m.until > ? AND (
    (m.kind = 'gantry' AND m.place = g.id)
    OR (m.kind = 'section' AND m.place = g.road AND m.subject = g.section)
    OR (m.kind = 'road' AND m.place = g.road))"""
IN_MAINTENANCE = f"EXISTS (SELECT 1 {_AT_WORK})"
"""Whether people work at the gantry `g` of the registry; the value is the time of the database."""
MAINTAINED_SINCE = f"(SELECT min(m.since) {_AT_WORK})"
"""Since when people work at the gantry `g`; NULL if they do not."""


def maintained(session: Session) -> frozenset[str]:
    """Return the ids of the gantries where people work."""
    if not maintenance(session):
        return frozenset()
    rows = session.rows(
        f"SELECT g.id FROM gantries g WHERE {IN_MAINTENANCE}",  # noqa: S608
        session.now(),
    )
    return frozenset(row[0] for row in rows)


def sweep(session: Session) -> int:
    """Remove the mutes that are over; returns their number."""
    return session.run("DELETE FROM mutes WHERE until <= ?", session.now())

"""Which Fogslink devices are connected, and to which front: what fronts tell each other.

A front is named by a text of one process and start, and proves that it lives by a row that expires,
by the database's clock. The sessions of a front that was killed vanish with that row. A device has
one session: a newer one takes its row, and `lost_sessions` tells the front of the older one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    "CREATE TABLE cloud_fronts (front TEXT PRIMARY KEY, expires {real} NOT NULL)",
    """CREATE TABLE cloud_sessions (
        gantry TEXT PRIMARY KEY, eq_sn TEXT NOT NULL, front TEXT NOT NULL, number {int} NOT NULL,
        since {real} NOT NULL)""",
    "CREATE INDEX cloud_sessions_front ON cloud_sessions (front)",
    """CREATE TABLE lost_sessions (
        front TEXT NOT NULL, number {int} NOT NULL, PRIMARY KEY (front, number))""",
)

LEASE = 15.0
"""Seconds after which a front that wrote nothing counts as gone."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session of a front: `number` is its own in that front; `since` is Unix seconds."""

    gantry: str
    eq_sn: str
    number: int
    since: float


@dataclass(frozen=True, slots=True)
class Connected:
    """A device with a session now, at `front`, since a moment in Unix seconds."""

    gantry: str
    eq_sn: str
    front: str
    since: float


def renew(session: Session, front: str) -> bool:
    """Let a front live for LEASE more seconds. Returns False if the front was not there: it is
    new, or it was away for so long that its sessions were removed. It then notes them all again.
    """
    expires = session.now() + LEASE
    if session.run("UPDATE cloud_fronts SET expires = ? WHERE front = ?", expires, front):
        return True
    session.run("INSERT INTO cloud_fronts VALUES (?, ?)", front, expires)
    return False


def note(
    session: Session, front: str, opened: Iterable[Opened], closed: Iterable[Opened] = ()
) -> None:
    """Note the sessions of a front that began and ended; of one device the last that is noted has
    the row, and the other front is told.
    """
    for each in sorted(closed, key=lambda each: each.gantry):
        session.run(
            "DELETE FROM cloud_sessions WHERE gantry = ? AND front = ? AND number = ?",
            *(each.gantry, front, each.number),
        )
    begun = sorted(opened, key=lambda each: each.gantry)
    if not begun:
        return
    older = session.rows(
        "SELECT front, number FROM cloud_sessions WHERE gantry {in} AND front <> ?"
        " ORDER BY gantry FOR UPDATE",
        *([each.gantry for each in begun], front),
    )
    session.many(
        "INSERT INTO lost_sessions (front, number) {rows:text,int}"
        " ON CONFLICT (front, number) DO NOTHING",
        older,
    )
    session.many(
        "INSERT INTO cloud_sessions (gantry, eq_sn, front, number, since)"
        " {rows:text,text,text,int,real} ON CONFLICT (gantry) DO UPDATE SET"
        " eq_sn = excluded.eq_sn, front = excluded.front, number = excluded.number,"
        " since = excluded.since",
        [(each.gantry, each.eq_sn, front, each.number, each.since) for each in begun],
    )


def lost(session: Session, front: str) -> list[int]:
    """Return the numbers of the sessions of a front that a newer one at another front replaced."""
    found = session.rows("SELECT number FROM lost_sessions WHERE front = ?", front)
    return [int(number) for (number,) in found]


def told(session: Session, front: str, numbers: Iterable[int]) -> None:
    """Forget what a front knows by now to be lost."""
    session.many(
        "DELETE FROM lost_sessions WHERE front = ? AND number = ?",
        [(front, each) for each in numbers],
    )


def leave(session: Session, front: str) -> None:
    """Remove a front that stops, with its sessions."""
    for table in ("cloud_sessions", "lost_sessions", "cloud_fronts"):
        session.run(f"DELETE FROM {table} WHERE front = ?", front)  # noqa: S608 - our names


def clear(session: Session) -> None:
    """Remove the fronts that were killed, with their sessions."""
    gone = session.rows("SELECT front FROM cloud_fronts WHERE expires <= ?", session.now())
    for (front,) in sorted(gone):
        leave(session, front)


_LIVE = (
    "SELECT s.gantry, s.eq_sn, s.front, s.since FROM cloud_sessions s"
    " JOIN cloud_fronts f ON f.front = s.front AND f.expires > ?"
)


def session_of(session: Session, gantry: str) -> Connected | None:
    """Return the session of a gantry's device, None while it is not connected."""
    found = session.rows(f"{_LIVE} WHERE s.gantry = ?", session.now(), gantry)
    return Connected(*found[0]) if found else None


def connected(session: Session, gantries: Sequence[str]) -> list[Connected]:
    """Return the sessions of those of the gantries that are connected, by gantry."""
    sql = f"{_LIVE} WHERE s.gantry {{in}} ORDER BY s.gantry"
    return [Connected(*row) for row in session.rows(sql, session.now(), list(gantries))]

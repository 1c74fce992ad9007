"""The processes of the centre: each says every few seconds that it lives, and whether it serves.

`serving_since` is when a front began to take reports without a break. Gantries are called silent
only if reports could come all the time: a centre that was away itself asks for patience.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    """CREATE TABLE processes (
        name TEXT PRIMARY KEY, place TEXT NOT NULL, role TEXT NOT NULL, started {real} NOT NULL,
        since {real} NOT NULL, seen {real} NOT NULL, serving_since {real})""",
)

BEAT = 10.0  # seconds between two signs of life
MISSED = 60.0
"""Seconds without a sign of life after which a process counts as gone."""
BREAK = 25.0
"""Seconds between two signs of life that are a break: the process, or the database, was away."""
FORGOTTEN = 7 * 86_400.0
"""Seconds after which a process that never came back was taken away."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process: `name` is unique for each start, `place` is the same for each start of one service
    on one computer. `role` is `all`, `front` or `worker`. Times are those of the database; `since`
    is when the signs of life began that had no break. `serving_since` is None for one that takes no
    reports.
    """

    name: str
    place: str
    role: str
    started: float
    since: float
    seen: float
    serving_since: float | None = None


def beat(session: Session, name: str, place: str, role: str, *, serves: bool) -> None:
    """Note that a process lives; `serves`: it takes reports now. A process that starts takes the
    place of one that died there.
    """
    now = session.now()
    serving = now if serves else None
    session.run(
        "INSERT INTO processes (name, place, role, started, since, seen, serving_since) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen, "
        "since = CASE WHEN processes.seen > ? THEN processes.since ELSE excluded.since END, "
        "serving_since = CASE WHEN excluded.serving_since IS NOT NULL AND processes.seen > ? "
        "THEN coalesce(processes.serving_since, excluded.serving_since) "
        "ELSE excluded.serving_since END",
        *(name, place, role, now, now, now, serving, now - BREAK, now - MISSED),
    )


def leave(session: Session, name: str) -> None:
    """Note that a process ends as it should."""
    session.run("DELETE FROM processes WHERE name = ?", name)


def processes(session: Session) -> list[Process]:
    """Return all processes by name, those that are missed included."""
    rows = session.rows(
        "SELECT name, place, role, started, since, seen, serving_since FROM processes ORDER BY name"
    )
    return [Process(*row) for row in rows]


def watched(known: Iterable[Process], now: float) -> bool:
    """Tell whether some process has lived without a break for long enough to miss another one: else
    the database was away, or the centre has just begun.
    """
    return any(each.seen > now - BREAK and each.since <= now - MISSED for each in known)


def missed(known: Iterable[Process], now: float) -> list[Process]:
    """Return those that died and were not replaced by a start at the same place."""
    known = list(known)
    return [
        each
        for each in known
        if each.seen <= now - MISSED
        and not any(o.place == each.place and o.started > each.seen for o in known)
    ]


def sweep(session: Session) -> None:
    """Forget processes that were replaced, and those that are long gone."""
    now = session.now()
    session.run(
        "DELETE FROM processes WHERE seen <= ? AND (seen <= ? OR EXISTS (SELECT 1 FROM processes o "
        "WHERE o.place = processes.place AND o.started > processes.seen))",
        *(now - MISSED, now - FORGOTTEN),
    )


def serving_since(session: Session) -> float | None:
    """Return since when some front has taken reports without a break; None if no front does."""
    now = session.now()
    rows = session.rows(
        "SELECT min(serving_since) FROM processes WHERE serving_since IS NOT NULL AND seen > ?",
        now - MISSED,
    )
    found = rows[0][0]
    return None if found is None else float(found)

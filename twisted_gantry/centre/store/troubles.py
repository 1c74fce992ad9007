"""Faults of the centre itself: its database, disk, clock, processes, duties and targets.

Each process notes its own; `SHARED` are those that the database shows, found by one worker.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    """CREATE TABLE troubles (
        id {id}, process TEXT NOT NULL, name TEXT NOT NULL, severity TEXT NOT NULL,
        en TEXT NOT NULL, zh TEXT NOT NULL, since {real} NOT NULL, ended {real})""",
    "CREATE UNIQUE INDEX troubles_open ON troubles (process, name) WHERE ended IS NULL",
    "CREATE INDEX troubles_since ON troubles (since)",
)

SHARED = ""  # in place of the name of a process


@dataclass(frozen=True, slots=True)
class Found:
    """A fault as it was found: `name` is like `centre.clock`, and unique in its process."""

    name: str
    severity: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault that the database has. `since` and `ended` are Unix seconds."""

    id: int
    process: str
    name: str
    severity: str
    en: str
    zh: str
    since: float
    ended: float | None


def note(session: Session, process: str, found: Iterable[Found]) -> None:
    """Note all that a process suffers from now; what it noted before and does not now has ended."""
    now, wanted = session.now(), {each.name: each for each in found}
    known = {row[0]: Found(*row) for row in _open(session, process)}
    for name in known.keys() - wanted.keys():
        session.run(
            "UPDATE troubles SET ended = ? WHERE process = ? AND name = ? AND ended IS NULL",
            *(now, process, name),
        )
    for name, each in wanted.items():
        if known.get(name) == each:
            continue
        session.run(
            "INSERT INTO troubles (process, name, severity, en, zh, since) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (process, name) WHERE ended IS NULL "
            "DO UPDATE SET severity = excluded.severity, en = excluded.en, zh = excluded.zh",
            *(process, name, each.severity, each.en, each.zh, now),
        )


def _open(session: Session, process: str) -> list[tuple[str, str, str, str]]:
    rows = session.rows(
        "SELECT name, severity, en, zh FROM troubles WHERE process = ? AND ended IS NULL", process
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def current(session: Session) -> list[Trouble]:
    """Return all faults of now, critical ones first, then the newest."""
    rows = session.rows(
        "SELECT id, process, name, severity, en, zh, since, ended FROM troubles "
        "WHERE ended IS NULL ORDER BY severity, since DESC, id DESC"
    )
    return [Trouble(*row) for row in rows]


def by_name(found: Iterable[Trouble]) -> Mapping[str, Trouble]:
    """Return faults by names that are unique over all processes: the first that has a fault keeps
    the plain name.
    """
    names: dict[str, Trouble] = {}
    for each in sorted(found, key=lambda one: one.id):
        names[f"{each.name}@{each.process}" if each.name in names else each.name] = each
    return names


def end_of_gone(session: Session, living: Iterable[str]) -> None:
    """End the faults of processes that live no more: their death is another fault."""
    session.run(
        "UPDATE troubles SET ended = ? WHERE ended IS NULL AND process <> ? AND NOT process {in}",
        *(session.now(), SHARED, list(living)),
    )

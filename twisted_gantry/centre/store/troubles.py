"""Faults of the centre itself: its database, disk, clock, processes, duties and targets.

Each process notes its own; `SHARED` are those that the database shows, found by one worker.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    """CREATE TABLE troubles (
        id {id}, process TEXT NOT NULL, name TEXT NOT NULL, severity TEXT NOT NULL,
        en TEXT NOT NULL, zh TEXT NOT NULL, since {real} NOT NULL, ended {real})""",
    "CREATE UNIQUE INDEX troubles_open ON troubles (process, name) WHERE ended IS NULL",
    "CREATE INDEX troubles_since ON troubles (since)",
)

TABLES_2: tuple[str, ...] = (
    "ALTER TABLE troubles ADD COLUMN acked_at {real}",
    "ALTER TABLE troubles ADD COLUMN acked_by TEXT NOT NULL DEFAULT ''",
)
"""What the second version adds: a person has seen a fault."""

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
    """A fault that the database has. `since`, `ended` and `acked_at` are Unix seconds."""

    id: int
    process: str
    name: str
    severity: str
    en: str
    zh: str
    since: float
    ended: float | None
    acked_at: float | None = None
    acked_by: str = ""


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
            "DO UPDATE SET severity = excluded.severity, en = excluded.en, zh = excluded.zh, "
            # A fault that grows worse is news.
            "acked_at = CASE WHEN troubles.severity = excluded.severity THEN troubles.acked_at END",
            *(process, name, each.severity, each.en, each.zh, now),
        )


def _open(session: Session, process: str) -> list[tuple[str, str, str, str]]:
    rows = session.rows(
        "SELECT name, severity, en, zh FROM troubles WHERE process = ? AND ended IS NULL", process
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


_COLUMNS = ", ".join(each.name for each in fields(Trouble))


def current(session: Session) -> list[Trouble]:
    """Return all faults of now, critical ones first, then the newest."""
    rows = session.rows(
        f"SELECT {_COLUMNS} FROM troubles "  # noqa: S608
        "WHERE ended IS NULL ORDER BY severity, since DESC, id DESC"
    )
    return [Trouble(*row) for row in rows]


def acknowledge(session: Session, name: str, who: str | None) -> list[Trouble]:
    """Note that a person has seen a fault, at each process that has it, or with None take that
    back. Returns these faults.
    """
    at = None if who is None else session.now()
    session.run(
        "UPDATE troubles SET acked_at = ?, acked_by = ? WHERE name = ? AND ended IS NULL",
        *(at, who or "", name),
    )
    return [each for each in current(session) if each.name == name]


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

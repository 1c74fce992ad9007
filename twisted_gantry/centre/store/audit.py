"""Who did what: every change that a person made through the API, in the transaction that made it.

`road` is the road of what was changed, empty for what concerns several or none: a person who is
kept to roads sees their entries, and his own.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Row

LONGEST = 4000  # characters of the details; longer ones are left out

TABLES: tuple[str, ...] = (
    """CREATE TABLE audit (
        id {id}, at {real} NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
        target TEXT NOT NULL, road TEXT NOT NULL, details TEXT NOT NULL)""",
    "CREATE INDEX audit_at ON audit (at, id)",
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry: `action` is the id of an operation, such as `putGantry`; `target` is a gantry, a
    road or another name; `details` have no secret. `at` is Unix seconds of the database.
    """

    id: int
    at: float
    who: str
    action: str
    target: str
    details: Mapping[str, Any]


def note(
    session: Session,
    who: str,
    action: str,
    target: str,
    *,
    road: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry."""
    text = json.dumps(details or {}, ensure_ascii=False, default=str)
    if len(text) > LONGEST:
        text = json.dumps({"characters": len(text)})
    session.run(
        "INSERT INTO audit (at, who, action, target, road, details) VALUES (?, ?, ?, ?, ?, ?)",
        *(session.now(), who, action, target, road, text),
    )


def entries(
    session: Session,
    *,
    since: float | None = None,
    until: float | None = None,
    before: tuple[float, int] | None = None,
    limit: int = 100,
    roads: Collection[str] | None = None,
    who: str = "",
) -> list[AuditEntry]:
    """Return entries, newest first, from behind the entry of time and id `before`. With `roads`
    those of these roads, and those of `who`.
    """
    where, values = ["1 = 1"], list[Any]()
    for condition, value in (("at >= ?", since), ("at < ?", until)):
        if value is not None:
            where.append(condition)
            values.append(value)
    if before is not None:
        where.append("(at < ? OR (at = ? AND id < ?))")
        values += [before[0], before[0], before[1]]
    if roads is not None:
        where.append("(road {in} OR who = ?)")
        values += [sorted(roads), who]
    rows = session.rows(
        "SELECT id, at, who, action, target, details FROM audit"  # noqa: S608 - our conditions
        f" WHERE {' AND '.join(where)} ORDER BY at DESC, id DESC LIMIT ?",
        *(*values, limit),
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    which, at, who, action, target, details = row
    return AuditEntry(which, at, who, action, target, json.loads(details))

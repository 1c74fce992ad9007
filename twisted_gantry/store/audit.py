"""The audit of commands, as jobs for the writer: how each began, and its outcome."""

import json
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.stored import AuditEntry

MAX_ENTRIES = 100_000  # entries that are kept; beyond that the oldest goes

_COLUMNS = "id, at, who, target, command, args, result, detail, value"


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    decoded = {name: json.loads(fields[name]) for name in ("args", "value")}
    return AuditEntry(**{**fields, **decoded})


def begin(db: Connection, entry: AuditEntry) -> AuditEntry | None:
    """Keep the entry of a command that begins; an entry of the same id is returned instead."""
    known = find(db, entry.id)
    if known is not None:
        return known
    args = json.dumps(entry.args, ensure_ascii=False)
    db.execute(
        "INSERT INTO audit (id, at, who, target, command, args) VALUES (?,?,?,?,?,?)",
        (entry.id, entry.at, entry.who, entry.target, entry.command, args),
    )
    db.execute(
        "DELETE FROM audit WHERE rowid <= (SELECT max(rowid) FROM audit) - ?", (MAX_ENTRIES,)
    )
    return None


def find(db: Connection, number: str) -> AuditEntry | None:
    """Return the entry with an id, None if there is none."""
    row = db.execute(f"SELECT {_COLUMNS} FROM audit WHERE id = ?", (number,)).fetchone()  # noqa: S608 - own names
    return None if row is None else _entry(row)


def keep(db: Connection, entry: AuditEntry) -> None:
    """Keep a whole entry, in place of what may be there of it."""
    begin(db, entry)
    end(db, entry)


def end(db: Connection, entry: AuditEntry) -> None:
    """Keep how a command ended; an entry that is gone stays gone."""
    value = json.dumps(entry.value, ensure_ascii=False)
    db.execute(
        "UPDATE audit SET result = ?, detail = ?, value = ? WHERE id = ?",
        (entry.result, entry.detail, value, entry.id),
    )


def end_interrupted(db: Connection) -> int:
    """End the commands that the last run left without an outcome; returns how many."""
    return db.execute(
        "UPDATE audit SET result = ?, detail = ? WHERE result = ''",
        (Outcome.TIMEOUT.value, "the program ended before the outcome was known; not repeated"),
    ).rowcount


def newest(db: Connection, limit: int) -> list[AuditEntry]:
    # Not by `at`: the clock may have been set back.
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM audit ORDER BY rowid DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [_entry(row) for row in rows]

"""The audit of commands, as jobs for the writer: how each began, and its outcome."""

import json
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.stored import AuditEntry

MAX_ENTRIES = 100_000
"""Entries that are kept. Beyond that those go of which their client has the most, oldest first."""
TRIM_EVERY = 1_000  # entries between two looks at the number

_COLUMNS = "id, at, who, target, command, args, result, detail, value, kept_until"


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
    added = db.execute(
        "INSERT INTO audit (id, at, who, target, command, args, kept_until) VALUES (?,?,?,?,?,?,?)",
        (entry.id, entry.at, entry.who, entry.target, entry.command, args, entry.kept_until),
    )
    if (added.lastrowid or 0) % TRIM_EVERY == 0:
        trim(db, entry.at)
    return None


def trim(db: Connection, now: float) -> None:
    """Remove the oldest entries of the clients with the most, until `MAX_ENTRIES` are left. What
    the replay guard still needs at `now`, Unix seconds, stays.
    """
    clients: dict[str, tuple[int, list[str]]] = {}
    for who, count in db.execute("SELECT who, count(*) FROM audit GROUP BY who"):
        number, names = clients.get(_client(who), (0, []))
        clients[_client(who)] = number + count, [*names, who]
    share = _share([number for number, _ in clients.values()])
    for number, names in clients.values():
        if number > share:
            db.execute(
                "DELETE FROM audit WHERE rowid IN (SELECT rowid FROM audit WHERE who IN "
                "(SELECT value FROM json_each(?)) AND kept_until <= ? ORDER BY rowid LIMIT ?)",
                (json.dumps(names), now, number - share),
            )


def _client(who: str) -> str:
    """Return who asked without the user's name, which the client chooses: `api 192.0.2.7`."""
    return " ".join(who.split(" ")[:2])


def _share(numbers: list[int]) -> int:
    """Return how many entries each client may keep, so that the sum is `MAX_ENTRIES` at most."""
    room, left = MAX_ENTRIES, len(numbers)
    for number in sorted(numbers):
        if number * left > room:
            return room // left
        room, left = room - number, left - 1
    return MAX_ENTRIES


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

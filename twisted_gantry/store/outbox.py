"""The outbox and its ledger, as jobs for the writer.

A row and the ledger change in one transaction: created = delivered + queued + set aside + dropped
holds in the file at every moment, also after a crash.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.moments import Moment
from twisted_gantry.core.stored import Cap, Ledger, Report

REQUEUED = "queued again"
"""The reason shown for a report that a person took back from those set aside."""

_MADE = "created, boot, mono, trusted"
_COLUMNS = (
    f"{_MADE}, id, uplink, kind, subject, body, urgent, state, reason, tries, requeued, answer"
)

# One statement, since every report runs it.
_COUNT_NEW = """
    INSERT INTO ledger (uplink, created, queued, size) VALUES (?1, 1, 1, ?2)
    ON CONFLICT (uplink) DO UPDATE SET created = created + 1, queued = queued + 1, size = size + ?2
    RETURNING size
"""


def _report(row: tuple[Any, ...]) -> Report:
    names = _COLUMNS.removeprefix(f"{_MADE}, ").split(", ")
    fields = dict(zip(names, row[4:], strict=True))
    flags = {name: bool(fields[name]) for name in ("urgent", "requeued")}
    return Report(made=_moment(row[:4]), **{**fields, **flags})


def _moment(made: tuple[float, str, float, int]) -> Moment:
    wall, boot, mono, trusted = made
    return Moment(wall, boot, mono, bool(trusted))


def _count(db: Connection, uplink: str, **changes: int) -> None:
    terms = ", ".join(f"{name} = {name} + {change:d}" for name, change in changes.items())
    db.execute(f"UPDATE ledger SET {terms} WHERE uplink = ?", (uplink,))  # noqa: S608 - own names


def add(
    db: Connection,
    uplink: str,
    kind: str,
    subject: str,
    body: bytes,
    made: Moment,
    urgent: bool,
    cap: Cap,
) -> tuple[int, Sequence[int]]:
    """Keep a report, then drop reports over the cap's size; `enforce` looks at the age."""
    cursor = db.execute(
        f"INSERT INTO outbox ({_MADE}, uplink, kind, subject, body, urgent) "  # noqa: S608 - own names
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (made.wall, made.boot, made.mono, made.trusted, uplink, kind, subject, body, urgent),
    )
    [(size,)] = db.execute(_COUNT_NEW, (uplink, len(body))).fetchall()
    assert cursor.lastrowid is not None
    dropped = enforce(db, uplink, cap, made) if size > cap.size else ()
    return cursor.lastrowid, dropped


def enforce(db: Connection, uplink: str, cap: Cap, now: Moment) -> Sequence[int]:
    """Drop the oldest, queued or set aside, until the cap holds; the newest is always kept."""
    dropped: list[int] = []
    while True:
        row = db.execute(
            "SELECT size, queued + set_aside FROM ledger WHERE uplink = ?", (uplink,)
        ).fetchone()
        if row is None or row[1] <= 1:
            return dropped
        # One look into the index for each state: sorting both together would read the whole queue.
        oldest = db.execute(
            f"SELECT {_MADE}, id FROM outbox WHERE id = (SELECT min(first) FROM ("  # noqa: S608
            "SELECT min(id) AS first FROM outbox WHERE uplink = ?1 AND state = 'queued' UNION ALL "
            "SELECT min(id) FROM outbox WHERE uplink = ?1 AND state = 'set-aside'))",
            (uplink,),
        ).fetchone()
        if row[0] <= cap.size and now.since(_moment(oldest[:4])) <= cap.age:
            return dropped
        _remove(db, [oldest[4]], "dropped")
        dropped.append(oldest[4])


def delivered(db: Connection, reports: Sequence[int]) -> None:
    """Remove acknowledged reports, all in one statement: a back-log drains faster so."""
    _remove(db, reports, "delivered")


def _remove(db: Connection, reports: Sequence[int], became: str) -> None:
    """Delete rows and count in the ledger what became of them; missing ones count nothing."""
    marks = ",".join("?" * len(reports))
    changes: dict[str, Counter[str]] = {}
    for uplink, state, size in db.execute(
        f"DELETE FROM outbox WHERE id IN ({marks}) RETURNING uplink, state, length(body)",  # noqa: S608
        reports,
    ):
        change = changes.setdefault(uplink, Counter())
        change.update({state.replace("-", "_"): -1, became: 1, "size": -size})
    for uplink, change in changes.items():
        _count(db, uplink, **change)


def following(db: Connection, uplink: str, now: Moment, fresh: float) -> Report | None:
    """Return an urgent report that is less than `fresh` seconds old, else the oldest."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE uplink = ? AND state = 'queued' AND urgent = 1 "  # noqa: S608
        "AND mono > ? AND boot = ? ORDER BY id LIMIT 1",
        (uplink, now.mono - fresh, now.boot),
    ).fetchone()
    if row is None:
        row = db.execute(
            f"SELECT {_COLUMNS} FROM outbox WHERE uplink = ? AND state = 'queued' "  # noqa: S608
            "ORDER BY id LIMIT 1",
            (uplink,),
        ).fetchone()
    return None if row is None else _report(row)


def queued(db: Connection, uplink: str, limit: int, size: int) -> list[Report]:
    """Return the oldest queued reports: at most `limit` and `size` bytes, but at least one."""
    found: list[Report] = []
    for row in db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE uplink = ? AND state = 'queued' "  # noqa: S608
        "ORDER BY id LIMIT ?",
        (uplink, limit),
    ):
        report = _report(row)
        size -= len(report.body)
        if found and size < 0:
            break
        found.append(report)
    return found


def tried(db: Connection, report: int, reason: str, body: bytes | None) -> None:
    db.execute("UPDATE outbox SET tries = tries + 1, reason = ? WHERE id = ?", (reason, report))
    if body is not None:
        row = db.execute(
            "SELECT uplink, length(body) FROM outbox WHERE id = ?", (report,)
        ).fetchone()
        if row is not None:
            db.execute("UPDATE outbox SET body = ? WHERE id = ?", (body, report))
            _count(db, row[0], size=len(body) - row[1])


def set_aside(db: Connection, report: int, reason: str, answer: bytes = b"") -> None:
    row = db.execute(
        "UPDATE outbox SET state = 'set-aside', reason = ?, answer = ?, tries = tries + 1, "
        "requeued = 0 "
        "WHERE id = ? AND state = 'queued' RETURNING uplink",
        (reason, answer, report),
    ).fetchone()
    if row is not None:
        _count(db, row[0], queued=-1, set_aside=1)


def retry(db: Connection, uplink: str, reports: Iterable[int] | None) -> int:
    """Queue again what was set aside, without tries and marked as wanted by a person."""
    chosen = None if reports is None else json.dumps(list(reports))
    moved = db.execute(
        "UPDATE outbox SET state = 'queued', reason = ?3, tries = 0, requeued = 1 "
        "WHERE uplink = ?1 AND state = 'set-aside' "
        "AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2)))",
        (uplink, chosen, REQUEUED),
    ).rowcount
    if moved:
        _count(db, uplink, queued=moved, set_aside=-moved)
    return moved


def reports(db: Connection, uplink: str | None, state: str | None, limit: int) -> list[Report]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE (?1 IS NULL OR uplink = ?1) "  # noqa: S608
        "AND (?2 IS NULL OR state = ?2) ORDER BY id LIMIT ?3",
        (uplink, state, limit),
    )
    return [_report(row) for row in rows]


def one(db: Connection, report: int) -> Report | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM outbox WHERE id = ?", (report,)).fetchone()  # noqa: S608
    return None if row is None else _report(row)


def ledger(db: Connection, uplink: str) -> Ledger:
    row = db.execute(
        "SELECT created, delivered, queued, set_aside, dropped, size FROM ledger WHERE uplink = ?",
        (uplink,),
    ).fetchone()
    if row is None:
        return Ledger()
    first = db.execute(
        f"SELECT {_MADE} FROM outbox WHERE uplink = ? AND state = 'queued' ORDER BY id LIMIT 1",  # noqa: S608
        (uplink,),
    ).fetchone()
    created, delivered, queued, set_aside, dropped, size = row
    oldest = None if first is None else _moment(first)
    return Ledger(created, delivered, queued, set_aside, dropped, size, oldest)


def drop(db: Connection, uplink: str, reports: Iterable[int] | None) -> int:
    chosen = None if reports is None else json.dumps(list(reports))
    sizes = db.execute(
        "DELETE FROM outbox WHERE uplink = ?1 AND state = 'set-aside' "
        "AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) RETURNING length(body)",
        (uplink, chosen),
    ).fetchall()
    if sizes:
        size = sum(each for (each,) in sizes)
        _count(db, uplink, set_aside=-len(sizes), dropped=len(sizes), size=-size)
    return len(sizes)

"""The outbox and its ledger, as jobs for the writer.

A row and the ledger change in one transaction: created = delivered + queued + set aside + dropped
holds in the file at every moment, also after a crash.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from sqlite3 import Connection
from typing import Any
from zlib import crc32

from twisted_gantry.core.moments import Moment
from twisted_gantry.core.stored import Cap, Ledger, Report, Urgency

REQUEUED = "queued again"
"""The reason shown for a report that a person took back from those set aside."""

DAMAGED = "damaged on the disk: the check sum does not fit"
"""The reason shown for a report that is not what was stored; it is not sent."""

_MADE = "created, boot, mono, trusted"
COLUMNS = (
    f"{_MADE}, id, uplink, kind, subject, body, urgent, state, reason, tries, requeued, answer"
)
_QUEUED = f"SELECT {COLUMNS}, checksum FROM outbox WHERE uplink = :uplink AND state = 'queued'"  # noqa: S608

_IN_ORDER = f"""FROM outbox INDEXED BY outbox_in_order
    WHERE uplink = :uplink AND state = 'queued' AND urgent = {Urgency.IN_ORDER:d}"""
_FRESH = "mono > :after AND boot = :boot"

# One statement, since every report runs it.
_COUNT_NEW = """
    INSERT INTO ledger (uplink, created, queued, size) VALUES (?1, 1, 1, ?2)
    ON CONFLICT (uplink) DO UPDATE SET created = created + 1, queued = queued + 1, size = size + ?2
    RETURNING size
"""


def checksum(uplink: object, kind: object, subject: object, body: object) -> int | None:
    """Return the check sum of a report, None for values that cannot be those of a report."""
    try:
        names = "\0".join((uplink, kind, subject))  # type: ignore[arg-type]  # noqa: FLY002
        return crc32(body, crc32(names.encode("utf-8", "surrogatepass")))  # type: ignore[arg-type]
    except TypeError:
        return None


def report_of(row: tuple[Any, ...]) -> Report:
    """Return the report of a row with `COLUMNS`."""
    names = COLUMNS.removeprefix(f"{_MADE}, ").split(", ")
    fields = dict(zip(names, row[4:], strict=True))
    return Report(made=_moment(row[:4]), **{**fields, "requeued": bool(fields["requeued"])})


def row_of(report: Report) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`, and the check sum."""
    r, made = report, report.made
    told = (r.uplink, r.kind, r.subject, r.body)
    moment = (made.wall, made.boot, made.mono, made.trusted)
    state = (r.urgent, r.state, r.reason, r.tries, r.requeued, r.answer)
    return (*moment, r.id, *told, *state, checksum(*told))


def _moment(made: tuple[float, str, float, int]) -> Moment:
    wall, boot, mono, trusted = made
    return Moment(wall, boot, mono, bool(trusted))


def last_number(db: Connection) -> int:
    """Return the number of the newest report that there ever was, 0 for none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return 0 if row is None else int(row[0])


def keep_last_number(db: Connection, last: int) -> None:
    """Have no number up to `last` given again."""
    if last_number(db) < last:
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)", (last,))


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
    urgent: int,
    cap: Cap,
    number: int | None = None,
) -> tuple[int, Sequence[int]]:
    """Keep a report, then drop reports over the cap's size; `enforce` looks at the age. `number` is
    one that was never used, None for the next.
    """
    check = checksum(uplink, kind, subject, body)
    moment = (made.wall, made.boot, made.mono, made.trusted)
    cursor = db.execute(
        f"INSERT INTO outbox ({_MADE}, id, uplink, kind, subject, body, urgent, checksum) "  # noqa: S608 - own names
        "VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (*moment, number, uplink, kind, subject, body, urgent, check),
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


def following(
    db: Connection, uplink: str, now: Moment, fresh: float, but: Collection[int] = ()
) -> Report | None:
    """Return an urgent report that is less than `fresh` seconds old; else the oldest in order, if
    the newest in order is that fresh; else the oldest. None of `but`; damaged ones are set aside.
    """
    left_out = _left_out(but)
    given = {"uplink": uplink, "boot": now.boot, "after": now.mono - fresh}
    given["but"] = json.dumps(list(but))
    first = f"{left_out} ORDER BY id LIMIT 1"
    newest_is_fresh = f"(SELECT {_FRESH} {_IN_ORDER} ORDER BY id DESC LIMIT 1)"
    choices = [
        f"{_QUEUED} AND urgent = {Urgency.URGENT:d} AND {_FRESH}{first}",
        f"{_QUEUED} AND id = (SELECT min(id) {_IN_ORDER}{left_out}) AND {newest_is_fresh}",
        f"{_QUEUED}{first}",
    ]
    while True:
        found = next(filter(None, (_rows(db, each, given) for each in choices)), [])
        row = found[0] if found else None
        if row is None:
            return None
        if _is_sound(row, uplink):
            return report_of(row[:-1])
        _set_damaged_aside(db, row, uplink)


def queued(
    db: Connection, uplink: str, limit: int, size: int, but: Collection[int] = ()
) -> list[Report]:
    """Return the oldest queued reports: at most `limit` and `size` bytes, but at least one. Damaged
    ones are set aside.
    """
    sql = f"{_QUEUED}{_left_out(but)} ORDER BY id LIMIT :limit"
    given = {"uplink": uplink, "limit": limit, "but": json.dumps(list(but))}
    while True:
        found: list[Report] = []
        damaged: list[tuple[Any, ...]] = []
        room = size
        for row in _rows(db, sql, given):
            if not _is_sound(row, uplink):
                damaged.append(row)
                continue
            report = report_of(row[:-1])
            room -= len(report.body)
            if found and room < 0:
                break
            found.append(report)
        for row in damaged:
            _set_damaged_aside(db, row, uplink)
        if found or not damaged:
            return found


def _left_out(but: Collection[int]) -> str:
    return " AND id NOT IN (SELECT value FROM json_each(:but))" if but else ""


def _rows(db: Connection, sql: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return rows, also those with a damaged text, whose wrong bytes are replaced."""
    try:
        return db.execute(sql, given).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error).lower():
            raise
    db.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        return db.execute(sql, given).fetchall()
    finally:
        db.text_factory = str


def _is_sound(row: tuple[Any, ...], uplink: str) -> bool:
    """Tell whether a row is what was stored; one without a check sum is from before there were."""
    named, kind, subject, body, *_, stored = row[5:]
    return named == uplink and stored in (checksum(named, kind, subject, body), None)


def _set_damaged_aside(db: Connection, row: tuple[Any, ...], uplink: str) -> None:
    """Keep the bytes for a person. The indexes are made anew: they may hold what was stored."""
    number, _, kind, subject, body, *_ = row[4:]
    content = body if isinstance(body, bytes) else str(body).encode()
    db.execute(
        "UPDATE outbox SET state = 'set-aside', reason = ?, requeued = 0, uplink = ?, kind = ?,"
        " subject = ?, body = ?, checksum = NULL WHERE id = ?",
        (DAMAGED, uplink, str(kind), str(subject), content, number),
    )
    db.execute("REINDEX outbox")
    _count(db, uplink, queued=-1, set_aside=1)


def tried(db: Connection, report: int, reason: str, body: bytes | None) -> None:
    db.execute("UPDATE outbox SET tries = tries + 1, reason = ? WHERE id = ?", (reason, report))
    if body is not None:
        row = db.execute(
            "SELECT uplink, kind, subject, length(body) FROM outbox WHERE id = ?", (report,)
        ).fetchone()
        if row is not None:
            db.execute(
                "UPDATE outbox SET body = ?, checksum = ? WHERE id = ?",
                (body, checksum(row[0], row[1], row[2], body), report),
            )
            _count(db, row[0], size=len(body) - row[3])


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


def reports(
    db: Connection, uplink: str | None, state: str | None, limit: int, after: int = 0
) -> list[Report]:
    rows = db.execute(
        f"SELECT {COLUMNS} FROM outbox WHERE (?1 IS NULL OR uplink = ?1) "  # noqa: S608
        "AND (?2 IS NULL OR state = ?2) AND id > ?4 ORDER BY id LIMIT ?3",
        (uplink, state, limit, after),
    )
    return [report_of(row) for row in rows]


def one(db: Connection, report: int) -> Report | None:
    row = db.execute(f"SELECT {COLUMNS} FROM outbox WHERE id = ?", (report,)).fetchone()  # noqa: S608
    return None if row is None else report_of(row)


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

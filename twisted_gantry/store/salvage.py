"""Copies what can be read of a damaged database into a new one, row by row.

Reports come first and depend on no other table: a damaged page of the audit costs entries of the
audit alone. Within a table, reading goes on from the end, and then row by row between, when a page
cannot be read.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from twisted_gantry.store import alarms

_TABLES = ("outbox", "setting", "ledger", "card", "audit", "alarms", "alarm_ledger")
_MOST_PROBED = 200_000  # rows that are looked for one by one, in each table


def salvage(source: Path, target: Connection) -> dict[str, int]:
    """Copy from the file `source` into `target`, an empty database that is up to date. Returns how
    many rows of each table were copied. The ledger is made to fit: what is missing was dropped.
    """
    saved = dict.fromkeys(_TABLES, 0)
    with _copy(source) as path, closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.text_factory = lambda text: text.decode("utf-8", "replace")
        for table in _TABLES:
            saved[table] = _copy_table(db, target, table)
    _balance(target)
    alarms.balance(target)
    return saved


@contextmanager
def _copy(source: Path) -> Iterator[Path]:
    """Give a copy of the file and its log: reading a damaged file may change it. Without room for
    one, the file itself is read.
    """
    path = source.with_name(f"{source.name}.copy")
    try:
        for suffix in ("", "-wal"):
            if source.with_name(source.name + suffix).exists():
                shutil.copy(source.with_name(source.name + suffix), f"{path}{suffix}")
    except OSError:
        yield source
    else:
        yield path
    finally:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _copy_table(source: Connection, target: Connection, table: str) -> int:
    wanted = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    known: set[str] = set()
    with suppress(sqlite3.Error):
        known = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
    columns = [name for name in wanted if name in known]
    if not columns:
        return 0
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    copied = 0
    for row in _rows(source, table, names):
        with suppress(sqlite3.Error):  # a row whose values no longer fit the table
            sql = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
            copied += target.execute(sql, row).rowcount
    return copied


def _rows(db: Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    select = f"SELECT rowid, {names} FROM {table} NOT INDEXED"  # noqa: S608 - own names
    first, last = 0, None
    try:
        for number, *row in db.execute(f"{select} ORDER BY rowid"):
            first = number
            yield tuple(row)
    except sqlite3.Error:
        pass
    else:
        return
    backwards: list[tuple[Any, ...]] = []
    with suppress(sqlite3.Error):
        for number, *row in db.execute(f"{select} ORDER BY rowid DESC"):
            if number <= first:
                break
            last = number
            backwards.append(tuple(row))
    yield from reversed(backwards)
    until = first + _MOST_PROBED if last is None else min(last, first + _MOST_PROBED)
    for number in range(first + 1, until):
        with suppress(sqlite3.Error):
            yield from (tuple(row[1:]) for row in db.execute(f"{select} WHERE rowid = {number}"))


def _balance(db: Connection) -> None:
    """Make each ledger fit the reports in the file."""
    db.execute("INSERT OR IGNORE INTO ledger (uplink) SELECT DISTINCT uplink FROM outbox")
    for (uplink,) in db.execute("SELECT uplink FROM ledger").fetchall():
        rows = db.execute(
            "SELECT state, count(*), sum(length(body)) FROM outbox WHERE uplink = ? GROUP BY state",
            (uplink,),
        ).fetchall()
        found = {state: number for state, number, _ in rows}
        queued, aside = found.get("queued", 0), found.get("set-aside", 0)
        db.execute(
            "UPDATE ledger SET queued = ?1, set_aside = ?2, size = ?3,"
            " created = max(created, delivered + dropped + ?1 + ?2),"
            " dropped = max(created, delivered + dropped + ?1 + ?2) - delivered - ?1 - ?2"
            " WHERE uplink = ?4",
            (queued, aside, sum(size for *_, size in rows), uplink),
        )

"""The embedded engine: SQLite in WAL mode, each commit on the disk."""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from twisted_gantry.centre.interfaces import Job
from twisted_gantry.centre.model import Row
from twisted_gantry.centre.store.engine import Connection, Fault, Unusable
from twisted_gantry.centre.store.sql import SQLITE, for_sqlite

T = TypeVar("T")

READ_SECONDS = 30.0
"""A query that takes longer is stopped."""
_MOST_ROWS = 128
"""Rows of one statement: more are no faster."""
_STEPS = 100_000  # of SQLite's machine between two looks at the clock

_FAULTS = {
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_BUSY: Fault.AGAIN,
    sqlite3.SQLITE_LOCKED: Fault.AGAIN,
    sqlite3.SQLITE_INTERRUPT: Fault.AGAIN,
    sqlite3.SQLITE_IOERR: Fault.LOST,
    sqlite3.SQLITE_CANTOPEN: Fault.LOST,
    sqlite3.SQLITE_NOTADB: Fault.LOST,
    sqlite3.SQLITE_CORRUPT: Fault.LOST,
    sqlite3.SQLITE_READONLY: Fault.LOST,
    sqlite3.SQLITE_CONSTRAINT: Fault.REJECTED,
    sqlite3.SQLITE_MISMATCH: Fault.REJECTED,
    sqlite3.SQLITE_TOOBIG: Fault.REJECTED,
}


class SqliteSession:
    """A transaction in SQLite."""

    engine = SQLITE

    def __init__(self, db: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._db, self.now = db, now

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return self._db.execute(for_sqlite(sql), _bound(sql, values)).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        return self._db.execute(for_sqlite(sql), _bound(sql, values)).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        if "{rows:" in sql:
            for _ in self._in_parts(sql, rows):
                pass
            return
        self._db.executemany(for_sqlite(sql), rows)

    def many_rows(self, sql: str, rows: Iterable[Sequence[Any]]) -> list[Row]:
        if "{rows:" in sql:
            return [found for part in self._in_parts(sql, rows) for found in part.fetchall()]
        execute, ours = self._db.execute, for_sqlite(sql)
        return [found for row in rows for found in execute(ours, row)]

    def _in_parts(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[sqlite3.Cursor]:
        """Run a statement for many rows at once: without the lock of Python, which the reactor has
        meanwhile, and half the time. Parts are powers of two, which keeps the statements few.
        """
        given = list(rows)
        first = 0
        while first < len(given):
            size = min(_MOST_ROWS, 1 << (len(given) - first).bit_length() - 1)
            values = list(chain.from_iterable(given[first : first + size]))
            yield self._db.execute(for_sqlite(sql, size), values)
            first += size


def _bound(sql: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if "{in}" not in sql:
        return values
    return tuple(json.dumps(list(v)) if isinstance(v, list | tuple) else v for v in values)


class SqliteConnection:
    """A connection to the file, or to a database in memory."""

    def __init__(self, db: sqlite3.Connection, now: Callable[[], float], read_only: bool) -> None:
        self._db, self._read_only = db, read_only
        self._session = SqliteSession(db, now)

    def transaction(self, job: Job[T]) -> T:
        db = self._db
        if self._read_only:
            deadline = time.monotonic() + READ_SECONDS
            db.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
        db.execute("BEGIN" if self._read_only else "BEGIN IMMEDIATE")
        try:
            result = job(self._session)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return result

    def close(self) -> None:
        self._db.close()


class SqliteEngine:
    """The file belongs to one process: a second one is refused by a lock. `now` is the database's
    clock, in Unix seconds.
    """

    name = SQLITE

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path, self._now = path, now
        self._lock: int | None = None

    def connect(self, *, read_only: bool = False) -> Connection:
        self._take_lock()
        db = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
            cached_statements=512,
        )
        try:
            prepare(db, read_only)
        except BaseException:
            db.close()
            raise
        return SqliteConnection(db, self._now, read_only)

    def _take_lock(self) -> None:
        """Make the file private, and take the lock beside it."""
        if self._lock is not None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Unusable(
                f"another process uses {self.path}: stop it, or use PostgreSQL, which any number "
                "of processes may share"
            ) from error
        self._lock = lock

    def fault(self, error: Exception) -> Fault:
        return sqlite_fault(error)

    def unreachable(self, error: Exception) -> bool:
        return False  # a file is there, or cannot be made

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def prepare(db: sqlite3.Connection, read_only: bool) -> None:
    """Set what holds for a connection."""
    db.execute("PRAGMA page_size = 8192")  # of a new file: a sixth less CPU than with 4096
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA cache_size = -32000")  # KiB
    if read_only:
        db.execute("PRAGMA query_only = ON")


def sqlite_fault(error: Exception) -> Fault:
    """Sort an error of SQLite. Values that Python cannot hand over are rejected as well."""
    if isinstance(error, sqlite3.DataError | OverflowError | UnicodeEncodeError):
        return Fault.REJECTED
    if isinstance(error, sqlite3.Error):
        with suppress(AttributeError):
            return _FAULTS.get(error.sqlite_errorcode & 0xFF, Fault.MISTAKE)
    return Fault.LOST if isinstance(error, OSError) else Fault.MISTAKE

"""A store of the centre without threads, also in memory: each call is a transaction at once."""

import sqlite3
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from twisted_gantry.centre.interfaces import IReportStore, Job
from twisted_gantry.centre.model import Received, Verdict
from twisted_gantry.centre.store import ledger
from twisted_gantry.centre.store.days import make
from twisted_gantry.centre.store.engine import Connection, Engine, Fault
from twisted_gantry.centre.store.reports import Filing, Ids, days_of, store
from twisted_gantry.centre.store.schema import migrate
from twisted_gantry.centre.store.sql import SQLITE
from twisted_gantry.centre.store.sqlite import SqliteConnection, prepare, sqlite_fault

T = TypeVar("T")


class MemoryEngine:
    """A database in memory with one connection, for tests and previews."""

    name = SQLITE

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        prepare(self._db, read_only=False)

    def connect(self, *, read_only: bool = False) -> Connection:
        return _MemoryConnection(self._db, self._now, read_only)

    def fault(self, error: Exception) -> Fault:
        return sqlite_fault(error)

    def unreachable(self, error: Exception) -> bool:
        return False

    def close(self) -> None:
        self._db.close()


class _MemoryConnection(SqliteConnection):
    def transaction(self, job: Job[T]) -> T:
        if self._read_only:
            self._db.execute("PRAGMA query_only = ON")
        try:
            return super().transaction(job)
        finally:
            self._db.set_progress_handler(None, 0)
            self._db.execute("PRAGMA query_only = OFF")

    def close(self) -> None:
        """Leave the database to the other connections."""


@implementer(IReportStore)
class InlineStore:
    """Opens the database, with the tables, at once."""

    trouble: str | None = None
    waiting = 0

    def __init__(self, engine: Engine, filing: Filing) -> None:
        self._engine, self._filing = engine, filing
        self._writing = engine.connect()
        self._reading = engine.connect(read_only=True)
        migrate(self._writing)

    def beside(self, front: str) -> "InlineStore":
        """Return another front of the same database, over the same connections."""
        other = copy(self)
        other._filing = replace(self._filing, front=front, ids=Ids())
        return other

    def put(self, report: Received) -> Deferred[Verdict]:
        return execute(lambda: self.put_all([report])[0])

    def put_all(self, reports: Sequence[Received]) -> list[Verdict]:
        """Store reports in one transaction."""
        for day in sorted(days_of(self._filing, reports)):
            self._writing.transaction(partial(make, day=day))
        return self._writing.transaction(
            lambda session: store(session, self._filing, reports, session.now())
        )

    def writing(self, job: Job[T]) -> T:
        """Run a job in a transaction, and return its result."""
        return self._writing.transaction(job)

    def refused(self, code: str) -> None:
        self._writing.transaction(
            lambda session: ledger.add(
                session, self._filing.front, session.now(), {ledger.refused(code): 1}
            )
        )

    def write(self, job: Job[T]) -> Deferred[T]:
        return execute(self._writing.transaction, job)

    def read(self, job: Job[T]) -> Deferred[T]:
        return execute(self._reading.transaction, job)

    def close(self) -> Deferred[None]:
        self._reading.close()
        self._writing.close()
        self._engine.close()
        return succeed(None)


def open_memory(now: Callable[[], float], filing: Filing | None = None) -> InlineStore:
    """Open a store in memory. `now` tells Unix seconds: the clock of its database."""
    return InlineStore(MemoryEngine(now), filing or Filing("front-1"))

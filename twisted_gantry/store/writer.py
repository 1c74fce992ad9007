"""One thread that owns a database, and commits the waiting jobs together.

Group commit makes the speed: fifty writes in flight cost one `fsync` instead of fifty. Nothing else
in the program touches the connection.
"""

import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from sqlite3 import Connection
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from twisted_gantry.net.histogram import Histogram

_T = TypeVar("_T")

# The most jobs of one transaction: the first of them must not wait too long for the last.
MAX_GROUP = 500

Job = Callable[[Connection], Any]
Late = Callable[[_T], object]
Remake = Callable[[Connection | None], Connection | None]


class Closed(Exception):
    """The store is closed."""


class NotOpen(sqlite3.OperationalError):
    """There is no database yet: it could not be opened."""


class Writer(Protocol):
    """Runs jobs on the connection, in order; each is durable once its Deferred fires."""

    def run(self, job: Callable[[Connection], _T], late: Late[_T] | None = None) -> Deferred[_T]:
        """Run `job` in a transaction. Fails with its exception, or with that of the disk. A job
        that was given up (`give_up`) and was done all the same is told to `late`.
        """

    def replace(self, make: Remake) -> Deferred[None]:
        """Use the connection that `make` returns, given the present one, which it closes unless it
        returns it; None is for none. `make` runs in no transaction. If it fails, the present one
        stays.
        """

    def waits_for(self) -> float:
        """Return for how many seconds the oldest unfinished job has waited, 0 for none."""

    def give_up(self, error: Exception) -> None:
        """Fail all unfinished jobs with `error`; those that were not begun are never done."""

    def close(self) -> Deferred[None]: ...  # finish the waiting jobs, and close the connection


class _Nothing:
    """The result of a job that was given up before it was begun."""


_NOTHING = _Nothing()


def _skip(_: Connection) -> _Nothing:
    return _NOTHING


@dataclass(eq=False, slots=True)
class _Item:
    """A job that waits or is under way, or in its place `alone`, which replaces the connection. An
    item with neither ends the thread. `since` is seconds.
    """

    job: Job | None
    since: float
    deferred: Deferred[Any]
    late: Late[Any] | None = None
    alone: Remake | None = None
    given_up: bool = False


def _run_group(db: Connection | None, jobs: list[Job]) -> list[Any]:
    """Run jobs in one transaction; if one fails, each in its own, so that it fails alone."""
    try:
        return _transact(db, jobs)
    except Exception:
        if len(jobs) == 1:
            return [Failure()]
    return [_run_group(db, [job])[0] for job in jobs]


def _transact(db: Connection | None, jobs: list[Job]) -> list[Any]:
    if db is None:
        raise NotOpen("the database could not be opened")
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        db.execute("BEGIN")  # what only reads still works
    try:
        results = [job(db) for job in jobs]
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return results


class ThreadWriter:
    """`committed` is called in the thread after each group, with the connection. `seconds` counts
    for the histogram, and for how long jobs wait.
    """

    def __init__(
        self,
        db: Connection | None,
        reactor: IReactorFromThreads,
        seconds: Callable[[], float] = time.perf_counter,
        committed: Callable[[Connection], object] = lambda db: None,
    ) -> None:
        self.transaction_seconds = Histogram()
        self._db, self._reactor, self._seconds = db, reactor, seconds
        self._committed = committed
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._unfinished: deque[_Item] = deque()
        self._closed: Deferred[None] | None = None
        # Not a daemon thread: an interpreter that ends waits for the last commit.
        self._thread = Thread(target=self._work, name="gantry-store")
        self._thread.start()

    def run(self, job: Callable[[Connection], _T], late: Late[_T] | None = None) -> Deferred[_T]:
        """Run `job` behind those that wait. Fails with Closed after `close`."""
        deferred: Deferred[_T] = Deferred()
        return self._put(_Item(job, self._seconds(), deferred, late))

    def replace(self, make: Remake) -> Deferred[None]:
        return self._put(_Item(None, self._seconds(), Deferred(), alone=make))

    def _put(self, item: _Item) -> Deferred[Any]:
        if self._closed is not None:
            return fail(Closed("the store is closed"))
        self._unfinished.append(item)
        self._queue.put(item)
        return item.deferred

    def waits_for(self) -> float:
        return self._seconds() - self._unfinished[0].since if self._unfinished else 0.0

    def give_up(self, error: Exception) -> None:
        # They stay in the queue: `waits_for` tells when the thread has come back to them.
        for item in list(self._unfinished):
            if not item.given_up:
                item.given_up = True
                item.deferred.errback(error)

    def close(self) -> Deferred[None]:
        if self._closed is None:
            self._closed = Deferred()
            self._queue.put(_Item(None, 0.0, Deferred()))
        waiter: Deferred[None] = Deferred()
        self._closed.addBoth(lambda _: waiter.callback(None))
        return waiter

    def _work(self) -> None:
        last = False
        while not last:
            group, then = self._gather()
            if group:
                self._do(group)
            if then is not None:
                last = then.alone is None
                if not last:
                    self._do_alone(then)
        if self._db is not None:
            self._db.close()
        self._reactor.callFromThread(self._say_closed)

    def _gather(self) -> tuple[list[_Item], _Item | None]:
        """Return the jobs that wait, and what is to be done after them that is no job."""
        group: list[_Item] = []
        while len(group) < MAX_GROUP:
            item = self._queue.get()
            if item.job is None:
                return group, item
            group.append(item)
            if self._queue.empty():
                break
        return group, None

    def _do(self, group: list[_Item]) -> None:
        began = self._seconds()
        jobs = [_skip if item.job is None or item.given_up else item.job for item in group]
        results = _run_group(self._db, jobs)
        if self._db is not None:
            self._committed(self._db)
        took = self._seconds() - began
        self._reactor.callFromThread(self._done, list(zip(group, results, strict=True)), took)

    def _do_alone(self, item: _Item) -> None:
        result: Any = _NOTHING
        if item.alone is not None and not item.given_up:
            try:
                self._db, result = item.alone(self._db), None
            except Exception:
                result = Failure()
        self._reactor.callFromThread(self._done, [(item, result)], 0.0)

    def _done(self, done: list[tuple[_Item, Any]], took: float) -> None:
        self.transaction_seconds.observe(took)
        for item, result in done:
            self._unfinished.popleft()
            if not item.given_up:
                item.deferred.callback(result)  # a Failure goes to the errbacks
            elif item.late is not None and not isinstance(result, Failure | _Nothing):
                item.late(result)

    def _say_closed(self) -> None:
        self._thread.join()
        assert self._closed is not None
        self._closed.callback(None)


class InlineWriter:
    """A writer in this thread, for tests and probes: does each job at once, in a transaction."""

    def __init__(self, db: Connection | None) -> None:
        self._db = db
        self._open = True

    def run(self, job: Callable[[Connection], _T], late: Late[_T] | None = None) -> Deferred[_T]:
        if not self._open:
            return fail(Closed("the store is closed"))
        [result] = _run_group(self._db, [job])
        return fail(result) if isinstance(result, Failure) else succeed(result)

    def replace(self, make: Remake) -> Deferred[None]:
        try:
            self._db = make(self._db)
        except Exception:
            return fail()
        return succeed(None)

    def waits_for(self) -> float:
        return 0.0

    def give_up(self, error: Exception) -> None:
        pass

    def close(self) -> Deferred[None]:
        if self._open:
            self._open = False
            if self._db is not None:
                self._db.close()
        return succeed(None)

"""One thread that owns a database, and commits the waiting jobs together.

Group commit makes the speed: fifty writes in flight cost one `fsync` instead of fifty. Nothing else
in the program touches the connection.
"""

import time
from collections.abc import Callable
from queue import SimpleQueue
from sqlite3 import Connection
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.histogram import Histogram

_T = TypeVar("_T")
_log = Logger()

# The most jobs of one transaction: the first of them must not wait too long for the last.
MAX_GROUP = 500

Job = Callable[[Connection], Any]


class Closed(Exception):
    """The store is closed."""


class Writer(Protocol):
    """Runs jobs on the connection, in order; each is durable once its Deferred fires."""

    def run(self, job: Callable[[Connection], _T]) -> Deferred[_T]:
        """Run `job` in a transaction. Fails with its exception, or with that of the disk."""

    def close(self) -> Deferred[None]: ...  # finish the waiting jobs, and close the connection


def _run_group(db: Connection, jobs: list[Job]) -> list[Any]:
    """Run jobs in one transaction; if one fails, each in its own, so that it fails alone."""
    try:
        return _transact(db, jobs)
    except Exception:
        if len(jobs) == 1:
            return [Failure()]
    return [_run_group(db, [job])[0] for job in jobs]


def _transact(db: Connection, jobs: list[Job]) -> list[Any]:
    db.execute("BEGIN IMMEDIATE")
    try:
        results = [job(db) for job in jobs]
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return results


def _fire(waiting: list[tuple[Deferred[Any], Any]]) -> None:
    for deferred, result in waiting:
        if isinstance(result, Failure):
            deferred.errback(result)
        else:
            deferred.callback(result)


class ThreadWriter:
    def __init__(
        self,
        db: Connection,
        reactor: IReactorFromThreads,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.transaction_seconds = Histogram()
        self._db, self._reactor, self._seconds = db, reactor, seconds
        self._queue: SimpleQueue[tuple[Job, Deferred[Any]] | None] = SimpleQueue()
        self._closed: Deferred[None] | None = None
        # Not a daemon thread: an interpreter that ends waits for the last commit.
        self._thread = Thread(target=self._work, name="gantry-store")
        self._thread.start()

    def run(self, job: Callable[[Connection], _T]) -> Deferred[_T]:
        """Run `job` behind those that wait. Fails with Closed after `close`."""
        if self._closed is not None:
            return fail(Closed("the store is closed"))
        deferred: Deferred[_T] = Deferred()
        self._queue.put((job, deferred))
        return deferred

    def close(self) -> Deferred[None]:
        if self._closed is None:
            self._closed = Deferred()
            self._queue.put(None)
        waiter: Deferred[None] = Deferred()
        self._closed.addBoth(lambda _: waiter.callback(None))
        return waiter

    def _work(self) -> None:
        last = False
        while not last:
            group: list[tuple[Job, Deferred[Any]]] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) >= MAX_GROUP or self._queue.empty():
                    break
                item = self._queue.get()
            last = item is None
            if group:
                began = self._seconds()
                results = _run_group(self._db, [job for job, _ in group])
                took = self._seconds() - began
                deferreds = [deferred for _, deferred in group]
                waiting = list(zip(deferreds, results, strict=True))
                self._reactor.callFromThread(self._done, waiting, took)
        self._db.close()
        self._reactor.callFromThread(self._say_closed)

    def _done(self, waiting: list[tuple[Deferred[Any], Any]], took: float) -> None:
        self.transaction_seconds.observe(took)
        _fire(waiting)

    def _say_closed(self) -> None:
        self._thread.join()
        assert self._closed is not None
        self._closed.callback(None)


class InlineWriter:
    """A writer for tests: does each job at once, in a transaction of its own."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._open = True

    def run(self, job: Callable[[Connection], _T]) -> Deferred[_T]:
        if not self._open:
            return fail(Closed("the store is closed"))
        [result] = _run_group(self._db, [job])
        return fail(result) if isinstance(result, Failure) else succeed(result)

    def close(self) -> Deferred[None]:
        if self._open:
            self._open = False
            self._db.close()
        return succeed(None)

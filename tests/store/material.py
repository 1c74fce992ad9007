"""What the tests of the store share: a store in memory, and a reactor that only takes calls."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support import moments
from twisted_gantry.core.stored import Cap
from twisted_gantry.store.outbox import last_number
from twisted_gantry.store.schema import MIGRATIONS, open_database
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter, Late, Remake, ThreadWriter

_T = TypeVar("_T")

PLENTY = Cap(size=10**9, age=10.0**9)
"""A cap that drops nothing."""

# No test waits for so long: it is where a thread that hangs becomes a failure.
PATIENCE = 60.0


def result_of(deferred: Deferred[_T]) -> _T:
    """Return the result of a Deferred that has fired, and leave it. Raises what it failed with."""
    results: list[_T] = []
    failures: list[Failure] = []

    def keep(result: _T) -> _T:
        results.append(result)
        return result

    deferred.addCallbacks(keep, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "it has not fired"
    return results[0]


def failure_of(deferred: Deferred[Any]) -> BaseException:
    """Return what a Deferred that has fired failed with."""
    results: list[Any] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    assert not results, "it did not fail"
    assert failures, "it has not fired"
    error = failures[0].value
    assert isinstance(error, BaseException)
    return error


def database() -> sqlite3.Connection:
    """Return a new database in memory, up to date."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    return db


def file_store(folder: Path) -> tuple[SqliteStore, sqlite3.Connection]:
    """Return a store in a file that does each job at once, and its connection."""
    db, found = open_database(folder, Clock().seconds)
    store = SqliteStore(InlineWriter(db), moments(Clock().seconds), found, last=last_number(db))
    return store, db


@implementer(IReactorFromThreads)
class Calls:
    """As much of a reactor as the writer's thread needs: it keeps calls until they are run."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002
        self._queue.put(lambda: callable(*args, **kwargs))

    def run(self, *until: Deferred[Any]) -> None:
        """Run calls, as they come, until every one of the Deferreds has fired."""
        while not all(deferred.called for deferred in until):
            self._queue.get(timeout=PATIENCE)()

    @contextmanager
    def closing(self, thing: SqliteStore | ThreadWriter) -> Iterator[None]:
        """Close a writer or store at the end, come what may: a thread that is left would hang."""
        try:
            yield
        finally:
            self.run(thing.close())


class LateWriter:
    """A writer that does each job some `seconds` after it was given: a disk that takes its time."""

    def __init__(self, db: sqlite3.Connection, clock: Clock, seconds: float) -> None:
        self.seconds = seconds
        self._inline, self._clock = InlineWriter(db), clock

    def run(
        self, job: Callable[[sqlite3.Connection], _T], late: Late[_T] | None = None
    ) -> Deferred[_T]:
        done: Deferred[_T] = Deferred()
        self._clock.callLater(self.seconds, lambda: self._inline.run(job).chainDeferred(done))
        return done

    def replace(self, make: Remake) -> Deferred[None]:
        return self._inline.replace(make)

    def waits_for(self) -> float:
        return 0.0

    def give_up(self, error: Exception) -> None:
        """Do nothing: this disk is slow, it does not hang."""

    def close(self) -> Deferred[None]:
        return self._inline.close()

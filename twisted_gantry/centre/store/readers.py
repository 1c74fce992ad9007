"""Questions to the database beside the writer, on connections of their own that only read."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail

from twisted_gantry.centre.interfaces import Job, NotStored
from twisted_gantry.centre.store.engine import Connection, Engine, Fault, Unusable
from twisted_gantry.net.threads import ThreadClass

T = TypeVar("T")

THREADS = 3
AFTER_FAILURE = 1.0
"""Seconds in which questions fail at once, after the database could not be reached."""
MOST = 500
"""Questions that wait or are under way; more fail at once."""


class Readers:
    """Connections are made when they are needed, and kept."""

    def __init__(self, engine: Engine, reactor: Any, seconds: Callable[[], float]) -> None:
        self._engine, self._seconds = engine, seconds
        self._not_before = 0.0  # of a new connection, after one that failed
        self._threads = ThreadClass(reactor, "centre-reader", THREADS)
        self._idle: list[Connection] = []
        self._asked = 0
        self._closed = False

    def read(self, job: Job[T]) -> Deferred[T]:
        """Run `job` in a transaction that only reads. Fails with its exception, or NotStored."""
        if self._closed or self._asked >= MOST:
            why = "the store is closed" if self._closed else "too many questions to the database"
            return fail(NotStored(why))
        self._asked += 1
        return self._threads.run(self._read, job).addBoth(self._answered)

    def _answered(self, result: Any) -> Any:
        self._asked -= 1
        return result

    def _read(self, job: Job[T]) -> T:
        try:
            return self._once(job)
        except Exception as error:
            if not self._is_lost(error):
                raise
        try:
            return self._once(job)  # the connection was old: another server may answer now
        except Exception as error:
            if self._is_lost(error):
                raise NotStored(f"the database does not answer: {type(error).__name__}") from error
            raise

    def _is_lost(self, error: Exception) -> bool:
        return isinstance(error, Unusable) or self._engine.fault(error) in (
            Fault.LOST,
            Fault.AGAIN,
            Fault.FULL,
        )

    def _once(self, job: Job[T]) -> T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            result = connection.transaction(job)
        except Exception as error:
            if self._is_lost(error):
                with suppress(Exception):
                    connection.close()
                while self._idle:  # the others are as old
                    with suppress(Exception):
                        self._idle.pop().close()
            else:
                self._give_back(connection)
            raise
        self._give_back(connection)
        return result

    def _connect(self) -> Connection:
        if self._seconds() < self._not_before:
            raise NotStored("the database cannot be reached")
        try:
            return self._engine.connect(read_only=True)
        except Exception:
            self._not_before = self._seconds() + AFTER_FAILURE
            raise

    def _give_back(self, connection: Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Take no more questions; those under way end in their time."""
        self._closed = True
        self._threads.close()
        while self._idle:
            self._idle.pop().close()

"""The seams of the centre: the store, and a session of SQL."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from twisted_gantry.centre.model import Received, Row, Verdict

T = TypeVar("T")


class NotStored(Exception):
    """A report or a change is not on the disk, or not on that of the standby: 1008. The sender
    sends it again, and what was stored all the same is then a duplicate.
    """


class QueueFull(Exception):
    """No room for a report now: 1005. Backlogs leave room for fresh reports."""


class Session(Protocol):
    """A transaction of either engine, in a thread of the store. SQL has `?` for each value, and the
    macros of `centre/store/sql.py`.
    """

    engine: str  # "sqlite" or "postgresql"

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement that returns rows."""

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement; returns the number of rows that it changed."""

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row; with `{rows:text,int}` in place of VALUES it is one
        statement for many, which must not name a key twice.
        """

    def many_rows(self, sql: str, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """Run a statement with `{rows:…}` and RETURNING; returns the rows of all."""

    def now(self) -> float:
        """Return the time of the database in Unix seconds: leases go by this clock alone."""


Job = Callable[[Session], T]


class IReportStore(Interface):
    """Reports, states and all else of the centre, over SQLite or PostgreSQL."""

    trouble: str | None = Attribute("Why the store does not take reports now; None while it does.")
    waiting: int = Attribute("Reports that wait for their commit.")

    def put(report: Received) -> Deferred[Verdict]:
        """Store a report with all that it changes. Fires after the COMMIT. Fails with QueueFull at
        once, and with NotStored.
        """

    def refused(code: str) -> None:
        """Count a report that the front refused, by its code such as `1004`: in the ledger, with
        the next group or within a second.
        """

    def write(job: Job[T]) -> Deferred[T]:
        """Run `job` in a transaction of its own, between groups of reports; it may run twice when
        the connection is lost before its COMMIT. Fails with its exception, or with NotStored.
        """

    def read(job: Job[T]) -> Deferred[T]:
        """Run `job` beside the writer, in a transaction that only reads. Fails with its exception,
        or with NotStored.
        """

    def close() -> Deferred[None]:
        """Take no more reports, commit those that wait, and close the connections."""

"""The one thread that writes: it commits the reports that wait together.

Group commit makes the speed: five hundred reports cost one wait for the disk, or for the standby.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.centre.interfaces import Job, NotStored, Session
from twisted_gantry.centre.model import Received, Verdict
from twisted_gantry.centre.store import days, ledger, rejected
from twisted_gantry.centre.store.disk import DiskGuard
from twisted_gantry.centre.store.engine import Connection, Engine, Fault, Unusable, first_line
from twisted_gantry.centre.store.lanes import Lanes, Waiting, WaitingJob
from twisted_gantry.centre.store.reports import Filing, days_of, store
from twisted_gantry.net.histogram import Histogram

_log = Logger()

T = TypeVar("T")

ATTEMPTS = 3
"""Tries of a transaction that met a lock or a deadlock."""
BACK_OFF = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries to connect; the last one repeats."""
_TICK = 1.0  # seconds: how often an idle writer writes counts and looks at the disk

Outcome = Verdict | Exception
_Item = Waiting | WaitingJob


class Writer:
    """Takes from `lanes`, commits, and fires the Deferreds in the reactor's thread.

    `trouble` tells why nothing is written now, `away` that the last try to connect failed, and
    reports need not wait. `under_way` is what the present transaction is for.
    `stalled` is set from outside when callers were given up: the writer then tries to write by
    itself, and clears it when that succeeds. `now` is Unix seconds, for the ledger's hours.
    """

    def __init__(
        self,
        engine: Engine,
        filing: Filing,
        lanes: Lanes,
        guard: DiskGuard,
        reactor: IReactorFromThreads,
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.trouble: str | None = None
        self.away: str | None = None
        self.transaction_seconds = Histogram()
        self.stalled = False
        self.under_way: Sequence[_Item] = ()
        self.refused: dict[str, int] = {}  # by code, since the start; the reactor counts
        self._engine, self._filing, self._lanes, self._guard = engine, filing, lanes, guard
        self._reactor, self._seconds, self._now = reactor, seconds, now
        self._connection: Connection | None = None
        self._failures = 0
        self._days: set[int] = set()
        self._refused_written: dict[str, int] = {}
        self._closing = False
        self._thread = Thread(target=self._work, name="centre-writer", daemon=True)

    def start(self, connection: Connection | None) -> None:
        """Begin with a connection whose database has its tables; None: the database is away."""
        self._connection = connection
        if connection is None:
            self.away = "the database cannot be reached"
        self._thread.start()

    def close(self) -> None:
        """End after the reports and jobs that wait; `ended` tells when."""
        self._closing = True
        self._lanes.wake()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            connected = self._connection is not None
            if connected and self._lanes.empty and not self._closing:
                self._lanes.wait(_TICK)
            if not connected and not self._connect():
                if self._closing:
                    break
                self._refuse()
                self._lanes.pause(BACK_OFF[min(self._failures, len(BACK_OFF)) - 1])
                continue
            try:
                self._step()
            except Exception:
                self._recover()
            if self._closing and self._lanes.empty:
                break
        if self._connection is not None and self._refused_written != self.refused:
            self._do(self._count_refused)
        self._drop()

    def _refuse(self) -> None:
        """Refuse the reports that wait for a database that is away: their senders keep them. A
        change waits until its deadline, as a restart of the database is short.
        """
        error = NotStored(self.away or "the database cannot be reached")
        while group := self._lanes.group():
            self._reactor.callFromThread(self._answer, [(item, error) for item in group])

    def _recover(self) -> None:
        """Go on after a mistake of this program: what it was for is not stored."""
        _log.failure("The writer of the store failed")
        error = NotStored("a mistake of the program")
        self._finish([(item, error) for item in self.under_way], self._seconds())
        self._drop()

    def _step(self) -> None:
        """Do one group of reports and one job; with neither, write the counts of refusals."""
        self._guard.look(self._connection)
        group = self._lanes.group()
        if group:
            began = self._begin(group)
            outcomes = self._commit([each.report for each in group])
            self._finish(list(zip(group, outcomes, strict=True)), began)
        job = self._lanes.job()
        if job is not None:
            began = self._begin([job])
            self._finish([(job, self._do(job.job))], began)
        if not group and (self.stalled or self._refused_written != self.refused):
            self._do(self._count_refused)

    def _begin(self, items: Sequence[_Item]) -> float:
        self.under_way = items
        return self._seconds()

    def _finish(self, done: Sequence[tuple[_Item, Any]], began: float) -> None:
        self.under_way = ()
        self._reactor.callFromThread(self._tell, done, self._seconds() - began)

    def _tell(self, done: Sequence[tuple[_Item, Any]], took: float) -> None:
        self.transaction_seconds.observe(took)
        self._answer(done)

    def _answer(self, done: Sequence[tuple[_Item, Any]]) -> None:
        for item, outcome in done:
            deferred: Deferred[Any] = item.deferred
            if deferred.called:  # it was given up
                continue
            if isinstance(outcome, Exception):
                deferred.errback(outcome)
            else:
                deferred.callback(outcome)

    def _connect(self) -> bool:
        try:
            self._connection = self._engine.connect()
        except Exception as error:
            self._failures += 1
            if not isinstance(error, Unusable) and self._engine.fault(error) is Fault.MISTAKE:
                _log.failure("The database cannot be opened")
            self.away = f"the database cannot be reached: {first_line(error)}"
            self._tell_trouble(self.away)
            return False
        self._failures = 0
        self.away = None
        self._tell_trouble(None)
        return True

    def _tell_trouble(self, why: str | None) -> None:
        if why is not None and self.trouble is None:
            _log.error("Nothing is stored: {why}", why=why)
        elif why is None and self.trouble is not None:
            _log.info("Reports are stored again")
        self.trouble = why

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _transact(self, job: Job[T]) -> T:
        """Run a transaction, again after a deadlock. Raises NotStored for what the database is to
        blame for, else the error of the job.
        """
        attempt = 0
        while True:
            attempt += 1
            if self._connection is None and not self._connect():
                raise NotStored(self.trouble or "the database cannot be reached")
            assert self._connection is not None
            try:
                result = self._connection.transaction(job)
            except NotStored as error:
                self._tell_trouble(first_line(error))
                raise
            except Exception as error:
                fault = self._engine.fault(error)
                if fault is Fault.AGAIN and attempt < ATTEMPTS:
                    continue
                if fault in (Fault.REJECTED, Fault.MISTAKE):
                    raise
                self._failed(fault, error)
                raise NotStored(first_line(error)) from error
            self._tell_trouble(None)
            self.stalled = False
            return result

    def _failed(self, fault: Fault, error: Exception) -> None:
        if fault is Fault.LOST:
            self._drop()
        if fault is Fault.FULL:
            self._guard.found_full()
        self._tell_trouble(first_line(error))

    def _commit(self, reports: Sequence[Received]) -> list[Outcome]:
        """Store reports; those that the database rejects are found by halves."""
        try:
            return list(self._transact_reports(reports))
        except NotStored as error:
            return [error] * len(reports)
        except Exception as error:
            if len(reports) == 1:
                return [self._keep(reports[0], error)]
        middle = len(reports) // 2
        return self._commit(reports[:middle]) + self._commit(reports[middle:])

    def _transact_reports(self, reports: Sequence[Received]) -> Sequence[Verdict]:
        for day in sorted(days_of(self._filing, reports) - self._days):
            self._transact(partial(days.make, day=day))
            self._days.add(day)
        refused = dict(self.refused)

        def job(session: Session) -> Sequence[Verdict]:
            verdicts = store(session, self._filing, reports, self._now())
            self._add_refused(session, refused)
            return verdicts

        try:
            verdicts = self._transact(job)
        except Exception:
            self._days.clear()  # a table may have been dropped; another worker's clock may differ
            raise
        self._refused_written = refused
        return verdicts

    def _add_refused(self, session: Session, refused: dict[str, int]) -> None:
        new = {
            ledger.refused(code): total - self._refused_written.get(code, 0)
            for code, total in refused.items()
        }
        ledger.add(session, self._filing.front, self._now(), new)

    def _count_refused(self, session: Session) -> None:
        refused = dict(self.refused)
        self._add_refused(session, refused)
        ledger.touch(session, self._filing.front, self._now())
        self._refused_written = refused

    def _keep(self, report: Received, error: Exception) -> Outcome:
        """Store a report that was rejected: without what is wrong in it, or else as bytes."""
        better = rejected.harmless(report)
        verdict: Verdict | None = None
        try:
            # The same report may do now: its day, whose table was dropped, is made anew.
            [verdict] = self._transact_reports([better])
        except NotStored as lost:
            return lost
        except Exception as again:
            error = again
        if verdict is not None and better == report:
            return verdict
        _log.failure(
            "The database rejects a report of {gantry!r}", Failure(error), gantry=report.gantry
        )
        if verdict is not None:
            self._do(lambda session: self._count_rejected(session, 0, verdict))
            return verdict
        kept: Outcome = self._do(lambda session: self._keep_bytes(session, report, error))
        return kept

    def _keep_bytes(self, session: Session, report: Received, error: Exception) -> Verdict:
        kept = rejected.keep(session, report, f"{type(error).__name__}: {error}")
        verdict = Verdict.STORED if kept else Verdict.DUPLICATE
        self._count_rejected(session, 1, verdict)
        return verdict

    def _count_rejected(self, session: Session, stored: int, verdict: Verdict) -> None:
        if verdict is Verdict.DUPLICATE:
            counts = {ledger.DUPLICATE: stored}
        else:
            counts = {ledger.STORED: stored, ledger.REJECTED: 1}
        ledger.add(session, self._filing.front, self._now(), counts)

    def _do(self, job: Job[Any]) -> Any:
        """Run a job in a transaction; returns its result or its error."""
        try:
            return self._transact(job)
        except Exception as error:
            return error

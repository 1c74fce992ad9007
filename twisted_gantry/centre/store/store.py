"""The store of the centre as fronts, workers and the web see it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.centre.interfaces import IReportStore, Job, NotStored, QueueFull
from twisted_gantry.centre.model import Received, Verdict
from twisted_gantry.centre.store.disk import DiskGuard, Usage
from twisted_gantry.centre.store.engine import Connection, Engine
from twisted_gantry.centre.store.lanes import Lanes
from twisted_gantry.centre.store.readers import Readers
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.writer import Writer
from twisted_gantry.net.timers import GuardedLoop

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds after which what waits is given up: a sender gets 1008, and not silence."""
CLOSING = 20.0
"""Seconds within which the last reports must be written when the store closes."""
_LOOKS = 20  # for what waits too long, in the time of the deadline


@dataclass(frozen=True, slots=True)
class Limits:
    """`room` is how many reports may wait; `usage` tells how full the disk is, None for unknown."""

    room: int = 20_000
    usage: Usage | None = None
    deadline: float = DEADLINE


@implementer(IReportStore)
class ReportStore:
    """One writer thread and a few readers. `seconds` is a clock that never goes back."""

    def __init__(
        self,
        engine: Engine,
        filing: Filing,
        reactor: Any,
        limits: Limits = Limits(),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._limits, self._seconds = engine, limits, seconds
        self._lanes = Lanes(limits.room, seconds)
        self._guard = DiskGuard(limits.usage, seconds)
        self._writer = Writer(engine, filing, self._lanes, self._guard, reactor, seconds)
        self._readers = Readers(engine, reactor, seconds)
        self._looks = GuardedLoop(reactor, self._look, "looking for reports that wait too long")
        self._closed: Deferred[None] | None = None
        self._closing_since = 0.0

    def start(self, connection: Connection | None) -> None:
        """Begin with a connection whose database has its tables; None: the engine makes one, as
        soon as the database answers.
        """
        self._writer.start(connection)
        self._looks.start(self._limits.deadline / _LOOKS, now=False)

    @property
    def trouble(self) -> str | None:
        if self._guard.trouble or self._writer.trouble:
            return self._guard.trouble or self._writer.trouble
        waits = self._waits()
        if self._writer.stalled or waits > self._limits.deadline / 2:
            return "the database does not answer in time"
        return None

    @property
    def waiting(self) -> int:
        return len(self._lanes) + len(self._writer.under_way)

    @property
    def transaction_seconds(self) -> Any:
        """The histogram of the durations of transactions."""
        return self._writer.transaction_seconds

    def put(self, report: Received) -> Deferred[Verdict]:
        why = self._refusal() or self._guard.trouble or self._writer.away
        if why is not None:
            return fail(NotStored(why))
        try:
            return self._lanes.put(report)
        except QueueFull as error:
            return fail(error)

    def refused(self, code: str) -> None:
        counts = self._writer.refused
        counts[code] = counts.get(code, 0) + 1

    def write(self, job: Job[T]) -> Deferred[T]:
        why = self._refusal()
        if why is not None:
            return fail(NotStored(why))
        try:
            return self._lanes.put_job(job)
        except QueueFull as error:
            return fail(NotStored(str(error)))

    def read(self, job: Job[T]) -> Deferred[T]:
        return self._readers.read(job)

    def _refusal(self) -> str | None:
        if self._closed is not None:
            return "the store is closed"
        return "the database does not answer in time" if self._writer.stalled else None

    def _waits(self) -> float:
        """Return for how many seconds the oldest of all waits."""
        under_way = self._writer.under_way
        since = min(self._lanes.since(), under_way[0].since if under_way else float("inf"))
        return max(0.0, self._seconds() - since)

    def _look(self) -> None:
        before = self._seconds() - self._limits.deadline
        late = self._lanes.older(before)
        late += [item.deferred for item in self._writer.under_way if item.since < before]
        for deferred in late:
            if not deferred.called:
                self._writer.stalled = True
                deferred.errback(NotStored("the database does not answer in time"))
        if self._closed is not None:
            self._end()

    def close(self) -> Deferred[None]:
        if self._closed is None:
            self._closed = Deferred()
            self._closing_since = self._seconds()
            self._writer.close()
            self._looks.start(0.05)
        waiter: Deferred[None] = Deferred()
        self._closed.addBoth(lambda _: waiter.callback(None))
        return waiter

    def _end(self) -> None:
        over = self._seconds() - self._closing_since > CLOSING
        if not (self._writer.ended or over):
            return
        self._looks.stop()
        for deferred in self._lanes.older(float("inf")):
            deferred.errback(NotStored("the store is closed"))
        self._readers.close()
        self._engine.close()
        assert self._closed is not None
        self._closed.callback(None)

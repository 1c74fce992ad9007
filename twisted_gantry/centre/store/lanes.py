"""What waits for the writer: two lanes of reports, and jobs.

The reactor puts, the writer takes; each operation is one of a deque, which needs no lock. Fresh
reports go first. A backlog may fill half of the room and has a tenth of each group, so that it
neither delays alarms nor starves.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from twisted_gantry.centre.interfaces import Job, QueueFull
from twisted_gantry.centre.model import PERIOD, Received, Verdict

MOST_GROUP = 500
"""Reports of one transaction: the first of them must not wait too long for the last."""
FRESH = 2 * PERIOD
"""Seconds: a report is fresh if its stamp is not older than this at its reception."""
MOST_JOBS = 1000
_BACKLOG_SHARE = MOST_GROUP // 10


class Waiting(NamedTuple):
    """A report that waits `since` a moment, in seconds of the writer's clock."""

    report: Received
    deferred: Deferred[Verdict]
    since: float


class WaitingJob(NamedTuple):
    """A job that waits for a transaction of its own."""

    job: Job[Any]
    deferred: Deferred[Any]
    since: float


class Lanes:
    """Room for `room` reports. `seconds` is a clock that never goes back."""

    def __init__(self, room: int, seconds: Callable[[], float]) -> None:
        self._room, self._seconds = room, seconds
        self._fresh: deque[Waiting] = deque()
        self._backlog: deque[Waiting] = deque()
        self._jobs: deque[WaitingJob] = deque()
        self._wake = Event()
        self._idle = False

    def __len__(self) -> int:
        return len(self._fresh) + len(self._backlog)

    @property
    def empty(self) -> bool:
        return not (self._fresh or self._backlog or self._jobs)

    def put(self, report: Received) -> Deferred[Verdict]:
        """Let a report wait. Raises QueueFull."""
        stamp = report.stamp
        old = stamp is not None and report.received_at - stamp > FRESH
        backlog = len(self._backlog)
        if (old and backlog >= self._room // 2) or len(self._fresh) + backlog >= self._room:
            raise QueueFull("no room for a report now")
        deferred: Deferred[Verdict] = Deferred()
        (self._backlog if old else self._fresh).append(Waiting(report, deferred, self._seconds()))
        if self._idle:
            self.wake()
        return deferred

    def put_job(self, job: Job[Any]) -> Deferred[Any]:
        """Let a job wait. Raises QueueFull."""
        if len(self._jobs) >= MOST_JOBS:
            raise QueueFull("no room for a change now")
        deferred: Deferred[Any] = Deferred()
        self._jobs.append(WaitingJob(job, deferred, self._seconds()))
        if self._idle:
            self.wake()
        return deferred

    def wake(self) -> None:
        """End a `wait`."""
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """Wait until something comes, `wake` is called or the time is over."""
        self._idle = True
        if self.empty:
            self._wake.wait(seconds)
        self._wake.clear()
        self._idle = False

    def pause(self, seconds: float) -> None:
        """Wait for the time, or until `wake` is called."""
        self._wake.wait(seconds)
        self._wake.clear()

    def group(self) -> list[Waiting]:
        """Take the reports of the next transaction."""
        most = MOST_GROUP - min(len(self._backlog), _BACKLOG_SHARE)
        taken = list(_taken(self._fresh, most))
        taken += _taken(self._backlog, MOST_GROUP - len(taken))
        return taken

    def job(self) -> WaitingJob | None:
        """Take the next job."""
        return next(_taken(self._jobs, 1), None)

    def since(self) -> float:
        """Return since when the oldest of all waits; infinity if nothing does."""
        heads = [first.since for lane in self._all() for first in _first(lane)]
        return min(heads, default=float("inf"))

    def older(self, than: float) -> list[Deferred[Any]]:
        """Take out all that waits since before a moment."""
        found: list[Deferred[Any]] = []
        for lane in self._all():
            # The writer may have taken the first one meanwhile: another one is then given up early.
            while any(first.since < than for first in _first(lane)):
                found += [each.deferred for each in _taken(lane, 1)]
        return found

    def _all(self) -> tuple[deque[Any], ...]:
        return self._fresh, self._backlog, self._jobs


def _first(lane: deque[Any]) -> Iterator[Any]:
    try:
        yield lane[0]
    except IndexError:
        return


def _taken(lane: deque[Any], most: int) -> Iterator[Any]:
    try:
        for _ in range(most):
            yield lane.popleft()
    except IndexError:
        return

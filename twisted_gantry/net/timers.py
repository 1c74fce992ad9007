"""A job that is done again and again, each time after the one before has ended."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

AFTER_MISTAKE_S = 10.0
"""How long after a job that raised it is done again."""


class Repeated:
    """Does `job`, and again after as many seconds from its end as it returns; below 0 is at once.

    A job that raises is a mistake of ours: it is logged as that of `what`, and not the last.
    """

    def __init__(
        self,
        clock: IReactorTime,
        job: Callable[[], Coroutine[Deferred[Any], Any, float]],
        what: str,
    ) -> None:
        self._clock, self._job, self._what = clock, job, what
        self._timer: IDelayedCall | None = None
        self._doing: Deferred[Any] | None = None
        self._again = self._running = False
        self._began = 0  # counts the starts and stops: what is of an earlier one is over

    @property
    def doing(self) -> bool:
        """Whether the job is being done."""
        return self._doing is not None

    def start(self, after: float = 0.0) -> None:
        """Begin, at once or `after` so many seconds; whatever was under way ends."""
        self.stop()
        self._running = True
        if after > 0:
            self._timer = self._clock.callLater(after, self._do)
        else:
            self._do()

    def stop(self) -> None:
        """End; what is under way is cancelled."""
        self._running = self._again = False
        self._began += 1
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        doing, self._doing = self._doing, None
        if doing is not None:
            doing.cancel()

    def now(self) -> None:
        """Do it without waiting; if it is being done, once more after that."""
        if self._timer is not None:
            self._timer.reset(0)
        elif self._running:
            self._again = True

    def _do(self) -> None:
        self._timer, self._again = None, False
        began = self._began
        doing = ensureDeferred(self._job())
        doing.addErrback(self._failed)
        if began == self._began:
            self._doing = doing
            doing.addCallback(self._ended, began)
        else:  # it stopped itself, or began anew
            doing.cancel()

    def _failed(self, failure: Failure) -> float:
        if not failure.check(CancelledError):
            _log.failure("{what} failed", failure=failure, what=self._what)
        return AFTER_MISTAKE_S

    def _ended(self, pause: float, began: int) -> None:
        if began == self._began:
            self._doing = None
            wait = 0.0 if self._again else max(pause, 0.0)
            self._timer = self._clock.callLater(wait, self._do)

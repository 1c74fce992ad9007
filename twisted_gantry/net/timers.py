"""Timers: one call that can be put off or cancelled, a loop with a fixed period, a repeated job."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

AFTER_MISTAKE_S = 10.0  # seconds after which a job that raised is done again


class Timer:
    """One call in the future: `start` schedules it, a second `start` moves it."""

    def __init__(self, clock: IReactorTime, call: Callable[[], object]) -> None:
        self._clock, self._call = clock, call
        self._delayed: IDelayedCall | None = None

    @property
    def running(self) -> bool:
        return self._delayed is not None

    def start(self, delay: float) -> None:
        """Call after `delay` seconds, 0 or more; an earlier schedule is replaced."""
        self.cancel()
        self._delayed = self._clock.callLater(delay, self._fire)

    def cancel(self) -> None:
        """Do not call; nothing happens if no call is scheduled."""
        delayed, self._delayed = self._delayed, None
        if delayed is not None:
            delayed.cancel()

    def _fire(self) -> None:
        self._delayed = None
        self._call()


class GuardedLoop:
    """Does `job` once every period; a job that fails is done again at its next time.

    `job` returns nothing or a Deferred; the next turn waits for it. `failing` is told the error
    of each turn that failed, and None after each turn that did not. Of the same error in a row
    only the first is logged.
    """

    def __init__(
        self,
        clock: IReactorTime,
        job: Callable[[], object],
        what: str,
        failing: Callable[[Exception | None], object] = lambda error: None,
    ) -> None:
        self._clock, self._job, self._what, self._failing = clock, job, what, failing
        self._loop = LoopingCall(self._turn)
        self._last = ""

    @property
    def running(self) -> bool:
        return self._loop.running

    @property
    def period(self) -> float | None:
        """Seconds between two turns; None before the first start."""
        return self._loop.interval

    def start(self, period: float, *, now: bool = True) -> None:
        """Begin, or go on with another period in seconds; `now`: the first turn is at once."""
        self.stop()
        # A turn of the old loop that is still under way must not schedule the next one.
        self._loop = LoopingCall(self._turn)
        self._loop.clock = self._clock
        ended = self._loop.start(period, now=now)
        ended.addErrback(lambda failure: _log.failure("{what} ended", failure, what=self._what))

    def stop(self) -> None:
        """End; a turn that is under way is not cancelled."""
        if self._loop.running:
            self._loop.stop()

    async def _turn(self) -> None:
        try:
            await maybeDeferred(self._job)
        except CancelledError:
            return
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if told != self._last:
                _log.failure("{what} failed", what=self._what)
            self._last = told
            self._failing(error)
        else:
            self._last = ""
            self._failing(None)


class Repeated:
    """Does `job` again and again, each after the seconds that the last one returned; 0 is at once.

    A job that raises is a mistake of ours: it is logged as that of `what`, and done again.
    """

    def __init__(
        self,
        clock: IReactorTime,
        job: Callable[[], Coroutine[Deferred[Any], Any, float]],
        what: str,
    ) -> None:
        self._job, self._what = job, what
        self._timer = Timer(clock, self._do)
        self._doing: Deferred[Any] | None = None
        self._again = self._running = False
        self._began = 0  # counts starts and stops: a job of an earlier one is over

    @property
    def doing(self) -> bool:
        return self._doing is not None

    def start(self, after: float = 0.0) -> None:
        """Begin, at once or `after` so many seconds; a job under way is cancelled."""
        self.stop()
        self._running = True
        if after > 0:
            self._timer.start(after)
        else:
            self._do()

    def stop(self) -> None:
        """End; a job under way is cancelled."""
        self._running = self._again = False
        self._began += 1
        self._timer.cancel()
        doing, self._doing = self._doing, None
        if doing is not None:
            doing.cancel()

    def now(self) -> None:
        """Do the job without waiting; one that is under way is done once more after its end."""
        if self._timer.running:
            self._timer.start(0)
        elif self._running:
            self._again = True

    def _do(self) -> None:
        self._again = False
        began = self._began
        doing = ensureDeferred(self._job())
        doing.addErrback(self._failed)
        if began == self._began:
            self._doing = doing
            doing.addCallback(self._ended, began)
        else:  # the job stopped itself, or began anew
            doing.cancel()

    def _failed(self, failure: Failure) -> float:
        if not failure.check(CancelledError):
            _log.failure("{what} failed", failure=failure, what=self._what)
        return AFTER_MISTAKE_S

    def _ended(self, pause: float, began: int) -> None:
        if began == self._began:
            self._doing = None
            wait = 0.0 if self._again else max(pause, 0.0)
            self._timer.start(wait)

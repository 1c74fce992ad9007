"""The recorder: decides which changes of points are samples, and hands them to the history.

Numbers, true/false (as 1 and 0) and texts are recorded. A point is sampled when its value
changes, and at least every `interval` while it is good; where it stops being good, a gap begins.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.history import Sample
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.points import Batch, Point, Points
from twisted_gantry.net.timers import GuardedLoop

_log = Logger()

INTERVAL = 60.0  # seconds after which a good point is sampled although its value did not change

HOLD_INTERVALS = 1.5
"""For how many intervals a sample is valid without another: one may be late, none missing."""

BATCH_PERIOD = 1.0  # seconds between two batches for the history
MAX_WAITING = 50_000
"""Samples that wait while the disk fails: half an hour of 200 points, each changing every 10 s."""
LARGEST = 1e100  # a larger value is no measurement; sums of smaller ones over years stay finite


def recorded(point: Point) -> float | str | None:
    """Return what is recorded of a point; None if it is unknown."""
    value = point.good
    if isinstance(value, str):
        return value or None
    if not isinstance(value, bool | int | float) or not abs(value) <= LARGEST:
        return None
    return float(value)


@dataclass(slots=True)
class _Last:
    """The last sample of a point; `at` is seconds of the reactor's clock."""

    value: float | str | None
    at: float


class Recorder:
    """Samples `points` into `history`. `clock` counts seconds, `now` returns Unix seconds.

    `failing(reason)` is called when sampling or writing begins to fail, `failing(None)` when both
    work again. `dropped` counts the samples that were given up meanwhile, the oldest first.
    """

    def __init__(
        self,
        points: Points,
        history: IHistory,
        clock: IReactorTime,
        now: Callable[[], float],
        failing: Callable[[str | None], None],
        interval: float = INTERVAL,
    ) -> None:
        self.dropped = 0
        self._points, self._history, self._now = points, history, now
        self._clock, self._failing, self._interval = clock, failing, interval
        self._last: dict[str, _Last] = {}
        self._waiting: deque[Sample] = deque()
        self._writing: Deferred[None] | None = None
        self._reasons: dict[str, str] = {}  # why sampling and writing fail
        self._unsubscribe: Callable[[], None] | None = None
        self._loop = GuardedLoop(clock, self._tick, "sampling", self._sampled)

    def start(self) -> None:
        self._unsubscribe = self._points.subscribe(self._changed)
        self._loop.start(BATCH_PERIOD, now=False)

    def stop(self) -> Deferred[None]:
        """End with a gap for every point; fires when all samples were written, or cannot be."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._loop.stop()
            for name in list(self._last):
                self._sample(name, None)
        written = self._writing or self._write()
        # Samples that came while a batch was being written go in one more.
        return written.addCallback(lambda _: self._write())

    def _changed(self, device: str, batch: Batch) -> None:
        for change in batch:
            self._sample(change.new.name, recorded(change.new))

    def _sample(self, name: str, value: float | str | None) -> None:
        last, clock = self._last.get(name), self._clock.seconds()
        if last is None:
            if value is None:  # never known: no series to end
                return
        elif value == last.value and (value is None or clock - last.at < self._interval):
            return
        self._last[name] = _Last(value, clock)
        self._waiting.append(Sample(name, self._now(), value))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def _tick(self) -> None:
        try:
            for name in list(self._last):
                point = self._points.get(name)
                self._sample(name, None if point is None else recorded(point))
                if point is None:
                    del self._last[name]
        finally:  # what was sampled is written, whatever sampling does
            if self._writing is None and self._waiting:
                self._write()

    def _sampled(self, error: Exception | None) -> None:
        self._said("sampling", None if error is None else str(error) or type(error).__name__)

    def _write(self) -> Deferred[None]:
        batch = tuple(self._waiting)
        self._waiting.clear()
        finished: Deferred[None] = Deferred()

        def kept(_: None) -> None:
            self._said("writing", None)

        def failed(failure: Failure) -> None:
            room = MAX_WAITING - len(self._waiting)
            again = batch[max(0, len(batch) - room) :]
            self.dropped += len(batch) - len(again)
            self._waiting.extendleft(reversed(again))
            self._said("writing", failure.getErrorMessage())

        def over(_: Any) -> None:
            self._writing = None
            finished.callback(None)

        if not batch:
            finished.callback(None)
            return finished
        self._writing = finished
        self._history.add(batch).addCallbacks(kept, failed).addBoth(over)
        return finished

    def _said(self, what: str, reason: str | None) -> None:
        """Note why `what` fails, None if it works; tell the first failure and the last recovery."""
        was_failing = bool(self._reasons)
        if reason is None:
            self._reasons.pop(what, None)
        else:
            self._reasons[what] = reason
        if was_failing == bool(self._reasons):
            return
        if reason is None:
            _log.info("the history works again; samples given up: {n}", n=self.dropped)
        else:
            _log.warn("the history cannot be kept: {what}: {reason}", what=what, reason=reason)
        self._failing(reason)

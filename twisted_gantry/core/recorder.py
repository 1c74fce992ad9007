"""The recorder: decides what of the points' changes is a sample, and hands it to the history.

Numbers and true/false (as 1 and 0) are recorded, text is not. A point is sampled when its value
changes, and at least every `interval` while it is good; where it stops being good, a gap begins.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.history import IHistory, Sample
from twisted_gantry.core.points import Batch, Point, Points

_log = Logger()

INTERVAL = 60.0
"""Seconds after which a good point is sampled though it did not change."""

HOLD_INTERVALS = 1.5
"""For how many intervals a sample holds without another: one may come late, none may be missed."""

# Samples are handed over in batches, one each so many seconds.
BATCH_PERIOD = 1.0
# What waits while the disk fails: half an hour of 200 points that change every 10 s, some 10 MB.
MAX_WAITING = 50_000
# No measurement is larger; sums over years of what is smaller stay finite.
LARGEST = 1e100


def number_of(point: Point) -> float | None:
    """Return what is recorded of a point, None if it is not known or no number."""
    value = point.good
    if not isinstance(value, bool | int | float) or not abs(value) <= LARGEST:
        return None
    return float(value)


@dataclass(slots=True)
class _Last:
    """The last sample of a point; `at` is of the clock that counts seconds."""

    value: float | None
    at: float


class Recorder:
    """Samples `points` into `history`. `clock` counts seconds, `now` returns Unix seconds.

    `failing(reason)` is called when the history begins to fail, `failing(None)` when it works
    again. `dropped` counts the samples that were given up meanwhile, the oldest first.
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
        self._is_failing = False
        self._unsubscribe: Callable[[], None] | None = None
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to record."""
        self._unsubscribe = self._points.subscribe(self._changed)
        self._loop.start(BATCH_PERIOD, now=False)

    def stop(self) -> Deferred[None]:
        """End with a gap for every point; fires when all has been handed over, or cannot be."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._loop.stop()
            for name in list(self._last):
                self._sample(name, None)
        written = self._writing or self._write()
        # What was recorded while a batch was being written goes in one more.
        return written.addCallback(lambda _: self._write())

    def _changed(self, device: str, batch: Batch) -> None:
        for change in batch:
            self._sample(change.new.name, number_of(change.new))

    def _sample(self, name: str, value: float | None) -> None:
        """Record a value, unless the last sample says the same and still holds."""
        last, clock = self._last.get(name), self._clock.seconds()
        if last is None:
            if value is None:  # it has never been a number: there is nothing to end
                return
        elif value == last.value and (value is None or clock - last.at < self._interval):
            return
        self._last[name] = _Last(value, clock)
        self._waiting.append(Sample(name, self._now(), value))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def _tick(self) -> None:
        for name in list(self._last):
            point = self._points.get(name)
            self._sample(name, None if point is None else number_of(point))
            if point is None:
                del self._last[name]
        if self._writing is None and self._waiting:
            self._write()

    def _write(self) -> Deferred[None]:
        batch = tuple(self._waiting)
        self._waiting.clear()
        finished: Deferred[None] = Deferred()

        def kept(_: None) -> None:
            self._said(None)

        def failed(failure: Failure) -> None:
            room = MAX_WAITING - len(self._waiting)
            again = batch[max(0, len(batch) - room) :]
            self.dropped += len(batch) - len(again)
            self._waiting.extendleft(reversed(again))
            self._said(failure.getErrorMessage())

        def over(_: Any) -> None:
            self._writing = None
            finished.callback(None)

        if not batch:
            finished.callback(None)
            return finished
        self._writing = finished
        self._history.add(batch).addCallbacks(kept, failed).addBoth(over)
        return finished

    def _said(self, reason: str | None) -> None:
        """Tell once that the history fails, and once that it works again."""
        if self._is_failing == (reason is not None):
            return
        self._is_failing = reason is not None
        if reason is None:
            _log.info("the history works again; samples given up: {n}", n=self.dropped)
        else:
            _log.warn("the history cannot be written: {reason}", reason=reason)
        self._failing(reason)

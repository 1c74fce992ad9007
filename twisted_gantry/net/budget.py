"""Budgets: how much a peer may ask for, by number and by the time that it costs the reactor."""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.timers import Timer

SLICE = 4096
"""Bytes that a protocol is fed at once. A request in one-byte chunks, or many small messages, cost
some ten milliseconds for these.
"""
MOST_EXPECTED = 64  # answers that may come later
HOLD_S = 0.02  # seconds of work in a row after which the rest waits for the next turn


class Budget:
    """`burst` units at once, and `rate` units a second."""

    def __init__(self, clock: IReactorTime, rate: float, burst: float) -> None:
        self._clock, self._rate, self._burst = clock, rate, burst
        self._left, self._at = burst, 0.0

    @property
    def left(self) -> float:
        """The units that may be spent now; below 0 when the last spending was larger."""
        now = self._clock.seconds()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def spend(self, units: float = 1.0) -> bool:
        """Spend `units` if there are as many; returns whether there were."""
        if self.left < units:
            return False
        self._left -= units
        return True

    def charge(self, units: float) -> bool:
        """Spend `units` whatever is left; returns False once nothing is left."""
        left = self.left - units
        self._left = left
        return left > 0


class Unasked:
    """Bounds the messages that a peer sends without being asked, `rate` a second. For each of ours
    it may send `answers`.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: float, answers: int = 2) -> None:
        self._budget, self._answers, self._expected = Budget(clock, rate, burst), answers, 0

    def asked(self) -> None:
        """Note a message of ours."""
        self._expected = min(self._expected + self._answers, MOST_EXPECTED)

    def came(self) -> bool:
        """Count a message of the peer; returns False when it sends too many."""
        if self._expected:
            self._expected -= 1
            return True
        return self._budget.spend()


class Slices:
    """Feeds what a transport received to `feed` in slices, a turn of the reactor for `HOLD_S` of
    work. Meanwhile `transport` reads nothing.

    `cost(seconds)` is told the CPU time of each slice, and returns whether the peer may go on: else
    the rest is dropped, and `flooded` called. `work` returns CPU seconds of this thread, which do
    not grow while another process has the core.
    """

    def __init__(
        self,
        clock: IReactorTime,
        feed: Callable[[bytes], object],
        cost: Callable[[float], bool],
        flooded: Callable[[], object],
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        self.transport: Any = None
        self._feed, self._cost, self._flooded, self._work = feed, cost, flooded, work
        self._rest = bytearray()
        self._next = Timer(clock, self._go_on)
        self._over = self._feeding = False

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for their turn, or are fed now."""
        return self._feeding or self._next.running or self._over

    def take(self, data: bytes) -> None:
        """Feed bytes behind those that wait."""
        if self._over:
            return
        if self._next.running or self._feeding:
            self._rest += data
            return
        self._spend(data)

    def end(self) -> None:
        """Feed what waits, the connection being lost; nothing is taken after that."""
        rest = bytes(self._rest)
        over, self._over = self._over, True
        self._next.cancel()
        self._rest.clear()
        for at in range(0, 0 if over else len(rest), SLICE):
            self._feed(rest[at : at + SLICE])

    def drop(self) -> None:
        """Take nothing any more, and drop what waits."""
        self._over = True
        self._next.cancel()
        self._rest.clear()

    def _go_on(self) -> None:
        rest = bytes(self._rest)
        self._rest.clear()
        self._spend(rest)
        if not self._over and not self._next.running:
            self.transport.resumeProducing()

    def _spend(self, data: bytes) -> None:
        began = self._work()
        before = began
        for at in range(0, len(data), SLICE):
            self._feeding = True
            try:
                self._feed(data[at : at + SLICE])
            finally:
                self._feeding = False
            now = self._work()
            if self._over:
                return
            if not self._cost(now - before):
                self.drop()
                self._flooded()
                return
            before = now
            rest = data[at + SLICE :]
            if now - began > HOLD_S and (rest or self._rest):
                self._wait(rest)
                return
        if self._rest:  # came from within
            self._wait(b"")

    def _wait(self, rest: bytes) -> None:
        self._rest[:0] = rest
        self.transport.pauseProducing()
        self._next.start(0)

"""A timer wheel: tens of thousands of timers for the price of one.

Most timers of a fleet are set again before they run; in the reactor each would be an entry of one
heap, which is sorted and swept.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.net.timers import GuardedLoop

_log = Logger()

# Timers of one tick run together; a tick is short enough to add little to a latency.
TICK_S = 0.02


class Timer:
    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Wheel:
    """Runs timers at the tick that is nearest to their moment, and never at once. It is the clock
    of the sessions in `cloud.py`. Nothing runs while it is not started.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self._at = 0
        self._places: dict[int, list[Timer]] = {}
        self._loop = GuardedLoop(clock, self._turn, "the timer wheel of the fleet")

    def seconds(self) -> float:
        return float(self._clock.seconds())

    def callLater(self, delay: float, call: Callable[[], None], /) -> Timer:
        timer = Timer(call)
        place = round((self._clock.seconds() + delay - self._began) / TICK_S)
        self._places.setdefault(max(place, self._at + 1), []).append(timer)
        return timer

    def every(self, period: float, call: Callable[[], None], first: float) -> None:
        """Run `call` after `first` seconds, and then every `period` seconds, without drift."""
        due = self.seconds() + first

        def run() -> None:
            nonlocal due
            # Turns that a stalled process has missed are left out.
            due += period * (1 + max(0.0, (self.seconds() - due) // period))
            self.callLater(due - self.seconds(), run)
            call()

        self.callLater(first, run)

    def start(self) -> None:
        self._loop.start(TICK_S, now=False)

    def stop(self) -> None:
        self._loop.stop()
        self._places.clear()

    def _turn(self) -> None:
        now = int((self._clock.seconds() - self._began) / TICK_S + 1e-6)
        while self._at < now:
            self._at += 1
            for timer in self._places.pop(self._at, ()):
                call, timer.call = timer.call, None
                if call is None:
                    continue
                try:
                    call()
                except Exception:
                    _log.failure("a timer of the fleet failed")  # the others must run on

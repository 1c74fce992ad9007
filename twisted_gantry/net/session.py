"""The pauses of a session that is made again for ever; only a session that works ends them."""

from collections.abc import Callable

AFTER_FLOOD = 30  # good signs that are not believed after a flood


class Backoff:
    """Delays that double from `first` to `most` seconds, each times a jitter of 0.5 to 1.

    Call `reset` when a session has worked, not when TCP connects: a peer that accepts and drops
    must not be retried every second. `spread` returns a number in [0, 1).
    """

    def __init__(self, first: float, most: float, spread: Callable[[], float]) -> None:
        self.first, self.most = first, most
        self.failures = 0
        self._spread = spread
        self._doubts = 0

    def reset(self) -> None:
        self._doubts -= 1
        if self._doubts <= 0:
            self._doubts = self.failures = 0

    def flooded(self) -> None:
        """Note a flood: the next `AFTER_FLOOD` resets do nothing. A peer that floods may well
        answer in between.
        """
        self._doubts = AFTER_FLOOD

    def next(self) -> float:
        """Return the delay before the next attempt, in seconds."""
        delay = min(self.most, self.first * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return delay * (0.5 + self._spread() / 2)

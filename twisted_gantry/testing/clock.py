"""Time that a test moves: nothing waits, and nothing depends on how fast the computer is."""

from typing import Protocol

from twisted.internet.task import Clock

from twisted_gantry.core.moments import Moment

START = 1_700_000_000.0
"""The moment at which tests begin, Unix seconds."""


class Flushed(Protocol):
    """A network in memory."""

    def flush(self) -> bool: ...  # deliver what was written; True if there was anything


class ManualClock(Clock):
    """A Clock that also tells the time of day, and moves in small steps."""

    __test__ = False  # pytest takes a name that begins with Test for tests

    def __init__(self) -> None:
        super().__init__()
        self.network: Flushed | None = None
        self.wall_offset = START
        self.boot, self.trusted = "boot-1", True

    def now(self) -> float:
        """Return Unix seconds."""
        return float(self.seconds()) + self.wall_offset

    def moment(self) -> Moment:
        """Return the present moment; `boot` and `trusted` are what a test sets."""
        return Moment(self.now(), self.boot, float(self.seconds()), self.trusted)

    def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass; what is on the wire arrives after each step."""
        self.settle()
        for _ in range(round(seconds / step)):
            self.advance(step)
            self.settle()

    def settle(self) -> None:
        """Deliver what is on the wire, and run what is due now."""
        for _ in range(50):
            moved = self.network is not None and self.network.flush()
            self.advance(0)
            if not moved:
                return

"""How late the reactor is: the one number that tells whether something blocks it."""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_gantry.core.latency import Latency
from twisted_gantry.net.service import NamedService

# Seconds between two looks.
PERIOD = 1.0


class ReactorLag(NamedService):
    """Counts in `seconds` by how much a timer of `period` seconds comes too late."""

    def __init__(self, clock: IReactorTime, period: float = PERIOD) -> None:
        super().__init__("reactor-lag")
        self.seconds = Latency()
        self._clock, self._period = clock, period
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._schedule()

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        call, self._next = self._next, None
        if call is not None:
            call.cancel()

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + self._period
        self._next = self._clock.callLater(self._period, self._look)

    def _look(self) -> None:
        self.seconds.observe(self._clock.seconds() - self._due)
        self._schedule()

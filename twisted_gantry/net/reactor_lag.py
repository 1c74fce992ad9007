"""How late the reactor runs its timers: the number that tells whether something blocks it."""

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Timer

PERIOD = 1.0  # seconds between two measurements


class ReactorLag(NamedService):
    """Observes in `seconds` by how much a timer of `period` seconds fires too late."""

    def __init__(self, clock: IReactorTime, period: float = PERIOD) -> None:
        super().__init__("reactor-lag")
        self.seconds = Histogram()
        self._clock, self._period = clock, period
        self._due = 0.0
        self._timer = Timer(clock, self._observe)

    def startService(self) -> None:
        super().startService()
        self._schedule()

    def stopService(self) -> None:
        super().stopService()
        self._timer.cancel()

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + self._period
        self._timer.start(self._period)

    def _observe(self) -> None:
        self.seconds.observe(self._clock.seconds() - self._due)
        self._schedule()
